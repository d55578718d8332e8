//go:build linux

package load

import (
	"errors"
	"fmt"
	"time"

	"github.com/stoa-io/stoa/internal/load/protocol"
	"github.com/stoa-io/stoa/internal/load/rawnet"
)

var errNoConnections = errors.New("load: no connections")

// ask keeps asks in flight for cmd.Duration, then waits for the last answers.
// The connections answered in a turn ask again at its end, with one write each.
func (c *Client) ask(cmd Command, r *Report) error {
	if len(c.open) == 0 {
		return errNoConnections
	}
	if cmd.Outstanding < 1 || cmd.Outstanding > ring {
		return fmt.Errorf("load: %d outstanding: want 1 to %d", cmd.Outstanding, ring)
	}
	c.beginAsking()
	if cmd.Action == ActionRound {
		return c.askInTurn(cmd, r)
	}
	again := func(conn *conn) error {
		return c.sendAsks(conn, cmd.Outstanding-int(conn.asked-conn.next), r)
	}
	for _, conn := range c.open {
		if err := again(conn); err != nil {
			return err
		}
	}
	return c.keepAsking(cmd.Duration, again)
}

// askInTurn has the connections ask one after another, so each connection is
// idle for a long time before its ask.
func (c *Client) askInTurn(cmd Command, r *Report) error {
	next := 0
	again := func(*conn) error {
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

// emit has every connection emit cmd.Outstanding events with an ask, whose
// answer shows that they have been handled, and repeats this for cmd.Duration.
// In the end the server must have counted all events.
func (c *Client) emit(cmd Command, r *Report) error {
	if len(c.open) == 0 {
		return errNoConnections
	}
	c.beginAsking()
	again := func(conn *conn) error {
		c.outgoing = c.outgoing[:0]
		for range cmd.Outstanding {
			c.outgoing = c.count.Append(c.outgoing, c.emitted)
			c.emitted++
		}
		r.Operations += uint64(cmd.Outstanding)
		c.outgoing = c.echo.Append(c.outgoing, conn.asked)
		conn.asked++
		c.inFlight++
		return rawnet.Write(conn.fd, c.outgoing)
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
	c.outgoing = protocol.AppendMasked(c.outgoing[:0], protocol.OpText, []byte(protocol.CountedRequest))
	if err := rawnet.Write(conn.fd, c.outgoing); err != nil {
		return err
	}
	return c.until(func() bool { return c.inFlight == 0 }, "the number of emits handled", nil)
}

// beginAsking prepares all connections for answers to asks.
func (c *Client) beginAsking() {
	for _, conn := range c.open {
		conn.phase, conn.asked, conn.next = phaseAsk, 0, 0
	}
}

// keepAsking calls again for the connections whose asks have been answered,
// until duration has passed and no ask is in flight.
func (c *Client) keepAsking(duration time.Duration, again func(*conn) error) error {
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
func (c *Client) sendAsks(conn *conn, count int, r *Report) error {
	c.outgoing = c.outgoing[:0]
	for range count {
		c.outgoing = c.echo.Append(c.outgoing, conn.asked)
		conn.asked++
	}
	c.inFlight += count
	r.Operations += uint64(count)
	return rawnet.Write(conn.fd, c.outgoing)
}

// answer counts the answer to the connection's next ask.
func (c *Client) answer(conn *conn) error {
	if conn.next == conn.asked {
		return fmt.Errorf("load: received an answer to ask %d, which was never sent", conn.next)
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
