package main

import (
	"context"
	"flag"
	"log"

	"github.com/stoa-io/stoa/examples/internal/run"
	"github.com/stoa-io/stoa/node"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	loops := flag.Int("loops", 0, "number of event loops; 0: one for each processor")
	flag.Parse()
	n, err := node.New(node.Config{Loops: *loops})
	if err != nil {
		log.Fatal(err)
	}
	// "chat" has no handler, and no relay handler either. So the loop that
	// reads such an event publishes it without a task.
	ns := n.Namespace("default", node.NamespaceOptions{Relay: node.RelayRooms | node.RelayNamespace})
	ns.OnAsk("echo", func(_ context.Context, r *node.AskRequest) error {
		r.Reply(r.Body)
		return nil
	})
	run.Serve(run.Context(), n, *listen, "/ws")
}
