package client

import (
	"strings"
	"unicode/utf8"

	"github.com/stoa-io/stoa/wire"
)

// Message is a message of either side. A method with a Message parameter keeps
// no part of it; a handler may keep the message that it receives.
type Message struct {
	Namespace string
	// Room is empty if the message belongs to no room.
	Room  string
	Event string
	Body  []byte
	// Binary is true for a binary frame. The body of a text frame must be valid
	// UTF-8, else the error is ErrNotText.
	Binary bool
	// Volatile marks an emit that is worth nothing when it is late, such as the
	// position of a cursor: see NSConn.EmitVolatile. It is not set in received
	// messages.
	Volatile bool
	// Position is that of a received emit in the history of its room; empty if
	// it has none. It is not sent.
	Position string
}

// Answer is the answer to an ask.
type Answer struct {
	Body []byte
	// Binary: the answer is a binary frame.
	Binary bool
}

// check reports why the message cannot be sent. A node would close the
// connection for invalid UTF-8, and take a system event for one of the
// protocol.
func (m *Message) check() error {
	if err := wire.CheckOutgoing(m.Namespace, m.Room, m.Event); err != nil {
		return err
	}
	return checkBody(m.Body, m.Binary)
}

func checkBody(body []byte, binary bool) error {
	if !binary && !utf8.Valid(body) {
		return ErrNotText
	}
	return nil
}

// payload returns the emit in its wire form. With reports the server reports a
// refusal.
func (m *Message) payload(reports bool) []byte {
	return wire.Append(nil, &wire.Message{
		Namespace: []byte(m.Namespace), Room: []byte(m.Room), Event: []byte(m.Event), Body: m.Body, NoOp: reports,
	})
}

// maxToken is the maximum length of the token of an ask: "$" and a number.
const maxToken = 21

// size returns the length of a message in its wire form.
func size(token int, namespace, room, event string, body int) int {
	const flagsAndSemicolons, escaped = 8, len("@%!semicolon@%!") - len(";")
	names := len(namespace) + len(room) + len(event)
	for _, name := range []string{namespace, room, event} {
		names += escaped * strings.Count(name, ";")
	}
	return token + names + flagsAndSemicolons + body
}

// fits reports why a message of this size cannot be sent.
func (c *Conn) fits(size int) error {
	if limit := c.options.MessageLimit; limit >= 0 && size > limit {
		return ErrTooBig
	}
	return nil
}

// answerFits reports why an answer with this body cannot be sent.
func (c *Conn) answerFits(to *wire.Message, body []byte) error {
	if err := checkBody(body, to.Binary); err != nil {
		return err
	}
	if c.fits(size(len(to.Token), string(to.Namespace), string(to.Room), string(to.Event), len(body))) != nil {
		return errAnswerSize
	}
	return nil
}

// fromWire copies a message that is valid during the call only.
func fromWire(m *wire.Message) *Message {
	return &Message{
		Namespace: string(m.Namespace), Room: string(m.Room), Event: string(m.Event),
		Body: append([]byte(nil), m.Body...), Binary: m.Binary,
	}
}
