//go:build linux

package load

import (
	"errors"
	"fmt"
	"time"

	"github.com/stoa-io/stoa/internal/load/rawnet"
)

// publish keeps cmd.Outstanding messages in flight in every room for
// cmd.Duration, then waits until all have arrived. The messages that a turn
// makes room for leave in one write per room.
func (c *Client) publish(cmd Command, r *Report) error {
	rooms, err := c.published()
	if err != nil {
		return err
	}
	if cmd.Outstanding < 1 || cmd.Outstanding > ring {
		return fmt.Errorf("load: %d outstanding: want 1 to %d", cmd.Outstanding, ring)
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

// pace publishes cmd.Rate messages per second into every room for cmd.Duration,
// then waits until all have arrived. A delay of more than a tenth of the
// duration is an error, because the actual rate would differ from cmd.Rate.
func (c *Client) pace(cmd Command, r *Report) error {
	rooms, err := c.published()
	if err != nil {
		return err
	}
	if cmd.Rate <= 0 {
		return fmt.Errorf("load: rate %v", cmd.Rate)
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
				return fmt.Errorf("load: %d messages have not arrived; a rate of %v cannot be reached", ring, cmd.Rate)
			}
			if err := c.send(room, 1, r); err != nil {
				return err
			}
		}
		sent++
		// Read first, even when sending is late.
		if err := c.turn(0); err != nil {
			return err
		}
		c.clearComplete()
	}
	err = c.until(func() bool { return c.arrived(rooms) }, "deliveries", nil)
	c.clearComplete()
	if late := time.Since(start) - cmd.Duration; err == nil && late > cmd.Duration/10 {
		return fmt.Errorf("load: the last delivery was %v late; a rate of %v cannot be reached", late, cmd.Rate)
	}
	return err
}

// send publishes the next count messages of a room in one write.
func (c *Client) send(room *room, count int, r *Report) error {
	if count < 1 {
		return nil
	}
	c.outgoing = c.outgoing[:0]
	var now int64
	if c.sampling {
		now = c.now()
	}
	for range count {
		c.outgoing = room.template.Append(c.outgoing, room.sent)
		room.sentTimes[room.sent%ring] = now
		room.sent++
	}
	r.Messages += uint64(count)
	return rawnet.Write(room.publisher.fd, c.outgoing)
}

// published returns the rooms with a publisher and at least one receiver.
func (c *Client) published() ([]*room, error) {
	var rooms []*room
	for _, room := range c.rooms {
		if room != nil && room.publisher != nil && room.receivers > 0 {
			rooms = append(rooms, room)
		}
	}
	if len(rooms) == 0 {
		return nil, errors.New("load: no room with a publisher and a receiver")
	}
	return rooms, nil
}

func (c *Client) arrived(rooms []*room) bool {
	for _, room := range rooms {
		if room.completed != room.sent {
			return false
		}
	}
	return true
}

func (c *Client) clearComplete() {
	for _, room := range c.complete {
		room.listed = false
	}
	c.complete = c.complete[:0]
}
