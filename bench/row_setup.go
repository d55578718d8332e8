//go:build linux

package main

import "time"

// setUps is the number of connections in one run.
const setUps = 2000

func perOperation(r report) float64 { return microseconds(r.ServerCPU, r.Operations) }

// measureSetUp: connect, upgrade, hello, namespace, room, close. The client
// closes with a close frame and waits for the answer.
func (c *controller) measureSetUp() ([]line, error) {
	count := max(200, int(setUps*c.options.window/time.Second))
	result, err := c.compare(nil, command{Action: actionSetUp, Count: min(count, maxConnections), Rooms: 50})
	if err != nil {
		return nil, err
	}
	cost := result.line("CPU per connection", unitMicroseconds, goal{goalRatioAtMost, 1.3}, perOperation)
	rate := result.line("connections", unitPerSecond, goal{}, func(r report) float64 { return float64(r.Operations) / r.Elapsed.Seconds() })
	rate.notes = result.busy(false)
	return []line{cost, rate}, nil
}

// measureJoin: 64 connections join and leave, each one request at a time, eight
// to a room.
func (c *controller) measureJoin() ([]line, error) {
	open := &command{Action: actionOpen, Count: 64, Rooms: 8, Outside: true}
	result, err := c.compare(open, command{Action: actionOperate, Duration: c.options.window})
	if err != nil {
		return nil, err
	}
	cost := result.line("CPU per join or leave", unitMicroseconds, goal{goalRatioAtMost, 1.3}, perOperation)
	rate := result.line("joins and leaves", unitPerSecond, goal{}, func(r report) float64 { return float64(r.Operations) / r.Elapsed.Seconds() })
	rate.notes = result.busy(false)
	return []line{cost, rate}, nil
}
