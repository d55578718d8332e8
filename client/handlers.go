package client

import (
	"context"
	"fmt"

	"github.com/stoa-io/stoa/codec"
)

// The handlers. Their context is canceled when the Conn is closed; that of
// handlers which report an end (OnDisconnected, OnLeft) is not. A handler that
// returns an error refuses the request; the server receives the error's text.
type (
	// ConnectHandler decides whether the server may connect the client to a
	// namespace.
	ConnectHandler func(ctx context.Context, r *ConnectRequest) error
	// ConnectedHandler is notified of a connected namespace.
	ConnectedHandler func(ctx context.Context, e *ConnectedEvent)
	// DisconnectedHandler is notified of a namespace that is no longer
	// connected.
	DisconnectedHandler func(ctx context.Context, e *DisconnectedEvent)
	// JoinHandler decides whether the server may join the client to a room.
	JoinHandler func(ctx context.Context, r *JoinRequest) error
	// JoinedHandler is notified of a joined room.
	JoinedHandler func(ctx context.Context, e *JoinedEvent)
	// LeftHandler is notified of a room that is no longer joined.
	LeftHandler func(ctx context.Context, e *LeftEvent)
	// HistoryGapHandler is notified of messages of a room that are missing.
	HistoryGapHandler func(ctx context.Context, e *HistoryGapEvent)
	// HistoryRemovedHandler is notified of messages that were removed from the
	// history of a room.
	HistoryRemovedHandler func(ctx context.Context, e *HistoryRemovedEvent)
	// PresenceHandler is notified of members that have joined or left a room.
	PresenceHandler func(ctx context.Context, e *PresenceEvent)
	// EmitHandler handles an emit. An error is logged.
	EmitHandler func(ctx context.Context, e *EmitEvent) error
	// AskHandler answers an ask, with AskRequest.Reply or with the text of an
	// error.
	AskHandler func(ctx context.Context, r *AskRequest) error
	// NativeHandler handles a message outside of the protocol. An error is
	// logged.
	NativeHandler func(ctx context.Context, e *NativeEvent) error
	// RefusedHandler is notified of an emit that the server has refused.
	RefusedHandler func(ctx context.Context, e *RefusedEvent)
	// StateHandler is notified of the changes of a Conn's state.
	StateHandler func(ctx context.Context, e *StateEvent)
)

// ConnectRequest is a request of the server to connect the client to a
// namespace.
type ConnectRequest struct {
	Conn      *Conn
	Namespace string
	// Body of the request, often empty.
	Body []byte

	reply []byte
}

// Reply sets the body of the answer that accepts the request. It is sent when
// the handler returns nil; without a call the body is empty. The last call
// counts.
func (r *ConnectRequest) Reply(body []byte) { r.reply = body }

// RefusedEvent reports an emit that the server has refused. The names are empty
// if one of them was too long for the server.
type RefusedEvent struct {
	Conn                   *Conn
	Namespace, Room, Event string
	// Err has the text of the server's handler, or is one of package wire, such
	// as wire.ErrUnhandled.
	Err error
}

// ConnectedEvent reports a namespace that is connected, by the server or by
// this side.
type ConnectedEvent struct {
	NSConn *NSConn
}

// DisconnectedEvent reports a namespace that is no longer connected.
type DisconnectedEvent struct {
	NSConn *NSConn
	// Forced: the Conn is closed, or the server refused the namespace after a
	// reconnect.
	Forced bool
	// Err is the reason if Forced, else nil.
	Err error
}

// JoinRequest is a request of the server to join the client to a room.
type JoinRequest struct {
	NSConn *NSConn
	Room   string
	// Body of the request, often empty.
	Body []byte

	reply []byte
}

// Reply sets the body of the answer that accepts the request. It is sent when
// the handler returns nil; without a call the body is empty. The last call
// counts.
func (r *JoinRequest) Reply(body []byte) { r.reply = body }

