package client

import (
	"errors"
	"slices"
	"time"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// This file restores the namespaces and rooms of the last transport on a new
// one. The callers of all functions hold conn.mu.

// begin starts the session.
func (t *transport) begin() {
	t.session.Init(&t.conn.sessions, t)
	if t.conn.options.NativeOnly {
		t.ready()
		return
	}
	t.session.Hello()
}

// rejoin asks for all namespaces at once, and for the rooms of each when it is
// connected.
func (t *transport) rejoin() {
	t.phase = phaseRejoin
	for _, ns := range slices.Clone(t.conn.namespaces) {
		t.restore(func(s *session.Session) (uint64, error) { return s.AskConnect(nsRef{ns}, ns.body) },
			func() { t.rejoinRooms(ns) },
			func(err error) { t.conn.disconnected(ns, true, err) })
	}
	if limit := t.conn.options.AskTimeout; limit > 0 && t.pending > 0 {
		t.timer = time.AfterFunc(limit, func() {
			t.conn.mu.Lock()
			defer t.conn.mu.Unlock()
			if !t.over && t.phase == phaseRejoin {
				t.abort(wire.ErrTimeout)
			}
		})
	}
}

func (t *transport) rejoinRooms(ns *NSConn) {
	for _, in := range slices.Clone(ns.rooms) {
		t.restore(func(s *session.Session) (uint64, error) { return s.AskJoin(nsRef{ns}, in, in.body) },
			func() {},
			func(err error) { t.conn.left(in, true, err) })
	}
}

// restore asks for a namespace or a room that the last transport had.
func (t *transport) restore(start func(*session.Session) (uint64, error), granted func(), refused func(error)) {
	t.pending++
	_, err := t.ask(start, func(a *session.Answer) {
		t.pending--
		switch {
		case t.over:
		case a.Err == nil:
			granted()
		case errors.Is(a.Err, wire.ErrUnavailable) || errors.Is(a.Err, wire.ErrTimeout):
			// The server cannot decide at the moment. Ending the room because
			// its broker is unreachable for a moment would lose it for good.
			t.failure = a.Err
		default:
			refused(a.Err)
		}
	})
	if err != nil {
		t.pending--
		refused(err)
	}
}

// settle completes changes that callbacks of the session must not make
// themselves.
func (t *transport) settle() {
	switch {
	case t.over:
	case t.failure != nil:
		t.abort(t.failure)
	case t.phase == phaseRejoin && t.pending == 0:
		t.ready()
	}
}

// ready sends the buffered emits and reports the state.
func (t *transport) ready() {
	c := t.conn
	if t.timer != nil {
		t.timer.Stop()
	}
	t.phase, t.readySince = phaseReady, time.Now()
	for _, e := range c.buffer.take() {
		if e.scope.missing() == nil {
			t.push(outgoing{payload: e.payload, binary: e.binary, emit: e})
		}
	}
	first := c.state == StateConnecting
	c.move(&StateEvent{Conn: c, From: c.state, To: StateConnected, ID: c.id, Attempt: max(c.backoff.attempt, 1), Delay: c.backoff.delay})
	if first {
		close(c.opened)
	}
}
