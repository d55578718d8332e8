//go:build linux

package rig

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	startLimit = 10 * time.Second // until a server has printed its address
	stopLimit  = 3 * time.Second  // between SIGTERM and SIGKILL
)

// A Process is a child process of this program.
type Process struct {
	Name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader // nil if output receives everything
	output *output
}

// Start runs a program on the given CPUs. With piped, ReadJSON reads the
// standard output of the process.
//
// The kernel kills the process when the thread that started it ends. That is
// the main thread, to which func main locks itself.
func Start(cpus CPUSet, piped bool, name string, cmd *exec.Cmd) (*Process, error) {
	p := &Process{Name: name, cmd: cmd, output: newOutput()}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Env = append(environment(), p.cmd.Env...)
	p.cmd.Stderr = p.output
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if piped {
		out, err := p.cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		p.stdout = bufio.NewReader(out)
	} else {
		p.cmd.Stdout = p.output
	}
	if err := pinned(cpus, p.cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// StartSelf runs this program in another role, which is args[0]. Such a role is
// one goroutine, so Go's scheduler does not need to interrupt its system calls
// every ten milliseconds to run others.
func StartSelf(cpus CPUSet, piped bool, args ...string) (*Process, error) {
	cmd, err := self(args...)
	if err != nil {
		return nil, err
	}
	cmd.Env = []string{"GODEBUG=asyncpreemptoff=1"}
	return Start(cpus, piped, args[0], cmd)
}

// StartSelfPreempted is StartSelf for a role with many goroutines: Go's
// scheduler runs it with its defaults, as it runs any program.
func StartSelfPreempted(cpus CPUSet, piped bool, args ...string) (*Process, error) {
	cmd, err := self(args...)
	if err != nil {
		return nil, err
	}
	return Start(cpus, piped, args[0], cmd)
}

func self(args ...string) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.Command(program, args...), nil
}

// environment returns the own environment without variables that tune Go's
// runtime or configure stoa.
func environment() []string {
	var kept []string
	for _, variable := range os.Environ() {
		switch name, _, _ := strings.Cut(variable, "="); {
		case name == "GOMAXPROCS", name == "GOGC", name == "GOMEMLIMIT", name == "GODEBUG":
		case strings.HasPrefix(name, "STOA_"):
		default:
			kept = append(kept, variable)
		}
	}
	return kept
}

// PID returns the process ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop terminates the process and waits for it.
func (p *Process) Stop() {
	p.stdin.Close()
	kill := time.AfterFunc(stopLimit, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.cmd.Wait()
}
