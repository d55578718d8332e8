package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/wire"
)

// Conn is the application's handle for one connection of this node. It stays
// usable after the connection has closed: methods that need the connection then
// return wire.ErrGone or wire.ErrClosed. All methods may be called from any
// goroutine and from any handler, also from one that handles a message of this
// very connection.
//
// Connections of other nodes are reached by their IDs, with the methods of
// [Node].
type Conn struct {
	node   *Node       // immutable
	handle hub.Handle  // any goroutine
	values map[any]any // immutable once the connection is open

	identity atomic.Pointer[access.Identity] // nil: not authenticated

	mu         sync.Mutex
	namespaces []*NSConn // guarded by mu; connected ones
}

// ID identifies the connection in the whole cluster. It cannot be guessed.
func (c *Conn) ID() string { return c.handle.ID() }

// Node returns the node that holds the connection.
func (c *Conn) Node() *Node { return c.node }

// Context is canceled when the connection closes, or when the peer is known to
// be gone.
func (c *Conn) Context() context.Context { return c.handle.Context() }

// IsClosed reports whether the connection has closed or is about to: nothing
// can be sent any more.
func (c *Conn) IsClosed() bool { return c.handle.IsClosed() }

// Identity returns the identity of the connection, as the accept handlers or
// SetIdentity have set it; the zero value if none has. It must not be changed.
func (c *Conn) Identity() access.Identity {
	if id := c.identity.Load(); id != nil {
		return *id
	}
	return access.Identity{}
}

// User returns the ID of the connection's user, empty for a client that is not
// authenticated.
func (c *Conn) User() string { return c.Identity().User }

// SetIdentity replaces the identity of the connection, for example because the
// client has shown a new token. The user must be the same, else the error is
// ErrOtherUser. The new identity counts for all messages that the loop receives
// afterwards; a request that waits for a handler is checked again. Where the
// old identity allowed to connect or join and the new one does not, the
// connection is taken out of the namespace or room at once, and OnDisconnected
// and OnLeft report it as forced. An identity that has ended closes the
// connection. If the client of a connection without a user logs in at the same
// time, its login stays. SetIdentity does not block. The error is
// wire.ErrClosed if the connection has closed.
func (c *Conn) SetIdentity(id access.Identity) error {
	if err := id.Validate(); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	if id.User != c.User() {
		return ErrOtherUser
	}
	if c.IsClosed() || !c.handle.Submit(&identityTask{c, &id}) {
		return wire.ErrClosed
	}
	return nil
}

// Value returns the value that the accept handler has set for the key
// (Accept.Set), else nil.
func (c *Conn) Value(key any) any { return c.values[key] }

// RemoteAddr is the address of the client, "host:port". Behind proxies that are
// not in Config.TrustedProxies it is that of the last one. A port that a proxy
// does not tell is 0.
func (c *Conn) RemoteAddr() string { return c.handle.RemoteAddr() }

// Write sends a message that the client does not answer. The namespace must be
// connected and the room, if it names one, joined: else the error is
// wire.ErrBadNamespace or wire.ErrBadRoom. It does not block; wire.ErrClosed if
// the connection has closed. Messages leave in the order of the calls.
func (c *Conn) Write(m Message) error {
	ns := c.Namespace(m.Namespace)
	if ns == nil {
		return c.missing(wire.ErrBadNamespace)
	}
	var in *Room
	if m.Room != "" {
		if in = ns.Room(m.Room); in == nil {
			return c.missing(wire.ErrBadRoom)
		}
	}
	return c.emit(&m, ns, in)
}

// WriteNative sends a message outside of the protocol, to a client that expects
// it; see Config.NativeOnly. It does not block; wire.ErrClosed if the
// connection has closed. The payload is not kept.
func (c *Conn) WriteNative(payload []byte, binary bool) error {
	if err := checkBody(payload, binary); err != nil {
		return err
	}
	return c.post(&outgoing{frame: engine.NewFrame(engine.Opcode(binary), payload)})
}

