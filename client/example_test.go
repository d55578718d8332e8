package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/codec"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// exampleNode serves a node for the examples, which relays in "default".
func exampleNode() (address string, n *node.Node, stop func()) {
	n, err := node.New(node.Config{Loops: 1, Namespaces: map[string]node.NamespaceOptions{
		"default": {Relay: node.RelayRooms, Presence: node.PresenceRoster, History: node.HistoryOptions{Messages: 3}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	ns := n.LookupNamespace("default")
	ns.OnAsk("time", func(_ context.Context, r *node.AskRequest) error {
		r.Reply([]byte("noon"))
		return nil
	})
	ns.OnAsk("double", func(_ context.Context, r *node.AskRequest) error {
		r.Reply(fmt.Appendf(nil, `{"Double":%s%s}`, r.Body, r.Body))
		return nil
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
	var chat client.Namespace
	chat.OnEmit("chat", func(_ context.Context, e *client.EmitEvent) error {
		heard <- e.Room + ": " + string(e.Body)
		return nil
	})
	bob, err := client.Dial(ctx, address, client.Options{
		Namespaces: map[string]*client.Namespace{"default": &chat},
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

// Ask waits for the answer; the server's errors are values.
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

// Ask with values in place of bytes.
func ExampleAsk() {
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
	answer, err := client.Ask[result](ctx, ns, "double", codec.JSON{}, 7)
	fmt.Println(answer.Double, err)
	// Output: 77 <nil>
}

// The server asks, and the client answers.
func ExampleNamespace() {
	address, n, stop := exampleNode()
	defer stop()
	ctx := context.Background()

	var ns client.Namespace
	ns.OnAsk("name", func(_ context.Context, r *client.AskRequest) error {
		r.Reply([]byte("Ann"))
		return nil
	})
	conn, err := client.Dial(ctx, address, client.Options{
		Namespaces: map[string]*client.Namespace{"default": &ns},
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

// The server connects the client to a namespace.
func ExampleConn_WaitServerConnect() {
	address, n, stop := exampleNode()
	defer stop()
	ctx := context.Background()

	conn, err := client.Dial(ctx, address, client.Options{Namespaces: map[string]*client.Namespace{"default": {}}})
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

// Follow the state of a Conn, and get a fresh token for each connection.
func ExampleOptions() {
	address, _, stop := exampleNode()
	ctx := context.Background()

	states := make(chan *client.StateEvent, 100)
	conn, err := client.Dial(ctx, address, client.Options{
		OnState:      func(_ context.Context, e *client.StateEvent) { states <- e },
		Authenticate: client.Bearer(func(context.Context) (string, error) { return "token", nil }),
		Buffer:       client.Buffer{Policy: client.BufferFail},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println((<-states).To)
	stop() // the node closes
	fmt.Println((<-states).To)
	_ = conn.Close()
	for e := range states {
		if e.To == client.StateClosed {
			fmt.Println(e.To, e.Err)
			return
		}
	}
	// Output:
	// connected
	// reconnecting
	// closed client: closed
}

// A Roster keeps the members of a room up to date.
func ExampleRoster() {
	url, _, stop := exampleNode()
	defer stop()
	ctx := context.Background()
	shown := make(chan int, 10)
	show := func(_ []client.Member, count int) { shown <- count }

	var roster client.Roster
	var team client.Namespace
	team.OnPresence(func(ctx context.Context, e *client.PresenceEvent) {
		if err := roster.Apply(ctx, e); err == nil {
			show(roster.Members(), roster.Count())
		}
	})
	conn, err := client.Dial(ctx, url, client.Options{
		Namespaces: map[string]*client.Namespace{"default": &team},
	})
	if err != nil {
		log.Fatal(err)
	}
	ns, err := conn.Connect(ctx, "default")
	if err != nil {
		log.Fatal(err)
	}
	room, err := ns.JoinRoom(ctx, "lobby")
	if err != nil {
		log.Fatal(err)
	}
	if err := roster.Load(ctx, room); err != nil {
		log.Fatal(err)
	}
	show(roster.Members(), roster.Count())
	defer conn.Close()

	visitor, err := client.Dial(ctx, url, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer visitor.Close()
	if ns, err = visitor.Connect(ctx, "default"); err != nil {
		log.Fatal(err)
	}
	if _, err := ns.JoinRoom(ctx, "lobby"); err != nil {
		log.Fatal(err)
	}
	for count := range shown {
		if count == 2 {
			break
		}
	}
	fmt.Println("two members")
	// Output: two members
}

func ExampleNamespace_OnHistoryGap() {
	url, n, stop := exampleNode() // it keeps three messages
	defer stop()
	ctx := context.Background()
	shown := make(chan string, 10)
	show := func(body []byte) { shown <- string(body) }
	reset := func() { shown <- "reset" }

	var last string // the position of the last handled message
	var chat client.Namespace
	chat.OnEmit("chat", func(_ context.Context, e *client.EmitEvent) error {
		show(e.Body)
		last = e.Position
		return nil
	})
	chat.OnHistoryGap(func(ctx context.Context, e *client.HistoryGapEvent) {
		for more := true; more; {
			page, err := e.Room.History(ctx, client.HistoryQuery{After: last, Oldest: true})
			if err != nil {
				log.Print(err) // such as a further loss of the connection: load the state anew
				return
			}
			if !page.Found {
				reset() // the history does not reach back to the last one
			}
			for _, entry := range page.Entries {
				if entry.Event == "chat" {
					show(entry.Body)
				}
				if last = entry.Position; last == e.Position {
					return // later ones follow the gap
				}
			}
			more = page.More
		}
	})

	// The first connection is lost, and the next one waits for the messages.
	connections, proceed := make(chan net.Conn, 10), make(chan struct{}, 10)
	proceed <- struct{}{}
	conn, err := client.Dial(ctx, url, client.Options{
		Namespaces: map[string]*client.Namespace{"default": &chat},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			<-proceed
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			connections <- c
			return c, err
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ns, err := conn.Connect(ctx, "default")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := ns.JoinRoom(ctx, "lobby"); err != nil {
		log.Fatal(err)
	}
	publish := func(body string) {
		m := node.Message{Namespace: "default", Room: "lobby", Event: "chat", Body: []byte(body)}
		if _, err := n.Publish(ctx, m, node.PublishOptions{}); err != nil {
			log.Fatal(err)
		}
	}
	publish("one")
	fmt.Println(<-shown)
	_ = (<-connections).Close()
	for _, body := range []string{"two", "three", "four", "five"} {
		publish(body)
	}
	proceed <- struct{}{}
	for range 4 {
		fmt.Println(<-shown)
	}
	// Output:
	// one
	// reset
	// three
	// four
	// five
}
