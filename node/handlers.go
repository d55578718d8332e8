package node

import (
	"context"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/wire"
)

// The handlers. Their context is canceled when the connection closes. That of
// handlers which report the close (OnClosed, and OnLeft and OnDisconnected when
// the connection has closed) is canceled when [Node.Shutdown] gives up waiting.
// A handler that returns an error refuses the request; the client receives the
// error's text. A handler owns the struct that it is given, with its bodies.
type (
	// AcceptHandler decides whether a WebSocket is opened. It may call
	// Accept.Set for later. It refuses with an error: that of Refuse answers
	// the request with a status, any other with 500 and a text that hides the
	// error. The context ends with Timeouts.Handshake; a later decision is
	// answered with 503.
	AcceptHandler func(ctx context.Context, a *Accept) error
	// AuthenticateHandler verifies a token that a client hands in over its open
	// connection, and returns the identity that the connection has from then
	// on. The client never learns the text of its error: that of Refuse becomes
	// wire.ErrUnauthorized, wire.ErrForbidden or wire.ErrUnavailable by its
	// status, any other error wire.ErrUnauthorized.
	AuthenticateHandler func(ctx context.Context, r *AuthenticateRequest) (access.Identity, error)
	// OpenedHandler is notified of a connection that can be used.
	OpenedHandler func(ctx context.Context, e *OpenedEvent)
	// ClosedHandler is notified of a connection that has closed.
	ClosedHandler func(ctx context.Context, e *ClosedEvent)
	// ConnectHandler decides whether a client may connect to a namespace.
	ConnectHandler func(ctx context.Context, r *ConnectRequest) error
	// ConnectedHandler is notified of a connected namespace.
	ConnectedHandler func(ctx context.Context, e *ConnectedEvent)
	// DisconnectedHandler is notified of a namespace that is no longer
	// connected.
	DisconnectedHandler func(ctx context.Context, e *DisconnectedEvent)
	// JoinHandler decides whether a client may join a room.
	JoinHandler func(ctx context.Context, r *JoinRequest) error
	// JoinedHandler is notified of a joined room.
	JoinedHandler func(ctx context.Context, e *JoinedEvent)
	// LeaveHandler decides whether a client may leave a room.
	LeaveHandler func(ctx context.Context, r *LeaveRequest) error
	// LeftHandler is notified of a room that is no longer joined.
	LeftHandler func(ctx context.Context, e *LeftEvent)
	// EmitHandler handles an emit. An error is counted and logged.
	EmitHandler func(ctx context.Context, e *EmitEvent) error
	// AskHandler answers an ask, with AskRequest.Reply or with the text of an
	// error.
	AskHandler func(ctx context.Context, r *AskRequest) error
	// RelayHandler sees a message before it is relayed, and may change or
	// refuse it.
	RelayHandler func(ctx context.Context, r *RelayRequest) error
	// NativeHandler handles a message outside of the protocol. An error is
	// counted and logged.
	NativeHandler func(ctx context.Context, e *NativeEvent) error
)

// OpenedEvent reports a connection that can be used: the client has said hello
// and knows its ID.
type OpenedEvent struct {
	Conn *Conn
}

// ClosedEvent reports a connection that has closed.
type ClosedEvent struct {
	Conn *Conn
	// Code is the close code that was sent or received; wire.CodeAbnormal if
	// the connection was closed without one.
	Code wire.Code
	// By is the side that closed it.
	By Initiator
}

// AuthenticateRequest is a token that a client hands in over its open
// connection.
type AuthenticateRequest struct {
	Conn *Conn
	// Token is as the client sent it, at most 8 KiB. It must not be logged.
	Token string
}

// ConnectRequest is a client's request to connect to a namespace.
type ConnectRequest struct {
	Conn      *Conn
	Namespace string
	// Body of the request, often empty.
	Body []byte

	reply []byte
}

// Reply sets the body of the answer that accepts the request, a frame of the
// same type as the request: a text must be valid UTF-8, else the request is
// refused. The answer is sent after the handler has returned nil; without a
// call its body is empty. The last call counts. The body must not change before
// the handler has returned.
func (r *ConnectRequest) Reply(body []byte) { r.reply = body }

// ConnectedEvent reports a connection that was connected to a namespace, by the
// client or by this side.
type ConnectedEvent struct {
	NSConn *NSConn
}

// DisconnectedEvent reports a connection that is no longer connected to a
// namespace.
type DisconnectedEvent struct {
	NSConn *NSConn
	// Forced: the connection has closed, it has lost the permission, or the
	// namespace was removed (Node.Update).
	Forced bool
}

// JoinRequest is a client's request to join a room.
type JoinRequest struct {
	NSConn *NSConn
	Room   string
	// Body of the request, often empty.
	Body []byte

	reply []byte
}

