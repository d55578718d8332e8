package redisbroker

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/pprof"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/rendezvous"
)

// Broker is the broker of a cluster whose nodes meet on one or more Redis
// servers. A node has two connections to each of them, for any number of
// channels.
//
// A channel belongs to one server, chosen by rendezvous hashing. An unreachable
// server stops the messages of its channels only. A node's own inbox and the
// cluster's channel exist on every server: their messages take a server that
// works, those to a node one that reaches it, so they keep the order of a
// publisher only while no server fails.
//
// The package documentation describes the failure of a server.
type Broker struct {
	config      Config
	ownChannel  string
	incarnation uint64
	born        int64 // Unix microseconds
	epoch       time.Time
	seeds       []uint64
	servers     []*server

	queueFull     atomic.Uint64
	inboxWanted   atomic.Bool
	clusterWanted atomic.Bool
	running       atomic.Bool

	inbox   sync.Mutex      // one delivery at a time on channels that all servers have
	handler cluster.Handler // immutable after Start

	mu      sync.Mutex // guards the rest
	state   lifecycle
	life    context.Context // from Start to Close; immutable after Start
	cancel  context.CancelFunc
	closing chan struct{} // closed by Close
	closed  chan struct{} // closed when Close has finished
	group   sync.WaitGroup
}

// lifecycle is the phase in the life of a broker.
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
	_ cluster.Interruptible     = (*Broker)(nil)
	_ cluster.CountingPublisher = (*Broker)(nil)
	_ cluster.Historian         = (*Broker)(nil)
	_ cluster.OncePublisher     = (*Broker)(nil)
	_ cluster.Membership        = (*Broker)(nil)
)

// New checks the configuration and returns a broker that is not started. Errors
// name servers by address; no error, log record or figure contains a password.
// The first connection turns off the log of go-redis for the whole process.
func New(config Config) (*Broker, error) {
	config = config.WithDefaults()
	servers, err := config.servers()
	if err != nil {
		return nil, err
	}
	b := &Broker{
		config:     config,
		ownChannel: cluster.NodeChannel(config.NodeID),
		epoch:      time.Now(),
		born:       time.Now().UnixMicro(),
		state:      stateNew,
		closing:    make(chan struct{}),
		closed:     make(chan struct{}),
	}
	var incarnation [8]byte
	_, _ = rand.Read(incarnation[:]) // never fails
	b.incarnation = binary.BigEndian.Uint64(incarnation[:])
	for i, server := range servers {
		b.seeds = append(b.seeds, rendezvous.Hash(server.identity))
		b.servers = append(b.servers, newServer(b, i, server))
	}
	return b, nil
}

// prefix returns the prefix of channels and keys. Redis has one set of channels
// for all databases, so the prefix tells the databases apart. That of database
// 0 has no number: it is the prefix of earlier versions.
func (c *Config) prefix(database int) string {
	if database == 0 {
		return c.Cluster + ":"
	}
	return c.Cluster + "/" + strconv.Itoa(database) + ":"
}

// NodeID is the ID of this node, from the configuration or random.
func (b *Broker) NodeID() string { return b.config.NodeID }

func (b *Broker) now() time.Duration { return time.Since(b.epoch) }

// Start implements [cluster.Broker]. It connects and waits for the first
// outcome at every server. An unreachable server is no error: the broker
// retries, and Ready reports it. A server that rejects the user, the password
// or a command is an error, and so is one in cluster mode.
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
	b.life, b.cancel = life, cancel
	for _, s := range b.servers {
		b.launch(life, s)
	}
	b.running.Store(true)
	b.mu.Unlock()
	for _, s := range b.servers {
		for _, link := range []*linkState{&s.publishing, &s.subscribing} {
			select {
			case <-link.attempted:
			case <-b.closing:
				return cluster.ErrClosed
			case <-ctx.Done():
				// A silent server is not known to be wrong: Ready reports the
				// problem until the server answers.
				return nil
			}
			if err := link.err(); err != nil && permanent(err) {
				return b.abort(err)
			}
		}
	}
	return nil
}

// abort closes the broker after a failed Start.
func (b *Broker) abort(reason error) error {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	// The reason says more than the error of Close, which only counts unsent
	// messages.
	_ = b.Close(ended)
	return reason
}

func (b *Broker) launch(life context.Context, s *server) {
	roles := []struct {
		name string
		run  func(context.Context)
	}{{"publisher", newPublisher(s).run}, {"subscriber", s.subscriber.run}, {"keeper", s.keep}}
	if s.endpoint.master != "" {
		roles = append(roles, struct {
			name string
			run  func(context.Context)
		}{"sentinel", s.watchMaster})
	}
	for _, role := range roles {
		b.group.Go(func() { pprof.Do(life, pprof.Labels("stoa", "redis "+role.name), role.run) })
	}
}

