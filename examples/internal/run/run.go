package run

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/stoa-io/stoa/node"
)

// Patience is how long an example that ends waits for its clients and handlers.
const Patience = 10 * time.Second

// Context ends when the process is asked to end: by Ctrl-C, or by a service
// manager or a container with SIGTERM. A second signal ends the process at
// once.
func Context() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

// Serve listens, prints the URL of path there, and serves the node until ctx
// ends; then it shuts the node down. It ends the process if it cannot.
func Serve(ctx context.Context, n *node.Node, address, path string) {
	if err := n.Listen("tcp", address); err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Serve() }()
	fmt.Printf("listening on ws://%s%s\n", n.Addr(), path)

	select {
	case err := <-ended:
		log.Fatal(err)
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := n.Shutdown(patience); err != nil {
		log.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, node.ErrClosed) {
		log.Fatal(err)
	}
}
