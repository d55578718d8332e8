package node

import (
	"unicode/utf8"

	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/rpc"
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

// room is the message for the members of its room.
func (m *Message) room() *rpc.RoomMessage {
	return &rpc.RoomMessage{Namespace: m.Namespace, Room: m.Room, Payload: m.payload(), Binary: m.Binary}
}

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
	// Missing are the IDs of the nodes that had not finished when time was up.
	Missing []string
}

// newMessageFrame builds the frame of a message, of its type: one allocation.
func newMessageFrame(m *wire.Message) []byte {
	return engine.FillFrame(engine.Opcode(m.Binary), wire.Append(roomForFrame(m, len(m.Body)), m))
}

// newErrorFrame builds the frame of the negative answer to an ask.
func newErrorFrame(m *wire.Message, text string) []byte {
	return engine.FillFrame(engine.Opcode(false), wire.AppendError(roomForFrame(m, len(text)), m, text))
}

// roomForFrame returns a place for the header, with room for a message behind it
// unless its names have to be escaped.
func roomForFrame(m *wire.Message, body int) []byte {
	const separators = 8 // and the flags
	size := len(m.Token) + len(m.Namespace) + len(m.Room) + len(m.Event) + separators + body
	return make([]byte, engine.MaxHeader, engine.MaxHeader+size)
}
