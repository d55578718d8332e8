package rpc

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/connid"
	"github.com/stoa-io/stoa/wire"
)

// Local carries out requests on this node.
type Local interface {
	// Execute carries out a request about one connection, and answers with
	// Peer.Reply. It neither blocks nor calls the broker.
	Execute(r *Request)
	// ExecuteForUsers carries out a request about users, and answers with
	// Peer.Reply and Peer.Finish. It neither blocks nor calls the broker.
	ExecuteForUsers(r *Request)
	// AskRoom asks the members of a room on this node. It neither blocks nor
	// calls the broker.
	AskRoom(c *RoomCall)
	// EndRoom ends the asks of a room call that members of this node have not
	// answered. It neither blocks nor calls the broker.
	EndRoom(c *RoomCall)
	// Defer runs f soon on another goroutine, where it may call the broker.
	Defer(f func())
}

// Config is the configuration of a Peer. All fields are required.
type Config struct {
	// ID is the node's ID.
	ID     string
	Broker cluster.Broker
	Local  Local
	// Timeout is how long a call without a deadline waits.
	Timeout time.Duration
	// Closed ends all waiting calls with ErrClosed.
	Closed    <-chan struct{}
	ErrClosed error
}

// Peer is this node's end of all requests.
type Peer struct {
	config  Config  // immutable
	pending pending // calls of this node
	rooms   activeRoomCalls
	census  census

	lateAnswers atomic.Uint64
	badRequests atomic.Uint64
}

// NewPeer returns a peer.
func NewPeer(config Config) *Peer { return &Peer{config: config} }

// Pending is the number of calls that have not ended.
func (p *Peer) Pending() int { return p.pending.count() }

// LateAnswers counts the answers to calls that had ended.
func (p *Peer) LateAnswers() uint64 { return p.lateAnswers.Load() }

// BadRequests counts the requests of other nodes that were malformed.
func (p *Peer) BadRequests() uint64 { return p.badRequests.Load() }

// send sends a request to a node, this one included. lost is called, at most
// once and on any goroutine, if it is certain that the node did not receive it.
func (p *Peer) send(node string, r *Request, lost func(error)) {
	if node == p.config.ID {
		p.serve(r)
		return
	}
	p.publish(cluster.NodeChannel(node), r, func(nodes int, err error) {
		switch {
		case err != nil:
			lost(err)
		case nodes == 0:
			lost(wire.ErrGone)
		}
	})
}

// post sends a request and ignores failures; the caller's deadline covers a
// lost one.
func (p *Peer) post(node string, r *Request) { p.send(node, r, func(error) {}) }

// publish publishes a request and learns how many nodes it reached. A broker
// that cannot count is taken to have reached one.
func (p *Peer) publish(channel string, r *Request, done func(nodes int, err error)) {
	env := &cluster.Envelope{Kind: cluster.EnvelopeControl, Payload: r.append(nil)}
	if counting, ok := p.config.Broker.(cluster.CountingPublisher); ok {
		counting.PublishCount(channel, env, done)
		return
	}
	done(1, p.config.Broker.Publish(channel, env))
}

// Deliver takes a control envelope of another node, or of this one for a room.
// The broker may call it.
func (p *Peer) Deliver(env *cluster.Envelope) {
	r, err := parse(env.Payload)
	if err != nil {
		p.badRequests.Add(1)
		return
	}
	p.serve(r)
}

// serve carries out a request that is addressed to this node.
func (p *Peer) serve(r *Request) {
	switch r.Op {
	case OpAnswer:
		p.onAnswer(r)
	case OpDone:
		p.onDone(r)
	case OpAskRoom, OpAskUser:
		p.askRoomHere(r)
	case OpEnd:
		p.endRoomHere(r)
	case OpProbe:
		p.config.Local.Defer(func() { p.answerProbe(r) })
	case OpUserConns, OpCloseUser, OpBlock, OpBlocks, OpDigest:
		p.config.Local.ExecuteForUsers(r)
	default:
		p.config.Local.Execute(r)
	}
}

// Reply answers a request about a connection.
func (p *Peer) Reply(to *Request, body []byte, binary bool, err error) {
	if to.ID == 0 {
		return
	}
	answer := &Request{Op: OpAnswer, ID: to.ID, From: p.config.ID, Target: to.Target, Payload: body, Binary: binary}
	if err != nil {
		answer.Err = ErrorText(err)
	}
	p.post(to.From, answer)
}

