package redisbroker

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"runtime/pprof"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
)

// Broker is the broker of a cluster whose nodes meet on one or several Redis servers.
// A node has two connections to each, whatever it subscribes to.
//
// A channel belongs to one server, by rendezvous hashing, and a server that is away
// stops the messages of its channels only. A node's own inbox and the cluster's
// channel are on every server: their messages take one that works, so their order is
// that of a publisher only while none fails.
//
// See the package's documentation for what happens when a server fails.
type Broker struct {
	config      Config
	prefix      string // of channels and keys on the servers
	ownChannel  string
	incarnation uint64
	epoch       time.Time
	seeds       []uint64
	shards      []*shard

	queueFull     atomic.Uint64
	inboxWanted   atomic.Bool
	clusterWanted atomic.Bool
	running       atomic.Bool

	inbox   sync.Mutex      // one delivery at a time on channels that all servers have
	handler cluster.Handler // immutable after Start

	mu      sync.Mutex // guards the rest
	state   lifecycle
	cancel  context.CancelFunc
	closing chan struct{} // closed by Close
	closed  chan struct{} // closed when Close is through
	group   sync.WaitGroup
}

// lifecycle is what a broker can do.
type lifecycle uint8

const (
	stateNew lifecycle = iota + 1
	stateRunning
	stateClosed
)

// clusterChannel is the channel of all nodes.
var clusterChannel = cluster.ClusterChannel()

var (
	_ cluster.Broker            = (*Broker)(nil)
	_ cluster.Partitioned       = (*Broker)(nil)
	_ cluster.CountingPublisher = (*Broker)(nil)
	_ cluster.Membership        = (*Broker)(nil)
)

// New checks the configuration and returns a broker that is not started. Errors
// name servers by address; no error, log record or figure contains a password. The
// first connection turns off what go-redis prints, for the whole process.
func New(config Config) (*Broker, error) {
	config = config.withDefaults()
	servers, err := config.servers()
	if err != nil {
		return nil, err
	}
	b := &Broker{
		config:     config,
		prefix:     config.prefix(),
		ownChannel: cluster.NodeChannel(config.NodeID),
		epoch:      time.Now(),
		state:      stateNew,
		closing:    make(chan struct{}),
		closed:     make(chan struct{}),
	}
	var incarnation [8]byte
	_, _ = rand.Read(incarnation[:]) // never fails
	b.incarnation = binary.BigEndian.Uint64(incarnation[:])
	for i, server := range servers {
		b.seeds = append(b.seeds, hashString(server.identity))
		b.shards = append(b.shards, newShard(b, i, server))
	}
	return b, nil
}

func (c *Config) prefix() string { return c.Cluster + ":" }

// NodeID is the ID of this node: that of the configuration, or the random one.
func (b *Broker) NodeID() string { return b.config.NodeID }

func (b *Broker) now() time.Duration { return time.Since(b.epoch) }

// Start implements [Broker]. It connects and waits for the first outcome at every
// server. A server that cannot be reached is no error: it is tried again, and Ready
// says so. One that refuses the user or password is.
func (b *Broker) Start(ctx context.Context, h cluster.Handler) error {
	b.mu.Lock()
	switch b.state {
	case stateRunning:
		b.mu.Unlock()
		return cluster.ErrStarted
	case stateClosed:
		b.mu.Unlock()
		return cluster.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		b.mu.Unlock()
		return err
	}
	b.state, b.handler = stateRunning, h
	life, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	for _, s := range b.shards {
		b.launch(life, s)
	}
	b.running.Store(true)
	b.mu.Unlock()
	for _, s := range b.shards {
		for _, link := range []*linkState{&s.publishing, &s.subscribing} {
			select {
			case <-link.attempted:
			case <-b.closing:
				return cluster.ErrClosed
			case <-ctx.Done():
				// Servers that are silent are not known to be wrong: Ready says
				// what is the matter until they answer.
				return nil
			}
			if err := link.err(); err != nil && (redis.IsAuthError(err) || redis.IsPermissionError(err)) {
				return b.abort(err)
			}
		}
	}
	return nil
}

// abort ends a Start that failed.
func (b *Broker) abort(reason error) error {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	// The reason of the failure says more than that nothing was sent.
	_ = b.Close(ended)
	return reason
}

func (b *Broker) launch(life context.Context, s *shard) {
	roles := []struct {
		name string
		run  func(context.Context)
	}{{"publisher", newPublisher(s).run}, {"subscriber", s.subscriber.run}, {"keeper", s.keep}}
	if s.server.master != "" {
		roles = append(roles, struct {
			name string
			run  func(context.Context)
		}{"sentinel", s.watchMaster})
	}
	for _, role := range roles {
		b.group.Go(func() { pprof.Do(life, pprof.Labels("stoa", "redis "+role.name), role.run) })
	}
}

