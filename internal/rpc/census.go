package rpc

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/wire"
)

// PUBLISH counts the nodes that are subscribed to a room. A node whose
// subscription is interrupted is not counted, although it may have members. So
// before a room call ends because no member was found, this node looks for the
// other nodes on their own channels. If one is missing, the call goes on: it
// ends with wire.ErrTimeout, or when that node has left the cluster.

// census looks for the other nodes on behalf of room calls, at most once at a
// time. Safe for concurrent use.
type census struct {
	mu      sync.Mutex
	waiting []uint64 // guarded by mu; the calls for the next run
	running bool     // guarded by mu
}

// update changes a call, and finishes it if that completes it; see
// pending.update. A call that would end without a member is confirmed first.
func (p *Peer) update(id uint64, change func(*call) (complete bool, err error)) bool {
	doubtful := false
	found := p.pending.update(id, func(c *call) (bool, error) {
		complete, err := change(c)
		if !complete || c.confirmed || !errors.Is(err, wire.ErrNobody) && !errors.Is(err, wire.ErrUnhandled) || len(c.answers) > 0 {
			return complete, err
		}
		c.confirmed, doubtful = true, true
		return false, nil
	})
	if doubtful {
		p.confirm(id)
	}
	return found
}

// confirm finishes a call without a member, if all other nodes can be reached.
// The broker may call it.
func (p *Peer) confirm(id uint64) {
	c := &p.census
	c.mu.Lock()
	c.waiting = append(c.waiting, id)
	start := !c.running
	c.running = true
	c.mu.Unlock()
	if start {
		p.config.Local.Defer(p.takeCensus)
	}
}

// takeCensus looks for the other nodes.
func (p *Peer) takeCensus() {
	p.census.mu.Lock()
	calls := p.census.waiting
	p.census.waiting = nil
	p.census.mu.Unlock()

	nodes := p.knownNodes()[1:]
	var missing atomic.Bool
	var remaining atomic.Int32
	remaining.Store(int32(len(nodes)) + 1)
	finish := func() {
		if remaining.Add(-1) == 0 {
			p.endCensus(calls, missing.Load())
		}
	}
	for _, node := range nodes {
		p.publish(cluster.NodeChannel(node), &Request{Op: OpProbe, From: p.config.ID}, func(reached int, err error) {
			if err != nil || reached == 0 {
				missing.Store(true)
			}
			finish()
		})
	}
	finish()
}

// endCensus finishes the calls if no node is missing, and starts the next run
// if calls wait for it.
func (p *Peer) endCensus(calls []uint64, missing bool) {
	for _, id := range calls {
		if !missing {
			p.pending.update(id, (*call).complete)
		}
	}
	c := &p.census
	c.mu.Lock()
	again := len(c.waiting) > 0
	c.running = again
	c.mu.Unlock()
	if again {
		p.config.Local.Defer(p.takeCensus)
	}
}
