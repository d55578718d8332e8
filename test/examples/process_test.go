package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/testkit"
)

// deadline bounds every wait; only failing tests reach it.
const deadline = 30 * time.Second

var echo string // the binary

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

// run builds the example once for all tests.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "stoa-examples-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	echo = filepath.Join(dir, "echo")
	if output, err := exec.Command("go", "build", "-o", echo, "github.com/stoa-io/stoa/examples/echo").CombinedOutput(); err != nil {
		panic("examples/echo does not build: " + err.Error() + "\n" + string(output))
	}
	return m.Run()
}

// startEcho starts the program on a free port and returns its address. At the
// end of the test, SIGTERM must end it without an error.
func startEcho(t testing.TB, arguments ...string) string {
	t.Helper()
	command := exec.Command(echo, append([]string{"-listen", "127.0.0.1:0"}, arguments...)...)
	p := testkit.StartProcess(t, command)
	t.Cleanup(func() {
		p.Signal(syscall.SIGTERM)
		if state := p.Wait(t); !state.Success() {
			t.Errorf("the program ended with %v", state)
		}
	})
	return p.Await(t, `listening on ws://([^/\s]+)`)
}

// eachTransport runs a test over both transports.
func eachTransport(t *testing.T, test func(t *testing.T, address string)) {
	for name, arguments := range map[string][]string{"epoll": nil, "blocking": {"-blocking"}} {
		t.Run(name, func(t *testing.T) { test(t, startEcho(t, arguments...)) })
	}
}
