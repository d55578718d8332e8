package token

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/settings"
)

const showLong = `Print the header and the claims of a JSON Web Token, with its times in words. The token is
the argument, or read from standard input, which other users of the machine cannot see.

With --config it also says whether a node with this configuration accepts the token: its
signature, issuer, audience, times and permissions. With a JWKS it fetches the keys. The node's
environment variables count, too. The exit code is 1 if the node refuses the token.

With --secret-file or --key-file (a public key in PEM, a JWK or a JWK Set) it only says whether
the signature is right, and checks the times. The exit code is 1 if the signature is wrong.`

const showExample = `  stoa token show --config stoa.yaml - < ann.jwt
  stoa token new --user ann --secret-file secret | stoa token show --secret-file secret
  stoa token show "$TOKEN" --key-file public.pem`

// maxInput bounds the token, in bytes.
const maxInput = auth.MaxTokenSize

func newShowCommand() *cobra.Command {
	var flags settings.Flags
	var secretFile, keyFile string
	command := &cobra.Command{
		Use:     "show [TOKEN|-]",
		Short:   "Explain a token",
		Long:    showLong,
		Example: showExample,
		Args:    cli.Args(0, "TOKEN"),
		RunE: func(command *cobra.Command, arguments []string) error {
			text, err := readToken(arguments, command.InOrStdin())
			if err != nil {
				return err
			}
			check := unchecked
			switch {
			case secretFile != "" && keyFile != "":
				return errors.New("want either --secret-file or --key-file")
			case command.Flags().Changed(settings.FileFlag) && (secretFile != "" || keyFile != ""):
				return errors.New("want either --config or a key")
			case secretFile != "" || keyFile != "":
				check = ofKey(auth.VerificationKey{SecretFile: secretFile, File: keyFile})
			case command.Flags().Changed(settings.FileFlag):
				c, err := flags.Load()
				if err != nil {
					return err
				}
				if !c.Auth.HasJWT() {
					return fmt.Errorf("the configuration in %s has no tokens: add auth.jwt.keys or auth.jwt.jwks.url", flags.File())
				}
				check = ofNode(c.JWT(slog.New(slog.DiscardHandler)))
			}
			return show(command.Context(), command.OutOrStdout(), text, check)
		},
	}
	flags.RegisterFile(command.Flags())
	command.Flags().StringVar(&secretFile, "secret-file", "", "file with the shared secret")
	command.Flags().StringVar(&keyFile, "key-file", "", "file with the public key: PEM, JWK or JWK Set")
	return command
}

// readToken returns the argument, or the standard input.
func readToken(arguments []string, stdin io.Reader) (string, error) {
	if len(arguments) > 0 && arguments[0] != "-" {
		return trim(arguments[0]), nil
	}
	content, err := io.ReadAll(io.LimitReader(stdin, maxInput+1))
	switch {
	case err != nil:
		return "", cli.Failure(fmt.Errorf("reading the token: %w", err))
	case len(content) > maxInput:
		return "", fmt.Errorf("the token has more than %d bytes", maxInput)
	}
	return trim(string(content)), nil
}

// trim removes the parts of a header field that may be copied with a token.
func trim(text string) string {
	text = strings.TrimSpace(text)
	if scheme, token, ok := strings.Cut(text, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return text
}

// show prints the parts of a token, and the result of its check.
func show(ctx context.Context, out io.Writer, text string, check check) error {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return errors.New("the token is malformed: want three parts with dots between them")
	}
	header, err := decodePart(parts[0])
	if err != nil {
		return fmt.Errorf("the header of the token is malformed: %w", err)
	}
	claims, err := decodePart(parts[1])
	if err != nil {
		return fmt.Errorf("the claims of the token are malformed: %w", err)
	}
	var page bytes.Buffer
	page.WriteString("Header\n")
	printFields(&page, header, time.Time{})
	page.WriteString("Claims\n")
	printFields(&page, claims, time.Now())
	lines, checkErr := check(ctx, text)
	page.WriteString(lines)
	if _, err := out.Write(page.Bytes()); err != nil {
		return cli.Failure(err)
	}
	return checkErr
}

// decodePart reads a part of a token, an object.
func decodePart(part string) (map[string]json.RawMessage, error) {
	content, err := jwt.NewParser().DecodeSegment(part)
	if err != nil {
		return nil, errors.New("not base64url")
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(content, &fields) != nil || fields == nil {
		return nil, errors.New("not a JSON object")
	}
	return fields, nil
}

// dates are the claims that are points in time.
var dates = []string{"exp", "nbf", "iat", "auth_time"}

// printFields prints fields in the order of their names. Text of the token is
// escaped for the terminal. A zero now leaves out the words for times.
func printFields(out *bytes.Buffer, fields map[string]json.RawMessage, now time.Time) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var value bytes.Buffer
		if json.Compact(&value, fields[name]) != nil {
			value.Write(fields[name])
		}
		fmt.Fprintf(out, "  %s: %s", cli.Sanitize(name), cli.Sanitize(value.String()))
		if seconds, err := strconv.ParseFloat(value.String(), 64); err == nil && !now.IsZero() && slices.Contains(dates, name) {
			fmt.Fprintf(out, " (%s)", describeTime(seconds, now))
		}
		out.WriteByte('\n')
	}
}
