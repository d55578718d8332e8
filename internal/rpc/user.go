package rpc

import (
	"context"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

// AskNodes sends a request about a user to every known node, this one included,
// and returns the answers that arrive before ctx ends or the configured timeout
// has passed. It sets the request's ID, From and Timeout.
func (p *Peer) AskNodes(ctx context.Context, r *Request) (Answers, error) {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	return p.askNodes(ctx, r)
}

// Gather publishes a request about users in a channel. finish is called once,
// on any goroutine, with all answers of the nodes that it reached; complete is
// false if they have not arrived within the timeout, or if it is not known
// which nodes the request has reached. It sets the request's ID, From and
// Timeout.
func (p *Peer) Gather(channel string, r *Request, timeout time.Duration, finish func(all []Answer, complete bool)) {
	id := p.pending.add(&call{collectAll: true, finish: func(all Answers, err error) { finish(all.Answers, err == nil) }})
	r.ID, r.From, r.Timeout = id, p.config.ID, uint32(timeout.Milliseconds())
	time.AfterFunc(timeout, func() { p.fail(id, context.DeadlineExceeded) })
	p.publish(channel, r, func(nodes int, err error) {
		if err != nil {
			p.fail(id, err)
			return
		}
		p.pending.update(id, func(c *call) (bool, error) {
			c.expected, c.haveCount = nodes, true
			return c.complete()
		})
	})
}

// GatherHere is Gather for this node alone. It does not need the broker.
func (p *Peer) GatherHere(r *Request, timeout time.Duration, finish func(all []Answer)) {
	r.ID = p.pending.add(&call{
		collectAll: true, expected: 1, haveCount: true,
		finish: func(all Answers, _ error) { finish(all.Answers) },
	})
	id := r.ID
	r.From, r.Timeout = p.config.ID, uint32(timeout.Milliseconds())
	time.AfterFunc(timeout, func() { p.fail(id, context.DeadlineExceeded) })
	p.serve(r)
}

// fail finishes a call with the answers received so far and an error.
func (p *Peer) fail(id uint64, err error) {
	p.pending.update(id, func(*call) (bool, error) { return true, err })
}

// Finish tells the asking node that no more answers follow.
func (p *Peer) Finish(to *Request) {
	if to.ID != 0 {
		p.post(to.From, &Request{Op: OpDone, ID: to.ID, From: p.config.ID})
	}
}

// Notify sends a request that is not answered to a node. It is lost if the node
// cannot be reached.
func (p *Peer) Notify(node string, r *Request) {
	r.From = p.config.ID
	p.post(node, r)
}

// NotifyAll is Notify for all nodes of the cluster.
func (p *Peer) NotifyAll(r *Request) { p.NotifyChannel(cluster.ClusterChannel(), r) }

// NotifyChannel is Notify for the nodes that have subscribed to a channel. It
// is in the channel's order.
func (p *Peer) NotifyChannel(channel string, r *Request) { p.Announce(channel, r, func(int, error) {}) }

// Announce is NotifyChannel that reports how many nodes the request has
// reached, or why none. It calls done once, on any goroutine; done does not
// block.
func (p *Peer) Announce(channel string, r *Request, done func(nodes int, err error)) {
	r.From = p.config.ID
	p.publish(channel, r, done)
}
