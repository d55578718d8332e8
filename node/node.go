package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/certwatch"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/internal/netpoll"
	"github.com/stoa-io/stoa/internal/peeraddr"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// Node is one member of a cluster: it holds connections and passes messages
// between them and the broker. All methods are safe for concurrent use.
type Node struct {
	// Immutable after New, but for the Settings in config: guarded by mu then.
	config  Config
	session session.Config
	log     *slog.Logger
	broker  cluster.Broker
	hub     *hub.Hub
	server  *engine.Server

	queueMemory int // immutable; Limits.QueueMemory, 0: none

	namespaces atomic.Pointer[map[string]*Namespace] // by name; read with table, replaced and not changed
	on         nodeHandlers                          // guarded by mu until the node starts, then immutable

	updating sync.Mutex            // held during Update, taken before mu
	removed  map[string]*Namespace // by Update, with their handlers; guarded by updating

	// The application's handlers: their goroutines, and the context of those
	// that have no connection any more.
	handlers    sync.WaitGroup
	handling    context.Context
	endHandling context.CancelFunc

	draining    atomic.Bool
	certificate atomic.Pointer[certwatch.Files] // of ListenTLS; nil without it
	ended       chan struct{}                   // closed when Shutdown has ended everything

	// lifecycle is held while the node starts and while it begins to stop,
	// which may take as long as the broker does; taken before mu.
	lifecycle sync.Mutex

	mu    sync.Mutex
	phase phase    // guarded by mu
	addr  net.Addr // guarded by mu
}

// phase is how far a node has come.
type phase uint8

const (
	phaseNew phase = iota + 1
	phaseListening
	phaseServing
	phaseStopping
	phaseStopped
)

// New checks the configuration and makes a node. It opens no descriptor.
func New(cfg Config) (*Node, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	n := &Node{
		config: cfg,
		log:    cfg.Logger.With(logNode, cfg.ID),
		broker: cfg.Broker,
		ended:  make(chan struct{}),
		phase:  phaseNew,

		removed: make(map[string]*Namespace),
	}
	n.namespaces.Store(&map[string]*Namespace{})
	n.handling, n.endHandling = context.WithCancel(context.Background())
	for name, options := range cfg.Namespaces {
		n.declare(name, options)
	}
	n.session = cfg.sessions()
	if n.broker == nil {
		n.broker = cluster.NewMemory(cluster.MemoryConfig{HistoryBytes: cfg.Limits.HistoryMemory})
	}
	n.queueMemory = max(n.config.Limits.QueueMemory, 0)
	n.hub = hub.New(hub.Config{
		ID: cfg.ID, App: (*app)(n), Broker: n.broker,
		Engine: n.engineConfig(), Session: &n.session,
		Limits:      cfg.hubLimits(),
		JoinTimeout: cfg.Timeouts.Join, AskTimeout: cfg.Timeouts.Ask,
		ExpiryNotice: cfg.Timeouts.ExpiryNotice, HistoryMemory: cfg.Limits.HistoryMemory,
		PresenceInterval: max(cfg.Timeouts.PresenceInterval, 0), PresenceGrace: max(cfg.Timeouts.PresenceGrace, 0),
		ErrClosed: ErrClosed, Logger: n.log,
	})
	n.server = n.hub.Server()
	return n, nil
}

// hubLimits are the limits that the hub applies.
func (c *Config) hubLimits() hub.Limits {
	return hub.Limits{
		ReceiveQueue: c.Limits.ReceiveQueue, LoopQueue: c.Limits.LoopQueue,
		InvalidPayloads: c.Limits.InvalidPayloads, Asks: c.Limits.Asks, AsksToClient: c.Limits.AsksToClient,
		Authentications:    c.Limits.Authentications,
		Joins:              c.Limits.Joins.bucket(),
		ConnectionsPerUser: c.Limits.ConnectionsPerUser, RefuseNewest: c.Limits.UserOverflow == UserOverflowRefuse,
	}
}

