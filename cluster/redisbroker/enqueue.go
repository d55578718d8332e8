package redisbroker

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/once"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/rendezvous"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/stream"
)

// Publish implements [cluster.Broker]: it appends the message to the queue of
// the channel's server. It allocates only when the queue grows.
func (b *Broker) Publish(channel string, env *cluster.Envelope) error {
	return b.server(channel).push(channel, env, false, nil, nil)
}

// PublishCount implements [cluster.CountingPublisher]. A message to a node that
// reaches no subscriber on one server is sent over the next one.
func (b *Broker) PublishCount(channel string, env *cluster.Envelope, done func(nodes int, err error)) {
	if len(b.servers) > 1 && cluster.KindOf(channel) == cluster.KindNode {
		b.publishToNode(channel, env, done)
		return
	}
	if err := b.server(channel).push(channel, env, false, done, nil); err != nil {
		done(0, err)
	}
}

// PublishOnce implements [cluster.OncePublisher]. The message takes its place
// in the queue like any other.
func (b *Broker) PublishOnce(channel string, env *cluster.Envelope, o cluster.Once, done func(p cluster.Position, err error)) {
	err := o.Validate(channel, env)
	if err == nil {
		err = b.server(channel).push(channel, env, false, nil, once.New(env, o, done))
	}
	if err != nil {
		done(cluster.Position{}, err)
	}
}

func (b *Broker) publishToNode(channel string, env *cluster.Envelope, done func(nodes int, err error)) {
	address, _ := cluster.ParseChannel(channel) // succeeds for every channel of the kind
	m := &inboxMessage{channel: channel, envelope: *env, servers: b.serversOf(channel, address.Node), done: done}
	m.envelope.Payload = bytes.Clone(env.Payload)
	m.publish()
}

func (s *server) push(channel string, env *cluster.Envelope, internal bool, done func(int, error), m *once.Message) error {
	b := s.broker
	if !b.running.Load() {
		return b.usable()
	}
	if env.Keep != nil && everywhere(channel) {
		env = withoutHistory(env)
	}
	if env.Volatile && !s.takesVolatile() {
		return cluster.ErrQueueFull
	}
	if !internal && s.congestion.pending.Load() >= int64(b.config.QueueBytes) {
		b.queueFull.Add(1)
		return cluster.ErrQueueFull
	}
	now := b.now()
	size, number, err := s.queue.push(channel, env, internal, now, done, m)
	if errors.Is(err, cluster.ErrTooLarge) {
		s.stats.tooLarge.Add(1)
	}
	if err != nil {
		return err
	}
	s.lag.sent(number, now)
	s.adjust(size)
	return nil
}

// takesVolatile returns true while a volatile message would leave soon: the
// server is up, and the queue is below the mark at which congestion ends. So
// these messages never begin congestion, and do not prolong it.
func (s *server) takesVolatile() bool {
	return s.up() && s.congestion.pending.Load() < int64(s.config().QueueBytes)/4
}

// congestion is the fill level of one server's queue, and the last value that
// the handler received.
type congestion struct {
	pending   atomic.Int64 // bytes in the queue
	congested atomic.Bool

	calling sync.Mutex // one call of Handler.Congested at a time
}

// adjust counts bytes into or out of the queue and notifies the handler of
// congestion.
func (s *server) adjust(bytes int) {
	c := &s.congestion
	pending := c.pending.Add(int64(bytes))
	limit := int64(s.config().QueueBytes)
	if congested := c.congested.Load(); !congested && pending <= limit/2 || congested && pending >= limit/4 {
		return
	}
	c.calling.Lock()
	defer c.calling.Unlock()
	// Check again after each call: a goroutine that changed pending during the
	// call may have seen the old value of congested.
	for s.broker.running.Load() {
		pending, congested := c.pending.Load(), c.congested.Load()
		switch {
		case !congested && pending > limit/2:
		case congested && pending < limit/4:
		default:
			return
		}
		c.congested.Store(!congested)
		s.broker.handler.Congested(s.partition, !congested)
	}
}

// awaitCall waits for a call of the handler that a Publish is making. It is
// called when running is false.
func (c *congestion) awaitCall() {
	c.calling.Lock()
	defer c.calling.Unlock()
}

// A node that lacks one of the servers is alive on the others. So a message to
// a node takes a server on which the node is known, and the next one if it has
// reached no subscriber there.

// serversOf returns the servers for a message to a node, the best one first.
// Servers that are up come before those that are not, those that know the node
// before those that do not, and the rest is the order of the hash, so that
// usually all messages between two nodes take one server.
func (b *Broker) serversOf(channel, node string) []*server {
	type candidate struct {
		server    *server
		up, known bool
		score     uint64
	}
	hash := rendezvous.Hash(channel)
	all := make([]candidate, len(b.servers))
	for i, s := range b.servers {
		all[i] = candidate{s, s.up(), s.registry.has(node), rendezvous.Score(b.seeds[i], hash)}
	}
	slices.SortFunc(all, func(x, y candidate) int {
		return cmp.Or(-compareBool(x.up, y.up), -compareBool(x.known, y.known), -cmp.Compare(x.score, y.score))
	})
	servers := make([]*server, 0, len(all))
	for i, c := range all {
		// A queue of a server that is not up would only delay the outcome.
		if i == 0 || c.up {
			servers = append(servers, c.server)
		}
	}
	return servers
}

