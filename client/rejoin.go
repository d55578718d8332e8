package client

import (
	"errors"
	"slices"
	"time"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// How a new connection comes back to where the last one was. All of it is called with
// conn.mu held.

// begin says hello.
func (l *link) begin() {
	l.session.Init(&l.conn.sessions, l)
	if l.conn.options.NativeOnly {
		l.ready()
		return
	}
	l.session.Hello()
}

// rejoin asks for all namespaces at once, and for all rooms of each when it is there.
func (l *link) rejoin() {
	l.phase = phaseRejoin
	for _, ns := range slices.Clone(l.conn.namespaces) {
		l.again(func(s *session.Session) (uint64, error) { return s.AskConnect(member{ns}, nil) },
			func() { l.rejoinRooms(ns) },
			func(err error) { l.conn.disconnected(ns, true, err) })
	}
	if limit := l.conn.options.AskTimeout; limit > 0 && l.pending > 0 {
		l.timer = time.AfterFunc(limit, func() {
			l.conn.mu.Lock()
			defer l.conn.mu.Unlock()
			if !l.over && l.phase == phaseRejoin {
				l.abort(wire.ErrTimeout)
			}
		})
	}
}

func (l *link) rejoinRooms(ns *NSConn) {
	for _, in := range slices.Clone(ns.rooms) {
		l.again(func(s *session.Session) (uint64, error) { return s.AskJoin(member{ns}, in) },
			func() {},
			func(err error) { l.conn.left(in, true, err) })
	}
}

// again asks for something that the last connection had.
func (l *link) again(start func(*session.Session) (uint64, error), granted func(), refused func(error)) {
	l.pending++
	_, err := l.ask(start, func(a *session.Answer) {
		l.pending--
		switch {
		case l.over:
		case a.Err == nil:
			granted()
		case errors.Is(a.Err, wire.ErrUnavailable) || errors.Is(a.Err, wire.ErrTimeout):
			// The server cannot say now. To end a room because its broker is away for a
			// moment would lose it for good.
			l.failure = a.Err
		default:
			refused(a.Err)
		}
	})
	if err != nil {
		l.pending--
		refused(err)
	}
}

// settle does what callbacks of the session have brought about and must not do
// themselves.
func (l *link) settle() {
	switch {
	case l.over:
	case l.failure != nil:
		l.abort(l.failure)
	case l.phase == phaseRejoin && l.pending == 0:
		l.ready()
	}
}

// ready sends what was kept, and tells the program.
func (l *link) ready() {
	c := l.conn
	if l.timer != nil {
		l.timer.Stop()
	}
	l.phase, l.since = phaseReady, time.Now()
	for _, e := range c.buffer.take() {
		if e.place.missing() == nil {
			l.push(outgoing{payload: e.payload, binary: e.binary, emission: e})
		}
	}
	first := c.state == StateConnecting
	c.move(Transition{Conn: c, From: c.state, To: StateConnected, ID: c.id, Attempt: max(c.backoff.attempt, 1), Delay: c.backoff.delay})
	if first {
		close(c.opened)
	}
}
