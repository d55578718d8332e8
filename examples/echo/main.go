package main

import (
	"context"
	"flag"
	"log"

	"github.com/stoa-io/stoa/examples/internal/run"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

const (
	// maxMessage is the largest message in bytes; more is closed with 1009.
	maxMessage = 16 << 20
	// maxQueue is how much may wait for a client that sends faster than it
	// reads: some messages of the largest kind. Beyond it the connection is
	// closed, as nothing may wait without a bound.
	maxQueue = 4 * maxMessage
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9001", "address to listen on")
	stream := flag.Bool("stream", false, "serve connections with goroutines, as systems without epoll do")
	flag.Parse()
	transport := node.TransportAuto
	if *stream {
		transport = node.TransportStream
	}
	n, err := node.New(node.Config{
		Transport:    transport,
		NativeOnly:   true,
		Endpoint:     "*",
		AllowOrigins: []string{"*"},
		Limits: node.Limits{
			Names: wire.Limits{Message: maxMessage},
			Queue: maxQueue,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	// Messages of one connection are handled one after the other, so the echoes
	// keep their order.
	n.OnNative(func(_ context.Context, c *node.Conn, payload []byte, binary bool) error {
		return c.WriteNative(payload, binary)
	})
	run.Serve(run.Context(), n, *listen, "/")
}
