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
)

// process is the program in its own process.
type process struct {
	command        *exec.Cmd
	stdout, stderr *clitest.Output
	address        string
	ended          chan error
}

func startProcess(t testing.TB, args ...string) *process {
	t.Helper()
	p := &process{stdout: new(clitest.Output), stderr: new(clitest.Output), ended: make(chan error, 1)}
	p.command = exec.Command(os.Args[0], append([]string{"--listen", "127.0.0.1:0"}, args...)...)
	p.command.Env = append(os.Environ(), runMainVariable+"=1")
	p.command.Stdout, p.command.Stderr = p.stdout, p.stderr
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.ended <- p.command.Wait()
	}()
	t.Cleanup(func() {
		_ = p.command.Process.Kill() // it may have ended
		<-done
	})
	p.address = p.stdout.Await(t, `Open +http://(\S+)/ `)
	return p
}

func TestSignalDrains(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			p := startProcess(t)
			if err := p.command.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-p.ended:
				if err != nil {
					t.Errorf("the process ended with %v, want exit code 0; log:\n%s", err, p.stderr)
				}
			case <-time.After(clitest.Patience):
				t.Fatalf("the process has not exited; log:\n%s", p.stderr)
			}
			if !strings.Contains(p.stderr.String(), "msg=stopped") {
				t.Errorf("the log does not end with stopped:\n%s", p.stderr)
			}
		})
	}
}

// The client does not answer the close frame, so the drain is still running
// when the second signal arrives.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	p := startProcess(t, "--drain-timeout", "1m")
	socket := clitest.DialSocket(t, p.address, "/ws")
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	socket.ReadFrame(t) // the close frame: the first signal has been seen
	repeat := time.NewTicker(10 * time.Millisecond)
	defer repeat.Stop()
	for {
		// The program may still catch the signal, so it is sent repeatedly.
		_ = p.command.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
			status, ok := p.command.ProcessState.Sys().(syscall.WaitStatus)
			if !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
				t.Errorf("the process ended with %v, want the signal; log:\n%s", p.command.ProcessState, p.stderr)
			}
			return
		case <-repeat.C:
		case <-t.Context().Done():
			t.Fatal("the process has not exited")
		}
	}
}
