// Package node is one member of a Stoa cluster: it holds connections, speaks
// WebSocket and the message protocol with them, passes messages between them and
// the broker, and calls the program's handlers.
//
// # A server
//
// A program makes a node, declares namespaces and handlers, and serves:
//
//	n, err := node.New(node.Config{})
//	…
//	chat := n.Namespace("chat").Configure(node.NamespaceOptions{Relay: true})
//	chat.OnJoin(func(ctx context.Context, c *node.NSConn, room string) error { … })
//	chat.OnAsk("time", func(ctx context.Context, c *node.NSConn, m *node.Message) ([]byte, error) { … })
//	err = n.Listen("tcp", ":8080")
//	…
//	err = n.Serve()
//
// What is declared must be so before the node starts. A namespace that is not
// declared does not exist; one that is declared without options and handlers can
// be connected to, and nothing more.
//
// On both ends the model is the same: a [Conn] is connected to namespaces, each an
// [NSConn]; an NSConn is in rooms, each a [Room]. Their methods act on that one
// client: Emit sends it an event, Ask asks it, Connect, JoinRoom, Leave and
// Disconnect ask it to move and wait until it has. To reach others there are the
// methods of [Node], which take the name of a room or a namespace, or the ID of any
// connection of the cluster: [Node.Emit], [Node.EmitTo], [Node.Ask],
// [Node.AskRoom], [Node.AskEverybody], [Node.Find], [Node.Join] and so on. Between
// nodes all of that travels over the broker in Config.Broker.
//
// What a client emits or asks is decided in this order: the handler that is
// registered for its event; the relay, where the namespace's options allow it for
// such a message, with [Namespace.OnRelay] to change or refuse it before; the
// handler for any event; nobody, which a client that asks is told at once.
//
// # Handlers: what may block, and what waits meanwhile
//
// Handlers run on goroutines of their own and may block for as long as they like:
// on a database, on [Conn.Ask] of the very client whose message they are handling, on
// anything. While a handler runs, this waits:
//
//   - the later messages of the same connection, and its requests to connect,
//     join, leave and disconnect. All handlers of one connection run one after the
//     other, in the order of what the client did. Answers to what the server asks
//     are not messages in this sense: they never wait.
//   - when Limits.Mailbox bytes wait, the client itself: it is not read, and TCP
//     tells it.
//   - where NamespaceOptions.MaxHandlers is set and so many handlers of the namespace
//     run, the handlers of other connections for that namespace.
//
// Nothing else does: not the other connections, not what others send to this
// one, and not what is relayed between other clients. Handlers that compute rather
// than wait take processors from the loops, as they would from anything: Go gives each
// 10 ms at a time. Work that goes on for the
// life of a connection, such as a ticker, belongs on a goroutine that the handler
// starts, with [Conn.Context].
//
// A handler's context ends with the connection. Handlers of the end itself
// (OnClosed, and OnLeft and OnDisconnected where the connection's end is the reason)
// get the node's context, as theirs has ended; it ends when [Node.Shutdown] gives
// up waiting for handlers. A panic is recovered, logged with its stack and counted,
// and who waits for an answer is told "internal error".
//
// Emit, EmitBinary, Write and Close never wait. What they send is bounded by
// Limits.Queue: a client that does not read is closed, and the others do not
// notice. [Node.Emit] waits while the node is congested.
//
// Every method may be called from any goroutine and from any handler. Methods that
// ask a client (Ask, Connect, JoinRoom, Leave, LeaveAll, Disconnect,
// DisconnectAll) wait for it, for Timeouts.Ask if the context has no deadline. Only
// [Node.Shutdown] and [Node.Close] must not be waited for in a handler: they wait for
// handlers. In the handlers that hear of the end of connections during a shutdown
// [Node.Emit] still works; what waits for others does not any more.
//
// # In another HTTP server
//
// A node is an [http.Handler]: Start it and mount it, and leave Listen and Serve
// out. The socket of an upgraded connection leaves net/http and moves onto a loop.
// [Node.OnAccept] sees the HTTP request, there as well as with an own listener, and
// may refuse it or keep what it has learned for [Conn.Value].
//
// The rest of this page is for those who work on the package.
//
// # The loop rule
//
// A node runs a few event loops, one per core. Every connection belongs to one
// loop from accept to close, and only that loop's goroutine touches it: its
// buffers, its session, its place in the rooms. So there are no locks on a
// message's way but two short ones, the channel's stripe in the broker and the
// inbox of each receiving loop, and neither is held while anything waits.
//
// Everything else reaches a loop through its inbox: deliveries, confirmations of
// the broker, bytes of blocking transports, requests of the program. Posting to
// an inbox never blocks. Types and fields are marked "loop-owned" (touched by the
// loop only), "immutable" (set before the loop sees them), "guarded by" a mutex,
// or "atomic"; there is no fifth kind.
//
// # A turn
//
// A loop works in turns (loop.go): take the events of the sockets, accept, read,
// work on the inbox, look at a part of the connections for what time has done to
// them, write. Each step is bounded by a constant beside it, so that no peer and
// no room keeps the others waiting for long. Whatever a turn queues for one
// connection leaves in one write at its end.
//
// A loop with nothing to do parks in Go's poller, not in a system call of its own
// (poller_linux.go). A busy one yields every millisecond, and after it has given
// handlers something to do. So there may be as many loops as Go has processors, and
// there should not be more.
//
// # The life of a connection
//
//	accept ─► handshake ─┬─► open ─► closing ─► gone      closing: our close frame
//	                     │     │        ▲                 is out, the peer's awaited
//	                     │     └─► discarding ─► gone     discarding: what still
//	                     └─► net/http                     comes has no meaning
//
// The first request decides: an upgrade for the endpoint stays on the loop,
// anything else goes to net/http with its socket and the bytes already read.
// An open connection is driven by a session (internal/session), which knows the
// rules of the protocol and no sockets.
//
// # Transports
//
// On Linux a connection is a socket on epoll and costs no goroutine and, while
// idle, no buffer. TLS, and systems without epoll, are served by a stream
// (stream.go): a reading goroutine and, while something is written, a writing
// one, which talk to the same loop through its inbox.
//
// # Goroutines
//
// One per loop, one for the HTTP server, one per partition of the broker's
// interest, and with the blocking transport one that accepts and one or two per
// connection. Serve returns when all of them have ended. Besides one for each
// connection that has something to handle (handlerpool.go), and for each request that the
// accept handler considers (admission.go).
//
// # Handlers and loops
//
// The loop queues each handler call as a task of the connection (package
// taskqueue); the handler's result comes back through the loop's inbox. The
// application sees a connection through its Conn. The loop creates it for the
// connection's first handler call and mirrors the session's state in it
// (handle.go). While tasks are queued or running, the loop takes only events and
// answers from the connection, so only the handlers themselves change the state
// that they see.
package node
