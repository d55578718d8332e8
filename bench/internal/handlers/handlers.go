//go:build linux

package handlers

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/stoa-io/stoa/internal/load/protocol"
	"github.com/stoa-io/stoa/metrics"
	"github.com/stoa-io/stoa/node"
)

// Run prints the address of a node with handlers and serves it.
func Run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("handlers", flag.ContinueOnError)
	loops := flags.Int("loops", 1, "event loops")
	transport := flags.String("transport", "", "transport of the node, like stoa's flag of that name")
	if err := flags.Parse(args); err != nil {
		return err
	}
	n, err := newNode(*loops, *transport)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "handlers on http://%s\n", n.Addr())
	return n.Serve()
}

// newNode returns a node that listens and is not served yet.
func newNode(loops int, transport string) (*node.Node, error) {
	config := node.Config{Loops: loops, Endpoint: protocol.Endpoint}
	for _, kind := range []node.Transport{node.TransportAuto, node.TransportEpoll, node.TransportBlocking} {
		if kind.String() == transport {
			config.Transport = kind
		}
	}
	mux := http.NewServeMux()
	config.HTTP = mux
	n, err := node.New(config)
	if err != nil {
		return nil, err
	}
	// A client that has closed its connection needs no response.
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.Handle("GET /metrics", metrics.Handler(n, metrics.BuildInfo{}))
	// stoa relays too, so the memory per connection can be compared.
	declareHandlers(n.Namespace(protocol.Namespace, node.NamespaceOptions{Relay: node.RelayRooms}))
	return n, n.Listen("tcp", "127.0.0.1:0")
}

func declareHandlers(ns *node.Namespace) {
	var counted atomic.Uint64
	ns.OnAsk(protocol.EventEcho, func(_ context.Context, r *node.AskRequest) error {
		r.Reply(r.Body)
		return nil
	})
	ns.OnEmit(protocol.EventCount, func(context.Context, *node.EmitEvent) error {
		counted.Add(1)
		return nil
	})
	ns.OnAsk(protocol.EventCounted, func(_ context.Context, r *node.AskRequest) error {
		r.Reply(strconv.AppendUint(nil, counted.Load(), 10))
		return nil
	})
}
