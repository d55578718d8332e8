package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// drainReason is the reason in the close frames of a node that shuts down.
const drainReason = "node shuts down"

// Shutdown ends the node gracefully. From the first moment Ready fails. After
// Config.DrainDelay no connection is accepted any more, and every client
// receives a close frame, at most Limits.DrainPerSecond of them per second but
// fast enough to be done before ctx ends. A client whose messages are still to
// be handled receives it after that, or after Timeouts.Close. Then the HTTP
// server and the loops end, running handlers are waited for, and the broker
// ends. When ctx ends first, also during the delay, the remaining connections
// are closed at once and its error is returned, with a HandlersRunningError if
// handlers are still running.
//
// A node that has just answered a probe of neffos.js, or accepted a client that
// comes back, serves for up to two seconds more before it drains: the client
// dials once.
func (n *Node) Shutdown(ctx context.Context) error {
	serving, first := n.beginStop()
	if !first {
		return n.awaitStop(ctx)
	}
	defer close(n.ended)
	if !serving {
		n.server.Abandon()
		n.setPhase(phaseStopped)
		n.endHandling()
		return n.endBroker(ctx)
	}
	n.delayDrain(ctx)
	n.log.Info("draining", logOpen, n.Connections())
	err := n.server.Shutdown(ctx, drainReason)
	n.setPhase(phaseStopped)
	return errors.Join(err, n.awaitHandlers(ctx), n.endBroker(ctx))
}

// delayDrain waits for Config.DrainDelay, in which the node serves as before.
func (n *Node) delayDrain(ctx context.Context) {
	delay := n.config.DrainDelay
	if delay <= 0 || ctx.Err() != nil {
		return
	}
	n.log.Info("not ready any more; draining after a delay", logDelay, delay)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-n.server.Stopped(): // another Shutdown does not want to wait
	}
}

// Close ends the node at once. It does not wait for clients or handlers; not
// every client receives a close frame.
func (n *Node) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := n.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// HandlersRunningError lists the handlers that had not returned when Shutdown
// gave up waiting for them.
type HandlersRunningError struct {
	Handlers []RunningHandler
	err      error
}

// Error names up to ten of them.
func (e *HandlersRunningError) Error() string {
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
func (e *HandlersRunningError) Unwrap() error { return e.err }

// awaitHandlers waits for the application's handlers. When ctx ends first, it
// cancels their contexts and does not wait any longer.
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
	left := &HandlersRunningError{err: cmp.Or(ctx.Err(), n.handling.Err())}
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for len(left.Handlers) == 0 {
		// Goroutines that are about to end, or between two handlers, are not
		// running any: that shows in a moment.
		select {
		case <-ended:
			return nil
		case <-again.C:
		}
		for _, p := range n.pools() {
			left.Handlers = append(left.Handlers, p.runningHandlers()...)
		}
	}
	n.log.Warn("handlers are still running", logCount, len(left.Handlers), logError, left.Error())
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

// awaitStop is the work of a second Shutdown. It cuts the first one short when
// its own context ends earlier.
func (n *Node) awaitStop(ctx context.Context) error {
	select {
	case <-n.ended:
		return nil
	case <-ctx.Done():
		n.server.Stop()
		n.endHandling()
		<-n.ended
		return ctx.Err()
	}
}

// endBroker ends the subscriptions and the broker, after the loops.
func (n *Node) endBroker(ctx context.Context) error {
	err := n.hub.Close(ctx)
	return errors.Join(err, n.broker.Close(ctx))
}
