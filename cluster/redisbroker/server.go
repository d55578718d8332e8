package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
)

const (
	// ticksPerProbe is the number of the keeper's checks per probe interval.
	ticksPerProbe = 4
	// maxControl is larger than the number of requests in flight, so that the
	// keeper does not wait for a publisher that is connecting.
	maxControl = 8

	announcementsPerLease = 3
	firstRetry            = 50 * time.Millisecond
)

// server is one of the servers of a Broker: a queue, a publisher, a subscriber,
// and a keeper that watches both and announces the node.
type server struct {
	broker        *Broker
	partition     int // of Partitioned
	endpoint      *endpoint
	queue         *publishQueue
	congestion    congestion
	subscriptions subscriptions
	registry      registry
	subscriber    *subscriber
	publishing    linkState
	subscribing   linkState
	control       chan *controlRequest
	announce      chan struct{} // capacity 1: announce the node now
	probes        probes
	probing       atomic.Bool // a probe without a waiting caller is in the queue
	lag           lagSampler
	stats         serverStats

	// gate stops the publisher until the known nodes are subscribed. It is set
	// when either connection was lost.
	gate atomic.Bool
}

func newServer(b *Broker, partition int, endpoint *endpoint) *server {
	s := &server{
		broker:    b,
		partition: partition,
		endpoint:  endpoint,
		queue:     newPublishQueue(b.prefix, header{node: b.config.NodeID, incarnation: b.incarnation}),
		control:   make(chan *controlRequest, maxControl),
		announce:  make(chan struct{}, 1),
	}
	s.subscriber = &subscriber{server: s}
	s.registry.init(b.config.NodeID)
	s.stats.init()
	for _, role := range []struct {
		name string
		link *linkState
	}{{"publisher", &s.publishing}, {"subscriber", &s.subscribing}} {
		role.link.init(role.name, endpoint.identity, b.config.Logger)
	}
	return s
}

func (s *server) config() *Config { return &s.broker.config }

func (s *server) now() time.Duration { return s.broker.now() }

// answerTimeout is the longest time that the server may take for an answer.
func (s *server) answerTimeout() time.Duration { return 2 * s.config().ProbeInterval }

// keptAge is how long an acknowledged message is kept. A node that joins a room
// after an outage may receive kept messages, so they must not be old.
func (s *server) keptAge() time.Duration { return 2 * s.config().ProbeInterval }

// linkName is the name in CLIENT LIST. No connection of another node has it,
// and of this node only the previous connection, until it has ended.
func (s *server) linkName(role string) string {
	return fmt.Sprintf("%s.%s.%016x.%s", s.config().Cluster, s.config().NodeID, s.broker.incarnation, role)
}

// announceSoon makes the keeper announce the node now.
func (s *server) announceSoon() {
	select {
	case s.announce <- struct{}{}:
	default:
	}
}

// up returns true while messages can make the round trip.
func (s *server) up() bool { return s.publishing.works() && s.subscribing.works() }

// keep is the keeper's goroutine.
func (s *server) keep(ctx context.Context) {
	tick := time.NewTicker(max(s.config().ProbeInterval/ticksPerProbe, time.Millisecond))
	defer tick.Stop()
	var watch watchdog
	lastAnnounced := time.Duration(0)
	var announcing atomic.Bool
	for ticks := 0; ; {
		due := false
		select {
		case <-ctx.Done():
			return
		case <-s.announce:
			due = true
		case <-tick.C:
			ticks++
			if silent := watch.look(s.subscriber.current.Load()); silent != nil {
				s.broker.group.Go(func() { s.subscriber.suspect(ctx, silent) })
			}
			if ticks%ticksPerProbe == 0 {
				s.probe()
			}
			s.expireNodes()
			due = s.now()-lastAnnounced >= s.config().Lease/announcementsPerLease
		}
		if due && s.publishing.works() && announcing.CompareAndSwap(false, true) {
			lastAnnounced = s.now()
			s.submit(ctx, &controlRequest{call: s.announceNode, done: func(error) { announcing.Store(false) }})
		}
	}
}

