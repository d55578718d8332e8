//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"
)

// The nodes of a fleet. Publishers of a row with one room are on the first.
const (
	nodeA = iota
	nodeB
	fleetNodes
)

// A fleet is a Redis, two nodes over it and the one client that loads both, so that
// one clock tells all latencies.
type fleet struct {
	redis  *redisServer
	nodes  [fleetNodes]*server
	loader loader
}

// fleetCPUs says where the parts of a fleet run.
type fleetCPUs struct {
	redis, load cpuSet
	nodes       [fleetNodes]cpuSet
}

func (c *controller) startFleet(cpus fleetCPUs) (*fleet, error) {
	f := new(fleet)
	var err error
	if f.redis, err = startRedis(cpus.redis, c.dir); err != nil {
		return nil, err
	}
	for i := range f.nodes {
		f.nodes[i], err = c.startServer(targetStoa, cpus.nodes[i], 1, "--redis", f.redis.url(), "--cluster-name", "bench")
		if err != nil {
			f.stop()
			return nil, err
		}
	}
	if f.loader, err = startLoader(cpus.load); err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

func (f *fleet) stop() {
	if f.loader.process != nil {
		f.loader.stop()
	}
	for _, node := range f.nodes {
		if node != nil {
			node.stop()
		}
	}
	f.redis.stop()
}

// open opens connections to one node.
func (f *fleet) open(node int, cmd command) error {
	cmd.Action, cmd.Address = actionOpen, f.nodes[node].address
	_, err := f.do(cmd)
	return err
}

// do has the client carry out a command; the report's OtherCPU is that of node B
// and of Redis.
func (f *fleet) do(cmd command) (report, error) {
	cmd.ServerPID, cmd.OtherPIDs = f.nodes[nodeA].pid(), []int{f.nodes[nodeB].pid(), f.redis.pid()}
	return f.loader.do(cmd)
}

// A fleetReport is a report with names for its CPU times.
type fleetReport struct {
	report
	redis time.Duration
	nodes [fleetNodes]time.Duration
}

// runs repeats a command, after a run that is not counted. All messages of a run
// have to have been published through Redis.
func (f *fleet) runs(c *controller, cmd command) ([]fleetReport, error) {
	warmUp := cmd
	warmUp.Duration = min(cmd.Duration, c.options.window/4)
	if _, err := f.do(warmUp); err != nil {
		return nil, err
	}
	var reports []fleetReport
	for range c.options.runs {
		before, err := f.redis.published()
		if err != nil {
			return nil, err
		}
		r, err := f.do(cmd)
		if err != nil {
			return nil, err
		}
		after, err := f.redis.published()
		if err != nil {
			return nil, err
		}
		if after-before < r.Messages {
			return nil, fmt.Errorf("bench: %d messages were delivered, but only %d published through Redis", r.Messages, after-before)
		}
		if len(r.OtherCPU) != fleetNodes {
			return nil, errors.New("bench: the client did not read all clocks")
		}
		reports = append(reports, fleetReport{report: r, redis: r.OtherCPU[1],
			nodes: [fleetNodes]time.Duration{nodeA: r.ServerCPU, nodeB: r.OtherCPU[0]}})
	}
	return reports, nil
}

// fleetLine makes one figure of each report.
func fleetLine(reports []fleetReport, name string, u unit, g goal, figure func(fleetReport) float64) line {
	l := line{name: name, unit: u, goal: g}
	for _, r := range reports {
		l.stoa = append(l.stoa, figure(r))
	}
	return l
}

// fleetBusy says how much of the time each part worked.
func fleetBusy(what string, reports []fleetReport) string {
	part := func(used func(fleetReport) time.Duration) float64 {
		l := fleetLine(reports, "", unitCount, goal{}, func(r fleetReport) float64 { return 100 * float64(used(r)) / float64(r.Elapsed) })
		return median(l.stoa)
	}
	return fmt.Sprintf("busy, %s: node A %.0f %%, node B %.0f %%, Redis %.0f %%, the client %.0f %% of a CPU", what,
		part(func(r fleetReport) time.Duration { return r.nodes[nodeA] }),
		part(func(r fleetReport) time.Duration { return r.nodes[nodeB] }),
		part(func(r fleetReport) time.Duration { return r.redis }),
		part(func(r fleetReport) time.Duration { return r.ClientCPU }))
}
