package client

import (
	"errors"
	"slices"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// This file restores the namespaces and rooms of the last transport on a new
// one. The callers of all functions hold conn.mu.

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
		t.timer = afterTimeout(limit, func() {
			t.conn.mu.Lock()
			defer t.conn.mu.Unlock()
			if !t.over && t.phase == phaseRejoin {
				t.abort(wire.ErrTimeout)
			}
		})
	}
}

func (t *transport) rejoinRooms(ns *NSConn) {
	for _, in := range ns.rooms.list() {
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
