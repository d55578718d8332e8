package membudget_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/membudget"
)

// rig is a budget with a clock and a heap of the test's own.
type rig struct {
	*membudget.Budget
	now   time.Time
	heap  uint64
	calls []bool // of Config.Slow
}

const limit = 1000

func newRig(loops int) *rig {
	r := &rig{now: time.Now(), heap: 10 * limit}
	r.Budget = membudget.New(membudget.Config{
		Limit: limit, Loops: loops,
		Slow: func(slow bool) { r.calls = append(r.calls, slow) },
		Heap: func() uint64 { return r.heap },
	})
	return r
}

// report reports the bytes of a loop a moment later.
func (r *rig) report(loop, bytes int) bool {
	r.now = r.now.Add(50 * time.Millisecond)
	return r.Report(loop, bytes, r.now)
}

func (r *rig) mustClose(loop, largest int) bool { return r.MustClose(loop, largest, r.now) }

func TestNoLimit(t *testing.T) {
	for _, limit := range []int{0, -1} {
		b := membudget.New(membudget.Config{Limit: limit, Loops: 1})
		if b != nil || b.Slowing() {
			t.Errorf("limit %d is a limit", limit)
		}
	}
}

func TestLargestQueueIsClosedFirst(t *testing.T) {
	r := newRig(3)
	if r.report(0, 400) || r.mustClose(0, 400) {
		t.Error("400 of 1000 bytes are too much")
	}
	if !r.report(1, 400) || r.mustClose(0, 400) || r.mustClose(1, 300) {
		t.Error("800 of 1000 bytes are not near the limit, or too much")
	}
	r.report(2, 300)
	for _, c := range []struct {
		loop, largest int
		want          bool
	}{
		{2, 300, false}, // loop 0 has 400
		{1, 300, false},
		{0, 400, true},
		{1, 400, false}, // loop 0 has as much, and comes first
		{0, 0, false},   // it has nothing more to close
		{2, 300, false}, // loop 1 has 400
		{1, 400, true},
	} {
		if got := r.mustClose(c.loop, c.largest); got != c.want {
			t.Errorf("loop %d must close its queue of %d bytes: %t, want %t", c.loop, c.largest, got, c.want)
		}
	}
	if r.report(1, 0); r.mustClose(2, 300) {
		t.Error("700 bytes are too much")
	}
}

// Shared frames count several times. The heap is an upper bound, too.
func TestSmallHeapIsNotBounded(t *testing.T) {
	r := newRig(1)
	r.heap = limit
	if r.report(0, 5*limit); r.mustClose(0, limit) {
		t.Error("a queue is closed although the heap is within the limit")
	}
	r.heap++
	if r.report(0, 5*limit); !r.mustClose(0, limit) {
		t.Error("no queue is closed although the heap is above the limit")
	}
}

// Senders are slowed down above three quarters of the limit, for a second.
func TestSendersAreSlowedFirst(t *testing.T) {
	r := newRig(2)
	expect := func(what string, calls ...bool) {
		t.Helper()
		if slowing := len(calls) > 0 && calls[len(calls)-1]; !slices.Equal(r.calls, calls) || r.Slowing() != slowing {
			t.Fatalf("%s: Slow was called with %t, want %t", what, r.calls, calls)
		}
	}
	r.report(0, 750)
	expect("three quarters")
	r.report(1, 1)
	expect("more", true)
	r.report(1, 0)
	expect("less again", true, false)
	r.report(1, 500)
	expect("too much", true, false, true)
	r.now = r.now.Add(time.Second)
	r.report(0, 750)
	expect("after a second", true, false, true, false)
	r.report(0, 751)
	r.report(1, 900)
	expect("and more", true, false, true, false)
	r.report(1, 0)
	r.report(0, 100)
	r.report(0, 800)
	expect("another time", true, false, true, false, true)
}

// Reporting costs no memory.
func TestAllocations(t *testing.T) {
	b := membudget.New(membudget.Config{Limit: 1, Loops: 1, Slow: func(bool) {}})
	if n := testing.AllocsPerRun(100, func() {
		b.Report(0, 100, time.Now())
		b.MustClose(0, 100, time.Now())
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
	if !b.MustClose(0, 100, time.Now()) {
		t.Error("the heap of this process is not above one byte")
	}
}