// submit hands a request to the publisher, which checks for requests often.
func (s *server) submit(ctx context.Context, request *controlRequest) {
	select {
	case s.control <- request:
	case <-ctx.Done():
		request.finish(cluster.ErrClosed)
	}
}

// watchMaster is a goroutine that ends the connections when the Sentinels name
// another master: the old one may still answer, and deliver to no subscriber.
func (s *server) watchMaster(ctx context.Context) {
	for wait(ctx, s.config().ProbeInterval) {
		master, err := s.endpoint.findMaster(ctx, s.config().ProbeInterval)
		if err != nil {
			continue
		}
		s.publishing.endUnless(master)
		s.subscribing.endUnless(master)
	}
}

// linkState is the state of one of the two connections. Safe for concurrent
// use.
type linkState struct {
	role, server string
	logger       *slog.Logger
	attempted    chan struct{} // closed at the first success or failure

	mu      sync.Mutex // guards the rest
	link    *link      // nil while there is none
	problem error      // nil: it works
	since   time.Time  // of problem
	tried   bool
	losses  uint64
}

var errConnecting = errors.New("redisbroker: connecting")

func (l *linkState) init(role, server string, logger *slog.Logger) {
	l.role, l.server, l.logger = role, server, logger
	l.attempted = make(chan struct{})
	l.problem, l.since = errConnecting, time.Now()
}

// set records that the connection works (nil) or why not, and logs the change.
func (l *linkState) set(ctx context.Context, err error) {
	l.mu.Lock()
	before, tried := l.problem, l.tried
	l.problem, l.tried = err, true
	if before == nil && err != nil {
		l.since = time.Now()
		l.losses++
	}
	l.mu.Unlock()
	if !tried {
		close(l.attempted)
	}
	attributes := []slog.Attr{slog.String("server", l.server), slog.String("connection", l.role)}
	switch {
	case ctx.Err() != nil:
	case err == nil && before != nil:
		l.logger.LogAttrs(ctx, slog.LevelInfo, "connected to Redis", attributes...)
	case err != nil && (before == nil || !tried):
		l.logger.LogAttrs(ctx, slog.LevelWarn, "not connected to Redis; trying again",
			append(attributes, slog.Any("error", err))...)
	}
}

// err returns why the connection does not work, or nil.
func (l *linkState) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.problem == nil {
		return nil
	}
	return fmt.Errorf("redis %s: %s not connected since %s: %w",
		l.server, l.role, l.since.UTC().Format(time.RFC3339), l.problem)
}

func (l *linkState) works() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.problem == nil
}

func (l *linkState) attach(link *link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.link = link
}

// recover records that a connection works again, unless it has ended.
func (l *linkState) recover(ctx context.Context, link *link) {
	l.mu.Lock()
	current := l.link == link
	l.mu.Unlock()
	if current {
		l.set(ctx, nil)
	}
}

// endUnless ends a connection to another address.
func (l *linkState) endUnless(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.link != nil && l.link.address != address {
		l.link.dialer.end()
	}
}

func (l *linkState) reconnects() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.losses
}

// backoff computes the pause between attempts. It adds the jitter after the
// limit, so that the nodes do not return together after a long outage.
type backoff struct {
	pause, limit time.Duration
}

func newBackoff(limit time.Duration) *backoff { return &backoff{pause: firstRetry, limit: limit} }

func (b *backoff) reset() { b.pause = firstRetry }

func (b *backoff) next() time.Duration {
	pause := min(b.pause, b.limit)
	b.pause = min(2*b.pause, b.limit)
	return pause/2 + rand.N(pause/2+1)
}

// wait returns false if ctx ended first.
func wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// isReply returns true for errors that the server has answered: the connection
// works.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}
