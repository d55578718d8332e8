//go:build linux

package rows

import (
	"errors"
	"fmt"
	"time"

	"github.com/stoa-io/stoa/bench/internal/report"
	"github.com/stoa-io/stoa/bench/internal/rig"
	"github.com/stoa-io/stoa/internal/load"
)

// The nodes of a fleet. In rows with one room the publisher is on the first.
const (
	nodeA = iota
	nodeB
	fleetNodes
)

// A fleet is a Redis server, two nodes that use it, and one client for both
// nodes. With one client, all latencies come from one clock.
type fleet struct {
	redis  *rig.Redis
	nodes  [fleetNodes]*rig.Server
	loader rig.Loader
}

// fleetCPUs are the CPUs for the parts of a fleet.
type fleetCPUs struct {
	redis, load rig.CPUSet
	nodes       [fleetNodes]rig.CPUSet
}

func (b *Bench) startFleet(cpus fleetCPUs) (*fleet, error) {
	f := new(fleet)
	var err error
	if f.redis, err = rig.StartRedis(cpus.redis, b.Dir); err != nil {
		return nil, err
	}
	for i := range f.nodes {
		f.nodes[i], err = b.startServer(targetStoa, cpus.nodes[i], 1, "--redis", f.redis.URL(), "--cluster-name", "bench")
		if err != nil {
			f.stop()
			return nil, err
		}
	}
	if f.loader, err = rig.StartLoader(cpus.load); err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

func (f *fleet) stop() {
	if f.loader.Process != nil {
		f.loader.Stop()
	}
	for _, node := range f.nodes {
		if node != nil {
			node.Stop()
		}
	}
	f.redis.Stop()
}

// open opens connections to one node.
func (f *fleet) open(node int, cmd load.Command) error {
	cmd.Action, cmd.Address = load.ActionOpen, f.nodes[node].Address
	_, err := f.do(cmd)
	return err
}

// do has the client execute a command. The report's OtherCPU is that of node B,
// then that of Redis.
func (f *fleet) do(cmd load.Command) (load.Report, error) {
	cmd.ServerPID, cmd.OtherPIDs = f.nodes[nodeA].PID(), []int{f.nodes[nodeB].PID(), f.redis.PID()}
	return f.loader.Do(cmd)
}

// A fleetReport is a report with names for its CPU times.
type fleetReport struct {
	load.Report
	redis time.Duration
	nodes [fleetNodes]time.Duration
}

// runs repeats a command, after a run that is not counted. It fails unless all
// messages of a run were published through Redis.
func (f *fleet) runs(b *Bench, cmd load.Command) ([]fleetReport, error) {
	warmUp := cmd
	warmUp.Duration = min(cmd.Duration, b.Window/4)
	if _, err := f.do(warmUp); err != nil {
		return nil, err
	}
	var reports []fleetReport
	for range b.Runs {
		before, err := f.redis.Published()
		if err != nil {
			return nil, err
		}
		r, err := f.do(cmd)
		if err != nil {
			return nil, err
		}
		after, err := f.redis.Published()
		if err != nil {
			return nil, err
		}
		if after-before < r.Messages {
			return nil, fmt.Errorf("%d messages were delivered, but only %d published through Redis", r.Messages, after-before)
		}
		if len(r.OtherCPU) != fleetNodes {
			return nil, errors.New("the client did not read all CPU clocks")
		}
		reports = append(reports, fleetReport{Report: r, redis: r.OtherCPU[1],
			nodes: [fleetNodes]time.Duration{nodeA: r.ServerCPU, nodeB: r.OtherCPU[0]}})
	}
	return reports, nil
}

// fleetResult computes one figure of each report.
func fleetResult(reports []fleetReport, name string, u report.Unit, g report.Goal, figure func(fleetReport) float64) report.Result {
	return report.Result{Name: name, Unit: u, Goal: g, Stoa: figures(reports, figure)}
}

// fleetBusy returns a note on how much of the time each part worked.
func fleetBusy(what string, reports []fleetReport) string {
	part := func(used func(fleetReport) time.Duration) float64 {
		return report.Median(figures(reports, func(r fleetReport) float64 { return 100 * float64(used(r)) / float64(r.Elapsed) }))
	}
	return fmt.Sprintf("busy, %s: node A %.0f %%, node B %.0f %%, Redis %.0f %%, the client %.0f %% of a CPU", what,
		part(func(r fleetReport) time.Duration { return r.nodes[nodeA] }),
		part(func(r fleetReport) time.Duration { return r.nodes[nodeB] }),
		part(func(r fleetReport) time.Duration { return r.redis }),
		part(func(r fleetReport) time.Duration { return r.ClientCPU }))
}
