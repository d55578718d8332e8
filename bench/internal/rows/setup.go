//go:build linux

package rows

import (
	"time"

	"github.com/stoa-io/stoa/bench/internal/report"
	"github.com/stoa-io/stoa/internal/load"
)

// setUps is the number of connections in one run.
const setUps = 2000

func perOperation(r load.Report) float64 { return microseconds(r.ServerCPU, r.Operations) }

// measureSetUp connects, upgrades, says hello, connects to the namespace, joins
// a room and closes. The client sends a close frame and waits for the answer.
func (b *Bench) measureSetUp() ([]report.Result, error) {
	count := max(200, int(setUps*b.Window/time.Second))
	pairs, err := b.compare(nil, load.Command{Action: load.ActionSetUp, Count: min(count, MaxConnections), Rooms: 50})
	if err != nil {
		return nil, err
	}
	cost := pairs.result("CPU per connection", report.Microseconds, report.RatioAtMost(1.3), perOperation)
	rate := pairs.result("connections", report.PerSecond, report.Goal{}, func(r load.Report) float64 { return float64(r.Operations) / r.Elapsed.Seconds() })
	rate.Notes = pairs.busy(false)
	return []report.Result{cost, rate}, nil
}

// measureJoin has 64 connections join and leave, eight to a room, with one
// request in flight each.
func (b *Bench) measureJoin() ([]report.Result, error) {
	open := &load.Command{Action: load.ActionOpen, Count: 64, Rooms: 8, Outside: true}
	pairs, err := b.compare(open, load.Command{Action: load.ActionOperate, Duration: b.Window})
	if err != nil {
		return nil, err
	}
	cost := pairs.result("CPU per join or leave", report.Microseconds, report.RatioAtMost(1.3), perOperation)
	rate := pairs.result("joins and leaves", report.PerSecond, report.Goal{}, func(r load.Report) float64 { return float64(r.Operations) / r.Elapsed.Seconds() })
	rate.Notes = pairs.busy(false)
	return []report.Result{cost, rate}, nil
}
