package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stoa-io/stoa/internal/similar"
)

// Args checks the number of arguments. names are all arguments, of which the
// first ones are required.
func Args(required int, names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < required:
			return fmt.Errorf("missing argument: %s", strings.Join(names[len(args):required], " and "))
		case len(args) > len(names):
			return fmt.Errorf("unexpected argument %q", args[len(names)])
		}
		return nil
	}
}

// suggestFlag adds a similar flag to the error about an unknown one.
func suggestFlag(command *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	var known []string
	add := func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	}
	command.Flags().VisitAll(add)
	command.InheritedFlags().VisitAll(add)
	if found := similar.Words(unknown.GetSpecifiedName(), known); len(found) > 0 {
		return fmt.Errorf("%w; did you mean --%s?", err, strings.Join(found, " or --"))
	}
	return err
}
