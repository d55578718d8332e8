package node

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// errAnotherUser refuses the token of another user.
var errAnotherUser = errors.New("the token is another user's")

// authenticate lets the handler verify a token that the client hands in. Later
// messages of the client wait behind it.
func (a *app) authenticate(c *hub.Client, r *session.Request) (decides bool) {
	h := a.on.authenticate
	if h == nil {
		return false
	}
	if !a.allowsLogin(c) {
		c.CountRenewal(hub.RenewalForbidden)
		c.Session().Reject(r, wire.ErrForbidden.Error())
		return true
	}
	made := a.ensureHandle(c)
	t := &authenticateTask{handler: h, conn: made, request: c.Session().Defer(r)}
	t.kind, t.Size = HandlerAuthenticate, len(t.request.Message.Body)
	a.dispatch(c, t)
	return true
}

// allowsLogin reports whether the connection has a user, or may get one.
func (a *app) allowsLogin(c *hub.Client) bool {
	id := c.Identity()
	return a.config.AllowLogin || id != nil && id.User != ""
}

// authenticateTask asks the handler about a token, and carries the result to
// the loop.
type authenticateTask struct {
	handlerCall
	handler AuthenticateHandler
	conn    *Conn
	request *session.Request

	id     *access.Identity // nil: refused
	result hub.RenewalResult
	err    error
}

// Do implements taskqueue.Work.
func (t *authenticateTask) Do(ctx context.Context) error {
	id, err := t.handler(ctx, &AuthenticateRequest{Conn: t.conn, Token: string(t.request.Message.Body)})
	if err == nil && hasEnded(&id) {
		err = wire.ErrUnauthorized
	}
	if err != nil {
		// Only the log has the reason: it may be about keys or other servers.
		t.conn.logHandler(slog.LevelDebug, "token refused", &t.handlerCall, logError, err.Error())
		return tokenError(err)
	}
	if err := id.Validate(); err != nil {
		return t.conn.unusable(&t.handlerCall, err)
	}
	t.id = &id
	t.conn.handle.Submit(t)
	return nil
}

// tokenError is the client's answer for an error of the handler.
func tokenError(err error) error {
	var refused *Refusal
	if !errors.As(err, &refused) {
		return wire.ErrUnauthorized
	}
	switch code := refused.code(); {
	case code == wire.CodeUnauthorized:
		return wire.ErrUnauthorized
	case code.Retry():
		return wire.ErrUnavailable
	}
	return wire.ErrForbidden
}

func (t *authenticateTask) failed(err error) {
	t.err = err
	switch t.result = hub.RenewalFailed; err {
	case wire.ErrUnauthorized:
		t.result = hub.RenewalRefused
	case wire.ErrForbidden:
		t.result = hub.RenewalForbidden
	}
	t.conn.handle.Submit(t)
}

// hasEnded reports whether an identity is not valid any more.
func hasEnded(id *access.Identity) bool { return !id.Expires.IsZero() && !id.Expires.After(time.Now()) }

// Run implements hub.Task. The user is compared here, where nothing else can
// change it. The token may have ended on its way to a busy loop.
func (t *authenticateTask) Run(*hub.Shard) {
	c := t.conn.handle.Client()
	if c == nil {
		return
	}
	if t.id != nil && hasEnded(t.id) {
		t.id, t.result, t.err = nil, hub.RenewalRefused, wire.ErrUnauthorized
	}
	if t.id != nil {
		if id := c.Identity(); id != nil && id.User != "" && id.User != t.id.User {
			t.id, t.result, t.err = nil, hub.RenewalForbidden, errAnotherUser
		}
	}
	if t.id == nil {
		c.CountRenewal(t.result)
		c.Decide(t.request, t.err)
		return
	}
	t.conn.replaceIdentity(c, t.id)
	c.Renew(t.request, t.id)
}
