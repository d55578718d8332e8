//go:build linux

package load

import (
	"strconv"
	"time"

	"github.com/stoa-io/stoa/internal/load/protocol"
	"github.com/stoa-io/stoa/internal/load/rawnet"
)

// operate has every open connection alternately join and leave its room for
// cmd.Duration, with one request in flight each. Then it waits for the last
// answers.
func (c *Client) operate(cmd Command, r *Report) error {
	deadline := time.Now().Add(cmd.Duration)
	c.answered = func(conn *conn) error {
		conn.joined = !conn.joined
		r.Operations++
		// Every connection ends outside its room, as it began.
		if !conn.joined && time.Now().After(deadline) {
			conn.phase = phaseReady
			c.inFlight--
			return nil
		}
		return c.request(conn)
	}
	for _, conn := range c.open {
		conn.phase = phaseOperate
		c.inFlight++
		if err := c.request(conn); err != nil {
			return err
		}
	}
	return c.until(func() bool { return c.inFlight == 0 }, "answers", nil)
}

// request sends a leave if conn has joined its room, else a join.
func (c *Client) request(conn *conn) error {
	conn.operation++
	token := strconv.FormatUint(conn.operation, 10)
	request := protocol.JoinRequest(token, conn.room.name)
	if conn.joined {
		request = protocol.LeaveRequest(token, conn.room.name)
	}
	c.outgoing = protocol.AppendMasked(c.outgoing[:0], protocol.OpText, []byte(request))
	return rawnet.Write(conn.fd, c.outgoing)
}