// deliver calls the handler.
func (b *Broker) deliver(channel string, env *cluster.Envelope) {
	var wanted *atomic.Bool
	switch channel {
	case b.ownChannel:
		wanted = &b.inboxWanted
	case clusterChannel:
		wanted = &b.clusterWanted
	default:
		b.handler.Deliver(channel, env)
		return
	}
	b.inbox.Lock()
	defer b.inbox.Unlock()
	if wanted.Load() {
		b.handler.Deliver(channel, env)
	}
}

// shard returns the server for a message.
func (b *Broker) shard(channel string) *shard {
	if len(b.shards) == 1 {
		return b.shards[0]
	}
	if everywhere(channel) {
		return b.shards[rendezvous(b.seeds, channel, func(i int) bool { return b.shards[i].up() })]
	}
	return b.shards[b.Partition(channel)]
}

// everywhere is true for channels that every server has.
func everywhere(channel string) bool {
	kind := cluster.KindOf(channel)
	return kind == cluster.KindNode || kind == cluster.KindCluster
}

// Partitions implements [Partitioned]: the number of servers.
func (b *Broker) Partitions() int { return len(b.shards) }

// Partition implements [Partitioned]: the place of the channel's server in the
// alphabetical order of the servers.
func (b *Broker) Partition(channel string) int { return rendezvous(b.seeds, channel, nil) }

// Subscribe implements [Broker]. While a server is away, calls for its channels wait
// for it; the wish outlives a call that failed.
func (b *Broker) Subscribe(ctx context.Context, channels ...string) error {
	return b.change(ctx, true, channels)
}

// Unsubscribe implements [Broker]. While a server is away there is nothing to wait
// for.
func (b *Broker) Unsubscribe(ctx context.Context, channels ...string) error {
	return b.change(ctx, false, channels)
}

func (b *Broker) change(ctx context.Context, wanted bool, channels []string) error {
	if err := b.usable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	byShard := make([][]string, len(b.shards))
	for _, channel := range channels {
		switch channel {
		case b.ownChannel:
			b.wantInbox(&b.inboxWanted, wanted)
		case clusterChannel:
			b.wantInbox(&b.clusterWanted, wanted)
		default:
			partition := b.Partition(channel)
			byShard[partition] = append(byShard[partition], channel)
		}
	}
	problems := make([]error, len(b.shards))
	var calls sync.WaitGroup
	for i, part := range byShard {
		if len(part) == 0 {
			continue
		}
		call := func() {
			problems[i] = b.shards[i].subscriptions.change(ctx, wanted, b.closing, part)
		}
		if len(part) == len(channels) {
			call()
		} else {
			calls.Go(call)
		}
	}
	calls.Wait()
	return firstError(problems)
}

// wantInbox switches the deliveries of a channel that every server has. The broker
// is on it all the time.
func (b *Broker) wantInbox(flag *atomic.Bool, wanted bool) {
	b.inbox.Lock()
	defer b.inbox.Unlock()
	flag.Store(wanted)
}

// firstError prefers ErrClosed, so that callers need not look behind other errors.
func firstError(problems []error) error {
	var first error
	for _, err := range problems {
		if errors.Is(err, cluster.ErrClosed) {
			return cluster.ErrClosed
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// Ready implements [Broker]: a message of its own makes the round trip through each
// server. One server that works is enough: one that is away affects its channels
// only, and would otherwise make all nodes of the cluster unfit at once. The error
// says with which servers it does not work, which connection, and since when.
func (b *Broker) Ready(ctx context.Context) error {
	if err := b.usable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	problems := make([]error, len(b.shards))
	var calls sync.WaitGroup
	for i, s := range b.shards {
		calls.Go(func() { problems[i] = s.ready(ctx) })
	}
	calls.Wait()
	if errors.Is(firstError(problems), cluster.ErrClosed) {
		return cluster.ErrClosed
	}
	if slices.Contains(problems, nil) {
		return nil
	}
	return errors.Join(problems...)
}

// Nodes implements [Membership]. A node that has not given a sign of life for its
// lease is left out; while a server is away the nodes known from it stay.
func (b *Broker) Nodes() []cluster.NodeInfo {
	found := make(map[string]registryEntry)
	for _, s := range b.shards {
		s.registry.collect(found)
	}
	infos := make(map[string]cluster.NodeInfo, len(found)+1)
	for id, e := range found {
		infos[id] = e.node.NodeInfo
	}
	infos[b.config.NodeID] = b.self().NodeInfo
	return sortNodes(infos)
}

// usable returns why a call is not possible, nil if it is.
func (b *Broker) usable() error {
	if b.running.Load() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state {
	case stateRunning:
		return nil
	case stateClosed:
		return cluster.ErrClosed
	}
	return cluster.ErrNotStarted
}