// deliver passes a message to the handler.
func (b *Broker) deliver(channel string, env *cluster.Envelope) {
	var wanted *atomic.Bool
	switch channel {
	case b.ownChannel:
		if b.successor() != nil {
			// Requests are for the connections of the newer process. An answer
			// of this one would only be that they do not exist.
			return
		}
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

// server returns the server for a message.
func (b *Broker) server(channel string) *server {
	if len(b.servers) == 1 {
		return b.servers[0]
	}
	if everywhere(channel) {
		return b.servers[rendezvous.Choose(b.seeds, channel, func(i int) bool { return b.servers[i].up() })]
	}
	return b.servers[b.Partition(channel)]
}

// everywhere returns true for channels that exist on every server.
func everywhere(channel string) bool {
	kind := cluster.KindOf(channel)
	return kind == cluster.KindNode || kind == cluster.KindCluster
}

// Partitions implements [cluster.Partitioned]: the number of servers.
func (b *Broker) Partitions() int { return len(b.servers) }

// Partition implements [cluster.Partitioned]: the position of the channel's
// server in the alphabetical order of the servers.
func (b *Broker) Partition(channel string) int { return rendezvous.Choose(b.seeds, channel, nil) }

// Interrupted implements [cluster.Interruptible]: the node is not subscribed at
// the server, or has heard nothing from it for an eighth of a ProbeInterval, or
// was stopped itself and has heard no answer since.
func (b *Broker) Interrupted(partition int) bool {
	s := b.servers[partition]
	session := s.subscriber.current.Load()
	return session == nil || session.doubtful() || !s.subscribing.works() || s.asleep(s.now())
}

// Subscribe implements [cluster.Broker]. While a server is unreachable, calls
// for its channels block. A failed call stays pending and is retried.
func (b *Broker) Subscribe(ctx context.Context, channels ...string) error {
	return b.change(ctx, true, channels)
}

// Unsubscribe implements [cluster.Broker]. While a server is unreachable it
// does not block.
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
	byServer := make([][]string, len(b.servers))
	for _, channel := range channels {
		switch channel {
		case b.ownChannel:
			b.wantInbox(&b.inboxWanted, wanted)
		case clusterChannel:
			b.wantInbox(&b.clusterWanted, wanted)
		default:
			partition := b.Partition(channel)
			byServer[partition] = append(byServer[partition], channel)
		}
	}
	problems := make([]error, len(b.servers))
	var calls sync.WaitGroup
	for i, part := range byServer {
		if len(part) == 0 {
			continue
		}
		call := func() {
			problems[i] = b.servers[i].subscriptions.change(ctx, wanted, b.closing, part)
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

// wantInbox turns the deliveries of a channel that exists on every server on or
// off. The broker itself is always subscribed to it.
func (b *Broker) wantInbox(flag *atomic.Bool, wanted bool) {
	b.inbox.Lock()
	defer b.inbox.Unlock()
	flag.Store(wanted)
}

// firstError prefers ErrClosed, so that callers need not look for it behind
// other errors.
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

// Ready implements [cluster.Broker]: messages make the round trip through each
// server, however many wait in its queue. One working server is enough: an
// unreachable server affects only its channels, and would otherwise make all
// nodes of the cluster unready at once. The error names the failed servers, the
// failed connection of each, and the time since when.
func (b *Broker) Ready(ctx context.Context) error {
	if err := b.usable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if newer := b.successor(); newer != nil {
		return fmt.Errorf("redisbroker: node ID %q belongs to a newer process, at %q", newer.ID, newer.Address)
	}
	problems := make([]error, len(b.servers))
	var calls sync.WaitGroup
	for i, s := range b.servers {
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

// Nodes implements [cluster.Membership]. It leaves out a node that has sent no
// sign of life for its lease. While a server is unreachable, the nodes that it
// knew stay.
func (b *Broker) Nodes() []cluster.NodeInfo {
	found := make(map[string]registryEntry)
	for _, s := range b.servers {
		s.registry.collect(found)
	}
	infos := make(map[string]cluster.NodeInfo, len(found)+1)
	for id, e := range found {
		infos[id] = e.node.NodeInfo
	}
	infos[b.config.NodeID] = b.self().NodeInfo
	return sortNodes(infos)
}

// usable returns the reason why a call is not possible, or nil.
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
