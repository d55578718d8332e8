package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// Bearer returns an Options.Authenticate that sends a token in the header
// Authorization, and hands in another one when the identity of the connection
// is about to end. token is called for each of them.
func Bearer(token func(ctx context.Context) (string, error)) func(ctx context.Context) (http.Header, error) {
	return func(ctx context.Context) (http.Header, error) {
		text, err := token(ctx)
		if err != nil {
			return nil, err
		}
		return http.Header{"Authorization": {bearerScheme + text}}, nil
	}
}

const bearerScheme = "Bearer "

// bearerToken returns the token that a header carries (RFC 6750 section 2.1),
// empty if there is none.
func bearerToken(h http.Header) string {
	for name, values := range h {
		if http.CanonicalHeaderKey(name) != "Authorization" || len(values) == 0 {
			continue
		}
		if value := values[0]; len(value) > len(bearerScheme) && strings.EqualFold(value[:len(bearerScheme)], bearerScheme) {
			return value[len(bearerScheme):]
		}
	}
	return ""
}

// RenewalHandler is notified of the end of an attempt to renew the identity of
// an open connection.
type RenewalHandler func(ctx context.Context, e *RenewalEvent)

// RenewalEvent reports that the server has taken a new token, or why not.
type RenewalEvent struct {
	Conn *Conn
	// Err is that of Options.Authenticate, or the server's answer. Nil: the
	// server has taken the token.
	Err error
	// Delay is the time before the next attempt. Zero: there is none, and
	// unless Err is nil the server will close the connection.
	Delay time.Duration
}

// isFinal reports whether an error of Options.Authenticate means that no other
// call will have a better result.
func isFinal(err error) bool {
	return errors.Is(err, ErrRefused) || errors.Is(err, wire.ErrUnauthorized)
}

func (c *Conn) authenticate(ctx context.Context) (http.Header, error) {
	type result struct {
		header http.Header
		err    error
	}
	done := make(chan result, 1)
	go func() {
		r := result{err: wire.ErrInternal}
		defer func() {
			// A panic must not end the process, as with handlers.
			if cause := recover(); cause != nil {
				c.handlers.reportPanic("authenticate", cause)
			}
			done <- r
		}()
		r.header, r.err = c.options.Authenticate(ctx)
	}()
	select {
	case r := <-done:
		return r.header, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// renewal is the renewal of the identity of a transport.
type renewal struct {
	cancel  context.CancelFunc // guarded by conn.mu; nil: none is running
	running sync.WaitGroup     // grows with conn.mu held, while the transport is not over
}

// Expiring implements session.ExpiryDriver. The server closes the connection
// unless the client hands in a new token by then.
func (t *transport) Expiring(milliseconds int64) {
	c := t.conn
	if c.options.Authenticate == nil || t.renewal.cancel != nil || t.over {
		return
	}
	left := time.Duration(min(milliseconds, longestRenewal.Milliseconds())) * time.Millisecond
	ctx, cancel := context.WithTimeout(c.ctx, left)
	t.renewal.cancel = cancel
	t.renewal.running.Go(func() {
		t.renew(ctx, left)
		c.mu.Lock()
		defer c.mu.Unlock()
		t.renewal.cancel = nil
		cancel()
	})
}

// longestRenewal bounds the time for a renewal.
const longestRenewal = 24 * time.Hour

// renew hands in new tokens until the server takes one or the time is over. The
// pauses double from a thirty-second of the time: there are about six attempts,
// as a node takes only a few per minute.
func (t *transport) renew(ctx context.Context, left time.Duration) {
	for pause := left / 32; ; pause *= 2 {
		err, final := t.handIn(ctx)
		if err != nil && ctx.Err() != nil {
			return // the connection has closed, or is about to
		}
		e := &RenewalEvent{Conn: t.conn, Err: err}
		if err != nil && !final {
			e.Delay = pause/2 + rand.N(pause/2+1)
		}
		t.conn.renewed(e)
		if e.Delay == 0 {
			return
		}
		timer := time.NewTimer(e.Delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// renewed notifies the application of an attempt.
func (c *Conn) renewed(e *RenewalEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Err != nil {
		c.options.Logger.Info("identity not renewed", logReason, e.Err.Error(), logDelay, e.Delay)
	}
	if handler := c.options.OnRenewal; handler != nil && c.state != StateClosed {
		c.notify("renewal", "", false, func(ctx context.Context) { handler(ctx, e) })
	}
}

// handIn gets a new token and hands it in. final: another attempt is pointless.
func (t *transport) handIn(ctx context.Context) (err error, final bool) {
	c := t.conn
	header, err := c.authenticate(ctx)
	if err != nil {
		return fmt.Errorf("client: authenticate: %w", err), isFinal(err)
	}
	token := bearerToken(header)
	if token == "" {
		return errNoToken, true
	}
	ended := make(chan error, 1)
	c.mu.Lock()
	if t.over {
		c.mu.Unlock()
		return ErrDisconnected, true
	}
	_, err = t.ask(func(s *session.Session) (uint64, error) {
		return s.AskAuthenticate([]byte(token))
	}, func(a *session.Answer) { ended <- a.Err })
	c.mu.Unlock()
	if err != nil {
		return err, true
	}
	select {
	case err := <-ended:
		return err, false
	case <-ctx.Done():
	}
	select {
	case err := <-ended: // both at once
		return err, false
	default:
		return ctx.Err(), true
	}
}
