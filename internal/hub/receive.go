package hub

import (
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// Message implements engine.Handler: it passes a message to the session and
// counts the result. Behind a backlog it waits, even if the session would take
// it: a join must not overtake a leave. Only answers do not wait.
func (c *Client) Message(payload []byte, binary bool) {
	var verdict session.Verdict
	if c.hasBacklog() {
		verdict = c.session.ReceiveAnswer(payload, binary)
	} else {
		verdict = c.receive(payload, binary)
	}
	switch verdict {
	case session.VerdictBusy:
		c.push(payload, binary)
		return
	case session.VerdictAnswer:
		// The node has asked for it.
		c.Uncount(len(payload))
	}
	c.judge(verdict, binary)
}

// receive passes a message to the session. A request that would change the
// state which running handlers see waits for them, and for their output: its
// answer comes after that.
func (c *Client) receive(payload []byte, binary bool) session.Verdict {
	for !c.IsSettled() {
		verdict := c.session.ReceiveEvent(payload, binary)
		if verdict != session.VerdictBusy || c.Busy() {
			return verdict
		}
		// The tasks ended in the meantime, and no notification follows.
	}
	if c.overJoins() {
		return c.receiveOverJoins(payload, binary)
	}
	return c.session.Receive(payload, binary)
}

// judge counts a message by its verdict, and closes the connection of a client
// that exceeds a limit.
func (c *Client) judge(verdict session.Verdict, binary bool) {
	c.count(verdict, binary)
	switch verdict {
	case session.VerdictInvalid:
		c.onInvalid()
	case session.VerdictEarlyOverflow:
		c.Close(uint16(wire.CodePolicy), "too much before hello")
	}
}

// count adds a message to the counters. An event is counted where it is
// handled.
func (c *Client) count(verdict session.Verdict, binary bool) {
	result := &c.Shard().stats.MessagesIn[frameType(binary)]
	switch verdict {
	case session.VerdictHandled, session.VerdictEarly:
		result[MessageSystem]++
	case session.VerdictAnswer:
		result[MessageAnswer]++
	case session.VerdictLateAnswer:
		result[MessageLateAnswer]++
	case session.VerdictEmpty, session.VerdictIgnored:
		result[MessageIgnored]++
	case session.VerdictInvalid:
		result[MessageInvalid]++
	case session.VerdictRefused, session.VerdictEarlyOverflow:
		result[MessageRefused]++
	case session.VerdictEvent, session.VerdictNative, session.VerdictBusy:
	}
}

// LimitExceeded implements session.LimitDriver.
func (c *Client) LimitExceeded(reason error) {
	limit := LimitNames
	switch reason {
	case wire.ErrTooManyNamespaces:
		limit = LimitNamespaces
	case wire.ErrTooManyRooms:
		limit = LimitRooms
	}
	c.Shard().stats.LimitsExceeded[limit]++
}

func frameType(binary bool) int {
	if binary {
		return 1
	}
	return 0
}

// flood counts the malformed messages of a connection.
type flood struct {
	since uint32
	count int
}

// onInvalid ignores a malformed message, as neffos' clients expect, and closes
// the connection when there are many.
func (c *Client) onInvalid() {
	s := c.Shard()
	if s.limits().InvalidPayloads < 0 {
		return
	}
	const window = 10_000 // milliseconds
	now := s.loop.Now()
	sent := s.floods[c]
	if sent == nil || now-sent.since > window {
		sent = &flood{since: now}
		s.floods[c] = sent
	}
	sent.count++
	if sent.count > s.limits().InvalidPayloads {
		c.Close(uint16(wire.CodeInvalidFlood), "too many invalid payloads")
	}
}

// Event implements session.Driver: an emit, an ask or a native message.
func (c *Client) Event(e *session.Event) {
	s := c.Shard()
	result := &s.stats.MessagesIn[frameType(e.Message.Binary)]
	if e.Native {
		result[s.app.Native(c, e)]++
		return
	}
	if e.Reads {
		result[c.read(e)]++
		return
	}
	result[s.app.Event(c, e.Namespace.(*Namespace), e)]++
}

// Reading is a part of a room that clients read.
type Reading uint8

// The parts.
const (
	ReadHistory Reading = iota
	ReadPresence
)

// String returns the part as one lower-case word.
func (r Reading) String() string {
	return [...]string{"history", "presence", "unknown"}[min(r, ReadPresence+1)]
}

// read answers a client that reads a room's history, or asks for its members.
func (c *Client) read(e *session.Event) MessageResult {
	in, s, what := e.Room.(*room), c.Shard(), ReadHistory
	if string(e.Message.Event) == wire.EventPresence {
		what = ReadPresence
	}
	ns := e.Namespace.(*Namespace)
	if ns.reads(what) && !s.app.MayRead(c, ns, in.name, what) {
		c.session.ReplyError(e.Message, s.app.ReadDenied(c, ns, in.name, what).Error())
		return MessageRefused
	}
	if what == ReadPresence {
		return c.readPresence(e, in)
	}
	return c.readHistory(e, in)
}

// reads reports whether there is anything to read in the namespace.
func (ns *Namespace) reads(r Reading) bool {
	return r == ReadHistory && ns.history != nil || r == ReadPresence && ns.presence != PresenceOff
}
