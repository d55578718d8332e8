package engine

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

	"github.com/stoa-io/stoa/internal/addresses"
	"github.com/stoa-io/stoa/internal/membudget"
	"github.com/stoa-io/stoa/internal/netpoll"
)

// Server holds connections on event loops. The caller uses it in this order:
// New, one of the Listen methods at most once, Start, Shutdown; or New,
// Abandon.
// Fields are immutable after New unless marked.
type Server struct {
	config Config
	times  times
	log    *slog.Logger
	epoch  time.Time
	epoll  bool
	loops  []*Loop
	http   *httpSide

	returnGrace time.Duration

	upgrader Upgrader     // nil accepts all good requests; immutable after Start
	listener net.Listener // of blocking I/O, TLS included; immutable after Listen

	// Atomic.
	allowed      atomic.Pointer[Allowed]
	started      atomic.Bool
	leaving      atomic.Bool  // Shutdown was called; probes are reset
	draining     atomic.Bool  // no connection is accepted any more
	returning    atomic.Int64 // nanoseconds after epoch of the last sign of a returning client; 0: none
	open         atomic.Int64 // WebSockets, for Limits.Connections
	mostOpen     atomic.Int64 // Limits.Connections
	drainRate    atomic.Int64 // Limits.DrainPerSecond
	limited      atomic.Bool  // there is a limit of addresses
	live         atomic.Int64 // connections of any state
	undrained    atomic.Int32 // loops that have yet to start their drain
	nextLoop     atomic.Uint32
	acceptErrors atomic.Uint64
	httpEvicted  atomic.Uint64
	httpTimeouts atomic.Uint64
	handshakes   [HandshakeResults]atomic.Uint64 // those of net/http
	proxyErrors  [ProxyErrors]atomic.Uint64

	addresses     *addresses.Table // immutable
	descriptors   *netpoll.Descriptors
	room          chan struct{} // capacity 1: a descriptor was freed
	congestion    Congestion
	budget        *membudget.Budget // nil: no limit
	hijackWarning sync.Once
	refusals      refusals

	stopOnce sync.Once
	stopped  chan struct{}  // closed when the loops must end
	empty    chan struct{}  // capacity 1: live or undrained has become 0
	running  sync.WaitGroup // loops, the HTTP server, the accept loop
	tasks    sync.WaitGroup // goroutines of blocking I/O

	mu      sync.Mutex
	failure error // guarded by mu
}

// New makes a server. It opens no descriptor.
func New(cfg Config) *Server {
	cfg = cfg.withDefaults()
	s := &Server{
		config:  cfg,
		times:   newTimes(cfg.Timeouts),
		log:     cfg.Logger,
		epoch:   time.Now(),
		epoll:   netpoll.Available && !cfg.Blocking,
		stopped: make(chan struct{}),
		empty:   make(chan struct{}, 1),

		returnGrace: returnGrace,
		descriptors: netpoll.NewDescriptors(spareDescriptors, 2*MaxLoops),
		room:        make(chan struct{}, 1),
	}
	s.SetAllowed(cfg.Allowed)
	s.SetConnectionLimit(cfg.Limits.Connections)
	s.refusals.log = s.log
	s.addresses = addresses.New(cfg.Limits.Addresses)
	s.limited.Store(!cfg.Limits.Addresses.IsZero())
	s.SetDrainRate(cfg.Limits.DrainPerSecond)
	s.budget = membudget.New(membudget.Config{Limit: cfg.Limits.QueueMemory, Loops: cfg.Loops, Slow: s.slowDown})
	for i := range cfg.Loops {
		s.loops = append(s.loops, newLoop(s, i))
	}
	s.undrained.Store(int32(len(s.loops)))
	s.http = newHTTPSide(s)
	return s
}

// Loops returns the event loops. The slice is the server's.
func (s *Server) Loops() []*Loop { return s.loops }

// SetUpgrader sets what decides about upgrade requests. Without it all good
// ones are accepted. It is called before Start.
func (s *Server) SetUpgrader(u Upgrader) { s.upgrader = u }

