package node_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/stoa-io/stoa/node"
)

// A moderator reads the history of a room and removes a message.
func ExampleNode_RemoveFromHistory() {
	n, err := node.New(node.Config{})
	if err != nil {
		log.Fatal(err)
	}
	n.Namespace("default", node.NamespaceOptions{
		Relay:   node.RelayRooms,
		History: node.HistoryOptions{Messages: 100, Age: time.Hour, Bytes: 1 << 20},
	})
	stop := exampleServe(n) // Listen and Serve
	defer stop()
	ctx := context.Background()
	exampleDial(n.Addr()).connect("default") // the node serves
	for _, text := range []string{"hello", "buy now", "how are you?"} {
		err := n.Emit(ctx, node.Message{Namespace: "default", Room: "lobby", Event: "chat", Body: []byte(text)}, node.EmitOptions{})
		if err != nil {
			log.Fatal(err)
		}
	}

	page, err := n.History(ctx, "default", "lobby", node.HistoryQuery{Limit: 20})
	if err != nil {
		log.Fatal(err)
	}
	for _, entry := range page.Entries {
		if string(entry.Body) != "buy now" {
			continue
		}
		if _, err := n.RemoveFromHistory(ctx, "default", "lobby", entry.Position); err != nil {
			log.Fatal(err)
		}
	}

	page, err = n.History(ctx, "default", "lobby", node.HistoryQuery{})
	if err != nil {
		log.Fatal(err)
	}
	for _, entry := range page.Entries {
		fmt.Println(string(entry.Body))
	}
	// Output:
	// hello
	// how are you?
}

// The application reads the members of a room.
func ExampleNode_Presence() {
	n, err := node.New(node.Config{})
	if err != nil {
		log.Fatal(err)
	}
	n.Namespace("default", node.NamespaceOptions{Relay: node.RelayRooms, Presence: node.PresenceRoster})
	stop := exampleServe(n) // Listen and Serve
	defer stop()
	ctx := context.Background()
	for range 2 {
		visitor := exampleDial(n.Addr())
		visitor.connect("default")
		visitor.join("default", "lobby")
	}

	page, err := n.Presence(ctx, "default", "lobby", node.PresenceQuery{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(page.Count, "members")
	// Output: 2 members
}

// A copy of a message with an ID is not published again.
func ExampleNode_Publish() {
	n, err := node.New(node.Config{})
	if err != nil {
		log.Fatal(err)
	}
	n.Namespace("default", node.NamespaceOptions{Relay: node.RelayRooms, History: node.HistoryOptions{Messages: 100}})
	stop := exampleServe(n) // Listen and Serve
	defer stop()
	exampleDial(n.Addr()).connect("default") // the node serves
	ctx := context.Background()

	order := node.Message{Namespace: "default", Room: "lobby", Event: "order", Body: []byte("two olives")}
	position, err := n.Publish(ctx, order, node.PublishOptions{ID: "order-4711"})
	if err != nil {
		log.Fatal(err)
	}
	again, err := n.Publish(ctx, order, node.PublishOptions{ID: "order-4711"})
	if err != nil {
		log.Fatal(err)
	}
	page, err := n.History(ctx, "default", "lobby", node.HistoryQuery{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(again == position, len(page.Entries))
	// Output: true 1
}
