package client

import (
	"context"
	"errors"
	"time"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// outcome is the result of an ask of the application.
type outcome struct {
	answer    Answer
	namespace *NSConn
	room      *Room
	err       error
}

// call waits for a connection, makes an ask with start, and waits for the
// answer. It fails when the namespace or the room of the scope has ended.
func (c *Conn) call(ctx context.Context, at scope, start func(*session.Session) (uint64, error)) (outcome, error) {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	ended := make(chan outcome, 1)
	t, id, err := c.begin(ctx, at, start, func(a *session.Answer) { ended <- c.outcome(a) })
	if err != nil {
		return outcome{}, err
	}
	select {
	case o := <-ended:
		return o, o.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	if !t.over {
		t.session.Cancel(id, context.Cause(ctx))
	}
	c.mu.Unlock()
	o := <-ended
	return o, o.err
}

// begin waits for a transport that is ready and makes the ask.
func (c *Conn) begin(ctx context.Context, at scope, start func(*session.Session) (uint64, error), responder func(*session.Answer)) (*transport, uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.state == StateClosed {
			return nil, 0, ErrClosed
		}
		if err := at.missing(); err != nil {
			return nil, 0, err
		}
		t := c.transport
		switch {
		case c.options.NativeOnly:
			return nil, 0, wire.ErrBadNamespace
		case c.state != StateConnected:
			if err := c.wait(ctx); err != nil {
				return nil, 0, err
			}
		case t.full(1):
			t.waitEased()
		case ctx.Err() != nil:
			return nil, 0, context.Cause(ctx)
		default:
			id, err := t.ask(start, responder)
			return t, id, err
		}
	}
}

// ask makes an ask with start and registers the responder. The caller holds
// conn.mu.
func (t *transport) ask(start func(*session.Session) (uint64, error), responder func(*session.Answer)) (uint64, error) {
	outer := t.responder
	t.responder = responder
	id, err := start(&t.session)
	if err == nil && t.responder != nil {
		t.responders[id] = responder
	}
	t.responder = outer
	if t.paused != nil { // the answer arrives after other messages
		close(t.paused)
		t.paused = nil
	}
	return id, err
}

// limit gives a ctx without a deadline that of Options.AskTimeout. An answer
// that has arrived counts even if the deadline is noticed first.
func (c *Conn) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	cancel := context.CancelFunc(func() {})
	if _, has := ctx.Deadline(); !has && c.options.AskTimeout >= 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, c.options.AskTimeout, wire.ErrTimeout)
	}
	extended, end := forgiving(ctx)
	return extended, func() {
		end()
		cancel()
	}
}

// outcome copies an answer, which is valid only during the callback. The caller
// holds mu.
func (c *Conn) outcome(a *session.Answer) outcome {
	o := outcome{err: a.Err}
	if errors.Is(a.Err, wire.ErrClosed) && a.Message == nil {
		if o.err = ErrDisconnected; c.state == StateClosed {
			o.err = ErrClosed
		}
	}
	if a.Err == nil && a.Message != nil {
		o.answer = Answer{Body: append([]byte(nil), a.Message.Body...), Binary: a.Message.Binary}
	}
	if ref, ok := a.Namespace.(nsRef); ok {
		o.namespace = ref.ns
	}
	if in, ok := a.Room.(*Room); ok {
		o.room = in
	}
	return o
}

// A process that was suspended, or that waited for a processor, runs its timers
// before it reads the messages that have arrived in the meantime. So a deadline
// that is noticed late is extended by as much, up to longestGrace.

// longestGrace is enough to read what fits into the buffers of a socket.
const longestGrace = time.Second

// lateness returns by how much a deadline is extended that is noticed now.
func lateness(deadline time.Time) time.Duration {
	return min(time.Since(deadline), longestGrace)
}

// afterTimeout is time.AfterFunc for a deadline. Stop has no effect on an
// extended one, so f checks whether it still applies.
func afterTimeout(limit time.Duration, f func()) *time.Timer {
	deadline := time.Now().Add(limit)
	return time.AfterFunc(limit, func() {
		time.Sleep(lateness(deadline))
		f()
	})
}

// forgiving returns a context that ends with ctx, or later if its deadline was
// noticed late. The result has no deadline of its own.
func forgiving(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Err() != nil {
		return ctx, func() {}
	}
	extended, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if deadline, ok := ctx.Deadline(); ok && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			grace := time.NewTimer(lateness(deadline))
			defer grace.Stop()
			select {
			case <-grace.C:
			case <-extended.Done():
			}
		}
		end(context.Cause(ctx))
	})
	return extended, func() {
		stop()
		end(nil)
	}
}
