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
	goroutines, sockets := runtime.NumGoroutine(), openSockets()
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
	if Wait(func() bool { return runtime.NumGoroutine() <= goroutines && openSockets() <= sockets }) {
		return 0
	}
	stacks := make([]byte, 1<<20)
	fmt.Fprintf(stderr, "after all tests: %d goroutines and %d sockets, want at most %d and %d\n%s\n",
		runtime.NumGoroutine(), openSockets(), goroutines, sockets, stacks[:runtime.Stack(stacks, true)])
	return 1
}

// openSockets counts the descriptors of sockets. It is 0 on systems without
// /proc. Other descriptors are not counted: Go's poller opens two with the first
// use of the network and keeps them.
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
