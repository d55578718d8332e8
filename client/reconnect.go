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

// backoff is the state from which delays are computed.
type backoff struct {
	// attempt is the number of the next attempt since the last connection, from
	// 1.
	attempt int
	// exponent grows with every delay and outlasts short connections, so a
	// server that accepts and drops its clients at once is not dialed in a
	// tight loop.
	exponent int
	delay    time.Duration
}

// delay returns the time before an attempt; draw is random in [0, 1). The
// jitter is applied after the cap: before it, all clients would meet at the
// cap. A delay suggested by the server replaces the computed one, from the base
// up to twice the cap, and is spread by half of itself.
func (r *Reconnect) delay(exponent int, suggested time.Duration, draw float64) time.Duration {
	if suggested > 0 {
		return time.Duration(float64(min(max(suggested, r.Base), 2*r.Cap)) * (1 + draw/2))
	}
	return time.Duration(draw * min(float64(r.Cap), float64(r.Base)*math.Pow(r.Factor, float64(exponent))))
}

// retryAfter matches the suggested delay in a close reason, in milliseconds.
var retryAfter = regexp.MustCompile(`; ?retry-after=([0-9]{1,9})$`)

// suggestion returns the delay suggested by the server, or zero.
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

// attempt makes one attempt and, if it succeeds, serves the transport until it
// is closed.
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
	tr := newTransport(c, socket, buffered)
	c.transport = tr
	tr.begin()
	c.mu.Unlock()
	extended, end := forgiving(ctx)
	defer end()
	stop := context.AfterFunc(extended, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !tr.over && tr.phase == phaseHello {
			tr.abort(ErrAcknowledge)
		}
	})
	tr.run()
	stop()
}

// lost schedules the next attempt or closes the Conn, after a transport is over
// or an attempt has failed (tr is nil). The caller holds mu.
func (c *Conn) lost(tr *transport, err error) {
	c.lastErr = err
	e := &StateEvent{Conn: c, From: c.state, To: c.state, Err: err}
	if tr != nil {
		c.transport = nil
		c.buffer.putBack(tr.queue)
		tr.queue, tr.queued = nil, 0
	}
	if tr != nil && tr.phase == phaseReady {
		e.To, e.Code, c.backoff.attempt = StateReconnecting, wire.CodeAbnormal, 0
		if r := &c.options.Reconnect; time.Since(tr.readySince) >= r.delay(c.backoff.exponent, 0, 1) {
			c.backoff.exponent = 0
		}
	}
	e.setClose(err)
	if final := c.final(tr, err); final != nil {
		c.finish(final)
		return
	}
	b := &c.backoff
	b.delay = c.options.Reconnect.delay(b.exponent, suggestion(err), rand.Float64())
	b.attempt++
	b.exponent++
	e.Attempt, e.Delay = b.attempt, b.delay
	c.move(e)
	c.options.Logger.LogAttrs(context.Background(), slog.LevelInfo, "not connected",
		slog.String(logReason, err.Error()), slog.Int(logAttempt, e.Attempt), slog.Duration(logDelay, e.Delay))
}

// final returns the error of a Conn that makes no further attempt, or nil.
func (c *Conn) final(tr *transport, err error) error {
	r := &c.options.Reconnect
	var closed *CloseError
	var refused *RefusedError
	switch {
	case r.Off:
		return err
	case errors.As(err, &closed):
		// Without others, the ended credentials would be sent again.
		if !closed.Code.Retry() || closed.Code == wire.CodeExpired && c.options.Authenticate == nil {
			return err
		}
	case errors.As(err, &refused):
		if refused.isFinal(c.state == StateConnecting) {
			return err
		}
	case isFinal(err):
		return err
	case c.state == StateConnecting && hopeless(err):
		return err
	}
	if failed := tr == nil || tr.phase != phaseReady; failed && r.Attempts > 0 && c.backoff.attempt >= r.Attempts {
		return fmt.Errorf("%w: %w", ErrGaveUp, err)
	}
	return nil
}

// isFinal reports whether another attempt is pointless. Status codes that load
// balancers answer while a server is being replaced (404, for example) are
// final for the first connection only.
func (e *RefusedError) isFinal(first bool) bool {
	switch e.Status {
	case 0:
		// The text alone is final; some close codes say that a later attempt
		// may succeed.
		return e.Code < wire.CodeInternalError || e.Code > wire.CodeTryAgainLater
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusGone:
		return true
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return first && e.Status < http.StatusInternalServerError
}

// hopeless reports errors of a first attempt that would recur in a second one.
func hopeless(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate) || errors.Is(err, errScheme)
}

// move changes the state and notifies the application. The caller holds mu.
func (c *Conn) move(e *StateEvent) {
	c.state = e.To
	c.change()
	if handler := c.options.OnState; handler != nil {
		c.notify("state", "", e.To == StateClosed, func(ctx context.Context) { handler(ctx, e) })
	}
}

// finish closes the Conn for good. The caller holds mu.
func (c *Conn) finish(err error) {
	if c.state == StateClosed {
		return
	}
	e := &StateEvent{Conn: c, From: c.state, To: StateClosed, Err: err}
	e.setClose(err)
	c.state, c.err = StateClosed, err
	c.unsent = len(c.buffer.take()) > 0
	if tr := c.transport; tr != nil {
		how := endingFlush
		if tr.phase != phaseReady {
			how = endingCut
		}
		tr.end(how, wire.CodeNormal)
		c.transport = nil
	}
	for _, ns := range slices.Clone(c.namespaces) {
		c.disconnected(ns, true, err)
	}
	c.move(e)
	c.cancel()
	close(c.done)
}
