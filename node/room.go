package node

import (
	"context"

	"github.com/stoa-io/stoa/wire"
)

// Room is a connection in a room. It is used like an NSConn; after the
// connection has left the room, methods that act on the connection return
// wire.ErrBadRoom.
type Room struct {
	ns   *NSConn
	name string
	over bool // loop-owned
}

// Name returns the room's name.
func (r *Room) Name() string { return r.name }

// NSConn returns the connection in the room's namespace.
func (r *Room) NSConn() *NSConn { return r.ns }

// EmitToClient sends an event of the room to this client alone, in a text
// frame. The body must be valid UTF-8 and is not kept. It does not block.
func (r *Room) EmitToClient(event string, body []byte) error {
	if r.ns.Room(r.name) != r {
		return r.ns.conn.missing(wire.ErrBadRoom)
	}
	return r.ns.conn.emit(&Message{Namespace: r.ns.namespace.name, Room: r.name, Event: event, Body: body}, r.ns, r)
}

// EmitToOthers sends an event to the room's other members, on every node; see
// Node.Emit. It also works after the connection has left the room, as in a
// LeftHandler.
func (r *Room) EmitToOthers(ctx context.Context, event string, body []byte) error {
	m := Message{Namespace: r.ns.namespace.name, Room: r.name, Event: event, Body: body}
	return r.ns.conn.node.Emit(ctx, m, EmitOptions{Except: []string{r.ns.conn.ID()}})
}

// Leave asks the client to leave the room and waits until it has. The errors
// are those of Conn.Ask.
func (r *Room) Leave(ctx context.Context) error {
	if r.ns.Room(r.name) != r && !r.ns.conn.IsClosed() {
		return wire.ErrBadRoom
	}
	return r.ns.conn.node.Leave(ctx, r.ns.conn.ID(), r.ns.namespace.name, r.name)
}
