package serve

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

	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/settings"
	"github.com/stoa-io/stoa/config"
	"github.com/stoa-io/stoa/metrics"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/ops"
)

const serveLong = `Serve WebSocket connections. Without a configuration file the namespace "default"
is open, and relays emits and asks to the other members of a room.
With --config or STOA_CONFIG the node has the configuration of a file; "stoa config default"
prints one with all keys. Environment variables take precedence over the file, and
flags over both.
With --redis or STOA_REDIS the node joins a cluster: rooms span all nodes with the
same Redis servers and the same cluster name. The node starts without Redis, too, and
becomes ready when Redis is reachable.
With --tls-cert and --tls-key, or STOA_TLS_CERT and STOA_TLS_KEY, the port uses TLS.
Renewed files are loaded automatically.
With --internal-listen, metrics and profiles have an address of their own.

` + PagesAndSignals

// PagesAndSignals is the help on pages, signals and the cluster flags.
const PagesAndSignals = `The same port serves
  /              the demo page, unless there is an internal port; see --demo
  /stoa.js       the client for browsers, a JavaScript module
  /healthz       200 while the process runs
  /readyz        200 while the node accepts connections, else 503 and the reason
  /metrics       metrics for Prometheus
  /debug/pprof/  profiles, with --pprof
With --internal-listen the internal port serves metrics, profiles and the reason, and
the port for clients none of these; nor does it when other machines can reach it.

SIGINT and SIGTERM close all connections gracefully; a second signal ends the process
immediately. SIGHUP is ignored. The exit code is 1 if the node cannot start, and 2 for a wrong flag
or a mistake in the configuration.

` + cli.ClusterHelp

const serveExample = `  stoa serve
  stoa serve --config stoa.yaml
  stoa serve --listen 127.0.0.1:9000 --endpoint /chat
  stoa serve --allow-origin https://app.example.com --log-format json
  stoa serve --listen :8080 --allow-unauthenticated --internal-listen 127.0.0.1:9090
  stoa serve --tls-cert chain.pem --tls-key key.pem
  stoa serve --redis redis://redis.example.com:6379 --cluster-name chat`

// NewCommand returns "stoa serve".
func NewCommand() *cobra.Command {
	var flags settings.Flags
	command := &cobra.Command{
		Use:     "serve",
		Short:   "Serve WebSocket connections (the default command)",
		Long:    serveLong,
		Example: serveExample,
		Args:    cli.Args(0),
		RunE: func(command *cobra.Command, _ []string) error {
			return serve(command.Context(), &flags, command.OutOrStdout(), command.ErrOrStderr())
		},
	}
	flags.Register(command.Flags())
	return command
}

// serve runs a node until ctx is canceled, and drains it.
func serve(ctx context.Context, flags *settings.Flags, stdout, stderr io.Writer) error {
	c, err := flags.Load()
	if err != nil {
		return err
	}
	if err := CheckPages(c); err != nil {
		return err
	}
	records := cli.NewLogWriter(stderr, c.Log.Format)
	defer records.Close()
	logger := cli.NewLogger(records, c.Log.Format, c.LogLevel())
	self, err := newClusterNode(c, logger)
	if err != nil {
		return err
	}
	capacity := measureCapacity(c) // the node uses the raised limit of files
	verified, err := newAuthentication(c, logger)
	if err != nil {
		return err
	}
	defer verified.close()
	server, operators, err := newServer(c, self, verified, logger)
	if err != nil {
		return err
	}
	if err := listen(server, c); err != nil {
		_ = server.Close() // it never started
		return err
	}
	var internal *internalPort
	if operators != nil {
		if internal, err = listenInternal(c.Listen.Internal, operators, logger); err != nil {
			_ = server.Close()
			return err
		}
		defer internal.close() // after the drain, which operators watch
	}
	warnExposed(c, logger)
	capacity.held = uint64(server.ConnectionLimit())
	f := newFacts(c, server, self, capacity)
	f.internal = internal.address()
	defer surviveSignals(logger)()
	announce(stdout, logger, c.Log.Format, f)
	return serveUntil(ctx, server, c.DrainTimeout(), logger)
}

