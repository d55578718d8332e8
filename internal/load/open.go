//go:build linux

package load

import (
	"fmt"
	"strconv"

	"github.com/stoa-io/stoa/internal/load/protocol"
	"github.com/stoa-io/stoa/internal/load/rawnet"
)

// roomAt returns the room with that number and prepares it on first use. Its
// name is the same in all clients, so several clients share rooms.
func (c *Client) roomAt(number int) *room {
	for number >= len(c.rooms) {
		c.rooms = append(c.rooms, nil)
	}
	if c.rooms[number] == nil {
		name := "room-" + strconv.Itoa(number)
		c.rooms[number] = &room{
			name:      name,
			template:  protocol.NewMessageTemplate(name, protocol.EventMessage),
			joinFrame: protocol.AppendMasked(nil, protocol.OpText, []byte(protocol.JoinRequest(joinToken, name))),
		}
	}
	return c.rooms[number]
}

func (c *Client) roomOf(cmd Command, number int) *room {
	if cmd.PerRoom > 0 {
		return c.roomAt(number / cmd.PerRoom)
	}
	return c.roomAt(number % max(cmd.Rooms, 1))
}

// upgradeRequests returns the requests for the connections of a command.
func upgradeRequests(cmd Command) [][]byte {
	if len(cmd.Tokens) == 0 {
		return [][]byte{protocol.UpgradeRequest(cmd.Address, "")}
	}
	requests := make([][]byte, len(cmd.Tokens))
	for i, token := range cmd.Tokens {
		requests[i] = protocol.UpgradeRequest(cmd.Address, token)
	}
	return requests
}

// openAll opens the connections of a command and keeps them.
func (c *Client) openAll(cmd Command, r *Report) error {
	c.ready = func(conn *conn) error {
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
	var rooms []*room
	for _, room := range c.rooms {
		if room != nil && room.publisher == nil {
			rooms = append(rooms, room)
		}
	}
	return c.launchAll(len(rooms), func(i int) error {
		return c.launch(cmd.First+cmd.Count+i, rooms[i], true, false)
	})
}

// setUpAndClose opens the connections of a command and closes each as soon as
// it has joined its room.
func (c *Client) setUpAndClose(cmd Command, r *Report) error {
	c.ready = func(conn *conn) error {
		conn.phase = phaseClose
		return rawnet.Write(conn.fd, closeFrame)
	}
	c.closed = func(*conn) {
		c.inFlight--
		r.Operations++
	}
	defer func() { c.closed = nil }()
	return c.launchAll(cmd.Count, func(i int) error {
		return c.launch(cmd.First+i, c.roomOf(cmd, cmd.First+i), false, cmd.Outside)
	})
}

// launchAll calls launch count times, with a bounded number of connections in
// flight, and waits for the last of them.
func (c *Client) launchAll(count int, launch func(i int) error) error {
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

// pingAll pings every connection and fails unless all of them answer.
func (c *Client) pingAll(_ Command, r *Report) error {
	c.pongs = 0
	for i, conn := range c.open {
		if err := rawnet.Write(conn.fd, pingFrame); err != nil {
			return err
		}
		// Read in between, so that the pongs do not pile up.
		if i%ring == 0 {
			if err := c.turn(0); err != nil {
				return err
			}
		}
	}
	r.Operations = uint64(len(c.open))
	return c.until(func() bool { return c.pongs == len(c.open) }, "pongs", nil)
}
