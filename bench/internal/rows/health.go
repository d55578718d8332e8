//go:build linux

package rows

import (
	"errors"
	"fmt"
	"time"

	"github.com/stoa-io/stoa/bench/internal/probe"
	"github.com/stoa-io/stoa/bench/internal/report"
	"github.com/stoa-io/stoa/bench/internal/rig"
	"github.com/stoa-io/stoa/internal/load"
)

const (
	healthMembers = 1000
	healthRate    = 80 // messages per second: 80,000 deliveries
	// probeSlack is how long a probe may take in addition to its duration.
	probeSlack = 20 * time.Second
)

// measureHealth measures the latency of /healthz while the loops are idle and
// while they make 80,000 deliveries per second.
func (b *Bench) measureHealth() ([]report.Result, error) {
	one, err := b.health(targetStoa, b.ServerCPU, 1)
	if err != nil {
		return nil, err
	}
	floor, err := b.health(targetFloor, b.ServerCPU, 1)
	if err != nil {
		return nil, err
	}
	both := rig.CPUSetOf(append(b.ServerCPU.List(), b.LoadCPU.List()...)...)
	two, err := b.health(targetStoa, both, 2)
	if err != nil {
		return nil, err
	}
	results := make([]report.Result, 0, 2*len(one))
	for i, name := range healthFigures {
		results = append(results, report.Result{Name: name + ", 1 CPU", Unit: report.Milliseconds, Stoa: one[i], Floor: floor[i]})
	}
	for i, name := range healthFigures {
		results = append(results, report.Result{Name: name + ", 2 CPUs", Unit: report.Milliseconds, Stoa: two[i]})
	}
	results[0].Notes = []string{fmt.Sprintf("with 2 CPUs (and 2 loops) the server shares %v with the load; the probe always runs on %v", b.LoadCPU, b.LoadCPU),
		"the floor answers /healthz in its loop: under load the probe waits for the next turn"}
	return results, nil
}

var healthFigures = [...]string{
	"p50, quiet", "p99, quiet", "p50, 80,000 deliveries/s", "p99, 80,000 deliveries/s",
}

// health returns one value per run for each of healthFigures.
func (b *Bench) health(which target, cpus rig.CPUSet, loops int) (figures [len(healthFigures)][]float64, err error) {
	s, err := b.startSide(which, cpus, loops)
	if err != nil {
		return figures, err
	}
	defer s.stop()
	if _, err := s.do(load.Command{Action: load.ActionOpen, Count: healthMembers, Rooms: 1, Publishers: true}); err != nil {
		return figures, err
	}
	window := 2 * b.Window
	for range b.Runs {
		quiet, err := probeServer(b.LoadCPU, s.server, b.Window)
		if err != nil {
			return figures, err
		}
		loaded, err := b.probeLoaded(s, window)
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
func (b *Bench) probeLoaded(s *side, window time.Duration) (probe.Report, error) {
	const lead = 200 * time.Millisecond
	run := load.Command{Action: load.ActionPace, Rate: healthRate, Duration: window + 3*lead, Address: s.server.Address, ServerPID: s.server.PID()}
	if err := s.loader.Send(run); err != nil {
		return probe.Report{}, err
	}
	time.Sleep(lead)
	found, probeErr := probeServer(b.LoadCPU, s.server, window)
	r, err := s.loader.Receive()
	if err != nil {
		return found, fmt.Errorf("%s: %w", s.server.Name, err)
	}
	if probeErr != nil {
		return found, probeErr
	}
	if rate := deliveriesPerSecond(r); rate < 0.95*healthRate*healthMembers {
		return found, fmt.Errorf("%s: only %.0f deliveries per second", s.server.Name, rate)
	}
	return found, nil
}

// probeServer runs a probe process.
func probeServer(cpus rig.CPUSet, s *rig.Server, duration time.Duration) (probe.Report, error) {
	var r probe.Report
	p, err := rig.StartSelf(cpus, true, "probe", "-address", s.Address, "-duration", duration.String())
	if err != nil {
		return r, err
	}
	defer p.Stop()
	if err := p.ReadJSON(duration+probeSlack, &r); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	if r.Count < 20 {
		return r, fmt.Errorf("probe: only %d responses in %v", r.Count, duration)
	}
	return r, nil
}
