package client

import (
	"github.com/stoa-io/stoa/wire"
)

// queuedEmit is an emit or a native message of the application. Its bytes are
// the same on every transport, so one that was not sent can be sent on the
// next.
type queuedEmit struct {
	payload []byte
	binary  bool
	native  bool
	scope   scope
}

// scope is the namespace and the room of a message.
type scope struct {
	ns   *NSConn // nil: none, as for a native message
	room *Room   // nil: none
}

// missing returns an error if the namespace or the room has ended. The caller
// holds conn.mu.
func (s scope) missing() error {
	switch {
	case s.ns != nil && s.ns.over:
		return wire.ErrBadNamespace
	case s.room != nil && s.room.over:
		return wire.ErrBadRoom
	}
	return nil
}

// emit sends or buffers a checked message. A nil ns means that it is not
// connected; a nil room is looked up if the message names one.
func (c *Conn) emit(m *Message, ns *NSConn, in *Room) error {
	if ns == nil {
		return c.missing(wire.ErrBadNamespace)
	}
	if in == nil && m.Room != "" {
		if in = ns.Room(m.Room); in == nil {
			return c.missing(wire.ErrBadRoom)
		}
	}
	if m.Volatile {
		return c.offer(m, scope{ns, in})
	}
	payload := m.payload(c.options.OnRefused != nil)
	if err := c.fits(len(payload)); err != nil {
		return err
	}
	return c.send(&queuedEmit{payload: payload, binary: m.Binary, scope: scope{ns, in}})
}

// send queues a message for the socket or buffers it. It blocks while the queue
// is full.
func (c *Conn) send(e *queuedEmit) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.state == StateClosed {
			return ErrClosed
		}
		if err := e.scope.missing(); err != nil {
			return err
		}
		t := c.transport
		if c.state != StateConnected || t == nil {
			if e.native {
				return ErrDisconnected
			}
			return c.buffer.add(e)
		}
		if !t.full(1) {
			t.push(outgoing{payload: e.payload, binary: e.binary, emit: e})
			return nil
		}
		t.waitEased()
	}
}

// volatileQueue is how many bytes may be queued for the socket for a volatile
// message to be sent: little next to what the system queues, and more than an
// application emits at a time.
const volatileQueue = 16 << 10

// offer sends a checked volatile message, unless it would be late. A server
// that does not know the mark gets a plain emit.
func (c *Conn) offer(m *Message, in scope) error {
	marked := append([]byte(wire.VolatileToken), m.payload(c.options.OnRefused != nil)...)
	if err := c.fits(len(marked)); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == StateClosed {
		return ErrClosed
	}
	if err := in.missing(); err != nil {
		return err
	}
	t := c.transport
	if c.state != StateConnected || t == nil || t.queued > volatileQueue {
		return nil
	}
	payload := marked
	if !t.session.Understands(wire.FeatureVolatile) {
		payload = marked[len(wire.VolatileToken):]
	}
	// It is no queuedEmit, as it must not be sent on the next transport.
	t.push(outgoing{payload: payload, binary: m.Binary})
	return nil
}

// buffer holds the emits made while the Conn is not connected.
type buffer struct {
	options Buffer
	emits   []*queuedEmit
	bytes   int
}

// add keeps an emit as far as the policy and the limits allow.
func (b *buffer) add(e *queuedEmit) error {
	switch b.options.Policy {
	case BufferDrop:
		return nil
	case BufferFail:
		return ErrDisconnected
	}
	if b.options.Messages >= 0 && len(b.emits) >= b.options.Messages ||
		b.options.Bytes >= 0 && b.bytes+len(e.payload) > b.options.Bytes {
		return ErrBufferFull
	}
	b.emits = append(b.emits, e)
	b.bytes += len(e.payload)
	return nil
}

// putBack keeps the emits that a lost transport has not begun to send. They
// were accepted before, so the limits do not apply.
func (b *buffer) putBack(queue []outgoing) {
	if b.options.Policy != BufferKeep {
		return
	}
	for _, out := range queue {
		if out.emit != nil && !out.emit.native {
			b.emits = append(b.emits, out.emit)
			b.bytes += len(out.payload)
		}
	}
}

// take empties the buffer.
func (b *buffer) take() []*queuedEmit {
	all := b.emits
	b.emits, b.bytes = nil, 0
	return all
}
