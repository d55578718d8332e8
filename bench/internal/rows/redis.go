//go:build linux

package rows

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/stoa-io/stoa/bench/internal/exchange"
	"github.com/stoa-io/stoa/bench/internal/report"
	"github.com/stoa-io/stoa/bench/internal/rig"
	"github.com/stoa-io/stoa/internal/load"
)

const (
	redisRooms = exchange.Rooms
	// redisOutstanding is the number of messages in flight in each room.
	redisOutstanding = 16
	redisGoal        = 250_000
	loopPipeline     = 256
	smallPipeline    = 16
)

// measureRedis measures small rooms, where most of the cost is the way through
// Redis: first with clients on two nodes, then the broker alone next to a bare
// loop.
func (b *Bench) measureRedis() ([]report.Result, error) {
	results, err := b.redisRooms()
	if err != nil {
		return results, err
	}
	more, err := b.exchanges()
	return append(results, more...), err
}

// redisRooms loads rooms of two members, one on each node. In half of the rooms
// the member on node A publishes, in the other half the one on node B.
func (b *Bench) redisRooms() ([]report.Result, error) {
	f, err := b.startFleet(fleetCPUs{redis: b.ServerCPU, nodes: [fleetNodes]rig.CPUSet{b.ServerCPU, b.LoadCPU}, load: b.LoadCPU})
	if err != nil {
		return nil, err
	}
	defer f.stop()
	for node := range fleetNodes {
		first := node * redisRooms / fleetNodes
		if err := f.open(fleetNodes-1-node, load.Command{First: first, Count: redisRooms / fleetNodes, PerRoom: 1}); err != nil {
			return nil, err
		}
		if err := f.open(node, load.Command{First: first, PerRoom: 1, Publishers: true}); err != nil {
			return nil, err
		}
	}
	var results []report.Result
	var notes []string
	for _, variant := range []struct {
		outstanding int
		goal        report.Goal
	}{{1, report.Goal{}}, {redisOutstanding, report.AtLeast(redisGoal)}} {
		reports, err := f.runs(b, load.Command{Action: load.ActionPublish, Outstanding: variant.outstanding, Duration: b.Window})
		if err != nil {
			return results, err
		}
		name := fmt.Sprintf("clients, %d outstanding per room", variant.outstanding)
		results = append(results,
			fleetResult(reports, name+": messages", report.PerSecond, variant.goal, func(r fleetReport) float64 { return float64(r.Messages) / r.Elapsed.Seconds() }),
			fleetResult(reports, "both nodes, CPU per message", report.Microseconds, report.Goal{}, func(r fleetReport) float64 {
				return microseconds(r.nodes[nodeA]+r.nodes[nodeB], r.Messages)
			}),
			fleetResult(reports, "Redis, CPU per message", report.Microseconds, report.Goal{}, func(r fleetReport) float64 { return microseconds(r.redis, r.Messages) }),
			fleetResult(reports, "the clients, CPU per message", report.Microseconds, report.Goal{}, func(r fleetReport) float64 { return microseconds(r.ClientCPU, r.Messages) }))
		notes = append(notes, fleetBusy(name, reports))
	}
	results[len(results)-1].Notes = append(notes,
		fmt.Sprintf("with clients: Redis and node A share %v, node B and the client %v", b.ServerCPU, b.LoadCPU))
	return results, nil
}

// exchanges measures processes that publish messages to themselves through
// Redis, with Stoa's broker, and with go-redis alone in the floor's place.
func (b *Bench) exchanges() ([]report.Result, error) {
	s, err := rig.StartRedis(b.ServerCPU, b.Dir)
	if err != nil {
		return nil, err
	}
	defer s.Stop()
	type measurement struct {
		arguments []string
		reports   []exchange.Report
	}
	broker := func(outstanding int) *measurement {
		return &measurement{arguments: []string{"-broker", strconv.Itoa(outstanding)}}
	}
	loop := func(pipeline int) *measurement {
		return &measurement{arguments: []string{"-pipeline", strconv.Itoa(pipeline)}}
	}
	variants := []struct {
		name        string
		stoa, floor *measurement
	}{
		{"broker; loop in pipelines of 256", broker(redisRooms), loop(loopPipeline)},
		{"loop in pipelines of 16", nil, loop(smallPipeline)},
		{"broker; loop, one by one", broker(1), loop(1)},
	}
	for range b.Runs {
		for _, v := range variants {
			for _, m := range []*measurement{v.stoa, v.floor} {
				if m == nil {
					continue
				}
				r, err := b.exchange(s, m.arguments...)
				if err != nil {
					return nil, fmt.Errorf("exchange %v: %w", m.arguments, err)
				}
				m.reports = append(m.reports, r)
			}
		}
	}
	var results []report.Result
	for _, v := range variants {
		for _, figure := range exchangeFigures {
			result := report.Result{Name: v.name + figure.suffix, Unit: figure.unit, Floor: figures(v.floor.reports, figure.of)}
			if v.stoa != nil {
				result.Stoa = figures(v.stoa.reports, figure.of)
			}
			results = append(results, result)
		}
	}
	results[len(results)-1].Notes = []string{
		fmt.Sprintf("broker and loop: Redis has %v, and one process that publishes to %s channels and receives all of them has %v", b.ServerCPU, report.Thousands(redisRooms), b.LoadCPU),
		"the floor of these lines is go-redis alone; the broker has 5,000 messages outstanding, or one: its batching cannot be disabled, but with one message there is nothing to batch",
	}
	return results, nil
}

// exchangeFigures are the figures of every exchange.
var exchangeFigures = []struct {
	suffix string
	unit   report.Unit
	of     func(exchange.Report) float64
}{
	{": messages", report.PerSecond, func(r exchange.Report) float64 { return float64(r.Messages) / r.Elapsed.Seconds() }},
	{": CPU per message", report.Microseconds, func(r exchange.Report) float64 { return microseconds(r.CPU, r.Messages) }},
	{": Redis per message", report.Microseconds, func(r exchange.Report) float64 { return microseconds(r.RedisCPU, r.Messages) }},
}

// exchange measures one process that exchanges messages with itself through s.
func (b *Bench) exchange(s *rig.Redis, arguments ...string) (exchange.Report, error) {
	var r exchange.Report
	duration := b.Window / 2
	arguments = append([]string{"exchange", "-redis", s.Address, "-redis-pid", strconv.Itoa(s.PID()),
		"-duration", duration.String()}, arguments...)
	p, err := rig.StartSelfPreempted(b.LoadCPU, true, arguments...)
	if err != nil {
		return r, err
	}
	defer p.Stop()
	before, err := s.Published()
	if err != nil {
		return r, err
	}
	if err := p.ReadJSON(rig.AnswerLimit, &r); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	after, err := s.Published()
	if err != nil {
		return r, err
	}
	if after-before < r.Messages {
		return r, fmt.Errorf("%d messages came back, but only %d were published through Redis", r.Messages, after-before)
	}
	return r, nil
}
