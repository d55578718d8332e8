package node

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/stoa-io/stoa/wire"
)

// Accept is a WebSocket that a client wants to open, as the accept handler sees
// it.
type Accept struct {
	// Request is the client's: its header, query, cookies, RemoteAddr and TLS. It
	// has no body, and its context is that of the handler.
	Request *http.Request

	values map[any]any
	answer []byte // the answer to a good request, for an own listener's connection
	err    error  // what the handler said
	late   bool   // it took longer than it may
	place  place  // of a connection that waits for it
	gen    uint32
}

// Set keeps a value for Conn.Value.
func (a *Accept) Set(key, value any) {
	if a.values == nil {
		a.values = make(map[any]any)
	}
	a.values[key] = value
}

// Refusal is the error with which an accept handler answers a request with an
// HTTP status.
type Refusal struct {
	Status int
	Reason string
}

// Error implements error.
func (r *Refusal) Error() string { return fmt.Sprintf("node: refused with %d: %s", r.Status, r.Reason) }

// Refuse returns a Refusal. The client sees both the status, 400 to 599, and the
// reason.
func Refuse(status int, reason string) error { return &Refusal{status, reason} }

// refusal is what the client is told for an error of the accept handler.
func refusal(err error) *Refusal {
	var refused *Refusal
	if errors.As(err, &refused) && refused.Status >= 400 && refused.Status <= 599 {
		return refused
	}
	return &Refusal{http.StatusInternalServerError, "the request cannot be served"}
}

// ask calls the accept handler. loop is where the call is counted.
func (a *Accept) ask(n *Node, l *loop) {
	ctx, cancel := context.WithCancel(a.Request.Context())
	defer cancel()
	// A program's own HTTP server may go on after the node.
	defer context.AfterFunc(l.base, cancel)()
	if timeout := n.config.Timeouts.Handshake; timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	a.Request = a.Request.WithContext(ctx)
	result := HandlerPanicked
	defer l.handlers.accept(a)()
	defer func() {
		if result == HandlerPanicked {
			a.err = ErrInternal
			n.log.Error("handler panicked", logHandler, HandlerAccept.String(),
				logReason, fmt.Sprint(recover()), logStack, string(debug.Stack()))
		}
		l.handlers.count(HandlerAccept, result)
	}()
	a.err = n.on.accept(ctx, a)
	a.late = errors.Is(ctx.Err(), context.DeadlineExceeded)
	result = HandlerOK
	if a.err != nil {
		result = HandlerFailed
		n.log.Log(ctx, slog.LevelDebug, "connection refused", logError, a.err.Error())
	}
}

// consider lets the program decide about a good request of an own listener's
// connection. Meanwhile nothing is read from it.
func (c *conn) consider(head, answer []byte) {
	l := c.loop
	c.state = connAccepting
	a := &Accept{answer: bytes.Clone(answer), place: c.place(), gen: c.generation}
	head, peer, stream := bytes.Clone(head), c.remoteAddr(), c.stream
	l.node.handlers.Go(func() {
		defer func() {
			if !l.post(item{kind: itemAccept, place: a.place, generation: a.gen, errand: &errand{accept: a}}) {
				l.neverOpened(a)
			}
		}()
		request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			// gobwas/ws has read it; net/http is stricter.
			a.err = Refuse(http.StatusBadRequest, "malformed HTTP request")
			return
		}
		request.RemoteAddr = peer
		if stream != nil {
			request.TLS = tlsState(stream.conn)
		}
		a.Request = request.WithContext(l.base)
		a.ask(l.node, l)
	})
}

// lateReason is what a client is told when the accept handler takes too long.
const lateReason = "the request was not decided in time"

// accepted opens the WebSocket, or refuses it.
func (c *conn) accepted(a *Accept) {
	l := c.loop
	switch {
	case c.state != connAccepting: // it was too late
		l.neverOpened(a)
		return
	case a.err != nil:
		no := refusal(a.err)
		c.turnAway(HandshakeRefused, no.Status, no.Reason)
		return
	case a.late:
		c.turnAway(HandshakeTimeout, http.StatusServiceUnavailable, lateReason)
		l.neverOpened(a)
		return
	case l.node.draining.Load() || l.node.full():
		c.turnAway(HandshakeFull, http.StatusServiceUnavailable, "node is full or draining")
		l.neverOpened(a)
		return
	}
	c.enqueue(a.answer, 0)
	c.opened(a)
	c.resume()
}

// turnAway refuses a good request.
func (c *conn) turnAway(result HandshakeResult, status int, reason string) {
	c.loop.stats.Handshakes[result]++
	c.refuse(status, reason)
	if c.flags&flagReadable != 0 {
		c.readLater() // no event announces again what came meanwhile, the end perhaps
	}
}

// neverOpened tells the program of the end of a connection that it has accepted
// and that the node could not open any more.
func (l *loop) neverOpened(a *Accept) {
	h := l.node.on.closed
	if a.err != nil || h == nil {
		return
	}
	c := &Conn{loop: l, place: noPlace, secret: newSecret(), values: a.values, remote: a.Request.RemoteAddr, ended: true}
	c.tasks.Init((*taskOwner)(c), l.handlers.Pool)
	c.add(&notice{handlerCall{kind: HandlerClosed, ending: true}, func(ctx context.Context) error {
		h(ctx, c, Closed{Code: wire.CodeAbnormal, By: ByServer})
		return nil
	}})
}
