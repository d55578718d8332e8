//go:build linux

package main

import (
	"strconv"
	"time"
)

// operate has every open connection join its room and leave it again, one request
// under way for each, for cmd.Duration; then it waits for the last answers.
func (c *client) operate(cmd command, r *report) error {
	deadline := time.Now().Add(cmd.Duration)
	c.answered = func(conn *clientConn) error {
		conn.joined = !conn.joined
		r.Operations++
		// Even with the time over, end outside of the room as it began.
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

// request asks to leave the room if conn has joined it, else to join it.
func (c *client) request(conn *clientConn) error {
	conn.operation++
	token := strconv.FormatUint(conn.operation, 10)
	request := joinRequest(token, conn.room.name)
	if conn.joined {
		request = leaveRequest(token, conn.room.name)
	}
	c.outgoing = appendMasked(c.outgoing[:0], opText, []byte(request))
	return writeSocket(conn.fd, c.outgoing)
}
