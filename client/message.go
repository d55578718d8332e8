package client

import (
	"unicode/utf8"

	"github.com/stoa-io/stoa/wire"
)

// Message is what a program emits and asks, and what it gets. A method that takes a
// Message keeps none of it; a message that a handler gets is the handler's own.
type Message struct {
	Namespace string
	// Room: empty means none.
	Room  string
	Event string
	Body  []byte
	// Binary is the type of the frame. A text body must be valid UTF-8, else the
	// error is ErrNotText.
	Binary bool
}

// check reports why the message cannot be sent. A node would close the connection
// over text that is no valid UTF-8, and take a system event for the protocol's own.
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

// payload is the message as it travels.
func (m *Message) payload() []byte {
	return wire.Append(nil, &wire.Message{
		Namespace: []byte(m.Namespace), Room: []byte(m.Room), Event: []byte(m.Event), Body: m.Body,
	})
}

// fromWire makes a message of the program's own from one that is valid during the
// call only.
func fromWire(m *wire.Message) *Message {
	return &Message{
		Namespace: string(m.Namespace), Room: string(m.Room), Event: string(m.Event),
		Body: append([]byte(nil), m.Body...), Binary: m.Binary,
	}
}
