//go:build linux

package main

import (
	"fmt"
	"strconv"
)

const (
	redisRooms = 5000
	// Messages under way in each of many rooms.
	redisOutstanding = 16
	redisGoal        = 250_000
	loopPipeline     = 256
	smallPipeline    = 16
)

// measureRedis: small rooms, so that the way through Redis is what costs: first with
// clients on two nodes, then only the broker beside a bare loop.
func (c *controller) measureRedis() ([]line, error) {
	lines, err := c.redisRooms()
	if err != nil {
		return lines, err
	}
	more, err := c.exchanges()
	return append(lines, more...), err
}

// redisRooms loads rooms of two members, one on each node, one of whom publishes: in
// half of the rooms the one on node A, in the others the one on node B.
func (c *controller) redisRooms() ([]line, error) {
	f, err := c.startFleet(fleetCPUs{redis: c.serverCPU, nodes: [fleetNodes]cpuSet{c.serverCPU, c.loadCPU}, load: c.loadCPU})
	if err != nil {
		return nil, err
	}
	defer f.stop()
	for node := range fleetNodes {
		first := node * redisRooms / fleetNodes
		if err := f.open(fleetNodes-1-node, command{First: first, Count: redisRooms / fleetNodes, PerRoom: 1}); err != nil {
			return nil, err
		}
		if err := f.open(node, command{First: first, PerRoom: 1, Publishers: true}); err != nil {
			return nil, err
		}
	}
	var lines []line
	var notes []string
	for _, variant := range []struct {
		outstanding int
		goal        goal
	}{{1, goal{}}, {redisOutstanding, goal{goalValueAtLeast, redisGoal}}} {
		reports, err := f.runs(c, command{Action: actionPublish, Outstanding: variant.outstanding, Duration: c.options.window})
		if err != nil {
			return lines, err
		}
		name := fmt.Sprintf("clients, %d outstanding per room", variant.outstanding)
		lines = append(lines,
			fleetLine(reports, name+": messages", unitPerSecond, variant.goal, func(r fleetReport) float64 { return float64(r.Messages) / r.Elapsed.Seconds() }),
			fleetLine(reports, "both nodes, CPU per message", unitMicroseconds, goal{}, func(r fleetReport) float64 {
				return microseconds(r.nodes[nodeA]+r.nodes[nodeB], r.Messages)
			}),
			fleetLine(reports, "Redis, CPU per message", unitMicroseconds, goal{}, func(r fleetReport) float64 { return microseconds(r.redis, r.Messages) }),
			fleetLine(reports, "the clients, CPU per message", unitMicroseconds, goal{}, func(r fleetReport) float64 { return microseconds(r.ClientCPU, r.Messages) }))
		notes = append(notes, fleetBusy(name, reports))
	}
	lines[len(lines)-1].notes = append(notes,
		fmt.Sprintf("with clients: Redis and node A share %v, node B and the client %v", c.serverCPU, c.loadCPU))
	return lines, nil
}

// exchanges measures one process that publishes through Redis and receives what it
// has published: Stoa's broker, and go-redis alone in the floor's place.
func (c *controller) exchanges() ([]line, error) {
	s, err := startRedis(c.serverCPU, c.dir)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	type measurement struct {
		arguments []string
		reports   []exchangeReport
	}
	broker := func(outstanding int) *measurement {
		return &measurement{arguments: []string{"-broker", strconv.Itoa(outstanding)}}
	}
	loop := func(pipeline int) *measurement {
		return &measurement{arguments: []string{"-pipeline", strconv.Itoa(pipeline)}}
	}
	lines := []struct {
		name        string
		stoa, floor *measurement
	}{
		{"broker; loop in pipelines of 256", broker(redisRooms), loop(loopPipeline)},
		{"loop in pipelines of 16", nil, loop(smallPipeline)},
		{"broker; loop, one by one", broker(1), loop(1)},
	}
	for range c.options.runs {
		for _, l := range lines {
			for _, m := range []*measurement{l.stoa, l.floor} {
				if m == nil {
					continue
				}
				r, err := c.exchange(s, m.arguments...)
				if err != nil {
					return nil, fmt.Errorf("exchange %v: %w", m.arguments, err)
				}
				m.reports = append(m.reports, r)
			}
		}
	}
	var result []line
	for _, l := range lines {
		for _, figure := range []struct {
			suffix string
			unit   unit
			of     func(exchangeReport) float64
		}{
			{": messages", unitPerSecond, func(r exchangeReport) float64 { return float64(r.Messages) / r.Elapsed.Seconds() }},
			{": CPU per message", unitMicroseconds, func(r exchangeReport) float64 { return microseconds(r.CPU, r.Messages) }},
			{": Redis per message", unitMicroseconds, func(r exchangeReport) float64 { return microseconds(r.RedisCPU, r.Messages) }},
		} {
			made := line{name: l.name + figure.suffix, unit: figure.unit, floor: exchangeFigures(l.floor.reports, figure.of)}
			if l.stoa != nil {
				made.stoa = exchangeFigures(l.stoa.reports, figure.of)
			}
			result = append(result, made)
		}
	}
	result[len(result)-1].notes = []string{
		fmt.Sprintf("broker and loop: Redis has %v, and one process that publishes to %s channels and receives all of them has %v", c.serverCPU, thousands(redisRooms), c.loadCPU),
		"the floor of these lines is go-redis alone; the broker has 5,000 messages outstanding, or one: it has no switch for batching, so one by one is what it does without",
	}
	return result, nil
}

func exchangeFigures(reports []exchangeReport, figure func(exchangeReport) float64) []float64 {
	values := make([]float64, len(reports))
	for i, r := range reports {
		values[i] = figure(r)
	}
	return values
}
