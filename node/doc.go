// Package node is the server side of Stoa: one node of a cluster.
//
// A node holds connections, speaks WebSocket and the message protocol with
// them, passes messages between them and the broker, and calls the
// application's handlers.
//
// # A server
//
// An application makes a node, declares namespaces and handlers, and serves:
//
//	n, err := node.New(node.Config{})
//	…
//	chat := n.Namespace("chat", node.NamespaceOptions{Relay: node.RelayRooms})
//	chat.OnJoin(func(ctx context.Context, r *node.JoinRequest) error { … })
//	chat.OnAsk("time", func(ctx context.Context, r *node.AskRequest) error { … })
//	err = n.Listen("tcp", ":8080")
//	…
//	err = n.Serve()
//
// Declare all namespaces and handlers before the node starts; [Node.Update]
// changes namespaces and limits later. A namespace that is not declared does
// not exist. One that is declared without options and handlers can be connected
// to, and nothing more.
//
// Both ends have the same model: a [Conn] is connected to namespaces, each an
// [NSConn]; an NSConn is in rooms, each a [Room]. Their methods act on that one
// client: Emit sends it an event, Ask asks it, and Connect, JoinRoom, Leave and
// Disconnect ask it to move and wait until it has. To reach other connections,
// the methods of [Node] take the name of a room or a namespace, or the ID of
// any connection of the cluster: [Node.Emit], [Node.EmitNamespace],
// [Node.EmitTo], [Node.Ask], [Node.AskRoom], [Node.AskAll], [Node.Find],
// [Node.Join] and so on. Between nodes these requests travel over the broker in
// Config.Broker.
//
// A client's message is dispatched in this order: the handler that is
// registered for its event; the relay, if the namespace's options name such
// messages, with [Namespace.OnRelay] to change or refuse them before; the
// handler for any event. If nothing matches, an ask is answered with "unhandled
// event".
//
// # Handlers may block
//
// Handlers run on goroutines of their own and may block for any time: on a
// database, on [Conn.Ask] of the very client whose message they handle, on
// anything. A running handler delays only this:
//
//   - the later messages of the same connection, and its requests to connect,
//     join, leave and disconnect. All handlers of one connection run one after the
//     other, in the order of the client's messages. Answers to asks of this side
//     are not messages in this sense: they never wait.
//   - the client itself, when Limits.ReceiveQueue bytes are queued: the connection
//     is not read, and TCP slows the client down.
//   - the handlers of other connections for the same namespace, if
//     NamespaceOptions.MaxHandlers of them run.
//
// Handlers that compute rather than wait take processors from the event loops,
// as any goroutine does: Go gives each 10 ms at a time. Start a goroutine for
// work that lasts as long as the connection, such as a ticker, and end it with
// [Conn.Context].
//
// A handler's context is canceled when its connection closes. Handlers that
// report the close (OnClosed, and OnLeft and OnDisconnected when the connection
// has closed) get the node's context, which is canceled when [Node.Shutdown]
// gives up waiting for handlers. A panic is recovered, logged with its stack
// and counted, and a pending ask or request is answered with "internal error".
//
// Emit, EmitBinary, EmitToClient, Write and Close never block. Limits.SendQueue
// bounds their frames: a client that does not read is closed, and other clients
// are not affected. [Node.Emit] blocks while the node is congested.
//
// Every method may be called from any goroutine and from any handler. Methods
// that ask a client (Ask, Connect, JoinRoom, Leave, LeaveAll, Disconnect,
// DisconnectAll) wait for it, for Timeouts.Ask if the context has no deadline.
// Only [Node.Shutdown] and [Node.Close] must not be waited for in a handler:
// they wait for handlers. During a shutdown [Node.Emit] still works in handlers
// that report the close of connections; requests to other connections fail.
//
// # The end of an identity
//
// A connection is closed with wire.CodeExpired when its identity ends
// (access.Identity.Expires, set by an accept handler). A client that can hand
// in a new token receives notice before, and [Node.OnAuthenticate] verifies the
// token.
//
// # In another HTTP server
//
// A node is an [http.Handler]: start it with Start and mount it, without Listen
// and Serve. The socket of an upgraded connection leaves net/http and moves
// onto an event loop. [Node.OnAccept] sees the HTTP request, there as well as
// with an own listener, and may refuse it or keep values for [Conn.Value].
//
// The rest of this page is for those who work on the package.
//
// # Below this package
//
// Package internal/engine serves the WebSockets on event loops, internal/hub
// drives a session per connection and delivers messages, internal/rpc carries
// requests between nodes, and internal/taskqueue runs handlers. This package is
// the application of the hub (app.go, dispatch.go, authorize.go): the hub
// calls it on a connection's loop for every event of a connection, and it never
// blocks there.
//
// # Handlers and loops
//
// The loop makes a task of every handler call and appends it to the queue of
// the connection (tasks.go); the result returns to the loop as a
// hub.Task. The application sees a connection through its Conn, which is made
// when a handler first needs it and mirrors the session's state (mirror.go).
// While handlers of a connection are queued or running, the session takes only
// events and answers from it, so the state that handlers see changes only by
// calls of the application, and when the connection loses a permission.
package node
