package hub

import (
	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// maxToken is the size of the largest token that a client may hand in, in
// bytes: that of a request head, in which it would arrive otherwise.
const maxToken = 8 << 10

// RenewalResult is what became of a token that a client handed in.
type RenewalResult uint8

// The results of a renewal.
const (
	RenewalAccepted  RenewalResult = iota
	RenewalRefused                 // the token is not good, or too long
	RenewalForbidden               // the token of another user, or the client may not log in
	RenewalFailed                  // it could not be verified
	RenewalLimited                 // too many: the connection was closed
	RenewalUnhandled               // the application takes no tokens
	RenewalResults                 // how many there are
)

// String returns the result as one lower-case word.
func (r RenewalResult) String() string {
	return [...]string{"accepted", "refused", "forbidden", "failed", "limited", "unhandled", "unknown"}[min(r, RenewalResults)]
}

// mayAuthenticate reports whether the application decides about a token that
// the client hands in. To verify one costs a signature check: so a client may
// hand in few, one at a time.
func (c *Client) mayAuthenticate(r *session.Request) bool {
	const window = 60_000 // milliseconds
	s, l := c.Shard(), c.needLife()
	now := s.loop.Now()
	if l.asked == 0 || now-l.askedSince > window {
		l.asked, l.askedSince = 0, now
	}
	l.asked++
	switch limit := s.limits().Authentications; {
	case limit > 0 && l.asked > limit:
		c.CountRenewal(RenewalLimited)
		c.Close(uint16(wire.CodePolicy), "too many tokens")
		return false
	case len(r.Message.Body) > maxToken:
		c.CountRenewal(RenewalRefused)
		c.session.Reject(r, wire.ErrUnauthorized.Error())
		return false
	}
	return true
}

// Renew replaces the identity of the connection by that of the token that the
// client has handed in.
func (c *Client) Renew(r *session.Request, id *access.Identity) {
	if !c.IsOpen() {
		return
	}
	c.CountRenewal(RenewalAccepted)
	c.SetIdentity(id)
	accept := func() {
		c.session.AcceptAuthenticate(r)
		c.drainBacklog()
	}
	if c.User() != "" && c.extra.identity.since == 0 { // it was anonymous
		c.joinUser(accept)
		return
	}
	accept()
}

// CountRenewal counts a token. The application counts those that it refuses.
func (c *Client) CountRenewal(result RenewalResult) { c.Shard().stats.Renewals[result]++ }
