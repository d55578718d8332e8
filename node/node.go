package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/session"
)

// Node is one member of a cluster: it holds connections and passes messages
// between them and the broker. All methods are safe for concurrent use.
type Node struct {
	// Immutable after New.
	config   Config
	times    times
	session  session.Config
	log      *slog.Logger
	started  time.Time
	epoll    bool
	loops    []*loop
	broker   cluster.Broker
	interest *cluster.Interest
	http     *httpSide

	// Atomic.
	draining          atomic.Bool
	open              atomic.Int64 // WebSockets, for Limits.Connections
	nextLoop          atomic.Uint32
	acceptErrors      atomic.Uint64
	lateAnswers       atomic.Uint64                   // to questions of this node that were settled
	badCommands       atomic.Uint64                   // of other nodes, not understood
	certificateErrors atomic.Uint64                   // changed files that could not be used
	handshakes        [handshakeResults]atomic.Uint64 // those of net/http

	congestion congestion
	questions  questions
	roomAsks   roomAsks
	namespaces map[string]*Namespace // guarded by mu until the node starts, then immutable
	on         hooks                 // likewise

	// The program's handlers: their goroutines, and the context of those that have
	// no connection any more.
	handlers    sync.WaitGroup
	handling    context.Context
	endHandling context.CancelFunc

	hijackWarning sync.Once

	stopped chan struct{}  // closed when the loops are told to end
	ended   chan struct{}  // closed when Shutdown has ended everything
	running sync.WaitGroup // loops, the HTTP server, the accept loop
	tasks   sync.WaitGroup // goroutines of streams

	// lifecycle is held while the node starts and while it begins to stop, which
	// may take as long as the broker does; taken before mu.
	lifecycle sync.Mutex

	mu       sync.Mutex
	phase    phase        // guarded by mu
	listener net.Listener // guarded by mu; the blocking transport's, of TLS too
	addr     net.Addr     // guarded by mu
	failure  error        // guarded by mu
	last     []*LoopStats // guarded by mu; of loops that have ended
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

// New checks the configuration and makes a node. It opens no socket, but the
// descriptors of its event loops: a node that is not served must be closed.
func New(cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	n := &Node{
		config:  cfg,
		times:   newTimes(cfg.Timeouts),
		log:     cfg.Logger.With(logNode, cfg.ID),
		started: time.Now(),
		epoll:   haveEpoll && cfg.Transport != TransportStream,
		broker:  cfg.Broker,
		stopped: make(chan struct{}),
		ended:   make(chan struct{}),
		phase:   phaseNew,

		namespaces: make(map[string]*Namespace),
	}
	n.handling, n.endHandling = context.WithCancel(context.Background())
	for name, options := range cfg.Namespaces {
		n.declare(name, options)
	}
	n.session = session.Config{
		Role:          session.Server,
		Limits:        cfg.Limits.Names,
		MaxNamespaces: cfg.Limits.Namespaces,
		MaxRooms:      cfg.Limits.Rooms,
		NativeOnly:    cfg.NativeOnly,
	}.WithDefaults()
	if n.broker == nil {
		n.broker = cluster.NewMemory(cluster.MemoryConfig{})
	}
	for i := range cfg.Loops {
		l, err := newLoop(n, i)
		if err != nil {
			for _, made := range n.loops {
				_ = made.poller.close()
			}
			n.endHandling()
			return nil, fmt.Errorf("node: %w", err)
		}
		n.loops = append(n.loops, l)
	}
	n.last = make([]*LoopStats, len(n.loops))
	n.http = newHTTPSide(n)
	n.interest = cluster.NewInterest(n.broker, cluster.InterestConfig{
		SubscribeTimeout: max(cfg.Timeouts.Join, 0),
		Logger:           n.log,
	})
	return n, nil
}

// ID is the node's ID, the part of its connections' IDs before the "-".
func (n *Node) ID() string { return n.config.ID }

// elapsed is the loops' clock.
func (n *Node) elapsed() uint32 { return uint32(time.Since(n.started).Milliseconds()) }

// Listen binds the address; its errors are those of net.Listen. Connections wait
// in the kernel until Serve is called. See ListenTLS for TLS.
func (n *Node) Listen(network, address string) error {
	return n.bind(func() (net.Addr, error) {
		if !n.epoll {
			listener, err := net.Listen(network, address)
			if err != nil {
				return nil, err
			}
			n.listener = listener
			return listener.Addr(), nil
		}
		fds, bound, err := listenSockets(network, address, len(n.loops))
		if err != nil {
			return nil, err
		}
		for i, fd := range fds {
			n.loops[i].listener = fd
		}
		return bound, nil
	})
}

// bind opens the listener of a node that has none. listen is called with mu held.
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
	n.addr, n.http.addr = bound, bound
	n.phase = phaseListening
	return nil
}

// Addr is the bound address, nil before Listen.
func (n *Node) Addr() net.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addr
}

// Start starts a node without a listener of its own, for a program that mounts it
// in its HTTP server: see ServeHTTP. Serve is for the others.
func (n *Node) Start() error { return n.start(phaseNew) }

