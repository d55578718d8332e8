package session

import (
	"strconv"

	"github.com/stoa-io/stoa/wire"
)

// The end of an identity (protocol.md section 13): the server gives notice to
// clients that understand it, and a client hands in a new token.

// ExpiryDriver is a Driver of a client that wants to know when its identity is
// about to end.
type ExpiryDriver interface {
	// Expiring reports in how many milliseconds the server ends the identity.
	Expiring(milliseconds int64)
}

// Understands reports whether the peer has named all these features: a client
// in its hello, a server in its acknowledgement.
func (s *Session) Understands(features wire.Features) bool { return s.features&features == features }

// NotifyExpiry tells a client that its identity ends in so many milliseconds.
// It does nothing unless the client understands it and is acknowledged.
func (s *Session) NotifyExpiry(milliseconds int64) bool {
	if s.state != open || !s.Understands(wire.FeatureExpiry) {
		return false
	}
	c := borrow()
	m := &c.message
	m.Event = c.bytes(wire.EventAuthenticate)
	m.Body = strconv.AppendInt(nil, milliseconds, 10)
	c.payload = wire.Append(c.payload[:0], m)
	s.driver.Send(c.payload, false)
	c.release()
	return true
}

// AskAuthenticate hands in a token, on a client.
func (s *Session) AskAuthenticate(token []byte) (uint64, error) {
	if err := s.usable(); err != nil {
		return 0, err
	}
	return s.sendAsk(ask{kind: Authenticate, namespace: nowhere{}}, Authenticate.event(), token, false), nil
}

// nowhere is the namespace of an ask that belongs to none.
type nowhere struct{}

// Name implements Namespace.
func (nowhere) Name() string { return "" }

// authenticate takes a message with the event of its own: a request on a
// server, a notice on a client.
func (s *Session) authenticate(c *scratch) Verdict {
	m := &c.message
	if s.config.Role == Server {
		return s.offer(c, Request{Kind: Authenticate})
	}
	s.ReplyError(m, wire.ErrUnhandled.Error())
	return VerdictIgnored
}

// expiring takes the notice of the server.
func (s *Session) expiring(m *wire.Message) Verdict {
	d, ok := s.driver.(ExpiryDriver)
	if !ok || len(m.Body) > maxNotice {
		return VerdictIgnored
	}
	milliseconds, err := strconv.ParseInt(string(m.Body), 10, 64)
	if err != nil || milliseconds < 0 {
		return VerdictIgnored
	}
	d.Expiring(milliseconds)
	return VerdictHandled
}

// maxNotice is the length of the longest number in a notice: with more digits
// the end would be thousands of years away.
const maxNotice = 16

// AcceptAuthenticate answers a request whose token is good. It returns false if
// the session is closed.
func (s *Session) AcceptAuthenticate(r *Request) bool {
	if r.Kind != Authenticate || !s.settle(r) {
		return false
	}
	defer s.drain()
	s.grant(r.Message, r.Reply)
	return true
}
