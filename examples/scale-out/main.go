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

// request names a connection on any node, and the text or room of an action.
// Here every client may act on every other one. A real application authorizes
// the request first, as in examples/mount.
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

// declare registers the handlers. They are the same for one node and for many;
// only the last one needs the broker.
func declare(n *node.Node, broker *redisbroker.Broker) {
	// An event that a client emits into a room reaches the members on every
	// node.
	ns := n.Namespace(namespace, node.NamespaceOptions{Relay: node.RelayRooms})

	// An ID is valid on every node: it contains the ID of the connection's
	// node.
	ns.OnAsk("whoami", func(_ context.Context, r *node.AskRequest) error {
		r.Reply([]byte(r.NSConn.Conn().ID()))
		return nil
	})
	node.OnAsk(ns, "find", codec.JSON{}, func(ctx context.Context, _ *node.AskRequest, in request) (node.ConnInfo, error) {
		return n.Find(ctx, in.Conn)
	})
	// EmitTo returns when the other node has queued the message, or with
	// "gone".
	node.OnAsk(ns, "tell", codec.JSON{}, func(ctx context.Context, _ *node.AskRequest, in request) (string, error) {
		m := node.Message{Namespace: namespace, Event: "told", Body: []byte(in.Text)}
		return "queued", n.EmitTo(ctx, in.Conn, m)
	})
	// Ask returns the answer of the other client.
	node.OnAsk(ns, "question", codec.JSON{}, func(ctx context.Context, _ *node.AskRequest, in request) (string, error) {
		m := node.Message{Namespace: namespace, Event: "question", Body: []byte(in.Text)}
		answer, err := n.Ask(ctx, in.Conn, m)
		return string(answer.Body), err
	})
	// Join returns when the other client is a member. From then on it receives
	// every message of the room.
	node.OnAsk(ns, "invite", codec.JSON{}, func(ctx context.Context, _ *node.AskRequest, in request) (string, error) {
		if err := n.Join(ctx, in.Conn, namespace, in.Room); err != nil {
			return "", err
		}
		// The event reaches the other members on every node.
		m := node.Message{Namespace: namespace, Room: in.Room, Event: "joined", Body: []byte(in.Conn)}
		return "joined", n.Emit(ctx, m, node.EmitOptions{Except: []string{in.Conn}})
	})
	ns.OnAsk("nodes", func(_ context.Context, r *node.AskRequest) error {
		list, err := codec.JSON{}.Marshal(broker.Nodes())
		r.Reply(list)
		return err
	})
}
