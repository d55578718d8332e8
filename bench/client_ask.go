//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"
)

// countedRequest asks how many emits have been handled; the answer is the same
// with the number behind it.
const countedRequest = "3;" + namespace + ";;" + eventCounted + ";0;0;"

var errNoConnections = errors.New("bench: no connections")

// ask keeps asks under way for cmd.Duration, then waits for the last answers.
// What becomes free in one turn is asked at its end, each connection in one write.
func (c *client) ask(cmd command, r *report) error {
	if len(c.open) == 0 {
		return errNoConnections
	}
	if cmd.Outstanding < 1 || cmd.Outstanding > ring {
		return fmt.Errorf("bench: %d outstanding: want 1 to %d", cmd.Outstanding, ring)
	}
	c.beginAsking()
	if cmd.Action == actionRound {
		return c.askInTurn(cmd, r)
	}
	again := func(conn *clientConn) error {
		return c.sendAsks(conn, cmd.Outstanding-int(conn.asked-conn.next), r)
	}
	for _, conn := range c.open {
		if err := again(conn); err != nil {
			return err
		}
	}
	return c.keepAsking(cmd.Duration, again)
}

// askInTurn has the connections ask one after the other, so that each is idle for a
// long time before its turn.
func (c *client) askInTurn(cmd command, r *report) error {
	next := 0
	again := func(*clientConn) error {
		for c.inFlight < cmd.Outstanding {
			conn := c.open[next%len(c.open)]
			next++
			if err := c.sendAsks(conn, 1, r); err != nil {
				return err
			}
		}
		return nil
	}
	if err := again(nil); err != nil {
		return err
	}
	return c.keepAsking(cmd.Duration, again)
}

// emit has every connection emit cmd.Outstanding events, together with an ask
// whose answer says that they have been handled, and so on for cmd.Duration. In
// the end the server has to have counted as many as were sent.
func (c *client) emit(cmd command, r *report) error {
	if len(c.open) == 0 {
		return errNoConnections
	}
	c.beginAsking()
	again := func(conn *clientConn) error {
		c.outgoing = c.outgoing[:0]
		for range cmd.Outstanding {
			c.outgoing = c.count.appendMessage(c.outgoing, c.emitted)
			c.emitted++
		}
		r.Operations += uint64(cmd.Outstanding)
		c.outgoing = c.echo.appendAsk(c.outgoing, conn.asked)
		conn.asked++
		c.inFlight++
		return writeSocket(conn.fd, c.outgoing)
	}
	for _, conn := range c.open {
		if err := again(conn); err != nil {
			return err
		}
	}
	if err := c.keepAsking(cmd.Duration, again); err != nil {
		return err
	}
	conn := c.open[0]
	conn.phase = phaseCounted
	c.inFlight++
	c.outgoing = appendMasked(c.outgoing[:0], opText, []byte(countedRequest))
	if err := writeSocket(conn.fd, c.outgoing); err != nil {
		return err
	}
	return c.until(func() bool { return c.inFlight == 0 }, "the number of emits handled", nil)
}

// beginAsking makes all connections expect answers.
func (c *client) beginAsking() {
	for _, conn := range c.open {
		conn.phase, conn.asked, conn.next = phaseAsk, 0, 0
	}
}

// keepAsking calls again for the connections whose asks have been answered, until
// the time is over and nothing is under way.
func (c *client) keepAsking(duration time.Duration, again func(*clientConn) error) error {
	deadline := time.Now().Add(duration)
	asking := true
	refill := func() error {
		asking = asking && time.Now().Before(deadline)
		for _, conn := range c.free {
			conn.listed = false
			if !asking {
				continue
			}
			if err := again(conn); err != nil {
				return err
			}
		}
		c.free = c.free[:0]
		return nil
	}
	err := c.until(func() bool { return !asking && c.inFlight == 0 }, "answers", refill)
	for _, conn := range c.open {
		conn.phase = phaseReady
	}
	return err
}

// sendAsks sends the next count asks of a connection in one write.
func (c *client) sendAsks(conn *clientConn, count int, r *report) error {
	c.outgoing = c.outgoing[:0]
	for range count {
		c.outgoing = c.echo.appendAsk(c.outgoing, conn.asked)
		conn.asked++
	}
	c.inFlight += count
	r.Operations += uint64(count)
	return writeSocket(conn.fd, c.outgoing)
}

// answer counts the answer to the connection's next ask.
func (c *client) answer(conn *clientConn) error {
	if conn.next == conn.asked {
		return fmt.Errorf("bench: ask %d was answered and never sent", conn.next)
	}
	conn.next++
	c.received++
	c.inFlight--
	if !conn.listed {
		conn.listed = true
		c.free = append(c.free, conn)
	}
	return nil
}
