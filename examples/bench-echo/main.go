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
	// "chat" has no handler, not even one that looks at it before it is
	// relayed: so it never leaves the loop that has read it until it is
	// delivered.
	ns := n.Namespace("default").Configure(node.NamespaceOptions{Relay: true, Broadcast: true})
	ns.OnAsk("echo", func(_ context.Context, _ *node.NSConn, m *node.Message) ([]byte, error) {
		return m.Body, nil
	})
	run.Serve(run.Context(), n, *listen, "/ws")
}