// warnExposed logs what other machines can reach.
func warnExposed(c *config.Config, logger *slog.Logger) {
	if c.Exposed() && !c.Authenticated() {
		logger.Warn("no authentication: every client that reaches this address can connect", "listen", c.Listen.Address)
	}
	if c.Exposed() && c.Listen.Internal == "" {
		logger.Info("other machines can reach this address, so it serves no metrics: --internal-listen gives them one of their own")
	}
	if c.InternalExposed() {
		logger.Warn("every machine that reaches the internal address can read metrics, and profiles with --pprof",
			"internal_listen", c.Listen.Internal)
	}
}

// newServer returns a node with its pages, and those of the internal port, if
// there is one. It raises GOMAXPROCS to the number of loops. self is nil
// outside of a cluster.
func newServer(c *config.Config, self *clusterNode, verified *authentication, logger *slog.Logger) (*node.Node, http.Handler, error) {
	mux := http.NewServeMux()
	nodeConfig := c.Node()
	nodeConfig.HTTP, nodeConfig.Logger = mux, logger
	options := ops.Options{Build: metricsBuild(cli.ReadBuild()), Collectors: verified.collectors()}
	if self != nil {
		nodeConfig.ID, nodeConfig.Broker = self.broker.NodeID(), self.broker
		options.Collectors = append(options.Collectors, metrics.NewBrokerCollector(self.broker))
		options.Warnings = self.broker.Warnings
	}
	server, err := node.New(nodeConfig)
	if err != nil {
		return nil, nil, err
	}
	if self != nil {
		self.node.Store(server)
	}
	verified.register(server)
	operators := mountPages(mux, server, c, options)
	if runtime.GOMAXPROCS(0) < nodeConfig.Loops {
		runtime.GOMAXPROCS(nodeConfig.Loops)
	}
	return server, operators, nil
}

// listen binds the address, with TLS if there is a certificate.
func listen(server *node.Node, c *config.Config) error {
	var err error
	if c.TLS.Cert == "" {
		err = server.Listen("tcp", c.Listen.Address)
	} else {
		err = server.ListenTLS("tcp", c.Listen.Address, c.TLS.Cert, c.TLS.Key)
	}
	if err != nil {
		return cli.Failure(explainListen(err, "listen"))
	}
	return nil
}

// metricsBuild returns the labels of the metric stoa_build_info.
func metricsBuild(b cli.Build) metrics.BuildInfo {
	revision := b.Revision
	if b.Modified {
		revision += "-modified"
	}
	return metrics.BuildInfo{Version: b.Version, Revision: revision, GoVersion: b.Go}
}

// serveUntil serves until ctx is canceled, and then shuts down in at most
// timeout, which includes the delay of the drain.
func serveUntil(ctx context.Context, server *node.Node, timeout time.Duration, logger *slog.Logger) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	select {
	case err := <-served:
		return cli.Failure(fmt.Errorf("the node stopped: %w", errors.Join(err, server.Close())))
	case <-ctx.Done():
	}
	// ctx is canceled already, so the drain needs its own deadline.
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	switch err := server.Shutdown(drain); {
	case errors.Is(err, context.DeadlineExceeded):
		logger.Warn("drain timed out; the remaining connections were cut", "timeout", timeout.String())
	case err != nil:
		logger.Warn("drain failed", "error", err)
	}
	if err := <-served; err != nil && !errors.Is(err, node.ErrClosed) {
		return cli.Failure(fmt.Errorf("the node stopped: %w", err))
	}
	logger.Info("stopped")
	return nil
}

// explainListen adds advice to the usual errors. The flag has the address.
func explainListen(err error, flag string) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: choose another address with --%s, or stop the process that uses this one", err, flag)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w: choose a port above 1023 with --%s, or run with the permission to use this one", err, flag)
	}
	return err
}
