//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"
)

// publish keeps cmd.Outstanding messages under way in every room for
// cmd.Duration, then waits until all have arrived. What becomes free in one turn
// leaves in one write.
func (c *client) publish(cmd command, r *report) error {
	rooms, err := c.published()
	if err != nil {
		return err
	}
	if cmd.Outstanding < 1 || cmd.Outstanding > ring {
		return fmt.Errorf("bench: %d outstanding: want 1 to %d", cmd.Outstanding, ring)
	}
	for _, room := range rooms {
		if err := c.send(room, cmd.Outstanding, r); err != nil {
			return err
		}
	}
	deadline := time.Now().Add(cmd.Duration)
	sending := true
	refill := func() error {
		if sending && time.Now().After(deadline) {
			sending = false
		}
		for _, room := range c.complete {
			room.listed = false
			if !sending {
				continue
			}
			if err := c.send(room, cmd.Outstanding-int(room.sent-room.completed), r); err != nil {
				return err
			}
		}
		c.complete = c.complete[:0]
		return nil
	}
	return c.until(func() bool { return !sending && c.arrived(rooms) }, "deliveries", refill)
}

// pace publishes cmd.Rate messages a second into every room for cmd.Duration,
// then waits until all have arrived. Falling behind by a tenth of the time is an
// error: the rate would not be what the row says.
func (c *client) pace(cmd command, r *report) error {
	rooms, err := c.published()
	if err != nil {
		return err
	}
	if cmd.Rate <= 0 {
		return fmt.Errorf("bench: rate %v", cmd.Rate)
	}
	interval := time.Duration(float64(time.Second) / cmd.Rate)
	rounds := int(cmd.Duration / interval)
	start := time.Now()
	for sent := 0; sent < rounds; {
		due := start.Add(time.Duration(sent) * interval)
		if wait := time.Until(due); wait > 0 {
			if err := c.turn(wait); err != nil {
				return err
			}
			continue
		}
		for _, room := range rooms {
			if room.sent-room.completed == ring {
				return fmt.Errorf("bench: %d messages have not arrived; the rate of %v is out of reach", ring, cmd.Rate)
			}
			if err := c.send(room, 1, r); err != nil {
				return err
			}
		}
		sent++
		// Reading comes first even when sending is late.
		if err := c.turn(0); err != nil {
			return err
		}
		c.clearComplete()
	}
	err = c.until(func() bool { return c.arrived(rooms) }, "deliveries", nil)
	c.clearComplete()
	if late := time.Since(start) - cmd.Duration; err == nil && late > cmd.Duration/10 {
		return fmt.Errorf("bench: the last delivery was %v late; the rate of %v is out of reach", late, cmd.Rate)
	}
	return err
}

// send publishes the next count messages of a room in one write.
func (c *client) send(room *clientRoom, count int, r *report) error {
	if count < 1 {
		return nil
	}
	c.outgoing = c.outgoing[:0]
	var now int64
	if c.sampling {
		now = c.now()
	}
	for range count {
		c.outgoing = room.form.appendMessage(c.outgoing, room.sent)
		room.sentTimes[room.sent%ring] = now
		room.sent++
	}
	r.Messages += uint64(count)
	return writeSocket(room.publisher.fd, c.outgoing)
}

// published returns the rooms that have a publisher and somebody to hear it.
func (c *client) published() ([]*clientRoom, error) {
	var rooms []*clientRoom
	for _, room := range c.rooms {
		if room != nil && room.publisher != nil && room.receivers > 0 {
			rooms = append(rooms, room)
		}
	}
	if len(rooms) == 0 {
		return nil, errors.New("bench: no room with a publisher and a receiver")
	}
	return rooms, nil
}

func (c *client) arrived(rooms []*clientRoom) bool {
	for _, room := range rooms {
		if room.completed != room.sent {
			return false
		}
	}
	return true
}

func (c *client) clearComplete() {
	for _, room := range c.complete {
		room.listed = false
	}
	c.complete = c.complete[:0]
}