func (n *Node) engineConfig() engine.Config {
	cfg := &n.config
	allowed, _ := cfg.allowed() // New has checked it
	return engine.Config{
		Loops: cfg.Loops, Blocking: cfg.Transport == TransportBlocking,
		Endpoint: cfg.Endpoint, HTTP: cfg.HTTP, Allowed: allowed, AnyHost: healthPaths,
		ProxyField: peeraddr.Field(cfg.ProxyHeader), ProxyProtocol: cfg.ProxyProtocol,
		Subprotocols: cfg.Subprotocols,
		Limits:       cfg.engineLimits(),
		Timeouts: engine.Timeouts{
			Handshake: cfg.Timeouts.Handshake, Ping: cfg.Timeouts.Ping, Pong: cfg.Timeouts.Pong,
			Write: cfg.Timeouts.Write, Close: cfg.Timeouts.Close, Message: cfg.Timeouts.Message,
		},
		Base: n.handling, Failed: func(error) { _ = n.Close() }, Logger: n.log,
		SlowCode: uint16(wire.CodeSlowConsumer), PingCode: uint16(wire.CodePingTimeout), RateCode: uint16(wire.CodeRateExceeded), Limited: limited,
	}
}

// engineLimits are the limits that the engine applies.
func (c *Config) engineLimits() engine.Limits {
	return engine.Limits{
		Header: c.Limits.Header, Message: c.Limits.Message, SendQueue: c.Limits.SendQueue,
		Connections: c.Limits.Connections, DrainPerSecond: c.Limits.DrainPerSecond,
		Rates:             c.rates(),
		PendingHandshakes: c.Limits.PendingHandshakes,
		Addresses:         c.Limits.addresses(),
		QueueMemory:       c.Limits.QueueMemory,
	}
}

// sessions is the configuration of the connections' sessions.
func (c *Config) sessions() session.Config {
	return session.Config{
		Role:          session.Server,
		Limits:        c.Limits.Names,
		MaxNamespaces: c.Limits.Namespaces,
		MaxRooms:      c.Limits.Rooms,
		Features:      wire.FeatureVolatile,
		NativeOnly:    c.NativeOnly,
	}.WithDefaults()
}

// ID is the node's ID. The IDs of its connections begin with it and a "-".
func (n *Node) ID() string { return n.config.ID }

// Listen binds the address; its errors are those of net.Listen. Connections
// wait in the kernel until Serve is called. See ListenTLS for TLS.
//
// The network "unix" is a Unix socket, served by goroutines. A socket file on
// which no process listens is replaced.
func (n *Node) Listen(network, address string) error {
	if network == "unix" && n.config.Transport == TransportEpoll {
		return errors.New("node: Transport epoll does not serve Unix sockets: use auto or blocking")
	}
	return n.bind(func() (net.Addr, error) { return n.server.Listen(network, address) })
}

// ListenOn makes the node accept from a listener of the application, such as
// one that systemd has opened or that limits connections. The node closes it.
// Its connections are served by goroutines for any Config.Transport; those with
// a method ConnectionState, like the ones of tls.NewListener, are over TLS.
func (n *Node) ListenOn(listener net.Listener) error {
	return n.bind(func() (net.Addr, error) { return n.server.ListenOn(listener), nil })
}

// ServeHTTP is the endpoint as an http.Handler: it takes an upgraded connection
// over from net/http, and answers everything else as the endpoint does. The
// node must have been started with Start or Serve. A plain TCP connection moves
// onto an event loop; any other, such as TLS, is served by goroutines. The
// application's server does not know of the connection any more: Shutdown of
// the node ends it.
//
// A WebSocket needs HTTP/1.1, and a ResponseWriter that can be hijacked:
// middleware that wraps it needs a method Unwrap, as [http.ResponseController]
// explains.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) { n.server.ServeHTTP(w, r) }

// ListenTLS is Listen for a port where everything is TLS: WebSockets and the
// requests that Config.HTTP serves. The files hold a certificate, followed
// by those that lead to its issuer, and its key, in PEM; both are regular
// files of at most 1 MiB. When they change, new connections get the new
// certificate within about a second, and existing ones are not affected; an
// unusable pair is logged and counted, and the previous one stays. The
// errors are ErrCertificate and those of Listen.
//
// These connections are served by goroutines for any Config.Transport, and
// speak HTTP/1.1 only. The TLS handshake counts into Timeouts.Handshake.
func (n *Node) ListenTLS(network, address, certFile, keyFile string) error {
	files, err := certwatch.Open(certFile, keyFile, n.log)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	current := func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if replaced := n.certificate.Load(); replaced != nil {
			return replaced.GetCertificate(hello)
		}
		return files.GetCertificate(hello)
	}
	if err := n.ListenTLSConfig(network, address, &tls.Config{GetCertificate: current}); err != nil {
		return err
	}
	n.certificate.Store(files)
	return nil
}

