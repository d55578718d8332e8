package rpc

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
)

// Answer is what a connection answered.
type Answer struct {
	Conn   string // the ID of the connection
	Body   []byte
	Binary bool  // the answer came in a binary frame
	Err    error // of package wire where it has that text, else a wire.RemoteError
}

// Answers is what the members of a room answered.
type Answers struct {
	Answers []Answer // in the order of their arrival
	Missing []string // IDs of the nodes that had not finished when time was up
	done    []string // nodes that have finished
}

// call is a request of this node that has not been answered.
type call struct {
	// Immutable. finish is called once, on any goroutine, and must not block.
	collectAll bool   // all answers are wanted, not the first
	channel    string // of the room that is asked; empty: none, or all nodes by name
	owner      string // the node of the one connection that is asked; empty: a room is
	finish     func(Answers, error)

	// Guarded by pending.mu. For a room call it is known how many nodes
	// received it, but not which; their names are needed only when a node is
	// gone.
	expected   int      // nodes that will finish
	haveCount  bool     // expected is known
	perNode    bool     // waitingFor is known, and counts instead
	waitingFor []string // nodes that have not finished
	answers    []Answer
	done       []string // nodes that have finished
	result     result   // why there is no answer, as far as nodes have finished
	confirmed  bool     // the other nodes were looked for, see confirm
}

// pending holds the calls of a node. Only asks are calls, never emits, so one
// lock is enough.
type pending struct {
	mu    sync.Mutex
	last  uint64           // guarded by mu
	calls map[uint64]*call // guarded by mu
}

// add registers a call.
func (p *pending) add(c *call) (id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls == nil {
		p.calls = make(map[uint64]*call)
		// A node that restarted under the same ID must not take late answers
		// for its own.
		p.last = rand.Uint64() >> 16
	}
	p.last++
	p.calls[p.last] = c
	return p.last
}

// take removes a call; nil if it has ended.
func (p *pending) take(id uint64) *call {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.calls[id]
	delete(p.calls, id)
	return c
}

// ids are those of all calls.
func (p *pending) ids() []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.calls))
}

func (p *pending) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.calls)
}

// update changes a call, and finishes it if that completes it. It reports false
// if the call has ended: the answer is late.
func (p *pending) update(id uint64, change func(*call) (complete bool, err error)) bool {
	p.mu.Lock()
	c := p.calls[id]
	if c == nil {
		p.mu.Unlock()
		return false
	}
	complete, err := change(c)
	if !complete {
		p.mu.Unlock()
		return true
	}
	delete(p.calls, id)
	all := c.partial()
	p.mu.Unlock()
	c.finish(all, err)
	return true
}

// partial returns the answers received so far.
func (c *call) partial() Answers { return Answers{Answers: c.answers, done: c.done} }

// complete reports whether all nodes have finished, and the error of a call
// that wants one answer.
func (c *call) complete() (complete bool, err error) {
	switch {
	case c.perNode && len(c.waitingFor) > 0, !c.perNode && (!c.haveCount || len(c.done) < c.expected):
		return false, nil
	case c.collectAll:
		return true, nil
	}
	return true, c.result.err()
}

// forget stops waiting for a node: it was not reached, is gone, or has
// finished.
func (c *call) forget(node string) (complete bool, err error) {
	c.waitingFor = slices.DeleteFunc(c.waitingFor, func(waiting string) bool { return waiting == node })
	return c.complete()
}
