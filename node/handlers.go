package node

import (
	"context"

	"github.com/stoa-io/stoa/wire"
)

// Closed says how a connection has ended.
type Closed struct {
	// Code is the close code that was sent or received; wire.CodeAbnormal if the
	// connection ended without one.
	Code wire.Code
	// By is who ended it.
	By Initiator
}

// The handlers of connections as a whole.
type (
	// AcceptHandler decides whether a WebSocket is opened. It may call Accept.Set
	// for later. It refuses with an error: that of Refuse answers the request with
	// a status, any other with 500 and nothing of its text. The context ends with
	// Timeouts.Handshake; whoever is let in later than that is answered 503.
	AcceptHandler func(ctx context.Context, a *Accept) error
	// ConnHandler hears that a connection can be used: the client has said hello
	// and knows its ID.
	ConnHandler func(ctx context.Context, c *Conn)
	// ClosedHandler hears that a connection has ended.
	ClosedHandler func(ctx context.Context, c *Conn, closed Closed)
	// NativeHandler handles a message that is not one of the protocol. The payload
	// is the handler's own.
	NativeHandler func(ctx context.Context, c *Conn, payload []byte, binary bool) error
)

// nodeHandlers are the program's handlers of connections as a whole.
type nodeHandlers struct {
	accept AcceptHandler
	opened ConnHandler
	closed ClosedHandler
	native NativeHandler
}

// OnAccept registers who decides about new connections. It runs on a goroutine of
// its own for each. Like all On methods it panics once the node has started, and
// when there is such a handler already.
func (n *Node) OnAccept(h AcceptHandler) {
	n.hook("accept", h == nil || n.on.accept != nil, func() {
		n.on.accept = h
		n.server.SetUpgrader((*upgrader)(n))
	})
}

// OnOpened registers who hears of a connection that can be used, before anything
// that the client sends is handled.
func (n *Node) OnOpened(h ConnHandler) {
	n.hook("opened", h == nil || n.on.opened != nil, func() { n.on.opened = h })
}

// OnClosed registers who hears of the end of a connection: exactly once for each
// that was accepted, after everything else about it, whether it was opened or the
// client went away before. Without an accept handler every WebSocket that was
// opened counts as accepted.
func (n *Node) OnClosed(h ClosedHandler) {
	n.hook("closed", h == nil || n.on.closed != nil, func() { n.on.closed = h })
}

// OnNative registers who handles messages that are not ones of the protocol: all
// with Config.NativeOnly, else those that cannot be read as one, of clients that
// are connected to the namespace "" (protocol.md section 8).
func (n *Node) OnNative(h NativeHandler) {
	n.hook("native", h == nil || n.on.native != nil, func() {
		n.on.native = h
		n.session.Native = true
	})
}

func (n *Node) hook(what string, wrong bool, set func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.hasStarted():
		panic("node: handler of " + what + ": the node has started")
	case wrong:
		panic("node: handler of " + what + ": it is nil, or there is one already")
	}
	set()
}
