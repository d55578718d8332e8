package node

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/stoa-io/stoa/internal/taskqueue"
	"github.com/stoa-io/stoa/wire"
)

// Conn is the program's hold on one connection of this node. It stays usable
// after the connection has ended: what needs the connection then returns
// wire.ErrGone or wire.ErrClosed. All methods may be called from any goroutine and
// from any handler, also from one that handles a message of this very connection.
//
// Connections of other nodes are reached by their IDs, with the methods of [Node].
type Conn struct {
	loop       *loop
	place      place
	generation uint32
	secret     secret
	acked      uint32 // loop-owned; when the client was acknowledged, by the loop's clock
	remote     string // the peer's address
	values     map[any]any
	tasks      taskqueue.Queue
	ending     func() // loop-owned; the end that waits for handlers, see linger

	mu         sync.Mutex
	id         string             // guarded by mu; "" until first asked for
	namespaces []*NSConn          // guarded by mu; connected ones
	ended      bool               // guarded by mu
	ctx        context.Context    // guarded by mu; nil until first asked for
	cancel     context.CancelFunc // guarded by mu
}

// ID identifies the connection in the whole cluster. It cannot be guessed.
func (c *Conn) ID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.id == "" {
		c.id = connID(c.loop.node.config.ID, c.place, c.secret)
	}
	return c.id
}

// Node returns the node that holds the connection.
func (c *Conn) Node() *Node { return c.loop.node }

// Context ends when the connection does, or when it is known that the peer has gone.
func (c *Conn) Context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithCancel(c.loop.base)
		if c.ended {
			c.cancel()
		}
	}
	return c.ctx
}

// IsClosed reports whether the connection has ended or is about to: nothing can be
// sent any more.
func (c *Conn) IsClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// Value returns what the accept handler has set under the key (Accept.Set), else
// nil. Who has no accept handler has no values.
func (c *Conn) Value(key any) any { return c.values[key] }

// RemoteAddr is the peer's address, "host:port"; that of the last proxy, if there
// are any.
func (c *Conn) RemoteAddr() string { return c.remote }

// Write sends a message that the client does not answer. The namespace must be
// connected and the room, if it names one, joined: else the error is
// wire.ErrBadNamespace or wire.ErrBadRoom. It does not wait; wire.ErrClosed if
// the connection has ended. What is written leaves in the order of the calls.
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

// WriteNative sends a message that is not one of the protocol. A client must be
// made for that; see Config.NativeOnly. It does not wait; wire.ErrClosed if the
// connection has ended. The payload is not kept.
func (c *Conn) WriteNative(payload []byte, binary bool) error {
	if err := checkBody(payload, binary); err != nil {
		return err
	}
	return c.postFrame(&emission{frame: newFrame(opcode(binary), payload)})
}

// Ask asks the client and waits for its answer. The error is the client's own,
// wire.ErrGone if the connection ends before, wire.ErrBadNamespace or
// wire.ErrBadRoom, or that of ctx. Without a deadline of ctx it waits for
// Timeouts.Ask, and then returns wire.ErrTimeout. So it does if more than
// Limits.Mailbox of the client's messages wait for a handler that waits for this
// answer: the client is not read then.
func (c *Conn) Ask(ctx context.Context, m Message) (Answer, error) {
	return c.loop.node.Ask(ctx, c.ID(), m)
}

// Close closes the connection with a code and a reason, which is cut to 123 bytes.
// It does not wait; OnClosed hears the end. The error is ErrCloseCode for a code that
// must not be sent, or ErrNotText; that the connection has ended already is none.
func (c *Conn) Close(code wire.Code, reason string) error {
	if err := checkClose(code, reason); err != nil {
		return err
	}
	cmd := &command{kind: commandClose, target: c.ID(), code: uint16(code), payload: []byte(reason)}
	c.loop.post(item{kind: itemCommand, place: c.place, secret: c.secret, errand: &errand{command: cmd}})
	return nil
}

// Connect asks the client to connect to a namespace and waits until it has. If it
// is connected already, that is all. The errors are those of Ask; the client may
// refuse, too. OnConnect is not asked. A connect within the first moments of a
// connection waits a little, as neffos.js would not notice it (protocol.md section
// 5, 13).
func (c *Conn) Connect(ctx context.Context, namespace string) (*NSConn, error) {
	if err := c.loop.node.Connect(ctx, c.ID(), namespace); err != nil {
		return nil, err
	}
	if ns := c.Namespace(namespace); ns != nil {
		return ns, nil
	}
	return nil, c.gone(wire.ErrBadNamespace) // it was disconnected at once
}

// Namespace returns the connection's side of a namespace that it is connected to,
// else nil.
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

// Namespaces returns all of them. The slice is the caller's.
func (c *Conn) Namespaces() []*NSConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.namespaces)
}

// DisconnectAll asks the client to disconnect from all its namespaces. It tries
// all and returns what went wrong.
func (c *Conn) DisconnectAll(ctx context.Context) error {
	var errs []error
	for _, ns := range c.Namespaces() {
		errs = append(errs, ns.Disconnect(ctx))
	}
	return errors.Join(errs...)
}

// missing is the error for something that the connection is not in: if it has
// ended it is in nothing.
func (c *Conn) missing(err error) error {
	if c.IsClosed() {
		return wire.ErrClosed
	}
	return err
}

// gone is missing for what has waited: wire.ErrGone if the connection has ended.
func (c *Conn) gone(err error) error {
	if c.IsClosed() {
		return wire.ErrGone
	}
	return err
}

// end marks the connection as ended.
func (c *Conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
}

// hangUp ends the context: the peer has gone, although what it has sent is still to
// be worked on.
func (c *Conn) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithCancel(c.loop.base)
	}
	c.cancel()
}

// emission is a frame of the program for one connection.
type emission struct {
	frame []byte
	ns    *NSConn // nil: a native message
	room  *Room   // nil: none
}

// emit sends a message over the loop, in the order of the calls.
func (c *Conn) emit(m *Message, ns *NSConn, in *Room) error {
	if err := m.check(); err != nil {
		return err
	}
	return c.postFrame(&emission{frame: m.frame(), ns: ns, room: in})
}

func (c *Conn) postFrame(e *emission) error {
	if c.IsClosed() || !c.loop.post(item{kind: itemEmit, place: c.place, generation: c.generation, errand: &errand{emission: e}}) {
		return wire.ErrClosed
	}
	return nil
}
