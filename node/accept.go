package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/stoa-io/stoa/access"
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
	// Header is empty; the handler adds fields to the answer, also to that of a
	// refusal: Set-Cookie, WWW-Authenticate. Those of the handshake and of the
	// body belong to the node.
	Header http.Header
	// Protocol is the subprotocol that the answer selects, one of those that
	// the client offers; empty selects none, and browsers then close a
	// connection that has offered one. The handler gets the choice of
	// Config.Subprotocols.
	Protocol string
	// Identity has the user and the permissions of the client. The handler that
	// authenticates it sets them; later handlers may add to them. They must not
	// change afterwards.
	Identity access.Identity

	values map[any]any
	remote string // the address of the client before the handlers
}

// Set keeps a value for Conn.Value.
func (a *Accept) Set(key, value any) {
	if a.values == nil {
		a.values = make(map[any]any)
	}
	a.values[key] = value
}

// Protocols returns the subprotocols that the client offers, in its order of
// preference. The slice is the caller's.
func (a *Accept) Protocols() []string {
	return engine.Subprotocols(a.Request.Header.Values("Sec-Websocket-Protocol"))
}

// check returns why the handler's additions cannot become part of an answer.
func (a *Accept) check() error {
	if a.Protocol != "" && !slices.Contains(a.Protocols(), a.Protocol) {
		return fmt.Errorf("the client has not offered the subprotocol %q", a.Protocol)
	}
	return cmp.Or(engine.CheckAnswer(a.Header), a.Identity.Validate())
}

// Refusal is the error with which an accept handler refuses a client.
//
// Browsers hide the answer to a failed handshake from pages. So a request with
// an Origin header is answered with a WebSocket, in which the client gets the
// Reason (in place of the acknowledgement) and a close code; any other request
// is answered with the Status. Clients of both kinds react in the same way:
//
//	Status                     close code               the clients
//	401                        [wire.CodeUnauthorized]  stay closed: log in again
//	408, 425, 429, 501 to 599  [wire.CodeTryAgainLater] try again later
//	500                        [wire.CodeInternalError] try again later
//	any other                  [wire.CodeForbidden]     stay closed: not allowed
type Refusal struct {
	// Status is an HTTP status, 400 to 599.
	Status int
	// Reason is for the client. A close frame has room for 123 bytes of it.
	Reason string
	// RetryAfter suggests a delay to clients that try again; zero suggests
	// none.
	RetryAfter time.Duration
	// Form is how the client gets the refusal.
	Form RefusalForm
}

// RefusalForm is how a client gets a refusal.
type RefusalForm uint8

// The forms of a refusal. The zero value, RefusalAuto, chooses RefusalWebSocket
// for a request with an Origin header, and else RefusalHTTP.
const (
	RefusalAuto RefusalForm = iota
	// RefusalHTTP answers the request with the status.
	RefusalHTTP
	// RefusalWebSocket opens a WebSocket to say why, and closes it with a code.
	RefusalWebSocket
)

// String returns the form as one lower-case word.
func (f RefusalForm) String() string {
	switch f {
	case RefusalAuto:
		return "auto"
	case RefusalHTTP:
		return "http"
	case RefusalWebSocket:
		return "websocket"
	}
	return "unknown"
}

// Error implements error.
func (r *Refusal) Error() string { return fmt.Sprintf("node: refused with %d: %s", r.Status, r.Reason) }

// Refuse returns a Refusal. The client sees the reason; see Refusal for the
// status, 400 to 599.
func Refuse(status int, reason string) error { return &Refusal{Status: status, Reason: reason} }

// refusal is the client's answer for an error of the accept handler.
func refusal(err error) *Refusal {
	var refused *Refusal
	if errors.As(err, &refused) && refused.Status >= 400 && refused.Status <= 599 {
		return refused
	}
	return &Refusal{Status: http.StatusInternalServerError, Reason: "the request cannot be served"}
}