// JoinedEvent reports a room that is joined, by the server or by this side.
type JoinedEvent struct {
	Room *Room
}

// LeftEvent reports a room that is no longer joined.
type LeftEvent struct {
	Room *Room
	// Forced: the namespace was disconnected, the Conn is closed, or the server
	// refused the room after a reconnect.
	Forced bool
	// Err is the reason if Forced; nil if the namespace was disconnected.
	Err error
}

// HistoryGapEvent reports that messages of a room may be missing between those
// that were handled before it and those that are handled after it: they were
// not available after a reconnect, or the server has lost them. Room.History
// may still have some.
type HistoryGapEvent struct {
	Room *Room
	// Position is that of the room at the gap; empty if it is not known.
	Position string
}

// HistoryRemovedEvent reports that a message was removed from the history of a
// room, for example by a moderator.
type HistoryRemovedEvent struct {
	Room *Room
	// Position is that of the message; empty if all messages were removed.
	Position string
}

// EmitEvent is a message that the server or another member emits.
type EmitEvent struct {
	NSConn *NSConn
	Message
}

// AskRequest is a message that the server or another member asks.
type AskRequest struct {
	NSConn *NSConn
	Message

	reply []byte
}

// Reply sets the body of the answer, which is a frame of the same type as the
// ask. It is sent when the handler returns nil; without a call the body is
// empty. The last call counts.
func (r *AskRequest) Reply(body []byte) { r.reply = body }

// NativeEvent is a message outside of the protocol.
type NativeEvent struct {
	Conn    *Conn
	Payload []byte
	Binary  bool
}

// OnEmit registers a handler of an event whose body is an In:
//
//	client.OnEmit(&shapes, "moved", codec.JSON{}, func(ctx context.Context, e *client.EmitEvent, to Point) error { … })
//
// It is not called for a body that the codec cannot decode; the
// codec.DecodeError is logged.
func OnEmit[In any](ns *Namespace, event string, with codec.Codec, handler func(ctx context.Context, e *EmitEvent, in In) error) {
	if handler == nil || with == nil {
		panic(fmt.Sprintf("client: the handler or the codec of emit %q is nil", event))
	}
	ns.OnEmit(event, func(ctx context.Context, e *EmitEvent) error {
		in, err := codec.Decode[In](with, e.Event, e.Body)
		if err != nil {
			return err
		}
		return handler(ctx, e, in)
	})
}

// OnAsk registers a handler that answers an In with an Out. It is not called
// for a body that the codec cannot decode; the answer is then the text of the
// codec.DecodeError.
func OnAsk[In, Out any](ns *Namespace, event string, with codec.Codec, handler func(ctx context.Context, r *AskRequest, in In) (Out, error)) {
	if handler == nil || with == nil {
		panic(fmt.Sprintf("client: the handler or the codec of ask %q is nil", event))
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

// Ask asks the server, with an In as the body, and decodes the answer:
//
//	price, err := client.Ask[Price](ctx, shop, "price", codec.JSON{}, order)
//
// The errors are those of NSConn.Ask and of the codec; *codec.DecodeError for
// an answer that the codec cannot decode.
func Ask[Out, In any](ctx context.Context, ns *NSConn, event string, with codec.Codec, in In) (out Out, err error) {
	body, err := codec.Encode(with, event, in)
	if err != nil {
		return out, err
	}
	answer, err := ns.Ask(ctx, event, body)
	if err != nil {
		return out, err
	}
	return codec.Decode[Out](with, event, answer.Body)
}

// Emitter emits events: an [NSConn] or a [Room].
type Emitter interface {
	Emit(event string, body []byte) error
}

// Emit emits an event with an In as the body.
func Emit[In any](to Emitter, event string, with codec.Codec, in In) error {
	body, err := codec.Encode(with, event, in)
	if err != nil {
		return err
	}
	return to.Emit(event, body)
}
