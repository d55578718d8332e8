package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/metrics"
)

// version is set by the linker for a release:
//
//	go build -ldflags "-X main.version=v1.2.3" ./cmd/stoa
//
// Otherwise it is what the Go command has found out about the module.
var version string

// build says which program this is.
type build struct {
	version  string
	revision string // of the version control system; empty if unknown
	modified bool   // the sources were not those of the revision
	golang   string
}

func readBuild() build {
	b := build{version: version, golang: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		b.setDefaultVersion("")
		return b
	}
	b.setDefaultVersion(info.Main.Version)
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.revision = setting.Value
		case "vcs.modified":
			b.modified = setting.Value == "true"
		}
	}
	return b
}

func (b *build) setDefaultVersion(found string) {
	switch {
	case b.version != "":
	case found != "":
		b.version = found
	default:
		b.version = "(devel)"
	}
}

func (b build) String() string {
	details := []string{b.golang, runtime.GOOS + "/" + runtime.GOARCH}
	if b.revision != "" {
		revision := "commit " + b.revision[:min(12, len(b.revision))]
		if b.modified {
			revision += " and local changes"
		}
		details = append([]string{revision}, details...)
	}
	return fmt.Sprintf("%s (%s)", b.version, strings.Join(details, ", "))
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Print the version, the commit that it was built from, the Go version and the system.",
		Example: "  stoa version",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if _, err := fmt.Fprintf(command.OutOrStdout(), "stoa %s\n", readBuild()); err != nil {
				return &failureError{err}
			}
			return nil
		},
	}
}

func (b build) metrics() metrics.BuildInfo {
	revision := b.revision
	if b.modified {
		revision += "-modified"
	}
	return metrics.BuildInfo{Version: b.version, Revision: revision, GoVersion: b.golang}
}