func compareBool(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return 1
	}
	return -1
}

// has reports whether a server knows a node, in any incarnation.
func (r *registry) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, found := r.nodes[id]
	return found
}

// inboxMessage is a message to a node on its way from server to server.
type inboxMessage struct {
	channel  string
	envelope cluster.Envelope
	servers  []*server // that have not been tried
	done     func(nodes int, err error)
}

// publish queues the message at the next server. It may run on the goroutine of
// the previous server's publisher.
func (m *inboxMessage) publish() {
	s := m.servers[0]
	m.servers = m.servers[1:]
	if err := s.push(m.channel, &m.envelope, false, m.published, nil); err != nil {
		m.published(0, err)
	}
}

func (m *inboxMessage) published(nodes int, err error) {
	if err == nil && nodes == 0 && len(m.servers) > 0 {
		m.publish()
		return
	}
	m.done(nodes, err)
}

// script publishes a message once.
type script struct {
	message *once.Message
	command *redis.StringCmd
	expiry  *historyExpiry // that it sets if it is published; nil: none
	age     time.Duration  // of the expiry
}

// composeScript makes the command for a message that is published once.
func (p *publisher) composeScript(ctx context.Context, m *queuedMessage, field string) {
	h, prefix := &p.history, p.server.prefix
	e := h.expiry(m, prefix)
	s, life := script{message: m.once}, any("")
	if e.due(m.keep.Age, p.server.now()) {
		life = historyLife(m.keep.Age)
		if field == stream.FieldMessage {
			// The script of a message that may be a repeat may do nothing.
			s.expiry, s.age = e, m.keep.Age
		}
	}
	s.command = redis.NewStringCmd(ctx, "eval", once.Script, 2,
		m.once.KeyOf(prefix, string(m.channel[len(prefix):])), e.key,
		m.once.Value(), m.once.WindowMillis(), m.keep.Messages, field, &m.payload, life, &m.channel)
	h.scripts, h.commands = append(h.scripts, s), append(h.commands, s.command)
}

// refusedScripts ends the messages whose scripts were the reason why the server
// has refused a transaction. The others are sent again without them.
func (p *publisher) refusedScripts(ctx context.Context) (refused bool, err error) {
	if err := p.scriptsMayWait(); err != nil {
		return false, err
	}
	for _, s := range p.history.scripts {
		if err := s.command.Err(); err != nil && !redis.IsExecAbortError(err) {
			p.refuseOnce(ctx, s.message, err)
			refused = true
		}
	}
	return refused, nil
}

// scriptsMayWait returns an error if a script has failed because of the state
// that the server is in. It ends the connection, and the messages are sent
// again, perhaps to another master.
func (p *publisher) scriptsMayWait() error {
	for _, s := range p.history.scripts {
		err := withCause(s.command.Err())
		if passing(err) || redis.IsLoadingError(err) && p.mayWait() {
			return err
		}
	}
	return nil
}

// settleOnce handles the replies to the scripts in a transaction that is
// acknowledged.
func (p *publisher) settleOnce(ctx context.Context) {
	h, s := &p.history, p.server
	for _, script := range h.scripts {
		if err := script.command.Err(); err != nil {
			p.refuseOnce(ctx, script.message, err)
			continue
		}
		switch outcome, err := script.message.Settle(script.command.Val()); outcome {
		case once.Published:
			if e := script.expiry; e != nil {
				e.age, e.renewed = script.age, max(s.now(), 1)
			}
		case once.Repeat:
			s.stats.onceRepeats.Add(1)
		case once.Refused:
			p.refuseOnce(ctx, script.message, err)
		}
	}
	if len(h.scripts) > 0 {
		clear(h.scripts)
		clear(h.commands)
	}
	if h.onceAt != 0 && s.now() >= h.onceAt {
		h.onceAt = 0
		s.unconfirmed.set(ctx, nil)
	}
}

// refuseOnce ends a message that the server has not stored.
func (p *publisher) refuseOnce(ctx context.Context, m *once.Message, reason error) {
	s := p.server
	reason = withCause(reason)
	p.history.onceAt = s.now() + historyRetry
	s.stats.onceFailures.Add(1)
	s.unconfirmed.set(ctx, reason)
	m.Refuse(fmt.Errorf("redisbroker: Redis refuses the message: %w", reason))
}

// scriptReply is the error reply of a command in a script.
type scriptReply string

func (r scriptReply) Error() string { return string(r) }

// RedisError implements redis.Error.
func (r scriptReply) RedisError() {}

// withCause returns the error of the command that has failed in a script.
func withCause(err error) error {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return err
	}
	if cause := once.Cause(reply.Error()); cause != reply.Error() {
		return scriptReply(cause)
	}
	return err
}
