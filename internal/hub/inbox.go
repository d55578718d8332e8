package hub

import (
	"sync"

	"github.com/stoa-io/stoa/internal/connid"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/recovery/ring"
)

// Task is work that was posted to a shard. A task that also implements Dropper
// receives a call when it is not run any more.
type Task interface {
	// Run runs on the shard's loop.
	Run(s *Shard)
}

// Dropper is implemented by tasks that a caller waits for.
type Dropper interface {
	// Dropped is called instead of Run when the loop has ended.
	Dropped(s *Shard)
}

var _ Dropper = (*statsTask)(nil)

// taskFunc runs a function.
type taskFunc func()

// Run implements Task.
func (f taskFunc) Run(*Shard) { f() }

// delivery is a frame for the members of a channel.
type delivery struct {
	channel string
	frame   []byte     // immutable, shared by all send queues that it enters
	origin  connid.Ref // the connection that must not receive it
	except  *[]connid.Ref
	kept    *ring.Message // the message in the history of its room, nil if it is not kept
	// volatile: it is dropped rather than late.
	volatile bool
}

// excepted are the connections that must not receive it, in addition to origin.
func (d *delivery) excepted() []connid.Ref {
	if d.except == nil {
		return nil
	}
	return *d.except
}

// entry of an inbox: a delivery, or a task if that is not nil.
type entry struct {
	delivery
	task Task
}

// entryOverhead is the cost of an entry in addition to its frame, in bytes.
const entryOverhead = 96

// inbox is how everything outside a loop reaches its shard: one ordered queue.
// Posting never blocks. A delivery that exceeds the limit is queued all the
// same, but congests the node, and publishing connections are not read until
// the inbox is drained: the excess is bounded by the publishes in flight at
// that moment. Volatile deliveries take half of the limit only, and are dropped
// beyond it, so that they alone do not congest the node.
type inbox struct {
	mu        sync.Mutex
	entries   []entry // guarded by mu
	bytes     int     // guarded by mu; deliveries only
	congested bool    // guarded by mu
	closed    bool    // guarded by mu
}

// Post implements engine.Shard: it runs a function on the loop, after
// everything that was posted before.
func (s *Shard) Post(task func()) bool { return s.Submit(taskFunc(task)) }

// Submit posts a task. It reports false when the loop has ended; the task is
// not run and not told then. Safe for concurrent use; it never blocks.
func (s *Shard) Submit(t Task) bool {
	in := &s.inbox
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		return false
	}
	in.entries = append(in.entries, entry{task: t})
	in.mu.Unlock()
	s.loop.Wake()
	return true
}

// submitTo posts a task to the shards of a set of loops.
func (h *Hub) submitTo(loops uint64, t Task) {
	for i, s := range h.shards {
		if loops&(1<<i) != 0 {
			s.Submit(t)
		}
	}
}

// postDelivery posts a delivery.
func (s *Shard) postDelivery(d *delivery) {
	in := &s.inbox
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		return
	}
	if d.volatile && (in.congested || s.limits().LoopQueue > 0 && in.bytes > s.limits().LoopQueue/2) {
		in.mu.Unlock()
		s.hub.volatileDropped.Add(1)
		return
	}
	in.entries = append(in.entries, entry{delivery: *d})
	in.bytes += len(d.frame) + entryOverhead
	full := !in.congested && s.limits().LoopQueue > 0 && in.bytes > s.limits().LoopQueue
	if full {
		in.congested = true
	}
	in.mu.Unlock()
	if full {
		s.hub.server.Congestion().Add(engine.EverySource)
	}
	s.loop.Wake()
}

// Pending implements engine.Shard.
func (s *Shard) Pending() bool {
	if s.batchNext < len(s.batch) || s.expiries.due(s.loop.Now()) {
		return true
	}
	s.inbox.mu.Lock()
	defer s.inbox.mu.Unlock()
	return len(s.inbox.entries) > 0
}

// maxIdleEntries is how many entries an inbox keeps room for: a burst must not
// keep its memory for good.
const maxIdleEntries = 4 << 10

// takeInbox swaps the inbox with the batch that the loop has finished.
func (s *Shard) takeInbox() {
	clear(s.batch)
	spare := s.batch[:0]
	if cap(spare) > maxIdleEntries {
		spare = nil
	}
	in := &s.inbox
	in.mu.Lock()
	s.batch, in.entries = in.entries, spare
	s.batchSize, in.bytes = in.bytes, 0
	drained := in.congested
	in.congested = false
	in.mu.Unlock()
	s.batchNext = 0
	if drained {
		s.hub.relieve(engine.EverySource)
	}
}

// QueuedBytes implements engine.Shard. The batch counts as a whole until it is
// finished.
func (s *Shard) QueuedBytes() int {
	bytes := s.backlogs + s.app.QueuedBytes(s)
	if s.batchNext < len(s.batch) {
		bytes += s.batchSize
	}
	s.inbox.mu.Lock()
	defer s.inbox.mu.Unlock()
	return bytes + s.inbox.bytes
}

// membersPerTurn bounds the deliveries of one turn, so that a burst into large
// rooms does not keep the loop from its sockets. A turn takes whole entries.
const membersPerTurn = 64 << 10

// askCost is what an ask of a member counts, compared with a delivery: it is
// registered, and has a token of its own.
const askCost = 8

// Work implements engine.Shard.
func (s *Shard) Work() {
	s.expire()
	if s.batchNext == len(s.batch) {
		s.takeInbox()
	}
	for s.budget = membersPerTurn; s.budget > 0 && s.batchNext < len(s.batch); {
		if t := s.batch[s.batchNext].task; t != nil {
			s.batchNext++
			s.budget--
			t.Run(s)
			continue
		}
		run := s.deliveryRun()
		s.budget -= s.deliverRun(s.batch[s.batchNext : s.batchNext+run])
		s.batchNext += run
	}
}

// deliveryRun returns how many of the next entries are deliveries to one
// channel, all volatile or none, without anything in between.
func (s *Shard) deliveryRun() int {
	first := &s.batch[s.batchNext]
	n := 1
	for i := s.batchNext + 1; i < len(s.batch); i++ {
		e := &s.batch[i]
		if e.task != nil || e.channel != first.channel || e.volatile != first.volatile {
			break
		}
		n++
	}
	return n
}

// Stopped implements engine.Shard: it leaves the final counters, closes the
// inbox and drops its tasks.
func (s *Shard) Stopped() {
	last := s.Stats()
	last.InboxBytes, last.QueuedBytes, last.Engine.Paused = 0, 0, 0
	// Before the inbox is closed: a caller that finds it closed reads this one.
	s.hub.shardEnded(s.loop.Number(), &last)
	s.inbox.mu.Lock()
	s.inbox.closed = true
	rest := append(s.batch[s.batchNext:], s.inbox.entries...)
	congested := s.inbox.congested
	s.inbox.congested = false
	s.inbox.entries = nil
	s.inbox.mu.Unlock()
	if congested {
		s.hub.relieve(engine.EverySource)
	}
	for i := range rest {
		if t, ok := rest[i].task.(Dropper); ok {
			t.Dropped(s)
		}
	}
}