// SetAllowed replaces what the server allows, for later requests. Safe for
// concurrent use.
func (s *Server) SetAllowed(a Allowed) { s.allowed.Store(&a) }

// Congestion returns the sources of congestion of the server's connections.
// Call Loop.ResumeRelieved on every loop when one is relieved.
func (s *Server) Congestion() *Congestion { return &s.congestion }

// elapsed is the loops' clock.
func (s *Server) elapsed() uint32 { return uint32(time.Since(s.epoch).Milliseconds()) }

// timeOf is the time at which the loops' clock has a value that is near.
func (s *Server) timeOf(clock uint32) time.Time {
	now := time.Since(s.epoch).Milliseconds()
	return s.epoch.Add(time.Duration(now+int64(int32(clock-uint32(now)))) * time.Millisecond)
}

// Start opens the pollers and starts the loops. On an error the server is
// abandoned.
func (s *Server) Start() error {
	if err := s.openPollers(); err != nil {
		s.Abandon()
		return err
	}
	s.started.Store(true)
	for _, l := range s.loops {
		s.spawn("loop "+strconv.Itoa(l.number), l.run)
	}
	if s.http.addr != nil {
		s.spawn("http", func() { _ = s.http.server.Serve(s.http) })
	}
	if s.listener != nil {
		s.spawn("accept", func() { s.acceptLoop(s.listener) })
	}
	return nil
}

func (s *Server) openPollers() error {
	for _, l := range s.loops {
		poller, err := netpoll.New()
		if err != nil {
			return err
		}
		l.poller = poller
		l.waker.Store(poller)
		if l.listener < 0 {
			continue
		}
		if err := poller.Add(l.listener, netpoll.SlotListener, 0); err != nil {
			return err
		}
	}
	return nil
}

// Abandon frees the resources of a server that was not started.
func (s *Server) Abandon() {
	for _, l := range s.loops {
		l.end()
	}
	if s.listener != nil {
		_ = s.listener.Close()
	}
	s.stopOnce.Do(func() { close(s.stopped) })
}

// Wait waits until all goroutines of a started server have ended. It returns
// the error of the first loop that failed.
func (s *Server) Wait() error {
	s.running.Wait()
	s.tasks.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// spawn starts a goroutine that Wait waits for, under a name for profiles.
func (s *Server) spawn(name string, run func()) {
	s.running.Go(func() {
		pprof.Do(context.Background(), pprof.Labels("stoa", name), func(context.Context) { run() })
	})
}

// fail reports that a loop cannot go on.
func (s *Server) fail(err error) {
	s.mu.Lock()
	first := s.failure == nil
	if first {
		s.failure = err
	}
	s.mu.Unlock()
	if first && s.config.Failed != nil {
		go s.config.Failed(fmt.Errorf("engine: %w", err))
	}
}

// Full reports whether the server holds as many connections as it may. Safe for
// concurrent use.
func (s *Server) Full() bool {
	limit := s.ConnectionLimit()
	return limit > 0 && s.Connections() >= limit
}

// ConnectionLimit is how many WebSockets the server holds, 0 for any number.
// Safe for concurrent use.
func (s *Server) ConnectionLimit() int { return int(max(s.mostOpen.Load(), 0)) }

// SetConnectionLimit replaces Limits.Connections, for later requests. Safe for
// concurrent use.
func (s *Server) SetConnectionLimit(limit int) { s.mostOpen.Store(int64(limit)) }

// SetDrainRate replaces Limits.DrainPerSecond, for a later Shutdown. Safe for
// concurrent use.
func (s *Server) SetDrainRate(perSecond int) { s.drainRate.Store(int64(perSecond)) }

// Draining reports whether Shutdown accepts no more connections. Safe for
// concurrent use.
func (s *Server) Draining() bool { return s.draining.Load() }

// Connections is the number of open WebSockets. Safe for concurrent use.
func (s *Server) Connections() int { return int(s.open.Load()) }

// Stopped is closed when the loops must end.
func (s *Server) Stopped() <-chan struct{} { return s.stopped }

func (s *Server) isStopped() bool {
	select {
	case <-s.stopped:
		return true
	default:
		return false
	}
}
