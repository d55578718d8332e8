//go:build linux

package rows

import (
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"github.com/stoa-io/stoa/bench/internal/report"
	"github.com/stoa-io/stoa/bench/internal/rig"
	"github.com/stoa-io/stoa/internal/load"
)

// A Bench holds the settings of one run of the benchmark.
type Bench struct {
	Stoa      string // the program to measure
	Dir       string // a temporary directory
	ServerCPU rig.CPUSet
	LoadCPU   rig.CPUSet

	Runs      int           // runs of each measurement
	Window    time.Duration // length of one run
	Idle      int           // idle connections
	Members   int           // members of the large room
	IdleCPU   time.Duration // how long to measure the CPU time of idle connections; zero: not at all
	Control   bool          // measure the floor in stoa's place
	Transport string        // of the node; empty: its default
}

// MaxConnections bounds Bench.Idle and the connections set up in one run.
const MaxConnections = 60000

// Measure returns the results of a row. If the row has failed, the last one
// says why.
func (b *Bench) Measure(r Row) []report.Result {
	results, err := r.measure(b)
	if err != nil {
		results = append(results, report.Result{Name: r.Title, Err: err})
	}
	return results
}

// A target is a server to load.
type target uint8

const (
	targetStoa target = iota + 1
	targetFloor
	targetHandlers // a node in a program with handlers
)

func (t target) String() string {
	switch t {
	case targetStoa:
		return "stoa"
	case targetFloor:
		return "floor"
	case targetHandlers:
		return "handlers"
	}
	return "unknown"
}

// startServer starts a target, stoa with additional flags, and waits until it
// answers.
func (b *Bench) startServer(which target, cpus rig.CPUSet, loops int, flags ...string) (*rig.Server, error) {
	var p *rig.Process
	var err error
	switch {
	case which == targetFloor || b.Control:
		p, err = rig.StartSelf(cpus, false, "floor")
	case which == targetHandlers:
		p, err = rig.StartSelfPreempted(cpus, false, "handlers", "-loops", strconv.Itoa(loops), "-transport", b.Transport)
	default:
		// With the demo page the rooms would keep messages and show their
		// members.
		args := []string{"serve", "--listen", "127.0.0.1:0", "--loops", strconv.Itoa(loops), "--drain-timeout", "0", "--demo=false"}
		if b.Transport != "" {
			args = append(args, "--transport", b.Transport)
		}
		p, err = rig.Start(cpus, false, "stoa", exec.Command(b.Stoa, append(args, flags...)...))
	}
	if err != nil {
		return nil, err
	}
	return rig.Await(p)
}

// A side is a server with the client that loads it.
type side struct {
	server *rig.Server
	loader rig.Loader
	tokens []string // of the connections; none by default
	// positions makes its connections know the positions of messages.
	positions bool
}

func (b *Bench) startSide(which target, cpus rig.CPUSet, loops int, flags ...string) (*side, error) {
	server, err := b.startServer(which, cpus, loops, flags...)
	if err != nil {
		return nil, err
	}
	loader, err := rig.StartLoader(b.LoadCPU)
	if err != nil {
		server.Stop()
		return nil, err
	}
	return &side{server: server, loader: loader}, nil
}

func (s *side) stop() {
	s.loader.Stop()
	s.server.Stop()
}

func (s *side) do(cmd load.Command) (load.Report, error) {
	cmd.Address, cmd.ServerPID, cmd.Tokens, cmd.Positions = s.server.Address, s.server.PID(), s.tokens, s.positions
	r, err := s.loader.Do(cmd)
	if err != nil {
		return r, fmt.Errorf("%s: %w", s.server.Name, err)
	}
	return r, nil
}
