//go:build linux

package rows

import (
	"fmt"
	"time"

	"github.com/stoa-io/stoa/bench/internal/report"
	"github.com/stoa-io/stoa/internal/load"
)

// A comparison holds the reports of both targets, in pairs of neighboring runs.
type comparison struct {
	stoa, floor []load.Report
}

// compare starts stoa and the floor, opens the same connections to both unless
// open is nil, and loads them in turn. Which one goes first alternates. A run
// that is not counted comes first, in which queues and buffers grow to their
// size.
func (b *Bench) compare(open *load.Command, run load.Command) (comparison, error) {
	return b.compareNode(targetStoa, open, run)
}

// compareNode is compare with another target in stoa's place.
func (b *Bench) compareNode(which target, open *load.Command, run load.Command) (comparison, error) {
	stoa, err := b.startSide(which, b.ServerCPU, 1)
	if err != nil {
		return comparison{}, err
	}
	defer stoa.stop()
	floor, err := b.startSide(targetFloor, b.ServerCPU, 1)
	if err != nil {
		return comparison{}, err
	}
	defer floor.stop()
	return b.compareSides(stoa, floor, open, run)
}

// compareSides is compare for two servers that run.
func (b *Bench) compareSides(stoa, floor *side, open *load.Command, run load.Command) (comparison, error) {
	var result comparison
	warmUp := run
	warmUp.Duration, warmUp.Count = min(run.Duration, b.Window/4), run.Count/8
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
	for i := range b.Runs {
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

// result computes one figure of each report.
func (c *comparison) result(name string, u report.Unit, g report.Goal, figure func(load.Report) float64) report.Result {
	return report.Result{Name: name, Unit: u, Goal: g, Stoa: figures(c.stoa, figure), Floor: figures(c.floor, figure)}
}

// figures computes one figure of each report.
func figures[R any](reports []R, figure func(R) float64) []float64 {
	values := make([]float64, len(reports))
	for i, r := range reports {
		values[i] = figure(r)
	}
	return values
}

// busy returns notes on how much of the time the servers and clients worked.
// The rate of a server that waited, although it should be the bottleneck, is a
// lower bound.
func (c *comparison) busy(bottleneck bool) []string {
	part := func(reports []load.Report, used func(load.Report) time.Duration) float64 {
		return 100 * report.Median(figures(reports, func(r load.Report) float64 { return float64(used(r)) / float64(r.Elapsed) }))
	}
	server := func(r load.Report) time.Duration { return r.ServerCPU }
	client := func(r load.Report) time.Duration { return r.ClientCPU }
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
