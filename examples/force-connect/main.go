package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"time"

	"github.com/stoa-io/stoa/examples/internal/run"
	"github.com/stoa-io/stoa/node"
)

const (
	namespace = "tour"
	entrance  = "entrance"
	// patience is how long a client may take for one thing that it is asked.
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
	// Opened is called as soon as the client knows its ID. Handlers do not run
	// on the node's loops, so they may wait for the client.
	n.OnOpened(func(ctx context.Context, c *node.Conn) {
		if err := bringIn(ctx, c); err != nil {
			// The client may refuse, or not know the namespace. A client
			// without the namespace has nothing to do here.
			log.Printf("%s: not brought in: %v", c.ID(), err)
			c.Close(1008, "join the tour or go home")
		}
	})

	tour := n.Namespace(namespace)
	tour.OnEmit("go", move)
	// The client's own wishes are decided here; what the server asks of it is
	// not.
	tour.OnJoin(func(context.Context, *node.NSConn, string) error { return errStay })
	tour.OnLeave(func(context.Context, *node.Room) error { return errStay })
}

// errStay is the answer to clients that go their own ways.
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
	return room.Emit("welcome", []byte("This is the entrance. Where do you want to go?"))
}

// move handles the request of a client. While this handler waits for the
// client's answers, further messages of this client wait for the handler; other
// clients do not wait.
func move(ctx context.Context, c *node.NSConn, m *node.Message) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticket, err := c.Ask(ctx, "ticket", []byte("May I see your ticket?"))
	if err != nil || string(ticket.Body) != "paid" {
		return takeOut(ctx, c)
	}
	next, err := c.JoinRoom(ctx, string(m.Body))
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
	return next.Emit("welcome", []byte("This is "+next.Name()+"."))
}

// takeOut takes a client out of all rooms and out of the namespace. Its
// connection stays: it may be in other namespaces.
func takeOut(ctx context.Context, c *node.NSConn) error {
	if err := c.Emit("goodbye", []byte("No ticket, no tour.")); err != nil {
		return err
	}
	if err := c.LeaveAll(ctx); err != nil {
		return err
	}
	return c.Disconnect(ctx)
}
