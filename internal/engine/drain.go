package engine

import (
	"context"
	"errors"
	"time"

	"github.com/stoa-io/stoa/internal/closecode"
)

// drain closes the connections of a loop at a pace: all at once they would all
// reconnect at once, to other servers.
type drain struct {
	active    bool
	perSecond int
	patience  uint32 // with one connection that must wait, in milliseconds
	code      uint16
	reason    string
	next      int              // slots before it are closed, but for those in waits
	waits     map[*Conn]uint32 // the loop's clock when the close was due first; nil: none yet
	again     bool             // some of waits are to be looked at again
	credit    float64
	last      time.Time
}

// Shutdown ends a started server: it answers no more probes, waits for clients
// whose probes it has answered just before, accepts no more connections, sends
// a close frame with code 1001 and the reason to every client, at most
// Limits.DrainPerSecond of them per second but fast enough to be done before
// ctx ends, then ends the HTTP server and the loops. The close frame follows
// the handling of the messages that have arrived. When ctx ends first, or Stop
// is called, it closes the remaining connections at once and returns the error
// of ctx. It is called once.
func (s *Server) Shutdown(ctx context.Context, reason string) error {
	s.leaving.Store(true)
	s.awaitReturning(ctx)
	s.draining.Store(true)
	if s.listener != nil {
		_ = s.listener.Close()
	}
	pace, patience := s.drainPace(ctx), s.drainPatience(ctx)
	for _, l := range s.loops {
		// Behind the deliveries that were accepted before, so that none is lost
		// behind the close frame. A loop that has ended is drained.
		l.shard.Post(func() { l.startDrain(pace, patience, reason) })
	}
	err := s.awaitEmpty(ctx)
	httpErr := s.http.server.Shutdown(ctx)
	s.Stop()
	s.running.Wait()
	s.tasks.Wait()
	return errors.Join(err, httpErr)
}

// returnGrace is how long a neffos.js client may take from the answer to its
// probe until it is back in its rooms: about seven round trips.
const returnGrace = 2 * time.Second

// answersProbe reports whether a client may dial. An answer is a promise: a
// neffos.js client whose next dial fails, or that loses its connection before
// it is back in its rooms, never comes back to them.
func (s *Server) answersProbe() bool {
	if s.leaving.Load() || s.unavailable() != "" || s.Full() {
		return false
	}
	// In this order either Shutdown knows the probe, or the probe Shutdown.
	s.noteReturning()
	return !s.leaving.Load()
}

// noteReturning notes that a client is about to reconnect.
func (s *Server) noteReturning() { s.returning.Store(int64(time.Since(s.epoch))) }

// awaitReturning waits until the clients that are about to reconnect have had
// their time. The server serves as before in that time, and if more of them
// dial, after probes of other nodes, it waits at most twice as long. Without
// such clients it does not wait.
func (s *Server) awaitReturning(ctx context.Context) {
	limit := 2 * s.returnGrace
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)/4)
	}
	end := time.Since(s.epoch) + limit
	for {
		wait := s.returningFor(time.Since(s.epoch), end)
		if wait <= 0 {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.stopped:
			timer.Stop()
			return
		}
	}
}

// returningFor is how long Shutdown still has to wait, at most until end. All
// times count from the epoch.
func (s *Server) returningFor(now, end time.Duration) time.Duration {
	last := time.Duration(s.returning.Load())
	if last == 0 {
		return 0
	}
	return min(last+s.returnGrace, end) - now
}

// drainPace is how many connections each loop closes per second; 0: all at
// once.
func (s *Server) drainPace(ctx context.Context) int {
	pace := int(s.drainRate.Load())
	if pace <= 0 {
		return 0
	}
	if deadline, ok := ctx.Deadline(); ok {
		// The last close frames need time to be answered.
		window := (time.Until(deadline) - s.config.Timeouts.Close).Seconds() * 3 / 4
		needed := int(float64(s.Connections())/max(window, 0.01)) + 1
		pace = max(pace, needed)
	}
	return (pace + len(s.loops) - 1) / len(s.loops)
}

// drainPatience is how long the close of a connection may wait for messages
// that were read and are not handled yet, in milliseconds.
func (s *Server) drainPatience(ctx context.Context) uint32 {
	patience := s.config.Timeouts.Close
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(deadline)/4)
	}
	return uint32(max(patience.Milliseconds(), 1))
}

