package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/stoa-io/stoa/internal/outbox"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

const (
	// publishWindow is how long after its first copy a confirmed emit is sent
	// again. A node remembers its ID for two minutes, unless it is configured
	// otherwise, and a copy can be half a minute on its way.
	publishWindow = 90 * time.Second
	// longestPause bounds the pause after wire.ErrUnavailable.
	longestPause = 5 * time.Second
)

// PublishOptions are the options of Room.Publish. The zero value is usable.
type PublishOptions struct {
	// ID is the name of the message, by which the server knows its copies: 1 to
	// 64 printable ASCII characters without comma and semicolon. A program that
	// publishes a message again after a restart passes the ID of the first
	// time; without a user of the connection it must be hard to guess. Empty
	// means 130 random bits.
	ID string
	// Binary sends a binary frame. The body of a text must be valid UTF-8.
	Binary bool
}

// Publish emits an event into the room, and returns its position in the history
// when the server has it. The room must have a history, else the error is
// wire.ErrUnhandled. While the Conn is not connected, and after
// wire.ErrUnavailable, Publish waits and sends the message again, with the same
// ID, by which the server publishes it once. It does so for 90 seconds after
// the first copy, and until ctx is done; see Options.AskTimeout for a ctx
// without a deadline.
//
// The message may have been published only after an error that matches
// ErrUnconfirmed: when ctx is done, the room has ended, or the Conn is closed
// before the answer. Publish may be called again then with the same ID. Every
// other error means that nothing was published. It matches ErrNotPublished if
// ctx is done, or the room or the Conn has ended, before a copy was sent.
// Errors of the call itself are returned unchanged, and no copy was sent:
// ErrOptions for the ID, ErrTooBig, ErrNotText, wire.ErrInvalidName for a
// reserved event, wire.ErrBadRoom and ErrClosed if the room or the Conn had
// ended before the call, and the cause of a ctx that is done before it. So are
// the refusals of the server, such as wire.ErrForbidden, or wire.ErrIDReused if
// the ID is that of another message. The event may be empty, as that of an
// emit.
//
// The messages of a room are published in the order of the calls, but for those
// that were in flight with one that the server could not take. Call Publish
// after the end of the call before, and there is none. Emits have no order with
// Publish across a loss of the connection.
func (r *Room) Publish(ctx context.Context, event string, body []byte, o PublishOptions) (position string, err error) {
	c := r.ns.conn
	m := Message{Namespace: r.ns.name, Room: r.name, Event: event, Body: body, Binary: o.Binary}
	if err := m.check(); err != nil {
		return "", err
	}
	if o.ID == "" {
		o.ID = rand.Text()
	} else if !wire.IsPublishID(o.ID) {
		return "", fmt.Errorf("%w: ID %q", ErrOptions, o.ID)
	}
	parameters := len(wire.EventRoomPublish) + len(o.ID) + len(",;")
	if err := c.fits(size(maxToken+parameters, m.Namespace, m.Room, m.Event, len(m.Body))); err != nil {
		return "", err
	}
	p := &publishing{
		room: r, binary: o.Binary, done: make(chan struct{}),
		request: wire.PublishRequest{ID: []byte(o.ID), Event: []byte(event), Body: slices.Clone(body)},
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	if err := c.beginPublish(ctx, p); err != nil {
		return "", err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		c.mu.Lock()
		c.outbox.Cancel(p.entry)
		p.settle(context.Cause(ctx))
		c.mu.Unlock()
	}
	return p.result()
}

// publishing is a confirmed emit that has not ended. Its fields are guarded by
// conn.mu until done is closed.
type publishing struct {
	room     *Room
	request  wire.PublishRequest
	binary   bool
	entry    *outbox.Entry
	first    time.Time   // the time of the first copy
	timer    *time.Timer // ends the copies; nil before the first
	position string
	cause    error // the last reason why there is no position
	done     chan struct{}
}

// result is that of a call that has ended.
func (p *publishing) result() (position string, err error) {
	switch p.entry.Result() {
	case outbox.Confirmed:
		return p.position, nil
	case outbox.Refused:
		return "", p.cause
	case outbox.NotPublished:
		return "", fmt.Errorf("%w: %w", ErrNotPublished, p.cause)
	}
	return "", fmt.Errorf("%w: %w", ErrUnconfirmed, p.cause)
}

// settle notes a cause, if there is one, and ends the call with its entry. The
// caller holds conn.mu.
func (p *publishing) settle(cause error) {
	select {
	case <-p.done:
		return
	default:
	}
	if cause != nil {
		p.cause = cause
	}
	if p.entry.Result() == outbox.None {
		return
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	close(p.done)
}

// isOld reports whether a further copy could be published a second time. The
// monotonic clock may stand still while the machine is suspended, and the wall
// clock may be set: either of them is enough.
func (p *publishing) isOld() bool {
	return p.timer != nil && (time.Since(p.first) >= publishWindow || time.Now().Round(0).Sub(p.first.Round(0)) >= publishWindow)
}

// beginPublish puts a message into the outbox.
func (c *Conn) beginPublish(ctx context.Context, p *publishing) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch err := (scope{p.room.ns, p.room}).missing(); {
	case c.state == StateClosed:
		return ErrClosed
	case err != nil:
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	p.entry = c.outbox.Add(p.room, p)
	c.sendPublishes()
	return nil
}

// The callers of the following functions hold mu.

// sendPublishes sends all messages of the outbox that may be sent.
func (c *Conn) sendPublishes() {
	for t := c.transport; t != nil && !t.over && c.state == StateConnected; {
		e, _ := c.outbox.Next()
		if e == nil {
			return
		}
		p := e.Value.(*publishing)
		if p.timer == nil {
			p.first = time.Now()
			p.timer = time.AfterFunc(publishWindow, func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.outbox.Expire(p.entry)
				p.settle(nil)
			})
		}
		_, err := t.ask(func(s *session.Session) (uint64, error) {
			if !s.Understands(wire.FeaturePositions) {
				return 0, wire.ErrUnhandled // no room has a history
			}
			return s.AskPublish(nsRef{p.room.ns}, p.room, &p.request, p.binary)
		}, func(a *session.Answer) { t.published(p, a) })
		if err != nil {
			c.outbox.Answer(e, outbox.No)
			p.settle(err)
		}
	}
}

// published takes the answer of the server.
func (t *transport) published(p *publishing, a *session.Answer) {
	c := t.conn
	if t.over {
		return // the outbox has lost it
	}
	err := a.Err
	switch {
	case err == nil && (a.Message == nil || len(a.Message.Body) == 0 || !wire.IsPosition(a.Message.Body)):
		err = wire.ErrInvalidPayload
		c.outbox.Cancel(p.entry)
		c.outbox.Answer(p.entry, outbox.No)
	case err == nil:
		p.position = string(a.Message.Body)
		c.outbox.Answer(p.entry, outbox.Yes)
	case errors.Is(err, wire.ErrUnavailable):
		if pause, failures := c.outbox.Answer(p.entry, outbox.Later); pause != 0 {
			c.pausePublishes(p.room, pause, failures)
		}
	default:
		c.outbox.Answer(p.entry, outbox.No)
	}
	p.settle(err)
	c.sendPublishes()
}

// pausePublishes continues with a room after a pause.
func (c *Conn) pausePublishes(in *Room, pause, failures int) {
	delay := min(c.options.Reconnect.delay(failures, 0, mathrand.Float64()), longestPause)
	time.AfterFunc(delay, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.expirePublishes()
		c.outbox.Resume(in, pause)
		c.sendPublishes()
	})
}

// expirePublishes ends the messages that must not be sent again, in case that
// their timers are late.
func (c *Conn) expirePublishes() {
	for _, e := range c.outbox.Of(nil) {
		if p := e.Value.(*publishing); p.isOld() {
			c.outbox.Expire(e)
			p.settle(nil)
		}
	}
}

// losePublishes takes the loss of the connection.
func (c *Conn) losePublishes() {
	all := c.outbox.Of(nil)
	c.outbox.Lost()
	for _, e := range all {
		e.Value.(*publishing).settle(ErrDisconnected)
	}
}

// cancelPublishes ends the messages of a room that has ended. A nil error means
// that it was left.
func (c *Conn) cancelPublishes(in *Room, err error) {
	if err == nil {
		err = wire.ErrBadRoom
	}
	for _, e := range c.outbox.Of(in) {
		c.outbox.Cancel(e)
		e.Value.(*publishing).settle(err)
	}
}
