package hub

import (
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// App is the application above the hub. Its methods run on the loop of the
// connection, so they do not block.
type App interface {
	// NewShard returns the application's state for one loop, for Shard.State.
	NewShard(s *Shard) any
	// QueuedBytes is the memory of the application's queues for the connections
	// of the shard.
	QueuedBytes(s *Shard) int
	// Namespace returns the application's declaration of a namespace, nil if it
	// does not exist. The hub stores it for the namespace's life.
	Namespace(name string) any

	// History is how much of the history of a namespace's rooms is kept, nil if
	// it is not. It never changes for a name while the hub runs. Any goroutine
	// calls it.
	History(namespace string) *History
	// DropsSlow reports whether deliveries in the namespace are dropped for
	// members that do not read fast enough, instead of closing these.
	DropsSlow(ns *Namespace) bool

	// Accepted is called before the client says hello, with the value of the
	// engine's Upgrader; not called without an Upgrader.
	Accepted(c *Client, value any)
	// Opened is called when the client has said hello.
	Opened(c *Client)
	// Closed is called once when the connection is gone, after everything else.
	Closed(c *Client, code wire.Code, by engine.Initiator)

	// Authorize reports whether the application decides about a request of the
	// client. It has rejected it then, or it defers the request and posts a
	// decision; see Client.Decide.
	Authorize(c *Client, r *session.Request) (deferred bool)
	// Admit returns why a request to connect or join is refused after all. It
	// is called when the request is carried out, which may be long after
	// Authorize.
	Admit(c *Client, r *session.Request) error
	// RoomLimit is how many members a room of the namespace may have on this
	// node; zero is no limit.
	RoomLimit(ns *Namespace) int
	// RoomFull reports that a client could not join a room because of that.
	RoomFull(ns *Namespace)
	// Connected, Disconnected, Joined and Left are called after the change.
	// forced: because the namespace was disconnected, the connection has
	// closed, or the client was not waited for.
	Connected(c *Client, ns *Namespace)
	Disconnected(c *Client, ns *Namespace, forced bool)
	Joined(c *Client, ns *Namespace, room string)
	Left(c *Client, ns *Namespace, room string, forced bool)

	// Event decides what becomes of an emit or an ask.
	Event(c *Client, ns *Namespace, e *session.Event) MessageResult
	// Native decides what becomes of a message that is not one of the protocol.
	Native(c *Client, e *session.Event) MessageResult
}
