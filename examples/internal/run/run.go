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

// Patience is how long a shutdown waits for clients and handlers.
const Patience = 10 * time.Second

// Context returns a context that the signals SIGINT (Ctrl-C) and SIGTERM
// cancel. A second signal ends the process immediately.
func Context() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

// ServePage is Serve for an example that has a page for browsers at "/". It
// prints the URL of the page, too.
func ServePage(ctx context.Context, n *node.Node, address, path string) {
	serve(ctx, n, address, "open http://%[1]s/\nlistening on ws://%[1]s%[2]s\n", path)
}

// Serve listens on the address, prints the URL of path, and serves the node.
// When ctx is canceled it shuts the node down. An error ends the process.
func Serve(ctx context.Context, n *node.Node, address, path string) {
	serve(ctx, n, address, "listening on ws://%[1]s%[2]s\n", path)
}

// serve prints the text with the address and the path.
func serve(ctx context.Context, n *node.Node, address, text, path string) {
	if err := n.Listen("tcp", address); err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Serve() }()
	fmt.Printf(text, n.Addr(), path)

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
