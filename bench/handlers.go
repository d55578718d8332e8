//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/stoa-io/stoa/metrics"
	"github.com/stoa-io/stoa/node"
)

// The events that a node with handlers, and the floor, know beside those that are
// relayed.
const (
	eventEcho    = "echo"    // an ask, answered with its body
	eventCount   = "count"   // an emit, counted
	eventCounted = "counted" // an ask, answered with how many have been counted
)

// runHandlers is "bench handlers": a node in a program of its own, with handlers
// for what clients ask and emit. Like any program it takes GOMAXPROCS as Go sets it.
func runHandlers(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("handlers", flag.ContinueOnError)
	loops := flags.Int("loops", 1, "event loops")
	transport := flags.String("transport", "", "transport of the node, as stoa's flag of that name")
	if err := flags.Parse(args); err != nil {
		return err
	}
	n, err := newHandlers(*loops, *transport)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "handlers on http://%s\n", n.Addr())
	return n.Serve()
}

// newHandlers returns a node that listens, not yet served.
func newHandlers(loops int, transport string) (*node.Node, error) {
	config := node.Config{Loops: loops, Endpoint: endpoint}
	for _, kind := range []node.Transport{node.TransportAuto, node.TransportEpoll, node.TransportStream} {
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
	// A client that goes away needs no answer.
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.Handle("GET /metrics", metrics.Handler(n, metrics.BuildInfo{}))
	declareHandlers(n.Namespace(namespace))
	return n, n.Listen("tcp", "127.0.0.1:0")
}

func declareHandlers(ns *node.Namespace) {
	var counted atomic.Uint64
	// As in stoa, so that a connection's memory can be set beside its.
	ns.Configure(node.NamespaceOptions{Relay: true})
	ns.OnAsk(eventEcho, func(_ context.Context, _ *node.NSConn, m *node.Message) ([]byte, error) {
		return m.Body, nil
	})
	ns.OnEmit(eventCount, func(context.Context, *node.NSConn, *node.Message) error {
		counted.Add(1)
		return nil
	})
	ns.OnAsk(eventCounted, func(context.Context, *node.NSConn, *node.Message) ([]byte, error) {
		return strconv.AppendUint(nil, counted.Load(), 10), nil
	})
}
