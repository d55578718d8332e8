//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startLimit = 10 * time.Second // until a server has said where it listens
	stopLimit  = 3 * time.Second  // until a process that was asked to end is killed
	// A command takes its duration and patience at most; the rest is slack for a
	// crowded machine.
	answerLimit = 90 * time.Second
)

// A process is one that this program started. Only such are ever ended.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader // nil if output gets everything
	output *output
}

// startProcess runs a program on the given CPUs. With piped, its standard output
// is left to the caller to read; what else it prints goes to its output.
//
// The kernel kills the process if the thread that started it ends, which is the
// main thread: main locks itself to it.
func startProcess(cpus cpuSet, piped bool, name string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, cmd: cmd, output: newOutput()}
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

// startSelf runs this program in another role. A role is one goroutine, so Go's
// scheduler need not interrupt its system calls every ten milliseconds to look
// for another.
func startSelf(cpus cpuSet, piped bool, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, args...)
	cmd.Env = []string{"GODEBUG=asyncpreemptoff=1"}
	return startProcess(cpus, piped, args[0], cmd)
}

// environment is the own one without what would tune Go's runtime or configure
// stoa.
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

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process and waits for it.
func (p *process) stop() {
	p.stdin.Close()
	kill := time.AfterFunc(stopLimit, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.cmd.Wait()
}

// A loader is a client process.
type loader struct{ *process }

func startLoader(cpus cpuSet) (loader, error) {
	p, err := startSelf(cpus, true, "client")
	return loader{p}, err
}

func (l loader) send(cmd command) error {
	line, err := json.Marshal(cmd)
	if err != nil {
		return err
	}
	_, err = l.stdin.Write(append(line, '\n'))
	return err
}

// receive waits for the report on the last command.
func (l loader) receive() (report, error) {
	var r report
	kill := time.AfterFunc(answerLimit, func() { l.cmd.Process.Kill() })
	defer kill.Stop()
	line, err := l.stdout.ReadBytes('\n')
	if err != nil {
		return r, fmt.Errorf("the client has ended: %w; it said: %s", err, l.output)
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("the client said %q: %w", line, err)
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

func (l loader) do(cmd command) (report, error) {
	if err := l.send(cmd); err != nil {
		return report{}, err
	}
	return l.receive()
}

// An output keeps the end of what a process prints and finds the address in it.
// It is safe for concurrent use.
type output struct {
	mu    sync.Mutex
	text  []byte // guarded by mu
	found bool   // guarded by mu
	// address gets the host and port of the first http:// address.
	address chan string
}

const outputKept = 4 << 10

func newOutput() *output { return &output{address: make(chan string, 1)} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, b...)
	if match := addressPattern.FindSubmatch(o.text); match != nil && !o.found {
		o.found = true
		o.address <- string(match[1])
	}
	if extra := len(o.text) - outputKept; extra > 0 {
		o.text = o.text[extra:]
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.text) == 0 {
		return "(nothing)"
	}
	return string(o.text)
}