// Serve starts the node, accepts and serves connections until Shutdown or Close
// has ended, and then returns ErrClosed. Any other error means that the node could
// not start, or that an event loop failed.
func (n *Node) Serve() error {
	if err := n.start(phaseListening); err != nil {
		return err
	}
	n.running.Wait()
	n.tasks.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failure != nil {
		return n.failure
	}
	return ErrClosed
}

// start starts the node if it is in this phase.
func (n *Node) start(from phase) error {
	n.lifecycle.Lock()
	defer n.lifecycle.Unlock()
	switch n.currentPhase() {
	case from:
	case phaseNew:
		return ErrNotListening
	case phaseListening:
		return fmt.Errorf("node: listening on %s: call Serve", n.Addr())
	case phaseServing:
		return fmt.Errorf("node: serving already")
	default:
		return ErrClosed
	}
	if err := n.startBroker(); err != nil {
		return err
	}
	for _, l := range n.loops {
		if l.listener >= 0 {
			if err := l.poller.add(l.listener, slotListener, 0); err != nil {
				return fmt.Errorf("node: %w", err)
			}
		}
	}
	n.setPhase(phaseServing)
	for _, l := range n.loops {
		n.spawn("loop "+strconv.Itoa(l.number), l.run)
	}
	if from == phaseListening {
		n.spawn("http", func() { _ = n.http.server.Serve(n.http) })
	}
	if n.listener != nil {
		n.spawn("accept", func() { n.acceptLoop(n.listener) })
	}
	return nil
}

func (n *Node) startBroker() error {
	patience := max(n.config.Timeouts.Join, time.Second)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.broker.Start(ctx, n); err != nil {
		return fmt.Errorf("node: start broker: %w", err)
	}
	// What other nodes have to say to this one. Start may have used up its time.
	ctx, cancel = context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.broker.Subscribe(ctx, cluster.NodeChannel(n.config.ID)); err != nil {
		return fmt.Errorf("node: subscribe to the node's own channel: %w", err)
	}
	return nil
}

// enterHandler counts a handler that runs on a goroutine of the program's, so that
// Shutdown waits for it. It reports false when that would be too late.
func (n *Node) enterHandler() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.phase == phaseStopped {
		return false
	}
	n.handlers.Add(1)
	return true
}

func (n *Node) currentPhase() phase {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.phase
}

// hasStarted is called with mu held.
func (n *Node) hasStarted() bool { return n.phase >= phaseServing }

func (n *Node) setPhase(p phase) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.phase = p
}

// spawn starts a goroutine that Serve waits for, under a name for profiles.
func (n *Node) spawn(name string, run func()) {
	n.running.Go(func() {
		pprof.Do(context.Background(), pprof.Labels("stoa", name), func(context.Context) { run() })
	})
}

// fail ends the node because one of its loops cannot go on.
func (n *Node) fail(err error) {
	n.mu.Lock()
	if n.failure == nil {
		n.failure = err
	}
	n.mu.Unlock()
	go func() { _ = n.Close() }()
}

// Ready returns nil when the node can do its work, else the reason why not: it is
// not serving, it is draining, or the broker does not answer.
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

// isStopped reports whether the loops take no more connections.
func (n *Node) isStopped() bool {
	select {
	case <-n.stopped:
		return true
	default:
		return false
	}
}

// Connections is the number of open WebSockets. Unlike Stats it never waits.
func (n *Node) Connections() int { return int(n.open.Load()) }

// Stats gathers a snapshot from every loop. It waits for each to end its turn.
func (n *Node) Stats() Stats {
	var total Stats
	total.Loops = len(n.loops)
	total.Closes = make(map[CloseKey]uint64)
	for _, l := range n.loops {
		one := n.loopStats(l)
		total.add(&one)
	}
	total.Handlers = n.handlerStats()
	for i := range n.handshakes {
		total.Handshakes[i] += n.handshakes[i].Load()
	}
	total.AcceptErrors += n.acceptErrors.Load()
	total.Subscriptions, _ = n.interest.Stats()
	total.Congested = n.congestion.partitions() != 0
	total.Draining = n.draining.Load()
	total.OpenQuestions = n.questions.count()
	total.LateAnswers = n.lateAnswers.Load()
	total.BadCommands = n.badCommands.Load()
	total.CertificateErrors = n.certificateErrors.Load()
	return total
}

func (n *Node) loopStats(l *loop) LoopStats {
	n.mu.Lock()
	serving := n.phase >= phaseServing
	ended := n.last[l.number]
	n.mu.Unlock()
	if ended != nil {
		return *ended
	}
	if !serving {
		return LoopStats{}
	}
	answer := make(chan LoopStats, 1)
	if l.post(item{kind: itemStats, errand: &errand{stats: answer}}) {
		return <-answer
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if ended = n.last[l.number]; ended != nil {
		return *ended
	}
	return LoopStats{}
}

func (n *Node) loopEnded(number int, last LoopStats) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last[number] = &last
}