// ListenTLSConfig is ListenTLS for an application that gets its certificates
// from elsewhere, or wants to see those of its clients: an accept handler finds
// them in Request.TLS. The configuration is copied; HTTP/2 is removed from its
// NextProtos.
func (n *Node) ListenTLSConfig(network, address string, config *tls.Config) error {
	if len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
		return fmt.Errorf("%w: the configuration has none", ErrCertificate)
	}
	return n.bind(func() (net.Addr, error) { return n.server.ListenTLS(network, address, config) })
}

// bind opens the listener of a node that has none. It calls listen with mu
// held.
func (n *Node) bind(listen func() (net.Addr, error)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.phase >= phaseStopping:
		return ErrClosed
	case n.phase == phaseServing:
		return fmt.Errorf("node: serving already")
	case n.phase != phaseNew:
		return fmt.Errorf("node: listening on %s already", n.addr)
	}
	bound, err := listen()
	if err != nil {
		return err
	}
	n.addr = bound
	n.phase = phaseListening
	return nil
}

// Addr is the bound address, nil before Listen.
func (n *Node) Addr() net.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addr
}

// Start starts a node without a listener of its own, for an application that
// mounts it in its HTTP server; see ServeHTTP. All others call Serve.
func (n *Node) Start() error { return n.start(phaseNew) }

// Serve starts the node, accepts and serves connections until Shutdown or Close
// has returned, and then returns ErrClosed. Any other error means that the node
// could not start, or that an event loop failed.
func (n *Node) Serve() error {
	if err := n.start(phaseListening); err != nil {
		return err
	}
	err := n.server.Wait()
	<-n.ended // a loop that fails closes the node, too
	if err != nil {
		return err
	}
	return ErrClosed
}

// start starts the node if it is in this phase. A node whose loops cannot start
// is closed: its engine is abandoned.
func (n *Node) start(from phase) error {
	abandoned, err := n.tryStart(from)
	if abandoned {
		_ = n.Close()
	}
	return err
}

func (n *Node) tryStart(from phase) (abandoned bool, err error) {
	n.lifecycle.Lock()
	defer n.lifecycle.Unlock()
	switch n.currentPhase() {
	case from:
	case phaseNew:
		return false, ErrNotListening
	case phaseListening:
		return false, fmt.Errorf("node: listening on %s: call Serve", n.Addr())
	case phaseServing:
		return false, fmt.Errorf("node: serving already")
	default:
		return false, ErrClosed
	}
	n.keepHistory()
	n.keepPresence()
	if err := n.startBroker(); err != nil {
		return false, err
	}
	n.setPhase(phaseServing)
	if err := n.hub.Start(); err != nil {
		return true, fmt.Errorf("node: %w", err)
	}
	return false, nil
}

func (n *Node) startBroker() error {
	patience := max(n.config.Timeouts.Join, time.Second)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.broker.Start(ctx, n.hub.Handler()); err != nil {
		return fmt.Errorf("node: start broker: %w", err)
	}
	// The channels of requests from other nodes. Start may have used up its
	// time.
	ctx, cancel = context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.broker.Subscribe(ctx, n.hub.Channels()...); err != nil {
		return fmt.Errorf("node: subscribe to the channels of nodes: %w", err)
	}
	n.hub.Blocks().Learn()
	return nil
}

func (n *Node) currentPhase() phase {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.phase
}

// hasStarted reports whether declarations are final. The caller holds mu.
func (n *Node) hasStarted() bool { return n.phase >= phaseServing }

func (n *Node) setPhase(p phase) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.phase = p
}

// Ready returns nil when the node can do its work, else the reason: it is not
// serving, it is draining, or the broker does not answer.
func (n *Node) Ready(ctx context.Context) error {
	switch current := n.currentPhase(); {
	case current >= phaseStopping:
		return ErrDraining
	case current < phaseServing:
		return ErrNotServing
	}
	if err := n.broker.Ready(ctx); err != nil {
		return fmt.Errorf("node: broker: %w", err)
	}
	return nil
}

// Connections is the number of open WebSockets. Unlike Stats it never waits.
func (n *Node) Connections() int { return n.server.Connections() }

// ConnectionLimit is how many connections the node holds: Limits.Connections,
// or its default. 0 stands for any number.
func (n *Node) ConnectionLimit() int { return n.server.ConnectionLimit() }

// hasEpoll reports whether this system serves sockets with epoll.
func hasEpoll() bool { return netpoll.Available }