// decision answers the request with the refusal.
func (r *Refusal) decision(a *Accept) engine.Decision {
	return r.answer(a.Request.Header.Get("Origin") != "", a.Protocols(), a.Protocol, a.Header)
}

// limited answers a request that exceeds a limit of addresses.
func limited(r *engine.LimitedRequest) engine.Decision {
	no := &Refusal{Status: r.Status, Reason: r.Reason, RetryAfter: r.RetryAfter}
	return no.answer(r.IsPage, engine.Subprotocols(r.Protocols), "", nil)
}

// answer is the answer to a request that offers subprotocols. protocol and
// header are the choices of accept handlers.
func (r *Refusal) answer(isPage bool, offered []string, protocol string, header http.Header) engine.Decision {
	d := engine.Decision{Status: r.Status, Reason: r.Reason, Protocol: protocol, Header: header}
	if r.Form == RefusalWebSocket || r.Form == RefusalAuto && isPage {
		d.Explain = true
		d.Value = &hub.Refusal{Text: r.Reason, Code: r.code(), Reason: r.closeReason()}
		if d.Protocol == "" && len(offered) > 0 {
			// Without one, a browser would close the connection itself.
			d.Protocol = offered[0]
		}
		return d
	}
	if r.RetryAfter > 0 {
		if d.Header == nil {
			d.Header = make(http.Header)
		}
		d.Header.Set("Retry-After", strconv.Itoa(int(math.Ceil(r.RetryAfter.Seconds()))))
	}
	return d
}

// code is the close code for the status.
func (r *Refusal) code() wire.Code {
	switch r.Status {
	case http.StatusUnauthorized:
		return wire.CodeUnauthorized
	case http.StatusInternalServerError:
		return wire.CodeInternalError
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return wire.CodeTryAgainLater
	}
	if r.Status > http.StatusInternalServerError {
		return wire.CodeTryAgainLater
	}
	return wire.CodeForbidden
}

// closeReason is the reason of the close frame, with the suggested delay
// (protocol.md section 9).
func (r *Refusal) closeReason() string {
	const longest = 123 // RFC 6455 section 5.5: 125 less the code
	suggestion := ""
	if r.RetryAfter > 0 && r.code().Retry() {
		suggestion = "; retry-after=" + strconv.FormatInt(max(1, min(r.RetryAfter, 24*time.Hour).Milliseconds()), 10)
	}
	reason := strings.ToValidUTF8(r.Reason, "\uFFFD")
	for len(reason)+len(suggestion) > longest {
		_, size := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-size]
	}
	return reason + suggestion
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
	ctx := newAcceptContext(r.Context(), l.Context(), u.config.Timeouts.Handshake)
	defer ctx.end()
	a := &Accept{Request: r.WithContext(ctx), Header: make(http.Header), remote: r.RemoteAddr}
	a.Protocol = engine.SelectSubprotocol(u.config.Subprotocols, r.Header.Values("Sec-Websocket-Protocol"))
	err := u.callHandler(ctx, a, poolOf(l.Shard().(*hub.Shard)))
	if err == nil { // it may ask the other nodes, which a refused client must not cause
		err = u.checkUser(ctx, a.Identity.User)
	}
	d := engine.Decision{Value: a, Protocol: a.Protocol, Header: a.Header}
	if err != nil {
		d = refusal(err).decision(a)
	}
	d.Late = errors.Is(ctx.Err(), context.DeadlineExceeded)
	return d
}

// acceptContext is the context of an accept handler: that of its request, with
// a deadline, canceled when the loop or the handler ends. Most handlers do not
// wait for anything, so its timer starts when a handler asks for Done.
type acceptContext struct {
	request, loop context.Context
	deadline      time.Time // zero: none

	mu      sync.Mutex
	waiting context.Context    // guarded by mu; nil until Done is called
	cancel  context.CancelFunc // guarded by mu; of waiting
	err     error              // guarded by mu; once it is set it stays
}

