package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
)

// directory holds the built program; it is empty before the first build.
var directory string

// Program builds the stoa program once for all tests of a package and returns
// its path. Run removes it. It is built with the race detector if the tests
// are, and measures its coverage if GOCOVERDIR is set.
func Program(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var build = sync.OnceValues(func() (path string, err error) {
	if directory, err = os.MkdirTemp("", "stoa-test"); err != nil {
		return "", err
	}
	path = filepath.Join(directory, "stoa")
	arguments := []string{"build", "-o", path}
	if raceDetector() {
		arguments = append(arguments, "-race")
	}
	if os.Getenv("GOCOVERDIR") != "" {
		arguments = append(arguments, "-cover", "-covermode=atomic", "-coverpkg=github.com/stoa-io/stoa/...")
	}
	command := exec.Command("go", append(arguments, "github.com/stoa-io/stoa/cmd/stoa")...)
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, output)
	}
	return path, nil
})

// raceDetector reports whether the tests are built with the race detector.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// removeProgram removes the built program.
func removeProgram() error {
	if directory == "" {
		return nil
	}
	return os.RemoveAll(directory)
}
