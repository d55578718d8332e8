//go:build linux

package rows

import (
	"fmt"
	"time"

	"github.com/stoa-io/stoa/bench/internal/report"
	"github.com/stoa-io/stoa/internal/load"
)

const (
	outstanding  = 64
	smallRooms   = 200
	smallMembers = 10
	// manyGoal is 1.4 times the result of another server, which reached 7.7
	// times the floor.
	manyGoal = 10.8
)

func perDelivery(r load.Report) float64 { return microseconds(r.ServerCPU, r.Deliveries) }

func deliveriesPerSecond(r load.Report) float64 { return float64(r.Deliveries) / r.Elapsed.Seconds() }

func (b *Bench) largeRoom() *load.Command {
	return &load.Command{Action: load.ActionOpen, Count: b.Members, Rooms: 1, Publishers: true}
}

// measureOne sends the next message when all members have received the last
// one.
func (b *Bench) measureOne() ([]report.Result, error) {
	pairs, err := b.compare(b.largeRoom(), load.Command{Action: load.ActionPublish, Outstanding: 1, Duration: b.Window})
	if err != nil {
		return nil, err
	}
	cost := pairs.result(fmt.Sprintf("CPU per delivery, room of %s", report.Thousands(float64(b.Members))),
		report.Microseconds, report.RatioAtMost(1.1), perDelivery)
	rate := pairs.result("deliveries", report.PerSecond, report.Goal{}, deliveriesPerSecond)
	rate.Notes = pairs.busy(false)
	return []report.Result{cost, rate}, nil
}

// measureMany keeps 64 messages in flight.
func (b *Bench) measureMany() ([]report.Result, error) {
	pairs, err := b.compare(b.largeRoom(), load.Command{Action: load.ActionPublish, Outstanding: outstanding, Duration: b.Window})
	if err != nil {
		return nil, err
	}
	cost := pairs.result("CPU per delivery", report.Microseconds, report.Goal{}, perDelivery)
	rate := pairs.result("deliveries", report.PerSecond, report.RatioAtLeast(manyGoal), deliveriesPerSecond)
	rate.Notes = pairs.busy(true)
	return []report.Result{rate, cost}, nil
}

func smallRoomsOpen() *load.Command {
	return &load.Command{Action: load.ActionOpen, Count: smallRooms * smallMembers, PerRoom: smallMembers, Publishers: true}
}

// measureSmall keeps one message in flight in each room.
func (b *Bench) measureSmall() ([]report.Result, error) {
	pairs, err := b.compare(smallRoomsOpen(), load.Command{Action: load.ActionPublish, Outstanding: 1, Duration: b.Window})
	if err != nil {
		return nil, err
	}
	rate := pairs.result("deliveries", report.PerSecond, report.RatioAtLeast(0.9), deliveriesPerSecond)
	cost := pairs.result("CPU per delivery", report.Microseconds, report.Goal{}, perDelivery)
	rate.Notes = pairs.busy(true)
	return []report.Result{rate, cost}, nil
}

// measurePaced publishes at a steady rate far below the capacity of the server.
func (b *Bench) measurePaced() ([]report.Result, error) {
	const members, rate = 1000, 50
	open := &load.Command{Action: load.ActionOpen, Count: members, Rooms: 1, Publishers: true}
	pairs, err := b.compare(open, load.Command{Action: load.ActionPace, Rate: rate, Duration: max(2*b.Window, time.Second/2)})
	if err != nil {
		return nil, err
	}
	p50 := pairs.result("latency of a delivery, p50", report.Milliseconds, report.Goal{}, func(r load.Report) float64 { return milliseconds(r.P50) })
	p99 := pairs.result("latency of a delivery, p99", report.Milliseconds, report.RatioAtMost(1.2), func(r load.Report) float64 { return milliseconds(r.P99) })
	p99.Notes = pairs.busy(false)
	return []report.Result{p50, p99}, nil
}

func microseconds(d time.Duration, count uint64) float64 {
	return float64(d) / float64(time.Microsecond) / float64(count)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
