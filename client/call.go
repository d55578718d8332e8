package client

import (
	"context"
	"errors"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// outcome is how an ask of the program has ended.
type outcome struct {
	message   Message
	namespace *NSConn
	room      *Room
	err       error
}

// call asks the server: it waits for a connection, lets start ask the session, and
// waits for the answer. It fails when the place is over.
func (c *Conn) call(ctx context.Context, at place, start func(*session.Session) (uint64, error)) (outcome, error) {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	ended := make(chan outcome, 1)
	l, id, err := c.begin(ctx, at, start, func(a *session.Answer) { ended <- c.outcome(a) })
	if err != nil {
		return outcome{}, err
	}
	select {
	case o := <-ended:
		return o, o.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	if !l.over {
		l.session.Cancel(id, context.Cause(ctx))
	}
	c.mu.Unlock()
	o := <-ended
	return o, o.err
}

// begin waits for a connection that is ready and asks.
func (c *Conn) begin(ctx context.Context, at place, start func(*session.Session) (uint64, error), caller func(*session.Answer)) (*link, uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.state == StateClosed {
			return nil, 0, ErrClosed
		}
		if err := at.missing(); err != nil {
			return nil, 0, err
		}
		l := c.link
		switch {
		case c.options.NativeOnly:
			return nil, 0, wire.ErrBadNamespace
		case c.state != StateConnected:
			if err := c.wait(ctx); err != nil {
				return nil, 0, err
			}
		case l.full(1):
			l.waitEased()
		case ctx.Err() != nil:
			return nil, 0, context.Cause(ctx)
		default:
			id, err := l.ask(start, caller)
			if l.paused != nil {
				close(l.paused)
				l.paused = nil
			}
			return l, id, err
		}
	}
}

// ask lets start ask the session and notes who hears of the answer. It is called with
// conn.mu held.
func (l *link) ask(start func(*session.Session) (uint64, error), caller func(*session.Answer)) (uint64, error) {
	outer := l.calling
	l.calling = caller
	id, err := start(&l.session)
	if err == nil && l.calling != nil {
		l.callers[id] = caller
	}
	l.calling = outer
	return id, err
}

// limit gives a ctx without a deadline the one of Options.AskTimeout.
func (c *Conn) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has || c.options.AskTimeout < 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, c.options.AskTimeout, wire.ErrTimeout)
}

// outcome copies what is valid during the callback only. It is called with mu held.
func (c *Conn) outcome(a *session.Answer) outcome {
	o := outcome{err: a.Err}
	if errors.Is(a.Err, wire.ErrClosed) && a.Message == nil {
		if o.err = ErrDisconnected; c.state == StateClosed {
			o.err = ErrClosed
		}
	}
	if a.Err == nil && a.Message != nil {
		o.message = *fromWire(a.Message)
	}
	if ns, ok := a.Namespace.(member); ok {
		o.namespace = ns.ns
	}
	if in, ok := a.Room.(*Room); ok {
		o.room = in
	}
	return o
}
