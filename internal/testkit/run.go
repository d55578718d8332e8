package testkit

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
)

// Run runs all tests of a package and returns the exit code for TestMain. It
// fails if goroutines or sockets are left, and says so on stderr.
func Run(m *testing.M, stderr io.Writer) (code int) {
	before := CountResources()
	code = m.Run()
	if err := removeProgram(); err != nil {
		fmt.Fprintln(stderr, err)
		code = 1
	}
	// The fuzzing engine leaves goroutines of its own.
	if code != 0 || flag.Lookup("test.fuzz").Value.String() != "" {
		return code
	}
	http.DefaultClient.CloseIdleConnections()
	if err := before.AwaitAtMost(); err != nil {
		fmt.Fprintln(stderr, "after all tests:", err)
		return 1
	}
	return 0
}

// Resources are the resources of this process that a test can leak.
type Resources struct{ Goroutines, Sockets int }

// CountResources counts the resources in use.
func CountResources() Resources {
	return Resources{Goroutines: runtime.NumGoroutine(), Sockets: openSockets()}
}

// AwaitAtMost waits until no more than these resources are in use.
func (r Resources) AwaitAtMost() error {
	var now Resources
	if Wait(func() bool {
		now = CountResources()
		return now.Goroutines <= r.Goroutines && now.Sockets <= r.Sockets
	}) {
		return nil
	}
	stacks := make([]byte, 1<<20)
	return fmt.Errorf("%d goroutines and %d sockets, want at most %d and %d\n%s",
		now.Goroutines, now.Sockets, r.Goroutines, r.Sockets, stacks[:runtime.Stack(stacks, true)])
}

// openSockets counts the descriptors of sockets. It is 0 on systems without
// /proc. Other descriptors are not counted: Go's poller opens two with the
// first use of the network and keeps them.
func openSockets() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	count := 0
	for _, entry := range entries {
		target, err := os.Readlink("/proc/self/fd/" + entry.Name())
		if err == nil && strings.HasPrefix(target, "socket:") {
			count++
		}
	}
	return count
}
