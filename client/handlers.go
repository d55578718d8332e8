package client

import "context"

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
