package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stoa-io/stoa/wire"
)

// What the clients of a node that shuts down are told.
const (
	drainCode   = wire.CodeGoingAway
	drainReason = "node shuts down"
)

// drain closes a loop's connections at a pace: closed all at once they would all
// come back at once, to the other nodes.
type drain struct {
	active    bool
	perSecond int
	next      int // slots before it are closed
	credit    float64
	last      time.Time
}

// Shutdown ends the node gracefully: from the first moment Ready fails and no
// connection is accepted; every client is sent a close frame, at most
// Limits.DrainPerSecond of them per second but fast enough to be done before ctx
// ends; then the HTTP server and the loops end, the handlers that still run are
// waited for, and the broker ends. When ctx ends first, the remaining connections
// are closed at once and its error is returned, with a HandlersLeftError if handlers
// are left. It does
// not wait before it begins: a load balancer that must notice first is given time
// by the caller.
func (n *Node) Shutdown(ctx context.Context) error {
	serving, first := n.beginStop()
	if !first {
		return n.awaitStop(ctx)
	}
	defer close(n.ended)
	if !serving {
		n.abandon()
		n.endHandling()
		return n.endBroker(ctx)
	}
	if n.listener != nil {
		_ = n.listener.Close()
	}
	n.log.Info("draining", logOpen, n.Stats().Connections)
	for _, l := range n.loops {
		l.post(item{kind: itemDrain, errand: &errand{perSecond: n.drainPace(ctx)}})
	}
	err := n.awaitEmpty(ctx)
	httpErr := n.http.server.Shutdown(ctx)
	n.stop()
	n.running.Wait()
	n.tasks.Wait()
	return errors.Join(err, httpErr, n.awaitHandlers(ctx), n.endBroker(ctx))
}

// Close ends the node at once, without close frames.
func (n *Node) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := n.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// HandlersLeftError says which handlers had not returned when Shutdown gave up
// waiting for them.
type HandlersLeftError struct {
	Handlers []RunningHandler
	err      error
}

// Error names up to ten of them.
func (e *HandlersLeftError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "node: %d handlers are still running:", len(e.Handlers))
	for i, h := range e.Handlers {
		if i == 10 {
			text.WriteString(" …")
			break
		}
		fmt.Fprintf(&text, " %s %q %q of %s since %s;", h.Kind, h.Namespace, h.Event, h.Conn, h.Since.Format(time.TimeOnly))
	}
	return strings.TrimSuffix(text.String(), ";")
}

// Unwrap returns why Shutdown gave up: the error of its context.
func (e *HandlersLeftError) Unwrap() error { return e.err }

// awaitHandlers waits for the program's handlers. When ctx ends first, so do their
// contexts, and the handlers are left to themselves.
func (n *Node) awaitHandlers(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		n.handlers.Wait()
		close(ended)
	}()
	defer n.endHandling()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	case <-n.handling.Done(): // another Shutdown does not want to wait
	}
	left := &HandlersLeftError{err: cmp.Or(ctx.Err(), n.handling.Err())}
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for len(left.Handlers) == 0 {
		// Goroutines that are about to end, or between two handlers, are not left:
		// what they are is known in a moment.
		select {
		case <-ended:
			return nil
		case <-again.C:
		}
		for _, l := range n.loops {
			left.Handlers = append(left.Handlers, l.handlers.runningHandlers()...)
		}
	}
	n.log.Warn("handlers are left running", logCount, len(left.Handlers), logError, left.Error())
	return left
}

// beginStop moves the node to phaseStopping. first is true for one caller only.
func (n *Node) beginStop() (serving, first bool) {
	n.lifecycle.Lock()
	defer n.lifecycle.Unlock()
	before := n.currentPhase()
	if before >= phaseStopping {
		return false, false
	}
	serving = before == phaseServing
	n.draining.Store(serving)
	n.setPhase(phaseStopping)
	return serving, true
}

// awaitStop is what a second Shutdown does. It cuts the first short when its own
// context ends earlier.
func (n *Node) awaitStop(ctx context.Context) error {
	select {
	case <-n.ended:
		return nil
	case <-ctx.Done():
		n.stop()
		n.endHandling()
		<-n.ended
		return ctx.Err()
	}
}

// abandon frees what New and Listen opened when the node was never served.
func (n *Node) abandon() {
	for _, l := range n.loops {
		l.end()
	}
	if n.listener != nil {
		_ = n.listener.Close()
	}
	n.markStopped()
}

// drainPace is how many connections each loop closes per second.
func (n *Node) drainPace(ctx context.Context) int {
	pace := n.config.Limits.DrainPerSecond
	if pace < 0 {
		return 0
	}
	if deadline, ok := ctx.Deadline(); ok {
		// The last close frames need time to be answered.
		window := (time.Until(deadline) - n.config.Timeouts.Close).Seconds() * 3 / 4
		needed := int(float64(n.Stats().Connections)/max(window, 0.01)) + 1
		pace = max(pace, needed)
	}
	return (pace + len(n.loops) - 1) / len(n.loops)
}

// awaitEmpty waits until the loops have no connection left.
func (n *Node) awaitEmpty(ctx context.Context) error {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		if s := n.Stats(); s.Connections == 0 && s.Pending == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
		}
	}
}

// stop tells the loops to end.
func (n *Node) stop() {
	if !n.markStopped() {
		return
	}
	for _, l := range n.loops {
		l.post(item{kind: itemStop})
	}
	_ = n.http.server.Close()
	_ = n.http.Close()
}

// markStopped reports whether the caller is the one who stops the node.
func (n *Node) markStopped() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.phase == phaseStopped {
		return false
	}
	n.phase = phaseStopped
	close(n.stopped)
	return true
}

// endBroker ends what the loops use, after them.
func (n *Node) endBroker(ctx context.Context) error {
	err := n.interest.Close(ctx)
	return errors.Join(err, n.broker.Close(ctx))
}

// startDrain begins to close the loop's connections.
func (l *loop) startDrain(perSecond int) {
	if l.listener >= 0 {
		// What waits in the kernel's queue would be reset by closing the socket.
		l.acceptMore, l.acceptAgain = true, 0
		for l.acceptMore && l.acceptAgain == 0 {
			l.accept()
		}
		l.closeListener()
	}
	l.drain = drain{active: true, perSecond: perSecond, last: time.Now(), credit: 1}
	l.paceDrain()
}

// paceDrain closes as many connections as are due.
func (l *loop) paceDrain() {
	d := &l.drain
	if !d.active {
		return
	}
	now := time.Now()
	d.credit += now.Sub(d.last).Seconds() * float64(d.perSecond)
	d.last = now
	for ; d.next < len(l.conns); d.next++ {
		c := l.conns[d.next]
		if c == nil || c.state > connOpen {
			continue
		}
		if d.perSecond > 0 && d.credit < 1 {
			return
		}
		d.credit--
		if c.state != connOpen {
			l.stats.Handshakes[HandshakeAborted]++
			c.destroy(closeGone, ByServer)
		} else {
			c.closeWith(drainCode, drainReason)
		}
	}
}
