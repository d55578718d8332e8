package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"time"

	"github.com/stoa-io/stoa/examples/internal/run"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

const (
	namespace = "tour"
	entrance  = "entrance"
	// patience is how long a client may take for one visit.
	patience = 10 * time.Second
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	n, err := node.New(node.Config{})
	if err != nil {
		log.Fatal(err)
	}
	declare(n)
	run.Serve(run.Context(), n, *listen, "/ws")
}

func declare(n *node.Node) {
	// OnOpened is called as soon as the client knows its ID. Handlers do not
	// run on the node's loops, so they may wait for the client.
	n.OnOpened(func(ctx context.Context, e *node.OpenedEvent) {
		if err := bringIn(ctx, e.Conn); err != nil {
			// The client may refuse, or may not know the namespace. It can do
			// nothing without the namespace.
			log.Printf("%s: not brought in: %v", e.Conn.ID(), err)
			e.Conn.Close(wire.CodePolicy, "join the tour or go home")
		}
	})

	tour := n.Namespace(namespace, node.NamespaceOptions{})
	tour.OnEmit("go", move)
	// These handlers decide the client's own requests. The requests of the
	// server, such as NSConn.JoinRoom, bypass them.
	tour.OnJoin(func(context.Context, *node.JoinRequest) error { return errStay })
	tour.OnLeave(func(context.Context, *node.LeaveRequest) error { return errStay })
}

// errStay refuses a join or leave that a client requests itself.
var errStay = errors.New("please stay with the group")

// bringIn connects a client to the namespace and joins it to a room.
func bringIn(ctx context.Context, c *node.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tour, err := c.Connect(ctx, namespace)
	if err != nil {
		return err
	}
	room, err := tour.JoinRoom(ctx, entrance)
	if err != nil {
		return err
	}
	return room.EmitToClient("welcome", []byte("This is the entrance. Where do you want to go?"))
}

// move asks the client for its ticket and moves it to another room. While the
// handler waits for the client's answers, further messages of this client are
// queued; other clients are not delayed.
func move(ctx context.Context, e *node.EmitEvent) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := e.NSConn
	ticket, err := c.Ask(ctx, "ticket", []byte("May I see your ticket?"))
	if err != nil || string(ticket.Body) != "paid" {
		return takeOut(ctx, c)
	}
	next, err := c.JoinRoom(ctx, string(e.Body))
	if err != nil {
		return err
	}
	for _, room := range c.Rooms() {
		if room != next {
			if err := room.Leave(ctx); err != nil {
				return err
			}
		}
	}
	return next.EmitToClient("welcome", []byte("This is "+next.Name()+"."))
}

// takeOut removes a client from all rooms and from the namespace. The
// connection stays open: it may be in other namespaces.
func takeOut(ctx context.Context, c *node.NSConn) error {
	if err := c.Emit("goodbye", []byte("No ticket, no tour.")); err != nil {
		return err
	}
	if err := c.LeaveAll(ctx); err != nil {
		return err
	}
	return c.Disconnect(ctx)
}
