package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/wire"
)

// Accept is a WebSocket that a client wants to open, as the accept handler sees
// it.
type Accept struct {
	// Request is the client's: its header, query, cookies, RemoteAddr and TLS.
	// It has no body, and its context is that of the handler.
	Request *http.Request

	values map[any]any
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

// Refuse returns a Refusal. The client sees both the status, 400 to 599, and
// the reason.
func Refuse(status int, reason string) error { return &Refusal{status, reason} }

// refusal is the client's answer for an error of the accept handler.
func refusal(err error) *Refusal {
	var refused *Refusal
	if errors.As(err, &refused) && refused.Status >= 400 && refused.Status <= 599 {
		return refused
	}
	return &Refusal{http.StatusInternalServerError, "the request cannot be served"}
}

// upgrader asks the accept handler about upgrade requests. It implements
// engine.Upgrader.
type upgrader Node

// Begin implements engine.Upgrader: Shutdown waits for the handler.
func (u *upgrader) Begin() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.phase == phaseStopped {
		return false
	}
	u.handlers.Add(1)
	return true
}

// Done implements engine.Upgrader.
func (u *upgrader) Done() { u.handlers.Done() }

// Upgrade implements engine.Upgrader.
func (u *upgrader) Upgrade(r *http.Request, l *engine.Loop) engine.Decision {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	// An application's own HTTP server may outlive the node.
	defer context.AfterFunc(l.Context(), cancel)()
	if timeout := u.config.Timeouts.Handshake; timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	a := &Accept{Request: r.WithContext(ctx)}
	d := engine.Decision{Value: a}
	if err := u.callHandler(ctx, a, poolOf(l.Shard().(*hub.Shard))); err != nil {
		no := refusal(err)
		d.Status, d.Reason = no.Status, no.Reason
	}
	d.Late = errors.Is(ctx.Err(), context.DeadlineExceeded)
	return d
}

// callHandler calls the accept handler.
func (u *upgrader) callHandler(ctx context.Context, a *Accept, pool *handlerPool) (err error) {
	result := HandlerPanicked
	defer pool.accept(a)()
	defer func() {
		if result == HandlerPanicked {
			err = wire.ErrInternal
			u.log.Error("handler panicked", logHandler, HandlerAccept.String(),
				logReason, fmt.Sprint(recover()), logStack, string(debug.Stack()))
		}
		pool.count(HandlerAccept, result)
	}()
	err = u.on.accept(ctx, a)
	result = HandlerOK
	if err != nil {
		result = HandlerFailed
		u.log.Log(ctx, slog.LevelDebug, "connection refused", logError, err.Error())
	}
	return err
}

// NotOpened implements engine.Upgrader: it calls the closed handler for a
// connection that was accepted and that the node could not open any more.
func (u *upgrader) NotOpened(l *engine.Loop, value any) {
	h := u.on.closed
	if h == nil {
		return
	}
	a, s := value.(*Accept), l.Shard().(*hub.Shard)
	c := &Conn{node: (*Node)(u), values: a.values}
	c.handle.InitClosed(s, c, a.Request.RemoteAddr)
	queue := c.handle.Queue()
	queue.Init((*taskOwner)(c), poolOf(s).Pool)
	queue.Add(prepare(&notice{handlerCall{kind: HandlerClosed, ending: true}, func(ctx context.Context) error {
		h(ctx, &ClosedEvent{Conn: c, Code: wire.CodeAbnormal, By: ByServer})
		return nil
	}}))
}
