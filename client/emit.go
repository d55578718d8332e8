package client

import (
	"github.com/stoa-io/stoa/wire"
)

// emission is a message of the program that nobody answers, on its way to the socket.
// It is the same for every connection, so one that was not sent can be sent on the next.
type emission struct {
	payload []byte
	binary  bool
	native  bool
	place   place
}

// place is where a message belongs.
type place struct {
	ns   *NSConn // nil: nowhere, as a native message
	room *Room   // nil: none
}

// missing returns why a message has no place any more, or nil. It is called with
// conn.mu held.
func (p place) missing() error {
	switch {
	case p.ns != nil && p.ns.over:
		return wire.ErrBadNamespace
	case p.room != nil && p.room.over:
		return wire.ErrBadRoom
	}
	return nil
}

// emit sends or keeps a checked message. A nil ns means that it is not connected; a
// nil room is looked up if the message names one.
func (c *Conn) emit(m *Message, ns *NSConn, in *Room) error {
	if ns == nil {
		return c.missing(wire.ErrBadNamespace)
	}
	if in == nil && m.Room != "" {
		if in = ns.Room(m.Room); in == nil {
			return c.missing(wire.ErrBadRoom)
		}
	}
	return c.send(&emission{payload: m.payload(), binary: m.Binary, place: place{ns, in}})
}

// send queues an emission for the socket, or keeps it. It waits while the queue is full.
func (c *Conn) send(e *emission) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.state == StateClosed {
			return ErrClosed
		}
		if err := e.place.missing(); err != nil {
			return err
		}
		l := c.link
		if c.state != StateConnected || l == nil {
			if e.native {
				return ErrDisconnected
			}
			return c.buffer.add(e)
		}
		if !l.full(1) {
			l.push(outgoing{payload: e.payload, binary: e.binary, emission: e})
			return nil
		}
		l.waitEased()
	}
}

// buffer holds what is emitted while there is no connection.
type buffer struct {
	options   Buffer
	emissions []*emission
	bytes     int
}

// add keeps an emission as far as the policy and the limits allow.
func (b *buffer) add(e *emission) error {
	switch b.options.Policy {
	case BufferDrop:
		return nil
	case BufferFail:
		return ErrDisconnected
	}
	if b.options.Messages >= 0 && len(b.emissions) >= b.options.Messages ||
		b.options.Bytes >= 0 && b.bytes+len(e.payload) > b.options.Bytes {
		return ErrBufferFull
	}
	b.emissions = append(b.emissions, e)
	b.bytes += len(e.payload)
	return nil
}

// putBack keeps what a lost connection has not begun to send. It was accepted before,
// so the limits do not count for it.
func (b *buffer) putBack(queue []outgoing) {
	if b.options.Policy != BufferKeep {
		return
	}
	for _, out := range queue {
		if out.emission != nil && !out.emission.native {
			b.emissions = append(b.emissions, out.emission)
			b.bytes += len(out.payload)
		}
	}
}

// take empties the buffer.
func (b *buffer) take() []*emission {
	all := b.emissions
	b.emissions, b.bytes = nil, 0
	return all
}
