//go:build linux

package main

import (
	"fmt"
	"time"
)

const (
	outstanding  = 64
	smallRooms   = 200
	smallMembers = 10
	// The goal for many messages outstanding was set beside another server that
	// reached 7.7 times the floor: 1.4 times that.
	manyGoal = 10.8
)

func perDelivery(r report) float64 { return microseconds(r.ServerCPU, r.Deliveries) }

func deliveriesPerSecond(r report) float64 { return float64(r.Deliveries) / r.Elapsed.Seconds() }

func (c *controller) largeRoom() *command {
	return &command{Action: actionOpen, Count: c.options.members, Rooms: 1, Publishers: true}
}

// measureOne: the next message is sent when all members have got the last one.
func (c *controller) measureOne() ([]line, error) {
	result, err := c.compare(c.largeRoom(), command{Action: actionPublish, Outstanding: 1, Duration: c.options.window})
	if err != nil {
		return nil, err
	}
	cost := result.line(fmt.Sprintf("CPU per delivery, room of %s", thousands(float64(c.options.members))),
		unitMicroseconds, goal{goalRatioAtMost, 1.1}, perDelivery)
	rate := result.line("deliveries", unitPerSecond, goal{}, deliveriesPerSecond)
	rate.notes = result.busy(false)
	return []line{cost, rate}, nil
}

// measureMany: 64 messages are under way.
func (c *controller) measureMany() ([]line, error) {
	result, err := c.compare(c.largeRoom(), command{Action: actionPublish, Outstanding: outstanding, Duration: c.options.window})
	if err != nil {
		return nil, err
	}
	cost := result.line("CPU per delivery", unitMicroseconds, goal{}, perDelivery)
	rate := result.line("deliveries", unitPerSecond, goal{goalRatioAtLeast, manyGoal}, deliveriesPerSecond)
	rate.notes = result.busy(true)
	return []line{rate, cost}, nil
}

func smallRoomsOpen() *command {
	return &command{Action: actionOpen, Count: smallRooms * smallMembers, PerRoom: smallMembers, Publishers: true}
}

// measureSmall: one message is under way in each room.
func (c *controller) measureSmall() ([]line, error) {
	result, err := c.compare(smallRoomsOpen(), command{Action: actionPublish, Outstanding: 1, Duration: c.options.window})
	if err != nil {
		return nil, err
	}
	rate := result.line("deliveries", unitPerSecond, goal{goalRatioAtLeast, 0.9}, deliveriesPerSecond)
	cost := result.line("CPU per delivery", unitMicroseconds, goal{}, perDelivery)
	rate.notes = result.busy(true)
	return []line{rate, cost}, nil
}

// measurePaced: a steady trickle, far below what the server can do.
func (c *controller) measurePaced() ([]line, error) {
	const members, rate = 1000, 50
	open := &command{Action: actionOpen, Count: members, Rooms: 1, Publishers: true}
	result, err := c.compare(open, command{Action: actionPace, Rate: rate, Duration: max(2*c.options.window, time.Second/2)})
	if err != nil {
		return nil, err
	}
	p50 := result.line("latency of a delivery, p50", unitMilliseconds, goal{}, func(r report) float64 { return milliseconds(r.P50) })
	p99 := result.line("latency of a delivery, p99", unitMilliseconds, goal{goalRatioAtMost, 1.2}, func(r report) float64 { return milliseconds(r.P99) })
	p99.notes = result.busy(false)
	return []line{p50, p99}, nil
}
