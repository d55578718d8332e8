// Package node is one member of a Stoa cluster: it holds connections, speaks
// WebSocket and the message protocol with them, and passes messages between them
// and the broker.
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
// (poller_linux.go), and the program should leave Go at least one processor more
// than there are loops: GOMAXPROCS is Config.Loops + 1 in cmd/stoa, and where
// Config.Loops is left at zero one processor is left free.
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
// connection. Serve returns when all of them have ended.
package node
