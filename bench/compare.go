//go:build linux

package main

import (
	"fmt"
	"time"
)

// A target is what is loaded.
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

// A side is a server with the client that loads it.
type side struct {
	server *server
	loader loader
}

func (c *controller) startSide(which target, cpus cpuSet, loops int) (*side, error) {
	server, err := c.startServer(which, cpus, loops)
	if err != nil {
		return nil, err
	}
	loader, err := startLoader(c.loadCPU)
	if err != nil {
		server.stop()
		return nil, err
	}
	return &side{server: server, loader: loader}, nil
}

func (s *side) stop() {
	s.loader.stop()
	s.server.stop()
}

func (s *side) do(cmd command) (report, error) {
	cmd.Address, cmd.ServerPID = s.server.address, s.server.pid()
	r, err := s.loader.do(cmd)
	if err != nil {
		return r, fmt.Errorf("%s: %w", s.server.name, err)
	}
	return r, nil
}

// A comparison holds the reports on the runs of both targets, in pairs.
type comparison struct {
	stoa, floor []report
}

// compare starts stoa and the floor, opens the same connections to both (unless
// open is nil) and then loads them in turn, the one that goes first alternating.
// A run that is not counted comes before each: it is where queues and buffers grow
// to their size.
func (c *controller) compare(open *command, run command) (comparison, error) {
	return c.compareNode(targetStoa, open, run)
}

// compareNode is compare with the node that which says in stoa's place.
func (c *controller) compareNode(which target, open *command, run command) (comparison, error) {
	var result comparison
	stoa, err := c.startSide(which, c.serverCPU, 1)
	if err != nil {
		return result, err
	}
	defer stoa.stop()
	floor, err := c.startSide(targetFloor, c.serverCPU, 1)
	if err != nil {
		return result, err
	}
	defer floor.stop()
	warmUp := run
	warmUp.Duration, warmUp.Count = min(run.Duration, c.options.window/4), run.Count/8
	for _, s := range []*side{stoa, floor} {
		if open != nil {
			if _, err := s.do(*open); err != nil {
				return result, err
			}
		}
		if _, err := s.do(warmUp); err != nil {
			return result, err
		}
	}
	for i := range c.options.runs {
		order := []*side{stoa, floor}
		if i%2 == 1 {
			order = []*side{floor, stoa}
		}
		for _, s := range order {
			r, err := s.do(run)
			if err != nil {
				return result, err
			}
			if s == stoa {
				result.stoa = append(result.stoa, r)
			} else {
				result.floor = append(result.floor, r)
			}
		}
	}
	return result, nil
}

// line makes one figure of each report.
func (c *comparison) line(name string, u unit, g goal, figure func(report) float64) line {
	return line{name: name, unit: u, goal: g, stoa: figures(c.stoa, figure), floor: figures(c.floor, figure)}
}

func figures(reports []report, figure func(report) float64) []float64 {
	values := make([]float64, len(reports))
	for i, r := range reports {
		values[i] = figure(r)
	}
	return values
}

// busy says how much of the time server and client worked. A server that waited
// although it should have been the bottleneck makes its rate a lower bound.
func (c *comparison) busy(bottleneck bool) []string {
	part := func(reports []report, used func(report) time.Duration) float64 {
		return 100 * median(figures(reports, func(r report) float64 { return float64(used(r)) / float64(r.Elapsed) }))
	}
	server := func(r report) time.Duration { return r.ServerCPU }
	client := func(r report) time.Duration { return r.ClientCPU }
	stoa, floor := part(c.stoa, server), part(c.floor, server)
	notes := []string{fmt.Sprintf("busy: stoa %.0f %% (its client %.0f %%), floor %.0f %% (its client %.0f %%) of a CPU",
		stoa, part(c.stoa, client), floor, part(c.floor, client))}
	if bottleneck && stoa < 90 {
		notes = append(notes, "stoa waited for the load: its rate is a lower bound")
	}
	if bottleneck && floor < 90 {
		notes = append(notes, "the floor waited for the load: its rate is a lower bound")
	}
	return notes
}
