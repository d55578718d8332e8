package node

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/stoa-io/stoa/codec"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/rpc"
	"github.com/stoa-io/stoa/wire"
)

// Message is a message to connections, or one of a client. Methods that take a
// Message keep neither its strings nor its body.
type Message struct {
	Namespace string
	// Room is empty for a message to the namespace.
	Room  string
	Event string
	Body  []byte
	// Binary sends a binary frame. The body of a text must be valid UTF-8, else
	// the error is ErrNotText.
	Binary bool
	// Volatile marks an emit that is worth nothing when it is late, such as the
	// position of a cursor. It is no part of a history, delays nothing, and is
	// dropped without an error where it would wait: while the broker is
	// congested, and for each client whose socket does not keep up. Asks and
	// Publish ignore it.
	Volatile bool
}

// VolatileStats is the part of Stats about volatile messages that were dropped.
type VolatileStats struct {
	Slow      uint64 // deliveries to clients whose sockets did not keep up
	Congested uint64 // messages that a queue in front of all members did not take
}

// check returns an error for a message that must not be sent, such as a system
// event. A text that is not valid UTF-8 would make every browser that receives
// it drop its connection.
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

// marked is payload with the mark of a volatile message, for one connection.
func (m *Message) marked() []byte {
	if !m.Volatile {
		return m.payload()
	}
	return wire.Append([]byte(wire.VolatileToken), m.wire())
}

// frame is the message as its client receives it.
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

// Answer is a connection's answer to an ask.
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

// Answers are the answers of a room's members to an ask.
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

// roomForFrame returns a place for the header, with room for a message behind
// it unless its names have to be escaped.
func roomForFrame(m *wire.Message, body int) []byte {
	const separators = 8 // and the flags
	size := len(m.Token) + len(m.Namespace) + len(m.Room) + len(m.Event) + separators + body
	return make([]byte, engine.MaxHeader, engine.MaxHeader+size)
}

// OnEmit registers a handler of an event whose body is an In:
//
//	node.OnEmit(orders, "cancel", codec.JSON{}, func(ctx context.Context, e *node.EmitEvent, id OrderID) error { … })
//
// It is not called for a body that the codec cannot decode; the
// codec.DecodeError is logged.
func OnEmit[In any](ns *Namespace, event string, with codec.Codec, handler func(ctx context.Context, e *EmitEvent, in In) error) {
	if handler == nil || with == nil {
		panic(fmt.Sprintf("node: namespace %q: the handler or the codec of emit %q is nil", ns.name, event))
	}
	ns.OnEmit(event, func(ctx context.Context, e *EmitEvent) error {
		in, err := codec.Decode[In](with, e.Event, e.Body)
		if err != nil {
			return err
		}
		return handler(ctx, e, in)
	})
}

// OnAsk registers a handler that answers an In with an Out:
//
//	node.OnAsk(orders, "place", codec.JSON{}, func(ctx context.Context, r *node.AskRequest, o Order) (Receipt, error) { … })
//
// It is not called for a body that the codec cannot decode; the answer is then
// the text of the codec.DecodeError.
func OnAsk[In, Out any](ns *Namespace, event string, with codec.Codec, handler func(ctx context.Context, r *AskRequest, in In) (Out, error)) {
	if handler == nil || with == nil {
		panic(fmt.Sprintf("node: namespace %q: the handler or the codec of ask %q is nil", ns.name, event))
	}
	ns.OnAsk(event, func(ctx context.Context, r *AskRequest) error {
		in, err := codec.Decode[In](with, r.Event, r.Body)
		if err != nil {
			return err
		}
		out, err := handler(ctx, r, in)
		if err != nil {
			return err
		}
		body, err := with.Marshal(out)
		if err != nil {
			return err
		}
		r.Reply(body)
		return nil
	})
}

// Ask asks a client, with an In as the body, and decodes the answer:
//
//	answer, err := node.Ask[Answer](ctx, nsConn, "confirm", codec.JSON{}, question)
//
// The errors are those of NSConn.Ask and of the codec; *codec.DecodeError for
// an answer that the codec cannot decode.
func Ask[Out, In any](ctx context.Context, c *NSConn, event string, with codec.Codec, in In) (out Out, err error) {
	body, err := codec.Encode(with, event, in)
	if err != nil {
		return out, err
	}
	answer, err := c.Ask(ctx, event, body)
	if err != nil {
		return out, err
	}
	return codec.Decode[Out](with, event, answer.Body)
}

// Emit emits an event to a client, with an In as the body.
func Emit[In any](c *NSConn, event string, with codec.Codec, in In) error {
	body, err := codec.Encode(with, event, in)
	if err != nil {
		return err
	}
	return c.Emit(event, body)
}
