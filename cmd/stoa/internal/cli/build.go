package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// release is the content of the file VERSION, which a test compares with it.
const release = "0.1.0"

// version is what the Makefile and the Dockerfile set from the file VERSION:
//
//	-ldflags "-X github.com/stoa-io/stoa/cmd/stoa/internal/cli.version=0.1.0"
var version string

// Build says which program this is.
type Build struct {
	Version  string
	Revision string // of the version control system; empty if unknown
	Modified bool   // the sources differ from the revision
	Go       string // the version of Go
}

// ReadBuild returns the build of the running program.
func ReadBuild() Build {
	b := Build{Version: version, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	if b.Version == "" {
		b.Version = moduleVersion(&info.Main)
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Revision = setting.Value
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	return b
}

// moduleVersion returns the version of a build without linker flags. Only a
// module that Go has downloaded, for "go install", has a checksum; its version
// is the release. In a checkout Go makes up a version from the last tag.
func moduleVersion(main *debug.Module) string {
	if main.Sum == "" {
		return release + "-dev"
	}
	return strings.TrimPrefix(main.Version, "v")
}

// String returns the version, the commit, the Go version and the platform.
func (b Build) String() string {
	details := []string{b.Go, runtime.GOOS + "/" + runtime.GOARCH}
	if b.Revision != "" {
		revision := "commit " + b.Revision[:min(12, len(b.Revision))]
		if b.Modified {
			revision += " with local changes"
		}
		details = append([]string{revision}, details...)
	}
	return fmt.Sprintf("%s (%s)", b.Version, strings.Join(details, ", "))
}