// Reply sets the body of the answer that accepts the request, a frame of the
// same type as the request: a text must be valid UTF-8, else the request is
// refused. The answer is sent after the handler has returned nil; without a
// call its body is empty. The last call counts. The body must not change before
// the handler has returned.
func (r *JoinRequest) Reply(body []byte) { r.reply = body }

// JoinedEvent reports a connection that joined a room, by the client's request
// or by one of this side.
type JoinedEvent struct {
	Room *Room
}

// LeaveRequest is a client's request to leave a room.
type LeaveRequest struct {
	Room *Room
	// Body of the request, often empty.
	Body []byte
}

// LeftEvent reports a connection that is no longer in a room.
type LeftEvent struct {
	Room *Room
	// Forced: the namespace was disconnected, the connection has closed, or it
	// has lost the permission.
	Forced bool
}

// EmitEvent is a message that a client emits.
type EmitEvent struct {
	NSConn *NSConn
	Message
}

// AskRequest is a message that a client asks.
type AskRequest struct {
	NSConn *NSConn
	Message

	reply []byte
}

// Reply sets the body of the answer, which is a frame of the same type as the
// ask: a text must be valid UTF-8. The answer is sent after the handler has
// returned nil; without a call its body is empty. The last call counts. The
// body is read after the handler has returned: a buffer that is used again,
// even in a deferred call, changes the answer.
func (r *AskRequest) Reply(body []byte) { r.reply = body }

// RelayRequest is a client's message that is about to be relayed. The handler
// may change its Event, Body, Binary and Volatile; changes of Namespace and
// Room are ignored. It is called for every copy of a confirmed emit, which is
// never volatile, and must make the same change each time: else the second copy
// is refused with wire.ErrIDReused.
type RelayRequest struct {
	NSConn *NSConn
	Message
	// IsAsk: the client waits for an answer. It receives the text of the error
	// that refuses the message, as does the client of a confirmed emit, for
	// which IsAsk is false.
	IsAsk bool
}

// NativeEvent is a message outside of the protocol.
type NativeEvent struct {
	Conn    *Conn
	Payload []byte
	Binary  bool
}

// nodeHandlers are the handlers of connections as a whole.
type nodeHandlers struct {
	accept       []AcceptHandler
	authenticate AuthenticateHandler
	opened       OpenedHandler
	closed       ClosedHandler
	native       NativeHandler
}

// OnAccept registers a handler that decides about new connections. Several are
// called in the order of their registration, until one refuses: each may add to
// the Accept. They run on a goroutine of their own for each connection. Like
// all On methods it panics after the start of the node and for a nil handler;
// the others also for a second one.
func (n *Node) OnAccept(h AcceptHandler) {
	n.register("accept", h == nil, false, func() {
		n.on.accept = append(n.on.accept, h)
		n.server.SetUpgrader((*upgrader)(n))
	})
}

// OnAuthenticate registers the handler that verifies the tokens which clients
// hand in over open connections, above all when their identities are about to
// end (protocol.md section 13). It runs in order with the connection's other
// handlers, and the messages behind the token wait for it: they are subject to
// the new permissions. The new identity must have the same user; see
// Config.AllowLogin for a connection without one. Limits.Authentications bounds
// the calls. Without the handler, tokens are refused.
func (n *Node) OnAuthenticate(h AuthenticateHandler) {
	n.register("authenticate", h == nil, n.on.authenticate != nil, func() { n.on.authenticate = h })
}

// OnOpened registers the handler that is notified of a connection that can be
// used, before any message of the client is handled.
func (n *Node) OnOpened(h OpenedHandler) {
	n.register("opened", h == nil, n.on.opened != nil, func() { n.on.opened = h })
}

// OnClosed registers the handler that is notified of a closed connection:
// exactly once for each that was accepted, after everything else about it, even
// if the client was gone before it was opened. Without an accept handler every
// WebSocket that was opened counts as accepted.
func (n *Node) OnClosed(h ClosedHandler) {
	n.register("closed", h == nil, n.on.closed != nil, func() { n.on.closed = h })
}

// OnNative registers the handler of messages outside of the protocol: all
// messages with Config.NativeOnly, else those that cannot be parsed, of clients
// that are connected to the namespace "" (protocol.md section 8).
func (n *Node) OnNative(h NativeHandler) {
	n.register("native", h == nil, n.on.native != nil, func() {
		n.on.native = h
		n.session.Native = true
	})
}

func (n *Node) register(kind string, isNil, taken bool, set func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.hasStarted():
		panic("node: handler of " + kind + ": the node has started")
	case isNil:
		panic("node: the handler of " + kind + " is nil")
	case taken:
		panic("node: " + kind + " has a handler already")
	}
	set()
}
