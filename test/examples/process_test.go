package examples_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// deadline bounds every wait. It only decides how long a failing test takes.
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

var listensAt = regexp.MustCompile(`listening on ws://([^/\s]+)`)

// startEcho starts the program on a free port and returns its address. When the
// test ends it must end well by SIGTERM.
func startEcho(t testing.TB, arguments ...string) string {
	t.Helper()
	command := exec.Command(echo, append([]string{"-listen", "127.0.0.1:0"}, arguments...)...)
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = t.Output()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(deadline, func() { _ = command.Process.Kill() })
		defer late.Stop()
		if err := command.Wait(); err != nil {
			t.Errorf("the program ended with %v", err)
		}
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	match := listensAt.FindStringSubmatch(line)
	if match == nil {
		t.Fatalf("the program does not say where it listens: %q, %v", line, err)
	}
	return match[1]
}

// eachTransport runs a test over both ways in which a node serves connections.
func eachTransport(t *testing.T, test func(t *testing.T, address string)) {
	for name, arguments := range map[string][]string{"epoll": nil, "stream": {"-stream"}} {
		t.Run(name, func(t *testing.T) { test(t, startEcho(t, arguments...)) })
	}
}
