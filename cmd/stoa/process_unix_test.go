//go:build linux || darwin

package main

import (
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
