package testkit

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// Process is a program that a test has started.
type Process struct {
	Output  Output
	command *exec.Cmd
	exited  chan struct{} // closed after the exit
}

// StartProcess starts a command and collects its output. The process is killed
// at the end of the test; if the test has failed, its output is logged.
func StartProcess(t testing.TB, command *exec.Cmd) *Process {
	t.Helper()
	p := &Process{command: command, exited: make(chan struct{})}
	command.Stdout, command.Stderr = &p.Output, &p.Output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = command.Wait() // ProcessState has the result
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%q printed:\n%s", command.Args, &p.Output)
		}
	})
	return p
}

// Environment returns the environment of the test without Stoa's variables,
// which would configure a program that the test starts.
func Environment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "STOA_") })
}

// Await waits until the output matches the pattern, and returns the last
// submatch. It fails the test if the process exits without a match.
func (p *Process) Await(t testing.TB, pattern string) string {
	t.Helper()
	return p.Output.await(t, pattern, p.exited)
}

// Exited is closed after the exit of the process.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Signal sends a signal. A process that has exited ignores it.
func (p *Process) Signal(signal os.Signal) { _ = p.command.Process.Signal(signal) }

// Kill kills the process and returns after its exit.
func (p *Process) Kill() {
	_ = p.command.Process.Kill() // it may have exited
	<-p.exited
}

// Wait waits for the exit and returns its state.
func (p *Process) Wait(t testing.TB) *os.ProcessState {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(Patience):
		t.Fatalf("%q does not exit; it printed:\n%s", p.command.Args, &p.Output)
	}
	return p.command.ProcessState
}
