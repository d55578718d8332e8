package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/codec"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// exampleNode serves a node for the examples, which relays in "default".
func exampleNode() (address string, n *node.Node, stop func()) {
	n, err := node.New(node.Config{Loops: 1, Namespaces: map[string]node.NamespaceOptions{"default": {Relay: true}}})
	if err != nil {
		log.Fatal(err)
	}
	ns := n.Namespace("default")
	ns.OnAsk("time", func(context.Context, *node.NSConn, *node.Message) ([]byte, error) { return []byte("noon"), nil })
	ns.OnAsk("double", func(_ context.Context, _ *node.NSConn, m *node.Message) ([]byte, error) {
		return fmt.Appendf(nil, `{"Double":%s%s}`, m.Body, m.Body), nil
	})
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	return "ws://" + n.Addr().String() + "/ws", n, func() {
		_ = n.Close()
		<-served
	}
}

// Two clients talk in a room.
func Example() {
	address, _, stop := exampleNode()
	defer stop()
	ctx := context.Background()

	heard := make(chan string)
	bob, err := client.Dial(ctx, address, client.Options{
		Namespaces: map[string]client.Handlers{"default": {
			OnEmit: map[string]client.EmitHandler{
				"chat": func(_ context.Context, _ *client.NSConn, m *client.Message) error {
					heard <- m.Room + ": " + string(m.Body)
					return nil
				},
			},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer bob.Close()
	ann, err := client.Dial(ctx, address, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer ann.Close()

	for _, conn := range []*client.Conn{ann, bob} {
		ns, err := conn.Connect(ctx, "default")
		if err != nil {
			log.Fatal(err)
		}
		if _, err := ns.JoinRoom(ctx, "lobby"); err != nil {
			log.Fatal(err)
		}
	}
	if err := ann.Namespace("default").Room("lobby").Emit("chat", []byte("hello")); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-heard)
	// Output: lobby: hello
}

// An ask waits for its answer; the server's errors are values.
func ExampleNSConn_Ask() {
	address, _, stop := exampleNode()
	defer stop()
	ctx := context.Background()

	conn, err := client.Dial(ctx, address, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ns, err := conn.Connect(ctx, "default")
	if err != nil {
		log.Fatal(err)
	}
	answer, err := ns.Ask(ctx, "time", nil)
	fmt.Println(string(answer.Body), err)
	_, err = ns.Ask(ctx, "weather", nil)
	fmt.Println(errors.Is(err, wire.ErrUnhandled))
	// Output:
	// noon <nil>
	// true
}

// Values in place of bytes.
func ExampleAskTyped() {
	address, _, stop := exampleNode()
	defer stop()
	ctx := context.Background()

	conn, err := client.Dial(ctx, address, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ns, err := conn.Connect(ctx, "default")
	if err != nil {
		log.Fatal(err)
	}
	type result struct{ Double int }
	answer, err := client.AskTyped[result](ctx, ns, "double", codec.JSON{}, 7)
	fmt.Println(answer.Double, err)
	// Output: 77 <nil>
}

// The server asks, and the client answers.
func ExampleHandlers() {
	address, n, stop := exampleNode()
	defer stop()
	ctx := context.Background()

	conn, err := client.Dial(ctx, address, client.Options{
		Namespaces: map[string]client.Handlers{"default": {
			OnAsk: map[string]client.AskHandler{
				"name": func(context.Context, *client.NSConn, *client.Message) ([]byte, error) {
					return []byte("Ann"), nil
				},
			},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Connect(ctx, "default"); err != nil {
		log.Fatal(err)
	}
	answer, err := n.Ask(ctx, conn.ID(), node.Message{Namespace: "default", Event: "name"})
	fmt.Println(string(answer.Body), err)
	// Output: Ann <nil>
}

// The server connects the client to a namespace by itself.
func ExampleConn_WaitServerConnect() {
	address, n, stop := exampleNode()
	defer stop()
	ctx := context.Background()

	conn, err := client.Dial(ctx, address, client.Options{Namespaces: map[string]client.Handlers{"default": {}}})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	go func() {
		if err := n.Connect(ctx, conn.ID(), "default"); err != nil {
			log.Print(err)
		}
	}()
	ns, err := conn.WaitServerConnect(ctx, "default")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ns.Namespace())
	// Output: default
}

// A program that follows what its Conn is doing, and gets a fresh token for each
// connection.
func ExampleOptions() {
	address, _, stop := exampleNode()
	ctx := context.Background()

	states := make(chan client.Transition, 100)
	conn, err := client.Dial(ctx, address, client.Options{
		OnState: func(t client.Transition) { states <- t },
		Authenticate: func(context.Context) (http.Header, error) {
			return http.Header{"Authorization": {"Bearer " + "token"}}, nil
		},
		Buffer: client.Buffer{Policy: client.BufferFail},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println((<-states).To)
	stop() // the node dies
	fmt.Println((<-states).To)
	_ = conn.Close()
	for t := range states {
		if t.To == client.StateClosed {
			fmt.Println(t.To, t.Err)
			return
		}
	}
	// Output:
	// connected
	// reconnecting
	// closed client: closed
}