// onAnswer takes one connection's answer.
func (p *Peer) onAnswer(r *Request) {
	answer := Answer{Conn: r.Target, Body: r.Payload, Binary: r.Binary}
	if r.Err != "" {
		answer.Body, answer.Err = nil, wire.ErrorFor(r.Err)
	}
	var ended call
	if !p.update(r.ID, func(c *call) (bool, error) {
		c.answers = append(c.answers, answer)
		ended = *c
		return !c.collectAll, nil
	}) {
		p.lateAnswers.Add(1)
		return
	}
	if !ended.collectAll && ended.haveCount && ended.expected > 1 {
		p.endRoom(r.ID, ended.channel)
	}
}

// onNodeLost stops waiting for a node in one call.
func (p *Peer) onNodeLost(id uint64, node string) {
	p.update(id, func(c *call) (bool, error) { return c.forget(node) })
}

// onDone notes that a node has finished, and why there is no answer if a member
// there was asked.
func (p *Peer) onDone(r *Request) {
	p.update(r.ID, func(c *call) (bool, error) {
		if !slices.Contains(c.done, r.From) {
			c.done = append(c.done, r.From)
		}
		c.result = max(c.result, resultOf(r.Err))
		return c.forget(r.From)
	})
}

// Call sends a request about one connection and waits for the answer. It sets
// the request's ID, From and Timeout. Without a deadline of ctx it waits for
// the configured timeout, and then the connection's node answers
// wire.ErrTimeout.
func (p *Peer) Call(ctx context.Context, r *Request) (Answer, error) {
	owner, ok := connid.NodeOf(r.Target)
	if !ok {
		return Answer{}, wire.ErrGone
	}
	// No node sends OpDone for a single connection: the answer finishes the
	// call.
	all, err := p.wait(ctx, false, func(c *call) uint64 {
		c.owner = owner
		r.ID, r.From, r.Timeout = p.pending.add(c), p.config.ID, p.timeout(ctx)
		p.send(owner, r, func(err error) {
			p.onAnswer(&Request{ID: r.ID, Target: r.Target, Err: ErrorText(err)})
		})
		return r.ID
	})
	return first(all, err)
}

// first returns the only answer that is wanted.
func first(all Answers, err error) (Answer, error) {
	if err != nil || len(all.Answers) == 0 {
		return Answer{}, err
	}
	return all.Answers[0], all.Answers[0].Err
}

// grace is the part of Config.Timeout, and the longest time, for which a call
// without a deadline waits for an answer that is overdue. The other node
// answers wire.ErrTimeout; if that is lost, the call still ends.
const (
	gracePart = 4
	maxGrace  = 5 * time.Second
)

// wait starts a call and waits until it is complete. When ctx ends first, a
// call for all answers returns those received so far.
func (p *Peer) wait(ctx context.Context, collectAll bool, start func(*call) (id uint64)) (Answers, error) {
	type outcome struct {
		all Answers
		err error
	}
	finished := make(chan outcome, 1)
	id := start(&call{collectAll: collectAll, finish: func(all Answers, err error) { finished <- outcome{all, err} }})
	err := p.config.ErrClosed
	var overdue <-chan time.Time
	if _, limited := ctx.Deadline(); !limited {
		timer := time.NewTimer(p.config.Timeout + min(p.config.Timeout/gracePart, maxGrace))
		defer timer.Stop()
		overdue = timer.C
	}
	select {
	case r := <-finished:
		return r.all, r.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-overdue:
		err = wire.ErrTimeout
	case <-p.config.Closed:
	}
	c := p.pending.take(id)
	if c == nil {
		r := <-finished
		return r.all, r.err
	}
	if c.haveCount {
		p.endRoom(id, c.channel)
	}
	if collectAll && err != p.config.ErrClosed {
		err = nil
	}
	return c.partial(), err
}

// timeout is how long the other side may take, in milliseconds.
func (p *Peer) timeout(ctx context.Context) uint32 {
	const longest = 24 * time.Hour
	timeout := p.config.Timeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	return uint32(min(max(timeout, time.Millisecond), longest).Milliseconds())
}

// knownNodes are the nodes of the cluster that the broker knows, and this one.
func (p *Peer) knownNodes() []string {
	nodes := []string{p.config.ID}
	if members, ok := p.config.Broker.(cluster.Membership); ok {
		for _, other := range members.Nodes() {
			if other.ID != p.config.ID {
				nodes = append(nodes, other.ID)
			}
		}
	}
	return nodes
}

// ErrorText is an error as it is sent to another node or a client.
func ErrorText(err error) string {
	if wire.ErrorFor(err.Error()) == err {
		return err.Error()
	}
	return wire.ErrUnavailable.Error()
}
