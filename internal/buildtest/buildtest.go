package buildtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
)

// directory is where the program is; empty if no test has needed it.
var directory string

// Program builds the program once for all tests of a package, with the race
// detector if they have it, and returns its path. Safe for concurrent use.
var Program = sync.OnceValues(func() (path string, err error) {
	if directory, err = os.MkdirTemp("", "stoa-test"); err != nil {
		return "", err
	}
	path = filepath.Join(directory, "stoa")
	arguments := []string{"build", "-o", path}
	if raceDetector() {
		arguments = append(arguments, "-race")
	}
	command := exec.Command("go", append(arguments, "github.com/stoa-io/stoa/cmd/stoa")...)
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, output)
	}
	return path, nil
})

// raceDetector is true if these tests were built with it.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// Remove removes what Program has built. It is for TestMain, after the tests.
func Remove() error {
	if directory == "" {
		return nil
	}
	return os.RemoveAll(directory)
}
