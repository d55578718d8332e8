//go:build linux

package main

import (
	"fmt"
	"strconv"
)

// room returns the room of that number and prepares it on first use. Its name
// does not depend on the client that asks, so several clients share rooms.
func (c *client) room(number int) *clientRoom {
	for number >= len(c.rooms) {
		c.rooms = append(c.rooms, nil)
	}
	if c.rooms[number] == nil {
		name := "room-" + strconv.Itoa(number)
		c.rooms[number] = &clientRoom{
			name:      name,
			form:      newMessageForm(name, event),
			joinFrame: appendMasked(nil, opText, []byte(joinRequest(joinToken, name))),
		}
	}
	return c.rooms[number]
}

func (c *client) roomOf(cmd command, number int) *clientRoom {
	if cmd.PerRoom > 0 {
		return c.room(number / cmd.PerRoom)
	}
	return c.room(number % max(cmd.Rooms, 1))
}

// openAll opens the connections of a command and keeps them.
func (c *client) openAll(cmd command, r *report) error {
	c.ready = func(conn *clientConn) error {
		c.inFlight--
		c.open = append(c.open, conn)
		r.Operations++
		if conn.publisher {
			conn.room.publisher = conn
			conn.room.counts = make([]uint32, ring)
			conn.room.sentTimes = make([]int64, ring)
		} else if conn.joined {
			conn.room.receivers++
		}
		return nil
	}
	err := c.launchAll(cmd.Count, func(i int) error {
		return c.launch(cmd.First+i, c.roomOf(cmd, cmd.First+i), false, cmd.Outside)
	})
	if err != nil || !cmd.Publishers {
		return err
	}
	var rooms []*clientRoom
	for _, room := range c.rooms {
		if room != nil && room.publisher == nil {
			rooms = append(rooms, room)
		}
	}
	return c.launchAll(len(rooms), func(i int) error {
		return c.launch(cmd.First+cmd.Count+i, rooms[i], true, false)
	})
}

// setUpAndClose opens the connections of a command and closes each as soon as it
// has joined its room.
func (c *client) setUpAndClose(cmd command, r *report) error {
	c.ready = func(conn *clientConn) error {
		conn.phase = phaseClose
		return writeSocket(conn.fd, closeFrame)
	}
	c.closed = func(*clientConn) {
		c.inFlight--
		r.Operations++
	}
	defer func() { c.closed = nil }()
	return c.launchAll(cmd.Count, func(i int) error {
		return c.launch(cmd.First+i, c.roomOf(cmd, cmd.First+i), false, cmd.Outside)
	})
}

// launchAll calls launch count times, a bounded number of connections at once,
// and waits for the last of them.
func (c *client) launchAll(count int, launch func(i int) error) error {
	launched := 0
	more := func() error {
		for launched < count && c.inFlight < openAtOnce {
			if err := launch(launched); err != nil {
				return fmt.Errorf("connection %d of %d: %w", launched+1, count, err)
			}
			launched++
		}
		return nil
	}
	if err := more(); err != nil {
		return err
	}
	return c.until(func() bool { return launched == count && c.inFlight == 0 }, "connections", more)
}

// pingAll shows that every connection is still served.
func (c *client) pingAll(_ command, r *report) error {
	c.pongs = 0
	for i, conn := range c.open {
		if err := writeSocket(conn.fd, pingFrame); err != nil {
			return err
		}
		// Read along, so that the pongs do not pile up.
		if i%ring == 0 {
			if err := c.turn(0); err != nil {
				return err
			}
		}
	}
	r.Operations = uint64(len(c.open))
	return c.until(func() bool { return c.pongs == len(c.open) }, "pongs", nil)
}
