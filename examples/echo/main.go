package main

import (
	"context"
	"flag"
	"log"

	"github.com/stoa-io/stoa/examples/internal/run"
	"github.com/stoa-io/stoa/node"
)

const (
	// maxMessage is the size of the largest message in bytes. A larger one
	// closes the connection with 1009.
	maxMessage = 16 << 20
	// maxQueue bounds the echoes that are queued for a client that sends faster
	// than it reads: a few messages of the largest size. Beyond it the
	// connection is closed.
	maxQueue = 4 * maxMessage
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9001", "address to listen on")
	blocking := flag.Bool("blocking", false, "serve connections with goroutines, as on systems without epoll")
	flag.Parse()
	transport := node.TransportAuto
	if *blocking {
		transport = node.TransportBlocking
	}
	n, err := node.New(node.Config{
		Transport:    transport,
		NativeOnly:   true,
		Endpoint:     "*",
		AllowOrigins: []string{"*"},
		Limits: node.Limits{
			Message:   maxMessage,
			SendQueue: maxQueue,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	// The messages of one connection are handled one after the other, so the
	// echoes keep their order.
	n.OnNative(func(_ context.Context, e *node.NativeEvent) error {
		return e.Conn.WriteNative(e.Payload, e.Binary)
	})
	run.Serve(run.Context(), n, *listen, "/")
}
