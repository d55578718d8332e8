package node

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/stoa-io/stoa/cluster"
)

// partitions is a set of partitions of the broker, one bit for each. Those beyond
// the bits share the last one, and what congests one of them holds up all of them.
type partitions uint16

const (
	partitionBits  = 16
	everyPartition = partitions(1<<partitionBits - 1)
)

func partitionSet(partition int) partitions { return 1 << min(partition, partitionBits-1) }

// partitionOf is where the broker keeps a channel.
func (n *Node) partitionOf(channel string) partitions {
	if p, ok := n.broker.(cluster.Partitioned); ok {
		return partitionSet(p.Partition(channel))
	}
	return partitionSet(0)
}

// congestion is why connections that publish are not read: queues of the broker, and
// inboxes of loops, which concern every partition. Safe for concurrent use.
type congestion struct {
	now atomic.Uint32 // partitions with a cause

	mu     sync.Mutex         // guards the rest; nothing is taken inside
	causes [partitionBits]int // of each partition
	eased  chan struct{}      // closed when a partition has lost its last cause; nil: nobody waits
}

func (g *congestion) partitions() partitions { return partitions(g.now.Load()) }

// change counts causes in or out. It reports whether a partition has lost its last.
func (g *congestion) change(set partitions, by int) (relieved bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var now partitions
	for i := range g.causes {
		if set&(1<<i) != 0 {
			g.causes[i] += by
		}
		if g.causes[i] > 0 {
			now |= 1 << i
		}
	}
	before := partitions(g.now.Swap(uint32(now)))
	relieved = before&^now != 0
	if relieved && g.eased != nil {
		close(g.eased)
		g.eased = nil
	}
	return relieved
}

// wait returns when none of the partitions is congested, or the error of ctx, or
// ErrClosed when closed is.
func (g *congestion) wait(ctx context.Context, closed <-chan struct{}, set partitions) error {
	for g.partitions()&set != 0 {
		g.mu.Lock()
		if g.partitions()&set == 0 {
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
			return ErrClosed
		}
	}
	return nil
}

// Congested implements cluster.Handler.
func (n *Node) Congested(partition int, congested bool) {
	if congested {
		n.congest(partitionSet(partition))
	} else {
		n.relieve(partitionSet(partition))
	}
}

// congest adds a cause: from now on connections that have published to one of the
// partitions are not read.
func (n *Node) congest(set partitions) { n.congestion.change(set, 1) }

// relieve takes a cause back, and lets the loops read again where it was the last.
func (n *Node) relieve(set partitions) {
	if !n.congestion.change(set, -1) {
		return
	}
	for _, l := range n.loops {
		l.post(item{kind: itemResume})
	}
}

// mustWait holds a connection while a partition that it has published to is
// congested.
func (c *conn) mustWait() bool {
	if c.published&c.loop.node.congestion.partitions() == 0 {
		return false
	}
	c.flags |= flagHeld
	c.loop.held = append(c.loop.held, c)
	return true
}

// resumeHeld reads again from the connections that need not be held any more.
func (l *loop) resumeHeld() {
	congested := l.node.congestion.partitions()
	held := l.held
	l.held = nil
	for _, c := range held {
		if c.state == connOpen && c.published&congested != 0 {
			l.held = append(l.held, c)
			continue
		}
		c.flags &^= flagHeld
		c.resume()
	}
}

// resume goes on with what was received while the connection was held.
func (c *conn) resume() {
	if c.state == connGone || c.stopped() {
		return
	}
	c.lastRead = c.loop.now // it was not the peer that was silent
	if c.in != nil {
		c.consumeKept()
	}
	if c.state != connGone && c.flags&flagReadable != 0 {
		c.flags &^= flagReadable
		c.onReadable(false)
	}
}
