package membudget

import (
	"math"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// slowdown is how long senders are slowed down at most. Peers that read a
// little from time to time could otherwise do that to all others for good.
const slowdown = time.Second

// heapAge is how old the size of the heap may be. Asking for it costs some
// microseconds.
const heapAge = 5 * time.Millisecond

// Config is the configuration of a Budget. All fields are required but Heap.
type Config struct {
	// Limit is the memory of all queues in bytes.
	Limit int
	// Loops is how many event loops report.
	Loops int
	// Slow is called with true to slow senders down, and then with false to end
	// that. The calls do not overlap.
	Slow func(bool)
	// Heap returns the size of the heap in bytes. Nil is Go's own.
	Heap func() uint64
}

// Budget is the memory of the queues of a node. Its methods are safe for
// concurrent use; each loop calls those with a number with its own. A nil
// Budget has no limit.
type Budget struct {
	config  Config
	reports []report

	phase atomic.Int32 // a phase; changed with mu held

	mu     sync.Mutex // guards the rest; no other lock is taken inside but those of Config.Slow
	since  time.Time  // of phaseSlowing
	sample []metrics.Sample
	heap   uint64
	heapAt time.Time
}

// report is what a loop has reported last.
type report struct {
	bytes   atomic.Int64 // in all of its queues
	largest atomic.Int64 // the largest one of those that may be closed
	_       [48]byte     // loops write their own: no two in one cache line
}

// phase is what the budget does about its senders.
type phase = int32

const (
	phaseCalm    phase = iota
	phaseSlowing       // senders are slowed down
	phaseSlowed        // they were, which was not enough
)

// New returns a budget, nil if the limit is not positive.
func New(c Config) *Budget {
	if c.Limit <= 0 {
		return nil
	}
	b := &Budget{config: c, reports: make([]report, c.Loops)}
	b.sample = []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	if b.config.Heap == nil {
		b.config.Heap = func() uint64 {
			metrics.Read(b.sample)
			if b.sample[0].Value.Kind() != metrics.KindUint64 {
				return math.MaxUint64
			}
			return b.sample[0].Value.Uint64()
		}
	}
	return b
}

// Report notes how much the queues of a loop hold, and slows senders down or
// ends that. It reports whether the sum of all loops is near the limit: the
// loop then looks for its largest queue.
func (b *Budget) Report(loop, bytes int, now time.Time) (near bool) {
	b.reports[loop].bytes.Store(int64(bytes))
	total := b.total()
	limit := int64(b.config.Limit)
	if b.phase.Load() != phaseCalm || total > limit/4*3 {
		b.adjust(total, now)
	}
	if near = total > limit/2; !near {
		b.reports[loop].largest.Store(0)
	}
	return near
}

// Reported returns what the loop has reported last.
func (b *Budget) Reported(loop int) int { return int(b.reports[loop].bytes.Load()) }

// Slowing reports whether senders are slowed down: at least one loop must go on
// reporting to end it.
func (b *Budget) Slowing() bool { return b != nil && b.phase.Load() == phaseSlowing }

// MustClose reports whether the loop is to close its largest queue, of this
// size: the limit is exceeded, and no other loop has a larger one. The loop
// calls Report afterwards, and asks again.
func (b *Budget) MustClose(loop, largest int, now time.Time) bool {
	b.reports[loop].largest.Store(int64(largest))
	if largest == 0 || b.total() <= int64(b.config.Limit) {
		return false
	}
	for i := range b.reports {
		// Of two loops with queues of one size the first one begins.
		other := b.reports[i].largest.Load()
		if i < loop && other >= int64(largest) || i > loop && other > int64(largest) {
			return false
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.heapAbove(uint64(b.config.Limit), now)
}

func (b *Budget) total() (total int64) {
	for i := range b.reports {
		total += b.reports[i].bytes.Load()
	}
	return total
}

// adjust slows senders down, or ends that.
func (b *Budget) adjust(total int64, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	mark := b.config.Limit / 4 * 3
	above := total > int64(mark) && b.heapAbove(uint64(mark), now)
	switch {
	case !above:
		b.enter(phaseCalm)
	case b.phase.Load() == phaseCalm:
		b.since = now
		b.enter(phaseSlowing)
	case b.phase.Load() == phaseSlowing && now.Sub(b.since) >= slowdown:
		b.enter(phaseSlowed)
	}
}

// enter changes the phase. The caller holds mu.
func (b *Budget) enter(p phase) {
	if before := b.phase.Swap(p); (before == phaseSlowing) != (p == phaseSlowing) {
		b.config.Slow(p == phaseSlowing)
	}
}

// heapAbove compares the heap with a limit. The caller holds mu.
func (b *Budget) heapAbove(limit uint64, now time.Time) bool {
	if b.heapAt.IsZero() || now.Sub(b.heapAt) >= heapAge {
		b.heap, b.heapAt = b.config.Heap(), now
	}
	return b.heap > limit
}
