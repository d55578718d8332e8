package node

import (
	"unicode/utf8"

	"github.com/stoa-io/stoa/wire"
)

// Message is what a program sends to connections and asks them. Its strings and
// its body are the program's; a method that takes a Message keeps none of it.
type Message struct {
	Namespace string
	// Room: empty means everybody in the namespace.
	Room  string
	Event string
	Body  []byte
	// Binary sends a binary frame. A text body must be valid UTF-8, else the error
	// is ErrNotText.
	Binary bool
}

// check reports why the message cannot be sent: a system event, for example. Text that is no valid UTF-8 would
// make every browser that receives it drop its connection.
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
func (m *Message) payload() []byte { return wire.Append(nil, m.wire()) }

// frame is the message as its client gets it.
func (m *Message) frame() []byte { return newMessageFrame(m.wire()) }

func (m *Message) wire() *wire.Message {
	return &wire.Message{
		Namespace: []byte(m.Namespace), Room: []byte(m.Room), Event: []byte(m.Event), Body: m.Body, Binary: m.Binary,
	}
}

// Answer is what a connection said to an ask.
type Answer struct {
	// Conn is the ID of the connection that answered.
	Conn string
	Body []byte
	// Binary: the answer came in a binary frame.
	Binary bool
	// Err is not nil if the connection answered with an error: one of package
	// wire's where it has that text, else a wire.RemoteError.
	Err error
}

// Answers is what a room said to an ask.
type Answers struct {
	// Answers in the order of their arrival.
	Answers []Answer
	// Silent are the IDs of the nodes that were asked and had not said everything
	// when time was up.
	Silent []string

	done []string // nodes that have said everything
}