// newAcceptContext returns a context, of which the caller calls end. A request
// that the loop has read has no context of its own; that of an application's
// HTTP server may outlive the loop.
func newAcceptContext(request, loop context.Context, timeout time.Duration) *acceptContext {
	if request == context.Background() {
		request = loop
	}
	c := &acceptContext{request: request, loop: loop}
	if timeout > 0 {
		c.deadline = time.Now().Add(timeout)
	}
	return c
}

// Deadline implements context.Context.
func (c *acceptContext) Deadline() (time.Time, bool) {
	earliest, ok := c.request.Deadline()
	if !c.deadline.IsZero() && (!ok || c.deadline.Before(earliest)) {
		return c.deadline, true
	}
	return earliest, ok
}

// Value implements context.Context. The keys of package context find the
// context that Done has started, so that contexts of handlers need no
// goroutine.
func (c *acceptContext) Value(key any) any {
	c.mu.Lock()
	waiting := c.waiting
	c.mu.Unlock()
	if waiting != nil {
		return waiting.Value(key)
	}
	return c.request.Value(key)
}

// Done implements context.Context.
func (c *acceptContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		ended := c.errLocked() != nil
		ctx, cancel := context.WithCancel(c.request)
		stop := context.AfterFunc(c.loop, cancel)
		inner, cancelInner := ctx, context.CancelFunc(func() {})
		if !c.deadline.IsZero() {
			inner, cancelInner = context.WithDeadline(ctx, c.deadline)
		}
		c.waiting = inner
		c.cancel = func() {
			cancelInner()
			stop()
			cancel()
		}
		if ended {
			c.cancel()
		}
	}
	return c.waiting.Done()
}

// Err implements context.Context.
func (c *acceptContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.errLocked()
}

// errLocked settles the error when there is one: it must not change. The caller
// holds mu.
func (c *acceptContext) errLocked() error {
	switch {
	case c.err != nil:
	case c.waiting != nil:
		c.err = c.waiting.Err()
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		c.err = context.DeadlineExceeded
	case c.request.Err() != nil:
		c.err = c.request.Err()
	case c.loop.Err() != nil:
		c.err = context.Canceled
	}
	return c.err
}

// end cancels the context when its handler has returned.
func (c *acceptContext) end() {
	c.mu.Lock()
	cancel := c.cancel
	if cancel == nil && c.errLocked() == nil {
		c.err = context.Canceled
	}
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// callHandler calls the accept handlers until one refuses.
func (u *upgrader) callHandler(ctx context.Context, a *Accept, pool *handlerPool) (err error) {
	result := HandlerPanicked
	defer pool.accept(a)()
	defer func() {
		if result == HandlerPanicked {
			err = wire.ErrInternal
			a.Protocol, a.Header, a.Identity = "", nil, access.Identity{} // not checked
			u.log.Error("handler panicked", logHandler, HandlerAccept.String(),
				logReason, fmt.Sprint(recover()), logStack, string(debug.Stack()))
		}
		pool.count(HandlerAccept, result)
	}()
	for _, h := range u.on.accept {
		if err = h(ctx, a); err != nil {
			break
		}
	}
	result = HandlerOK
	if unusable := a.check(); unusable != nil {
		u.log.Error("the accept handler has left an unusable answer", logError, unusable)
		a.Protocol, a.Header, a.Identity = "", nil, access.Identity{}
		err = cmp.Or(err, unusable)
	}
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
	c.identity.Store(&a.Identity)
	c.handle.InitClosed(s, c, a.Request.RemoteAddr)
	queue := c.handle.Queue()
	queue.Init((*taskOwner)(c), poolOf(s).Pool)
	queue.Add(prepare(&notice{handlerCall{kind: HandlerClosed, ending: true}, func(ctx context.Context) error {
		h(ctx, &ClosedEvent{Conn: c, Code: wire.CodeAbnormal, By: ByServer})
		return nil
	}}))
}
