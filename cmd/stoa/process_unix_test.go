//go:build linux || darwin

package main

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// process is the program in its own process.
type process struct {
	*testkit.Process
	address string
}

func startProcess(t testing.TB, args ...string) *process {
	t.Helper()
	command := exec.Command(os.Args[0], append([]string{"--listen", "127.0.0.1:0"}, args...)...)
	command.Env = append(os.Environ(), runMainVariable+"=1")
	p := &process{Process: testkit.StartProcess(t, command)}
	p.address = p.Await(t, `Open +http://(\S+)/ `)
	return p
}

func TestSignalDrains(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			p := startProcess(t)
			p.Signal(signal)
			if code := p.Wait(t).ExitCode(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if !strings.Contains(p.Output.String(), "msg=stopped") {
				t.Error("the log does not end with stopped")
			}
		})
	}
}

// With a delay the node is not ready at once, and still accepts connections. A
// second signal ends it at once.
func TestDrainDelay(t *testing.T) {
	p := startProcess(t, "--drain-delay", "1h")
	ready := func() int {
		response, err := http.Get("http://" + p.address + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	// A node that has not started has nothing to drain.
	testkit.Eventually(t, "/readyz succeeds", func() bool { return ready() == http.StatusOK })
	p.Signal(syscall.SIGTERM)
	testkit.Eventually(t, "/readyz fails", func() bool { return ready() == http.StatusServiceUnavailable })
	clitest.DialSocket(t, p.address, "/ws")
	p.Signal(syscall.SIGTERM)
	status, ok := p.Wait(t).Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("the process ended with %v, want the signal", status)
	}
}

// The reader of a log pipe may end before the node.
func TestClosedLogPipe(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(os.Args[0], "--listen", "127.0.0.1:0", "--log-level", "debug")
	command.Env = append(os.Environ(), runMainVariable+"=1")
	command.Stdout, command.Stderr = writer, writer
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() }) // a test that passes has waited for it
	_ = writer.Close()                               // the process has its own
	address, lines := "", bufio.NewScanner(reader)
	for address == "" && lines.Scan() {
		if _, rest, found := strings.Cut(lines.Text(), "http://"); found {
			address, _, _ = strings.Cut(rest, "/")
		}
	}
	if err := reader.Close(); err != nil || address == "" {
		t.Fatalf("the address is %q, %v", address, err)
	}
	// Each close of a connection, and the drain, writes to the log.
	for range 3 {
		socket := clitest.DialSocket(t, address, "/ws")
		socket.AnswerClose(t)
		socket.ReadFrame(t)
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Errorf("the process ended with %v, want exit code 0", err)
	}
}

// The client does not answer the close frame, so the drain is still running
// when the second signal arrives.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	p := startProcess(t, "--drain-timeout", "1m")
	socket := clitest.DialSocket(t, p.address, "/ws")
	p.Signal(syscall.SIGTERM)
	socket.ReadFrame(t) // the close frame: the first signal has been seen
	repeat := time.NewTicker(10 * time.Millisecond)
	defer repeat.Stop()
	for {
		// The program may still catch the signal, so it is sent repeatedly.
		p.Signal(syscall.SIGTERM)
		select {
		case <-p.Exited():
			state := p.Wait(t)
			status, ok := state.Sys().(syscall.WaitStatus)
			if !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
				t.Errorf("the process ended with %v, want the signal", state)
			}
			return
		case <-repeat.C:
		case <-t.Context().Done():
			t.Fatal("the process has not exited")
		}
	}
}
