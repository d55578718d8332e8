// Package engine serves WebSockets on event loops.
//
// It reads, checks and writes frames, answers handshakes, pings, close frames
// and slow peers, and passes everything that is not a WebSocket to net/http. It
// knows no message protocol: the owner of the connections implements [Shard],
// once per loop, and [Handler], once per connection. A plain echo server is a
// dozen lines on top of it (echo_test.go).
//
// # The loop rule
//
// A [Server] runs a few event loops, one per core. Every connection belongs to
// one loop from accept to close, and only the goroutine of that loop touches
// it: its buffers, its queue, its owner's state. Methods of [Conn], [Handler]
// and [Shard] run on that goroutine unless their comment says otherwise.
// Everything else reaches a loop through [Loop.Post], or through [Shard.Post]
// where order against the owner's own work matters.
//
// Fields are marked "loop-owned" (touched by the loop only), "immutable" (set
// before the loop sees them), "guarded by" a mutex, or "atomic"; there is no
// fifth kind.
//
// # A turn
//
// A loop works in turns (loop.go): take the events of the sockets, accept,
// read, run posted tasks, let the shard work, sweep a part of the connections
// for deadlines, write. A constant bounds each step, so no peer starves the
// others. All output that a turn queues for one connection leaves in one write
// at its end.
//
// An idle loop parks in Go's poller, not in a system call of its own (package
// netpoll). A busy one yields every millisecond, and after [Loop.YieldSoon].
// There may be as many loops as Go has processors, and there should not be
// more.
//
// # The life of a connection
//
//	accept ─► handshake ─┬─► open ─► closing ─► gone      closing: our close frame
//	                     │     │        ▲                 is out, the peer's awaited
//	                     │     └─► discarding ─► gone     discarding: all further
//	                     └─► net/http                     input is ignored
//
// The first request decides: an upgrade for the endpoint stays on the loop, any
// other request goes to net/http with its socket and the bytes already read.
//
// # Transports
//
// On Linux a connection is a socket on epoll; it costs no goroutine and, while
// idle, no buffer. TLS, and systems without epoll, use blocking I/O
// (blocking.go): a reading goroutine and, during a write, a writing one, which
// notify the same loop through its inbox.
//
// # Goroutines
//
// One per loop, one for the HTTP server, with the blocking transport one that
// accepts and one or two per connection, and one for each upgrade that
// [Upgrader] decides on. [Server.Wait] returns when all have ended.
package engine
