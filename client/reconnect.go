package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/stoa-io/stoa/wire"
)

// backoff counts what is behind the delays.
type backoff struct {
	// attempt is the number of the next one since the last connection, from 1.
	attempt int
	// exponent grows with every delay and outlasts connections that end soon, so that
	// a server which accepts and drops everybody at once is not dialled all the time.
	exponent int
	delay    time.Duration
}

// delay returns how long to wait before an attempt; draw is random in [0, 1). The
// jitter comes after the cap: before it, all clients would meet at the cap. What the
// server suggests counts in place of the computed delay, up to twice the cap, and is
// spread by half of itself.
func (r *Reconnect) delay(exponent int, suggested time.Duration, draw float64) time.Duration {
	if suggested > 0 {
		return time.Duration(float64(min(suggested, 2*r.Cap)) * (1 + draw/2))
	}
	return time.Duration(draw * min(float64(r.Cap), float64(r.Base)*math.Pow(r.Factor, float64(exponent))))
}

// retryAfter is how a close reason suggests a delay, in milliseconds.
var retryAfter = regexp.MustCompile(`; ?retry-after=([0-9]{1,9})$`)

// suggestion returns the delay that the server would like, or zero.
func suggestion(err error) time.Duration {
	var closed *CloseError
	var refused *RefusedError
	switch {
	case errors.As(err, &closed):
		if found := retryAfter.FindStringSubmatch(closed.Reason); found != nil {
			ms, _ := strconv.Atoi(found[1])
			return time.Duration(ms) * time.Millisecond
		}
	case errors.As(err, &refused):
		return refused.retryAfter
	}
	return 0
}

// supervise keeps the Conn connected until it is closed.
func (c *Conn) supervise() {
	defer close(c.finished)
	for {
		c.attempt()
		c.mu.Lock()
		delay, closed := c.backoff.delay, c.state == StateClosed
		c.mu.Unlock()
		if closed {
			return
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-c.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// attempt makes one attempt and serves the connection, if it becomes one, to its end.
func (c *Conn) attempt() {
	ctx, cancel := c.ctx, context.CancelFunc(func() {})
	if limit := c.options.DialTimeout; limit > 0 {
		ctx, cancel = context.WithTimeout(c.ctx, limit)
	}
	defer cancel()
	socket, buffered, err := c.dial(ctx)
	c.mu.Lock()
	switch {
	case c.state == StateClosed:
		c.mu.Unlock()
		if err == nil {
			_ = socket.Close()
		}
		return
	case err != nil:
		c.lost(nil, err)
		c.mu.Unlock()
		return
	}
	l := newLink(c, socket, buffered)
	c.link = l
	l.begin()
	c.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !l.over && l.phase == phaseHello {
			l.abort(ErrAcknowledge)
		}
	})
	l.run()
	stop()
}

// lost goes on after a connection was lost, or an attempt has failed (l is nil). It is
// called with mu held, when l is over.
func (c *Conn) lost(l *link, err error) {
	c.lastErr = err
	t := Transition{Conn: c, From: c.state, To: c.state, Err: err}
	if l != nil {
		c.link = nil
		c.buffer.putBack(l.queue)
		l.queue, l.queued = nil, 0
	}
	if l != nil && l.phase == phaseReady {
		t.To, t.Code, c.backoff.attempt = StateReconnecting, wire.CodeAbnormal, 0
		if r := &c.options.Reconnect; time.Since(l.since) >= r.delay(c.backoff.exponent, 0, 1) {
			c.backoff.exponent = 0
		}
	}
	var closed *CloseError
	if errors.As(err, &closed) {
		t.Code, t.Reason = closed.Code, closed.Reason
	}
	if final := c.final(l, err); final != nil {
		c.finish(final)
		return
	}
	b := &c.backoff
	b.delay = c.options.Reconnect.delay(b.exponent, suggestion(err), rand.Float64())
	b.attempt++
	b.exponent++
	t.Attempt, t.Delay = b.attempt, b.delay
	c.move(t)
	c.options.Logger.LogAttrs(context.Background(), slog.LevelInfo, "not connected",
		slog.String(logReason, err.Error()), slog.Int(logAttempt, t.Attempt), slog.Duration(logDelay, t.Delay))
}

// final returns the error with which there is no further attempt, or nil.
func (c *Conn) final(l *link, err error) error {
	r := &c.options.Reconnect
	var closed *CloseError
	var refused *RefusedError
	switch {
	case r.Off:
		return err
	case errors.As(err, &closed):
		if !closed.Code.Retry() {
			return err
		}
	case errors.As(err, &refused):
		if refused.isFinal(c.state == StateConnecting) {
			return err
		}
	case errors.Is(err, ErrRefused):
		return err
	case c.state == StateConnecting && hopeless(err):
		return err
	}
	if failed := l == nil || l.phase != phaseReady; failed && r.Attempts > 0 && c.backoff.attempt >= r.Attempts {
		return fmt.Errorf("%w: %w", ErrGaveUp, err)
	}
	return nil
}

// isFinal reports whether there is no point in another attempt. What load balancers
// say about a server that is just being replaced (404 and the like) counts for the
// first connection only.
func (e *RefusedError) isFinal(first bool) bool {
	switch e.Status {
	case 0, http.StatusUnauthorized, http.StatusForbidden, http.StatusGone:
		return true
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return first && e.Status < http.StatusInternalServerError
}

// hopeless reports errors of a first attempt that a second one would meet again.
func hopeless(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate) || errors.Is(err, errScheme)
}

// move changes the state and lets the program hear of it. It is called with mu held.
func (c *Conn) move(t Transition) {
	c.state = t.To
	c.change()
	if h := c.options.OnState; h != nil {
		c.handlers.add(0, &task{handler: "state", ending: t.To == StateClosed, run: func(context.Context) error {
			h(t)
			return nil
		}})
	}
}

// finish closes the Conn for good. It is called with mu held.
func (c *Conn) finish(err error) {
	if c.state == StateClosed {
		return
	}
	t := Transition{Conn: c, From: c.state, To: StateClosed, Err: err}
	var closed *CloseError
	if errors.As(err, &closed) {
		t.Code, t.Reason = closed.Code, closed.Reason
	}
	c.state, c.err = StateClosed, err
	c.unsent = len(c.buffer.take()) > 0
	if l := c.link; l != nil {
		how := endingFlush
		if l.phase != phaseReady {
			how = endingCut
		}
		l.end(how, wire.CodeNormal)
		c.link = nil
	}
	for _, ns := range slices.Clone(c.namespaces) {
		c.disconnected(ns, true, err)
	}
	c.move(t)
	c.cancel()
	close(c.done)
}
