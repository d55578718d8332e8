package client

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/stoa-io/stoa/internal/session"
)

// Room is a Conn in a room. It is used like an NSConn; after its end its
// methods return wire.ErrBadRoom.
type Room struct {
	ns   *NSConn
	name string
	body []byte // immutable; of the request to join

	reply  []byte // guarded by conn.mu; the server's, to the request to join
	over   bool   // guarded by conn.mu
	number uint64 // guarded by conn.mu; of the join, ascending in a namespace
}

// roomSet holds the joined rooms of a namespace. The zero value is empty.
type roomSet struct {
	byName map[string]*Room
	last   uint64 // number of the newest room
}

// add adds a room that is not in the set.
func (s *roomSet) add(r *Room) {
	if s.byName == nil {
		s.byName = make(map[string]*Room)
	}
	s.last++
	r.number = s.last
	s.byName[r.name] = r
}

// remove removes a room, unless another one has taken its name.
func (s *roomSet) remove(r *Room) {
	if s.byName[r.name] == r {
		delete(s.byName, r.name)
	}
}

// list returns the rooms in the order of joining. The caller owns the slice.
func (s *roomSet) list() []*Room {
	return slices.SortedFunc(maps.Values(s.byName), func(a, b *Room) int { return cmp.Compare(a.number, b.number) })
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
