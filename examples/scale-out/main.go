package main

import (
	"context"
	"flag"
	"log"
	"log/slog"
	"os"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/codec"
	"github.com/stoa-io/stoa/examples/internal/run"
	"github.com/stoa-io/stoa/node"
)

const namespace = "default"

// request names a connection on any node, and the action. Here every client may
// do everything to every other; a real program checks c.Conn().Value first, as
// in examples/mount.
type request struct {
	Conn string `json:"conn"`
	Text string `json:"text,omitempty"`
	Room string `json:"room,omitempty"`
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	redis := flag.String("redis", "redis://127.0.0.1:6379", "URL of the Redis server that all nodes share")
	flag.Parse()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	broker, err := redisbroker.New(redisbroker.Config{Servers: []string{*redis}, Logger: logger})
	if err != nil {
		log.Fatal(err)
	}
	// The node and its broker have one ID. The node starts the broker and
	// closes it.
	n, err := node.New(node.Config{ID: broker.NodeID(), Broker: broker, Logger: logger})
	if err != nil {
		log.Fatal(err)
	}
	declare(n, broker)
	run.Serve(run.Context(), n, *listen, "/ws")
}

// declare registers the handlers. Nothing in them depends on there being one
// node or many, but the last.
func declare(n *node.Node, broker *redisbroker.Broker) {
	// What a client emits into a room reaches the room's members on every node.
	ns := n.Namespace(namespace).Configure(node.NamespaceOptions{Relay: true})

	// An ID is good on every node: it says where the connection is.
	ns.OnAsk("whoami", func(_ context.Context, c *node.NSConn, _ *node.Message) ([]byte, error) {
		return []byte(c.Conn().ID()), nil
	})
	node.TypedAsk(ns, "find", codec.JSON{}, func(ctx context.Context, _ *node.NSConn, r request) (node.ConnInfo, error) {
		return n.Find(ctx, r.Conn)
	})
	// EmitTo returns when the other node has queued the message, or with
	// "gone".
	node.TypedAsk(ns, "tell", codec.JSON{}, func(ctx context.Context, _ *node.NSConn, r request) (string, error) {
		m := node.Message{Namespace: namespace, Event: "told", Body: []byte(r.Text)}
		return "queued", n.EmitTo(ctx, r.Conn, m)
	})
	// Ask returns what the other client has answered.
	node.TypedAsk(ns, "question", codec.JSON{}, func(ctx context.Context, _ *node.NSConn, r request) (string, error) {
		m := node.Message{Namespace: namespace, Event: "question", Body: []byte(r.Text)}
		answer, err := n.Ask(ctx, r.Conn, m)
		return string(answer.Body), err
	})
	// Join returns when the other client is in the room and hears everything
	// there.
	node.TypedAsk(ns, "invite", codec.JSON{}, func(ctx context.Context, _ *node.NSConn, r request) (string, error) {
		if err := n.Join(ctx, r.Conn, namespace, r.Room); err != nil {
			return "", err
		}
		// The program speaks to a room as clients do: to all nodes.
		m := node.Message{Namespace: namespace, Room: r.Room, Event: "joined", Body: []byte(r.Conn)}
		return "joined", n.Emit(ctx, m, r.Conn)
	})
	ns.OnAsk("nodes", func(context.Context, *node.NSConn, *node.Message) ([]byte, error) {
		return codec.JSON{}.Marshal(broker.Nodes())
	})
}
