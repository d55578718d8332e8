//go:build linux

package rig

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stoa-io/stoa/internal/load"
)

// AnswerLimit is how long a process may take to answer. A command takes at most
// its duration plus the client's patience; the rest is slack for a busy
// machine.
const AnswerLimit = 90 * time.Second

// A Loader is a client process.
type Loader struct{ *Process }

// StartLoader starts a client process.
func StartLoader(cpus CPUSet) (Loader, error) {
	p, err := StartSelf(cpus, true, "client")
	return Loader{p}, err
}

// Send sends a command. Receive returns its report.
func (l Loader) Send(cmd load.Command) error {
	line, err := json.Marshal(cmd)
	if err != nil {
		return err
	}
	_, err = l.stdin.Write(append(line, '\n'))
	return err
}

// Receive waits for the report on the last command.
func (l Loader) Receive() (load.Report, error) {
	var r load.Report
	if err := l.ReadJSON(AnswerLimit, &r); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

// Do sends a command and waits for its report.
func (l Loader) Do(cmd load.Command) (load.Report, error) {
	if err := l.Send(cmd); err != nil {
		return load.Report{}, err
	}
	return l.Receive()
}

// ReadJSON reads one line of JSON from the output of a process that was started
// with a pipe. The process is killed if it takes longer than limit.
func (p *Process) ReadJSON(limit time.Duration, value any) error {
	kill := time.AfterFunc(limit, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	line, err := p.stdout.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("%s has exited: %w; its output: %s", p.Name, err, p.output)
	}
	if err := json.Unmarshal(line, value); err != nil {
		return fmt.Errorf("%s printed %q: %w", p.Name, line, err)
	}
	return nil
}
