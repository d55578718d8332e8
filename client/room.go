package client

import (
	"context"
	"slices"

	"github.com/stoa-io/stoa/internal/session"
)

// Room is a Conn in a room. It is used like an NSConn; after its end its
// methods return wire.ErrBadRoom.
type Room struct {
	ns   *NSConn
	name string
	body []byte // immutable; of the request to join

	reply []byte // guarded by conn.mu; the server's, to the request to join
	over  bool   // guarded by conn.mu
}

// Name returns the room's name.
func (r *Room) Name() string { return r.name }

// NSConn returns the Conn in the room's namespace.
func (r *Room) NSConn() *NSConn { return r.ns }

// Reply returns the body with which the server has answered the request to
// join. It is empty if the server joined the room. It changes when the room is
// restored after a reconnect.
func (r *Room) Reply() []byte {
	r.ns.conn.mu.Lock()
	defer r.ns.conn.mu.Unlock()
	return slices.Clone(r.reply)
}

// Emit emits an event into the room, in a text frame. It reaches the other
// members if the server relays. See NSConn.Emit.
func (r *Room) Emit(event string, body []byte) error {
	return r.ns.emit(&Message{Event: event, Body: body}, r)
}

// EmitBinary is Emit with a binary frame and any body.
func (r *Room) EmitBinary(event string, body []byte) error {
	return r.ns.emit(&Message{Event: event, Body: body, Binary: true}, r)
}

// Leave leaves the room and waits until the server has answered. The errors are
// those of Conn.Ask; the server may also refuse. While the Conn is not
// connected, the room ends at once, and its buffered emits are dropped.
func (r *Room) Leave(ctx context.Context) error {
	if r.ns.conn.forget(r.ns, r) {
		return nil
	}
	_, err := r.ns.conn.call(ctx, scope{r.ns, r}, func(s *session.Session) (uint64, error) {
		return s.AskLeave(nsRef{r.ns}, r)
	})
	return err
}
