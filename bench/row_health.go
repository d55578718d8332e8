//go:build linux

package main

import (
	"fmt"
	"time"
)

const (
	healthMembers = 1000
	healthRate    = 80 // messages a second: 80,000 deliveries
)

// measureHealth asks for /healthz, which net/http answers on Go's scheduler,
// while the loops are quiet and while they carry 80,000 deliveries a second.
func (c *controller) measureHealth() ([]line, error) {
	one, err := c.health(targetStoa, c.serverCPU, 1)
	if err != nil {
		return nil, err
	}
	floor, err := c.health(targetFloor, c.serverCPU, 1)
	if err != nil {
		return nil, err
	}
	both := cpuSetOf(append(c.serverCPU.list(), c.loadCPU.list()...)...)
	two, err := c.health(targetStoa, both, 2)
	if err != nil {
		return nil, err
	}
	lines := make([]line, 0, 2*len(one))
	for i, name := range healthFigures {
		lines = append(lines, line{name: name + ", 1 CPU", unit: unitMilliseconds, stoa: one[i], floor: floor[i]})
	}
	for i, name := range healthFigures {
		lines = append(lines, line{name: name + ", 2 CPUs", unit: unitMilliseconds, stoa: two[i]})
	}
	lines[0].notes = []string{fmt.Sprintf("with 2 CPUs (and 2 loops) the server shares %v with the load; the probe always runs on %v", c.loadCPU, c.loadCPU),
		"the floor answers /healthz in its loop: what it needs under load is the wait for a turn"}
	return lines, nil
}

var healthFigures = [...]string{
	"p50, quiet", "p99, quiet", "p50, 80,000 deliveries/s", "p99, 80,000 deliveries/s",
}

// health returns the figures named in healthFigures, each once for each run.
func (c *controller) health(which target, cpus cpuSet, loops int) (figures [len(healthFigures)][]float64, err error) {
	s, err := c.startSide(which, cpus, loops)
	if err != nil {
		return figures, err
	}
	defer s.stop()
	if _, err := s.do(command{Action: actionOpen, Count: healthMembers, Rooms: 1, Publishers: true}); err != nil {
		return figures, err
	}
	window := 2 * c.options.window
	for range c.options.runs {
		quiet, err := probeServer(c.loadCPU, s.server, c.options.window)
		if err != nil {
			return figures, err
		}
		loaded, err := c.probeLoaded(s, window)
		if err != nil {
			return figures, err
		}
		for i, d := range []time.Duration{quiet.P50, quiet.P99, loaded.P50, loaded.P99} {
			figures[i] = append(figures[i], milliseconds(d))
		}
	}
	return figures, nil
}

// probeLoaded probes in the middle of a paced run.
func (c *controller) probeLoaded(s *side, window time.Duration) (probeReport, error) {
	const lead = 200 * time.Millisecond
	run := command{Action: actionPace, Rate: healthRate, Duration: window + 3*lead, Address: s.server.address, ServerPID: s.server.pid()}
	if err := s.loader.send(run); err != nil {
		return probeReport{}, err
	}
	time.Sleep(lead)
	found, probeErr := probeServer(c.loadCPU, s.server, window)
	r, err := s.loader.receive()
	if err != nil {
		return found, fmt.Errorf("%s: %w", s.server.name, err)
	}
	if probeErr != nil {
		return found, probeErr
	}
	if rate := deliveriesPerSecond(r); rate < 0.95*healthRate*healthMembers {
		return found, fmt.Errorf("%s: only %.0f deliveries a second", s.server.name, rate)
	}
	return found, nil
}
