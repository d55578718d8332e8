package ring_test

import (
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/recovery/ring"
)

// TestPositionsBehindGap: after a failover the history lacks messages that this
// node has delivered. Their publishers send them again, the node drops them as
// repeats, and its ring lacks them, too. So no position from before tells that
// a client has them, also not that of a message that the retention drops.
func TestPositionsBehindGap(t *testing.T) {
	message := func(number uint64) *ring.Message {
		return &ring.Message{Position: cluster.Position{Incarnation: 1, Number: number}, Time: 1}
	}
	r := ring.New(&cluster.Retention{Messages: 2, Age: time.Hour, Bytes: 100})
	r.Open(&ring.Page{Messages: []*ring.Message{message(1), message(2)}, Found: true})
	for number := uint64(3); number <= 5; number++ {
		r.Receive(message(number))
	}
	r.Hold()
	r.Ask()
	old := []*ring.Message{message(1), message(2), message(3)} // 4 and 5 are lost
	if deliver, gap, again := r.Repair(&ring.Page{Messages: old}); len(deliver) > 0 || !gap || again {
		t.Fatalf("repair: %d messages, gap %v, again %v, want a gap alone", len(deliver), gap, again)
	}
	for number := uint64(4); number <= 5; number++ {
		if deliver, _ := r.Receive(message(number)); deliver {
			t.Errorf("message %d is delivered again", number)
		}
	}
	if deliver, _ := r.Receive(message(6)); !deliver {
		t.Error("message 6 is not delivered")
	}
	for number := uint64(1); number <= 5; number++ {
		answer, _ := r.Recover(ring.Wish{After: cluster.Position{Incarnation: 1, Number: number}, MaxBytes: 1000}, 2)
		if answer.Recovered {
			t.Errorf("a client with message %d has recovered", number)
		}
	}
}

// After a server has lost messages, their publishers send them again, perhaps
// in another order. A position up to them does not tell what a client has: it
// may lack an earlier one of them, or have a later one.
func TestResentMessages(t *testing.T) {
	message := func(number uint64, resent bool) *ring.Message {
		return &ring.Message{Position: cluster.Position{Incarnation: 1, Number: number}, Time: 1, Resent: resent}
	}
	r := ring.New(&cluster.Retention{Messages: 10, Age: time.Hour, Bytes: 100})
	r.Open(&ring.Page{Messages: []*ring.Message{message(1, false), message(2, true), message(3, true)}, Found: true})
	expect := func(number uint64, found bool, count int) {
		t.Helper()
		answer, _ := r.Recover(ring.Wish{After: cluster.Position{Incarnation: 1, Number: number}, MaxBytes: 1000}, 2)
		if answer.Recovered != found || len(answer.Messages) != count {
			t.Errorf("after %d: recovered %v with %d messages, want %v with %d", number, answer.Recovered, len(answer.Messages), found, count)
		}
	}
	for number := range uint64(4) {
		expect(number, false, 0)
	}
	for _, m := range []*ring.Message{message(4, false), message(5, false)} {
		if deliver, _ := r.Receive(m); !deliver {
			t.Errorf("message %v is not delivered", m.Position)
		}
	}
	expect(3, false, 0)
	expect(4, true, 1)
	expect(5, true, 0)
}
