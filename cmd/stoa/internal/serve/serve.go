package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/control"
	"github.com/stoa-io/stoa/cmd/stoa/internal/settings"
	"github.com/stoa-io/stoa/config"
	"github.com/stoa-io/stoa/metrics"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/ops"
)

const serveLong = `Serve WebSocket connections. Without a configuration file the namespace "default"
is open, and relays emits and asks to the other members of a room. With the demo page,
alone, and on a loopback address, its rooms also keep 300 messages for an hour, and
show their members.
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
immediately. SIGHUP reloads the configuration, as "stoa reload" does; a mistake in it
changes nothing. The exit code is 1 if the node cannot start, and 2 for a wrong flag
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
	hangups, stop := catchSignals() // first: a hang-up during the start is not lost
	defer stop()
	c, err := flags.Load()
	if err != nil {
		return err
	}
	if err := CheckPages(c); err != nil {
		return err
	}
	ctx.Done() // from here on, a signal drains the node
	records := cli.NewLogWriter(stderr, c.Log.Format)
	defer records.Close()
	r := &reloader{flags: flags, current: c, level: new(slog.LevelVar), metrics: newReloadMetrics(time.Now())}
	r.level.Set(c.LogLevel())
	r.log = cli.NewLogger(records, c.Log.Format, r.level)
	self, err := newClusterNode(c, r.log)
	if err != nil {
		return err
	}
	capacity := measureCapacity(c) // the node uses the raised limit of files
	if r.verified, err = newAuthentication(c, r.log); err != nil {
		return err
	}
	defer r.verified.close()
	if r.server, r.pages, err = newServer(c, self, r); err != nil {
		return err
	}
	if err := listen(r.server, c); err != nil {
		_ = r.server.Close() // it never started
		return err
	}
	ports, err := r.listenOperators(c)
	if err != nil {
		_ = r.server.Close()
		return err
	}
	defer ports.close() // after the drain, which operators watch
	warnExposed(c, r.log)
	capacity.held = uint64(r.server.ConnectionLimit())
	f := newFacts(c, r.server, self, capacity)
	f.internal = ports.internal.address()
	announce(stdout, r.log, c.Log.Format, f)
	return r.serveUntil(ctx, hangups)
}

// operatorPorts are the listeners for operators; both may be nil.
type operatorPorts struct {
	internal *internalPort
	control  *control.Server
}

func (r *reloader) listenOperators(c *config.Config) (ports operatorPorts, err error) {
	if r.pages.internal.exists() {
		if ports.internal, err = listenInternal(c.Listen.Internal, &r.pages.internal, r.log); err != nil {
			return ports, err
		}
	}
	if c.Listen.Control != "" {
		if ports.control, err = control.Listen(c.Listen.Control, r.reload, r.log); err != nil {
			ports.close()
			return ports, cli.Failure(err)
		}
	}
	return ports, nil
}

func (p *operatorPorts) close() {
	p.control.Close()
	p.internal.close()
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

// newServer returns a node with its pages. It raises GOMAXPROCS to the number
// of loops. self is nil outside of a cluster.
func newServer(c *config.Config, self *clusterNode, r *reloader) (*node.Node, *pages, error) {
	mux := http.NewServeMux()
	nodeConfig := c.Node()
	nodeConfig.HTTP, nodeConfig.Logger = mux, r.log
	options := ops.Options{Build: metricsBuild(cli.ReadBuild()), Collectors: append(r.metrics.collectors(), r.verified)}
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
	r.verified.register(server)
	shown := mountPages(mux, server, c, options)
	if runtime.GOMAXPROCS(0) < nodeConfig.Loops {
		runtime.GOMAXPROCS(nodeConfig.Loops)
	}
	return server, shown, nil
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

// serveUntil serves and reloads until ctx is canceled, and then shuts down in
// at most the time of the configuration, which includes the delay of the drain.
func (r *reloader) serveUntil(ctx context.Context, hangups <-chan os.Signal) error {
	served := make(chan error, 1)
	go func() { served <- r.server.Serve() }()
	reloads, endReloads := context.WithCancel(ctx)
	reloading := make(chan struct{})
	go func() {
		defer close(reloading)
		r.onHangUp(reloads, hangups)
	}()
	defer func() {
		endReloads()
		<-reloading
	}()
	select {
	case err := <-served:
		return cli.Failure(fmt.Errorf("the node stopped: %w", errors.Join(err, r.server.Close())))
	case <-ctx.Done():
	}
	timeout := r.end().DrainTimeout()
	// ctx is canceled already, so the drain needs its own deadline.
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	switch err := r.server.Shutdown(drain); {
	case errors.Is(err, context.DeadlineExceeded):
		r.log.Warn("drain timed out; the remaining connections were cut", "timeout", timeout.String())
	case err != nil:
		r.log.Warn("drain failed", "error", err)
	}
	if err := <-served; err != nil && !errors.Is(err, node.ErrClosed) {
		return cli.Failure(fmt.Errorf("the node stopped: %w", err))
	}
	r.log.Info("stopped")
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
