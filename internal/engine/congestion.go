package engine

import (
	"context"
	"sync"
	"sync/atomic"
)

// CongestionSet is a set of sources of congestion, one bit each.
type CongestionSet uint16

// congestionBits is how many sources have a bit of their own.
const congestionBits = 16

// EverySource is the set of all sources.
const EverySource = CongestionSet(1<<congestionBits - 1)

// CongestionSource returns the set of one source. Sources beyond the bits share
// the last one: congestion of one of them pauses the connections of all of
// them.
func CongestionSource(source int) CongestionSet { return 1 << min(source, congestionBits-1) }

// Congestion counts why connections that feed a source are not read: full
// queues behind it. The zero value is ready for use and safe for concurrent
// use.
type Congestion struct {
	now atomic.Uint32 // sources with a cause

	mu     sync.Mutex          // guards the rest; no other lock is taken inside
	causes [congestionBits]int // of each source
	eased  chan struct{}       // closed when a source has lost its last cause; nil: no caller waits
}

// Set returns the congested sources.
func (g *Congestion) Set() CongestionSet { return CongestionSet(g.now.Load()) }

// Add counts a cause for each source of the set.
func (g *Congestion) Add(set CongestionSet) { g.change(set, 1) }

// Remove undoes one Add. It reports whether a source has lost its last cause.
func (g *Congestion) Remove(set CongestionSet) (relieved bool) { return g.change(set, -1) }

func (g *Congestion) change(set CongestionSet, by int) (relieved bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var now CongestionSet
	for i := range g.causes {
		if set&(1<<i) != 0 {
			g.causes[i] += by
		}
		if g.causes[i] > 0 {
			now |= 1 << i
		}
	}
	before := CongestionSet(g.now.Swap(uint32(now)))
	relieved = before&^now != 0
	if relieved && g.eased != nil {
		close(g.eased)
		g.eased = nil
	}
	return relieved
}

// Wait returns when no source of the set is congested, with the error of ctx
// when it ends first, or with errClosed when closed is closed first.
func (g *Congestion) Wait(ctx context.Context, closed <-chan struct{}, errClosed error, set CongestionSet) error {
	for g.Set()&set != 0 {
		g.mu.Lock()
		if g.Set()&set == 0 {
			g.mu.Unlock()
			break
		}
		if g.eased == nil {
			g.eased = make(chan struct{})
		}
		eased := g.eased
		g.mu.Unlock()
		select {
		case <-eased:
		case <-ctx.Done():
			return ctx.Err()
		case <-closed:
			return errClosed
		}
	}
	return nil
}

// Feed notes that the connection publishes to the sources: it is not read while
// one of them is congested.
func (c *Conn) Feed(sources CongestionSet) { c.feeds |= sources }

// Unfeed ends a Feed.
func (c *Conn) Unfeed(sources CongestionSet) { c.feeds &^= sources }

// pauseIfCongested pauses a connection while a source that it feeds is
// congested.
func (c *Conn) pauseIfCongested() bool {
	if c.feeds&c.loop.server.congestion.Set() == 0 {
		return false
	}
	c.pause |= pauseCongested
	c.loop.congested = append(c.loop.congested, c)
	return true
}

// ResumeRelieved reads again from the connections whose sources are no longer
// congested. It belongs to the loop.
func (l *Loop) ResumeRelieved() {
	congested := l.server.congestion.Set()
	paused := l.congested
	l.congested = nil
	for _, c := range paused {
		if c.state == connOpen && c.feeds&congested != 0 {
			l.congested = append(l.congested, c)
			continue
		}
		c.Resume(pauseCongested)
	}
}