// awaitEmpty waits until all loops drain and no connection of any state is
// left.
func (s *Server) awaitEmpty(ctx context.Context) error {
	for s.undrained.Load() > 0 || s.live.Load() > 0 {
		select {
		case <-s.empty:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.stopped:
			return ctx.Err()
		}
	}
	return nil
}

// dropLive notes the end of a connection.
func (s *Server) dropLive() {
	if s.live.Add(-1) == 0 && s.Draining() {
		s.signalEmpty()
	}
}

// signalEmpty lets awaitEmpty look again.
func (s *Server) signalEmpty() {
	select {
	case s.empty <- struct{}{}:
	default:
	}
}

// markDrained notes, once, that the loop accepts no more connections.
func (l *Loop) markDrained() {
	if !l.drained {
		l.drained = true
		l.server.undrained.Add(-1)
		l.server.signalEmpty()
	}
}

// Stop tells the loops of a started server to close all connections at once and
// end. Shutdown returns then.
func (s *Server) Stop() {
	s.stopOnce.Do(func() {
		close(s.stopped)
		for _, l := range s.loops {
			l.shard.Post(func() { l.stopping = true })
		}
		_ = s.http.server.Close()
		_ = s.http.Close()
	})
}

// startDrain begins to close the loop's connections.
func (l *Loop) startDrain(perSecond int, patience uint32, reason string) {
	defer l.markDrained()
	if l.listener >= 0 {
		// Closing the listener would reset the connections in its queue.
		l.acceptMore, l.acceptAgain = true, 0
		for l.acceptMore && l.acceptAgain == 0 {
			l.accept()
		}
		l.closeListener()
	}
	l.drain = drain{
		active: true, perSecond: perSecond, patience: patience, code: closecode.GoingAway, reason: reason,
		last: time.Now(), credit: 1,
	}
	l.paceDrain()
}

// paceDrain closes as many connections as are due.
func (l *Loop) paceDrain() {
	d := &l.drain
	if !d.active {
		return
	}
	now := time.Now()
	d.credit += now.Sub(d.last).Seconds() * float64(d.perSecond)
	d.last = now
	for ; d.next < len(l.conns); d.next++ {
		c := l.conns[d.next]
		if c == nil || c.state > connOpen || c.IsClosing() {
			continue // a close that waits has a deadline
		}
		if d.perSecond > 0 && d.credit < 1 {
			return
		}
		c.readReceived()
		if c.state == connOpen && c.paused() && l.drainLater(c) {
			d.again = true // its messages are read when the pause ends
			continue
		}
		d.credit--
		l.drainConn(c)
	}
	if d.again {
		d.again, d.next = false, 0
	}
}

// drainLater returns true while the close of a connection may wait.
func (l *Loop) drainLater(c *Conn) bool {
	d := &l.drain
	since, waits := d.waits[c]
	if !waits {
		if d.waits == nil {
			d.waits = make(map[*Conn]uint32)
		}
		since = l.now
		d.waits[c] = since
	}
	return Before(l.now, since+d.patience)
}

// drainConn closes a connection, now or when its messages are handled.
func (l *Loop) drainConn(c *Conn) {
	d := &l.drain
	switch {
	case c.state > connOpen: // the peer has closed
	case c.state != connOpen:
		l.stats.Handshakes[HandshakeAborted]++
		c.destroy(neverOpen, ByServer)
	case c.flags&flagDeferred == 0 && c.handler.Draining():
		c.deferClose(func() { c.sendClose(d.code, d.reason) })
		c.SetDeadline(d.patience)
	default:
		c.Close(d.code, d.reason)
	}
}

// readsBeforeClose bounds the input of one connection that the drain handles.
const readsBeforeClose = 64

// readReceived handles the messages that have arrived, since the close frame of
// this side ends the handling of messages.
func (c *Conn) readReceived() {
	for range readsBeforeClose {
		if c.state != connOpen || c.paused() {
			return
		}
		kept, before := c.flags&flagKept, c.loop.stats.BytesIn
		c.onReadable(false)
		if kept == 0 && c.loop.stats.BytesIn == before {
			return
		}
	}
}
