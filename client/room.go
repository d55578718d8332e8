package client

import (
	"context"

	"github.com/stoa-io/stoa/internal/session"
)

// Room is a Conn in a room. It is used like an NSConn; when it is over, its methods
// return wire.ErrBadRoom.
type Room struct {
	ns   *NSConn
	name string
	over bool // guarded by conn.mu
}

// Name returns the room's name.
func (r *Room) Name() string { return r.name }

// NSConn returns the Conn in the room's namespace.
func (r *Room) NSConn() *NSConn { return r.ns }

// Emit emits an event into the room, in a text frame: to the other members, where the
// server relays. See NSConn.Emit.
func (r *Room) Emit(event string, body []byte) error {
	return r.ns.emit(&Message{Event: event, Body: body}, r)
}

// EmitBinary is Emit with a binary frame and any body.
func (r *Room) EmitBinary(event string, body []byte) error {
	return r.ns.emit(&Message{Event: event, Body: body, Binary: true}, r)
}

// Leave leaves the room and waits until it has. The errors are those of Conn.Ask; the
// server may refuse, too. While there is no connection there is nobody to ask: the
// room is over at once, and so is what was emitted into it and is kept.
func (r *Room) Leave(ctx context.Context) error {
	if r.ns.conn.forget(r.ns, r) {
		return nil
	}
	_, err := r.ns.conn.call(ctx, scope{r.ns, r}, func(s *session.Session) (uint64, error) {
		return s.AskLeave(nsRef{r.ns}, r)
	})
	return err
}
