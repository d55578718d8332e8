package client

import "context"

// The handlers. The context ends when the Conn is closed; for those that hear of an
// end (DisconnectedHandler, LeftHandler) it does not end. The error of a handler that
// may refuse is told to the server, word for word.
type (
	// ConnectHandler decides about a namespace that the server wants connected. The
	// body is what the server sent along, often nil.
	ConnectHandler func(ctx context.Context, c *Conn, body []byte) error
	// NSConnHandler hears that a namespace is connected.
	NSConnHandler func(ctx context.Context, ns *NSConn)
	// DisconnectedHandler hears that a namespace is no longer connected. Forced: the
	// Conn is closed, or the server refused the namespace after a reconnect; err says
	// which, and is nil otherwise.
	DisconnectedHandler func(ctx context.Context, ns *NSConn, forced bool, err error)
	// JoinHandler decides about a room that the server wants joined.
	JoinHandler func(ctx context.Context, ns *NSConn, room string) error
	// RoomHandler hears that a room is joined.
	RoomHandler func(ctx context.Context, r *Room)
	// LeftHandler hears that a room is no longer joined. Forced: because its namespace
	// was disconnected (err is nil then), the Conn is closed, or the server refused
	// the room after a reconnect.
	LeftHandler func(ctx context.Context, r *Room, forced bool, err error)
	// EmitHandler handles an event that nobody waits for: an error is logged.
	EmitHandler func(ctx context.Context, ns *NSConn, m *Message) error
	// AskHandler answers what the server asks: with the body, in a frame of the ask's
	// type, or with the error's text.
	AskHandler func(ctx context.Context, ns *NSConn, m *Message) ([]byte, error)
	// NativeHandler handles a message that is not one of the protocol.
	NativeHandler func(ctx context.Context, c *Conn, payload []byte, binary bool) error
)

// Handlers is what a program does in one namespace. All fields may be nil. They are
// named as in package node. All handlers of one Conn, and Options.OnState, run one
// after the other, in the order of what happened, on a goroutine of their own; see
// the package comment.
//
// A namespace and a room that are connected and joined again after the connection
// was lost stay the same: nobody is told. So OnDisconnected is called exactly once
// for each call of OnConnected, and OnLeft for each of OnJoined.
type Handlers struct {
	// OnConnect decides about a namespace that the server connects; nil accepts.
	OnConnect ConnectHandler
	// OnConnected hears of a namespace that is connected, whoever asked for it.
	OnConnected NSConnHandler
	// OnDisconnected hears of the end, after OnLeft for each room.
	OnDisconnected DisconnectedHandler
	// OnJoin decides about a room that the server joins; nil accepts.
	OnJoin JoinHandler
	// OnJoined hears of a room that is joined, whoever asked for it.
	OnJoined RoomHandler
	// OnLeft hears of a room that is no longer joined.
	OnLeft LeftHandler
	// OnEmit handles what the server, or a member of a room, emits, by event.
	OnEmit map[string]EmitHandler
	// OnAnyEmit handles the events that are not in OnEmit.
	OnAnyEmit EmitHandler
	// OnAsk answers what the server asks, by event. What nobody answers is answered
	// with wire.ErrUnhandled.
	OnAsk map[string]AskHandler
	// OnAnyAsk answers the events that are not in OnAsk.
	OnAnyAsk AskHandler
}

// emit returns who handles an event, or nil.
func (h *Handlers) emit(event string) EmitHandler {
	if found, ok := h.OnEmit[event]; ok {
		return found
	}
	return h.OnAnyEmit
}

// ask returns who answers an event, or nil.
func (h *Handlers) ask(event string) AskHandler {
	if found, ok := h.OnAsk[event]; ok {
		return found
	}
	return h.OnAnyAsk
}
