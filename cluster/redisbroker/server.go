package redisbroker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

const (
	// ticksPerProbe is the number of the keeper's checks per probe interval.
	ticksPerProbe = 4
	// maxControl is larger than the number of requests in flight, so that the
	// keeper does not wait for a publisher that is connecting.
	maxControl = 8

	announcementsPerLease = 3
	// beatTrips is how many round trips there are at least from one beat to the
	// next: over a slow link a beat holds messages up.
	beatTrips  = 4
	firstRetry = 50 * time.Millisecond
)

// server is one of the servers of a Broker: a queue, a publisher, a subscriber,
// and a keeper that watches both and announces the node.
type server struct {
	broker    *Broker
	partition int // of Partitioned
	// incarnation is that of the node's messages on the server: each server
	// counts them on its own, and no position is found on another one.
	incarnation   uint64
	endpoint      *endpoint
	prefix        string // of channels and keys on the server
	queue         *publishQueue
	congestion    congestion
	subscriptions subscriptions
	registry      registry
	peers         peerCall
	subscriber    *subscriber
	publishing    linkState
	subscribing   linkState
	histories     histories
	control       chan *controlRequest
	announce      chan struct{} // capacity 1: announce the node now
	trips         roundTrips
	probing       atomic.Bool // a probe is in the queue
	lag           lagSampler
	tripTime      tripTime
	registration  complaint // the server refuses the node's entry
	transactions  complaint // the server refuses transactions
	duplicates    complaint // two nodes have one ID
	unkept        complaint // the server refuses to store messages in histories
	unconfirmed   complaint // the server refuses messages that are published once
	stats         serverStats

	// awakeAt is Broker.now of the last call of awake.
	awakeAt atomic.Int64

	// gate stops the publisher until the known nodes are subscribed. It is set
	// when either connection was lost.
	gate atomic.Bool
}

func newServer(b *Broker, partition int, endpoint *endpoint) *server {
	s := &server{
		broker:    b,
		partition: partition,
		endpoint:  endpoint,
		prefix:    b.config.prefix(endpoint.database),
		control:   make(chan *controlRequest, maxControl),
		announce:  make(chan struct{}, 1),
	}
	s.incarnation = b.incarnation + uint64(partition)
	s.queue = newPublishQueue(s.prefix, header{node: b.config.NodeID, incarnation: s.incarnation}, b.config.MaxMessage)
	s.subscriber = &subscriber{server: s, retry: newBackoff(b.config.RetryMax)}
	s.registry.init(b.self())
	s.stats.init()
	s.histories.init()
	for _, role := range []struct {
		name string
		link *linkState
	}{{"publisher", &s.publishing}, {"subscriber", &s.subscribing}} {
		role.link.init(role.name, endpoint.identity, b.config.Logger)
	}
	for _, c := range []struct {
		complaint *complaint
		bad, good string
	}{
		{&s.registration, "Redis refuses the node's registry entry", "Redis accepts the node's registry entry"},
		{&s.transactions, "Redis refuses transactions", "Redis accepts transactions"},
		{&s.duplicates, "two nodes have one ID", "all nodes have IDs of their own"},
		{&s.unkept, "Redis refuses to store messages in histories", "Redis stores messages in histories"},
		{&s.unconfirmed, "Redis refuses confirmed messages", "Redis accepts confirmed messages"},
	} {
		c.complaint.init(c.bad, c.good, endpoint.identity, b.config.Logger)
	}
	return s
}

func (s *server) config() *Config { return &s.broker.config }

func (s *server) now() time.Duration { return s.broker.now() }

// answerTimeout is the longest time that the server may take for an answer.
func (s *server) answerTimeout() time.Duration {
	return 2*s.config().ProbeInterval + s.tripTime.value()
}

// tick is the interval between two checks of the keeper.
func (s *server) tick() time.Duration {
	return max(s.config().ProbeInterval/ticksPerProbe, time.Millisecond)
}

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
	tick := time.NewTicker(s.tick())
	defer tick.Stop()
	var watch watchdog
	lastAnnounced, lastBeat := time.Duration(0), time.Duration(0)
	var announcing, beating atomic.Bool
	announceDue, beatDue := false, false
	for ticks := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-s.announce:
			announceDue, beatDue = true, true
		case <-tick.C:
			ticks++
			s.awake()
			s.watch(ctx, &watch)
			if ticks%ticksPerProbe == 0 {
				s.probe()
				beatDue = beatDue || s.now()-lastBeat >= beatTrips*s.tripTime.value()
				s.subscriber.endReplaced()
			}
			s.expireNodes()
			s.report(ctx)
			announceDue = announceDue || s.now()-lastAnnounced >= s.config().Lease/announcementsPerLease
		}
		if !s.publishing.works() {
			continue
		}
		if announceDue && announcing.CompareAndSwap(false, true) {
			announceDue, lastAnnounced = false, s.now()
			s.submit(ctx, &controlRequest{call: s.announceNode, done: func(error) { announcing.Store(false) }})
		}
		if beatDue && beating.CompareAndSwap(false, true) {
			beatDue, lastBeat = false, s.now()
			s.submit(ctx, &controlRequest{call: s.beat, done: func(error) { beating.Store(false) }})
		}
	}
}

// awake notes that this process runs. The keeper calls it at each check, and
// the publisher before it drops messages. If the process was stopped in
// between, the messages are not older for it: the server could not have taken
// them. The subscription may have ended.
func (s *server) awake() {
	now := s.now()
	if session := s.subscriber.current.Load(); session != nil && s.asleep(now) {
		session.sleep()
	}
	gap := now - time.Duration(s.awakeAt.Swap(int64(now)))
	if gap > max(s.config().Lease/2, 2*s.tick()) {
		s.queue.postpone(gap, now)
	}
}

// report logs states whose changes were too many to be logged at once.
func (s *server) report(ctx context.Context) {
	s.publishing.report(ctx)
	s.subscribing.report(ctx)
	s.registration.report(ctx)
	s.transactions.report(ctx)
	s.duplicates.report(ctx)
	s.unkept.report(ctx)
	s.unconfirmed.report(ctx)
}

// submit hands a request to the publisher, which checks for requests often.
func (s *server) submit(ctx context.Context, request *controlRequest) {
	select {
	case s.control <- request:
	case <-ctx.Done():
		request.finish(cluster.ErrClosed)
	}
}

// offer is submit for a request that may be dropped, and whose done is nil. It
// does not block.
func (s *server) offer(request *controlRequest) {
	select {
	case s.control <- request:
	default:
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
		s.histories.link.endUnless(master)
	}
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