// Ask asks the client and waits for its answer. The error is the client's own,
// wire.ErrGone if the connection closes before, wire.ErrBadNamespace or
// wire.ErrBadRoom, or that of ctx. Without a deadline of ctx it waits for
// Timeouts.Ask, and then returns wire.ErrTimeout. It also times out if more
// than Limits.ReceiveQueue of the client's messages are queued behind a handler
// that waits for this answer: the client is not read then.
func (c *Conn) Ask(ctx context.Context, m Message) (Answer, error) {
	return c.node.Ask(ctx, c.ID(), m)
}

// Close closes the connection with a code and a reason, which is cut to 123
// bytes. It does not block; OnClosed is called afterwards. The error is
// ErrCloseCode for a code that must not be sent, or ErrNotText. Closing a
// closed connection is no error.
func (c *Conn) Close(code wire.Code, reason string) error {
	if err := checkClose(code, reason); err != nil {
		return err
	}
	c.handle.Submit(&closeTask{c, code, reason})
	return nil
}

// Connect asks the client to connect to a namespace and waits until it has. If
// it is connected already, nothing happens. The errors are those of Ask; the
// client may refuse, too. OnConnect is not called. Within the first moments of
// a connection the request waits a little, as neffos.js would not notice it
// (protocol.md section 5, 13).
func (c *Conn) Connect(ctx context.Context, namespace string) (*NSConn, error) {
	if err := c.node.Connect(ctx, c.ID(), namespace); err != nil {
		return nil, err
	}
	if ns := c.Namespace(namespace); ns != nil {
		return ns, nil
	}
	return nil, c.gone(wire.ErrBadNamespace) // it was disconnected at once
}

// Namespace returns the connection's handle of a namespace that it is connected
// to, else nil.
func (c *Conn) Namespace(name string) *NSConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ns := range c.namespaces {
		if ns.namespace.name == name {
			return ns
		}
	}
	return nil
}

// Namespaces returns the handles of all namespaces. The slice is the caller's.
func (c *Conn) Namespaces() []*NSConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.namespaces)
}

// DisconnectAll asks the client to disconnect from all its namespaces. It tries
// all and joins the errors.
func (c *Conn) DisconnectAll(ctx context.Context) error {
	var errs []error
	for _, ns := range c.Namespaces() {
		errs = append(errs, ns.Disconnect(ctx))
	}
	return errors.Join(errs...)
}

// missing is the error for a namespace or room that the connection is not in:
// wire.ErrClosed if it has closed.
func (c *Conn) missing(err error) error {
	if c.IsClosed() {
		return wire.ErrClosed
	}
	return err
}

// gone is missing for methods that wait: wire.ErrGone if the connection has
// closed.
func (c *Conn) gone(err error) error {
	if c.IsClosed() {
		return wire.ErrGone
	}
	return err
}

// closeTask closes the connection.
type closeTask struct {
	conn   *Conn
	code   wire.Code
	reason string
}

// Run implements hub.Task.
func (t *closeTask) Run(*hub.Shard) {
	if c := t.conn.handle.Client(); c != nil {
		c.Close(uint16(t.code), t.reason)
	}
}

// outgoing is a frame of the application for one connection.
type outgoing struct {
	conn  *Conn
	frame []byte
	ns    *NSConn // nil: a native message
	room  *Room   // nil: none

	volatile bool
}

// Run implements hub.Task. The membership that the frame belongs to may have
// ended by now.
func (o *outgoing) Run(*hub.Shard) {
	c := o.conn.handle.Client()
	if c == nil || !c.IsOpen() || o.ns != nil && o.ns.over || o.room != nil && o.room.over {
		return
	}
	if o.volatile {
		c.OfferMessage(o.frame)
		return
	}
	c.SendMessage(o.frame)
}

// emit sends a message through the loop, in the order of the calls.
func (c *Conn) emit(m *Message, ns *NSConn, in *Room) error {
	if err := m.check(); err != nil {
		return err
	}
	return c.post(&outgoing{frame: m.frame(), ns: ns, room: in, volatile: m.Volatile})
}

func (c *Conn) post(o *outgoing) error {
	o.conn = c
	if c.IsClosed() || !c.handle.Submit(o) {
		return wire.ErrClosed
	}
	return nil
}
