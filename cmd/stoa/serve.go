package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/metrics"
	"github.com/stoa-io/stoa/node"
)

const serveLong = `Serve WebSocket connections with the demo configuration: the namespace "default"
is open, and what a client emits or asks there reaches the others in the room.
With --redis, or STOA_REDIS in the environment, the node is one of a cluster: rooms
span all nodes that name the same Redis servers and the same cluster. A node starts
without Redis too, and is not ready until Redis is there.
With --tls-cert and --tls-key, or STOA_TLS_CERT and STOA_TLS_KEY in the environment,
the port speaks TLS. The files are read again when they change.

` + pagesAndSignals

const pagesAndSignals = `The same port serves
  /          a page to try it with
  /stoa.js   the client for browsers, a module
  /healthz   200 while the process works
  /readyz    200 while the node takes connections, else 503 and the reason
  /metrics   figures for Prometheus

SIGINT and SIGTERM close all connections in an orderly way; a second signal ends
the process at once. The exit code is 1 if the node cannot start, 2 if a flag is
wrong.

` + clusterHelp

const serveExample = `  stoa serve
  stoa serve --listen 127.0.0.1:9000 --endpoint /chat
  stoa serve --allow-origin https://app.example.com --log-format json
  stoa serve --listen :8080 --allow-unauthenticated
  stoa serve --tls-cert chain.pem --tls-key key.pem
  stoa serve --redis redis://redis.example.com:6379 --cluster-name chat`

func newServeCommand() *cobra.Command {
	var flags serveFlags
	command := &cobra.Command{
		Use:     "serve",
		Short:   "Serve WebSocket connections (what stoa does without a subcommand)",
		Long:    serveLong,
		Example: serveExample,
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return serve(command.Context(), &flags, command.OutOrStdout(), command.ErrOrStderr())
		},
	}
	flags.register(command.Flags())
	return command
}

// serve runs a node until ctx ends and the node has drained.
func serve(ctx context.Context, flags *serveFlags, stdout, stderr io.Writer) error {
	parsed, err := flags.parse()
	if err != nil {
		return err
	}
	logger := newLogger(stderr, flags.logFormat, parsed.logLevel)
	member, err := newMember(&flags.member, parsed.cluster, logger)
	if err != nil {
		return err
	}
	server, err := newServer(flags, parsed, member, logger)
	if err != nil {
		return err
	}
	if err := listen(server, flags.listen, parsed.tls); err != nil {
		_ = server.Close() // it has not begun
		return err
	}
	if parsed.exposed {
		logger.Warn("anybody who can reach this address may connect: there is no authentication", "listen", flags.listen)
	}
	f := facts{
		build:    readBuild(),
		nodeID:   server.ID(),
		address:  server.Addr(),
		secure:   parsed.tls.given(),
		endpoint: flags.endpoint,
		loops:    parsed.loops,
		capacity: measureCapacity(parsed.transport, parsed.tls.given()),
	}
	if member != nil {
		f.cluster, f.servers = parsed.cluster.Cluster, member.servers()
	}
	announce(stdout, logger, flags.logFormat, f)
	return serveUntil(ctx, server, flags.drainTimeout, logger)
}

// newServer returns a node in the demo configuration with the program's own
// pages beside it, and gives Go the processors that the loops need. member is nil if
// the node is alone.
func newServer(flags *serveFlags, parsed parsedFlags, member *member, logger *slog.Logger) (*node.Node, error) {
	pages := new(pages)
	config := node.Config{
		ID:           flags.member.nodeID,
		Loops:        parsed.loops,
		Transport:    parsed.transport,
		Endpoint:     flags.endpoint,
		HTTP:         pages,
		AllowOrigins: flags.allowOrigins,
		Namespaces:   map[string]node.NamespaceOptions{demoNamespace: {Relay: true, Broadcast: true, Asks: true}},
		Logger:       logger,
	}
	var collectors []prometheus.Collector
	if member != nil {
		config.ID, config.Broker = member.broker.NodeID(), member.broker
		collectors = append(collectors, metrics.NewBrokerCollector(member.broker))
	}
	server, err := node.New(config)
	if err != nil {
		return nil, err
	}
	if member != nil {
		member.node.Store(server)
	}
	mux := newMux(server, flags.endpoint, metrics.Handler(server, readBuild().metrics(), collectors...))
	if err := checkEndpoint(mux, flags.endpoint); err != nil {
		return nil, errors.Join(err, server.Close())
	}
	pages.handler = mux
	if runtime.GOMAXPROCS(0) < parsed.loops {
		runtime.GOMAXPROCS(parsed.loops)
	}
	return server, nil
}

// pages is the node's HTTP handler. The node must be made with one, and the
// handler asks the node; so its content comes after the node and before Listen.
type pages struct{ handler http.Handler }

func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// serveUntil serves until ctx ends, and then drains for at most timeout.
func serveUntil(ctx context.Context, server *node.Node, timeout time.Duration, logger *slog.Logger) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	select {
	case err := <-served:
		return &failureError{fmt.Errorf("the node has stopped: %w", errors.Join(err, server.Close()))}
	case <-ctx.Done():
	}
	// ctx has ended already, so the drain needs a clock of its own.
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	switch err := server.Shutdown(drain); {
	case errors.Is(err, context.DeadlineExceeded):
		logger.Warn("the drain took too long: remaining connections and messages were cut", "timeout", timeout.String())
	case err != nil:
		logger.Warn("drain", "error", err)
	}
	if err := <-served; err != nil && !errors.Is(err, node.ErrClosed) {
		return &failureError{fmt.Errorf("the node has stopped: %w", err)}
	}
	logger.Info("stopped")
	return nil
}

// explainListen adds what to do about the usual reasons.
func explainListen(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: choose another address with --listen, or stop the program that uses this one", err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w: choose a port above 1023 with --listen, or run with the right to use this one", err)
	}
	return err
}
