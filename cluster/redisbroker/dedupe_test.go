package redisbroker_test

import (
	"fmt"
	"testing"

	"github.com/stoa-io/stoa/cluster/redisbroker"
)

func TestDedupe(t *testing.T) {
	const window = redisbroker.DedupeWindow
	type step struct {
		number uint64
		want   bool
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"in order", []step{{1, true}, {2, true}, {3, true}}},
		{"sent again", []step{{1, true}, {2, true}, {3, true}, {1, false}, {2, false}, {3, false}, {4, true}}},
		{"only some were wanted here", []step{{5, true}, {9, true}, {5, false}, {9, false}, {10, true}}},
		// The node subscribed to the channel of 7 only after that had passed:
		// the repetition brings it.
		{"missed the first time", []step{{5, true}, {9, true}, {5, false}, {7, true}, {9, false}, {7, false}}},
		{"before the first that came", []step{{100, true}, {99, true}, {99, false}, {100, false}}},
		{"a whole pipeline behind", []step{{1, true}, {window, true}, {1, false}, {2, true}}},
		{"out of the window", []step{{1, true}, {window + 1, true}, {1, false}}},
		{"far jump", []step{{1, true}, {10 * window, true}, {9*window + 1, true}, {9 * window, false}, {10 * window, false}}},
		{"without numbers", []step{{0, true}, {0, true}}},
		{"largest", []step{{1<<64 - 1, false}, {1, true}, {2, true}, {1<<64 - 1, false}, {3, true}}},
		{"no node gets there", []step{{1, true}, {1 + 1<<48, true}, {2 + 1<<48, false}, {1 << 62, false}, {2, true}}},
		// One wrong number, at any distance, does not hide the next ones.
		{"one wrong number", []step{{7, true}, {1 << 40, true}, {1 << 40, false}, {8, true}, {8, false}, {9, true}}},
		{"a wrong one near", []step{{7, true}, {8 + window, true}, {8, true}, {9, true}, {8, false}}},
		{"a wrong one first", []step{{1 << 40, true}, {1_000_000, true}, {1_000_001, true}, {1_000_000, false}, {1_000_002, true}}},
		{"wrong ones repeatedly", []step{{7, true}, {1 << 30, true}, {8, true}, {1 << 31, true}, {9, true}, {8, false}}},
		{"wrong after a confirmation", []step{{1_000_000, true}, {1_000_001, true}, {1 << 40, true}, {1_000_002, true}, {1_000_000, false}}},
		// A node that is in few rooms receives few of the numbers.
		{"sparse", []step{{7, true}, {1_000_000, true}, {2_000_000, true}, {2_000_000, false}, {1_999_999, true}, {1_000_000, false}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d redisbroker.Dedupe
			for i, s := range c.steps {
				if got := d.Accept(redisbroker.Header{Node: "a", Incarnation: 1, Number: s.number}); got != s.want {
					t.Errorf("step %d: number %d accepted: %v, want %v", i, s.number, got, s.want)
				}
			}
		})
	}
}

func TestDedupeKeepsOriginsApart(t *testing.T) {
	var d redisbroker.Dedupe
	for _, s := range []redisbroker.Header{
		{Node: "a", Incarnation: 1, Number: 1},
		{Node: "b", Incarnation: 1, Number: 1},
		{Node: "a", Incarnation: 2, Number: 1}, // a has restarted
	} {
		if !d.Accept(s) {
			t.Errorf("%+v was taken for a repeat", s)
		}
		if d.Accept(s) {
			t.Errorf("%+v was accepted twice", s)
		}
	}
}

// TestDedupeCountsMissed interrupts the subscription and checks the bound of
// the missed messages.
func TestDedupeCountsMissed(t *testing.T) {
	var d redisbroker.Dedupe
	accept := func(number uint64) { d.Accept(redisbroker.Header{Node: "a", Number: number}) }
	accept(1)
	accept(5) // 2 to 4 were on other channels
	if d.Missed() != 0 {
		t.Errorf("%d missed without an interruption, want 0", d.Missed())
	}
	d.Interrupt()
	accept(5) // sent again
	if d.Missed() != 0 {
		t.Errorf("%d missed although the first message was a repetition, want 0", d.Missed())
	}
	d.Interrupt()
	accept(16)
	if d.Missed() != 10 {
		t.Errorf("%d missed, want 10", d.Missed())
	}
}

func TestDedupeForgetsOrigins(t *testing.T) {
	var d redisbroker.Dedupe
	last := redisbroker.Header{}
	for i := range redisbroker.MaxOrigins + 50 {
		last = redisbroker.Header{Node: fmt.Sprint("node", i), Number: 1}
		d.Accept(last)
	}
	if d.Origins() != redisbroker.MaxOrigins {
		t.Errorf("%d origins remembered, want %d", d.Origins(), redisbroker.MaxOrigins)
	}
	if d.Accept(last) {
		t.Error("the newest origin was forgotten, want the oldest")
	}
}

func TestDedupeAllocations(t *testing.T) {
	var d redisbroker.Dedupe
	number := uint64(0)
	d.Accept(redisbroker.Header{Node: "a", Number: 1})
	header := redisbroker.Header{Node: "a"}
	if allocations := testing.AllocsPerRun(500, func() {
		number++
		header.Number = number
		d.Accept(header)
	}); allocations > 1 {
		// One allocation is the test's own: a header on the heap.
		t.Errorf("accepting a message allocates %v times, want 0", allocations-1)
	}
}
