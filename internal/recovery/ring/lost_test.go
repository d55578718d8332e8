package ring

import (
	"testing"

	"github.com/stoa-io/stoa/cluster"
)

// TestLostMessagesAreSentAgain: the history gets messages again that it had
// lost. The members have them, but clients with an earlier position may not.
func TestLostMessagesAreSentAgain(t *testing.T) {
	r := opened("a1", "a2")
	r.Hold()
	r.Ask()
	r.Repair(notFound(page("a1")))
	for _, m := range messages("a1", "a2", "a2") {
		m.Resent = true
		if deliver, _ := r.Receive(m); deliver {
			t.Errorf("delivered %v again", m.Position)
		}
	}
	own(t, r, "a1")
	recovers := func(number uint64) bool {
		got, _ := r.Recover(Wish{After: at('a', number), MaxBytes: large}, start)
		return got.Recovered
	}
	if recovers(1) {
		t.Error("a position has recovered that does not tell whether the client has a2")
	}
	receive(r, "a3", "a4")
	if recovers(1) || recovers(2) || !recovers(3) || !recovers(4) {
		t.Errorf("recovered %v, %v, %v, %v, want the last two", recovers(1), recovers(2), recovers(3), recovers(4))
	}
	r.Remove(at('a', 1))
	if recovers(1) || !recovers(3) {
		t.Error("the removal of a message changes which positions tell")
	}
	receive(r, "a5", "a6", "a7", "a8")
	if !recovers(3) {
		t.Error("the position right before the oldest message has not recovered")
	}
}

// TestPrependOfResentMessages: their positions, and those before, do not tell.
func TestPrependOfResentMessages(t *testing.T) {
	r := shrunk()
	p := page("a1", "a2", "a3")
	p.Messages[0].Resent = true
	r.Prepend(p, cluster.Position{})
	for number, want := range map[uint64]bool{1: false, 2: true, 3: true} {
		if got, _ := r.Recover(Wish{After: at('a', number), MaxBytes: large}, start); got.Recovered != want {
			t.Errorf("after a%d: recovered %v, want %v", number, got.Recovered, want)
		}
	}
}

// TestOpenForgetsPage: a room begins with the second of two pages, also if the
// history has lost messages of the first one.
func TestOpenForgetsPage(t *testing.T) {
	r := opened()
	r.Hold()
	receive(r, "b1")
	r.Open(young("a1", "a2", "a3", "a4", "a5"))
	r.Ask()
	r.Open(page("a1"))
	receive(r, "a2")
	own(t, r, "a1", "a2")
}

// TestGapAfterPrepend: messages that were only prepended were published before
// the members came, and are not delivered when the history loses the newest.
func TestGapAfterPrepend(t *testing.T) {
	r := New(&retention)
	r.GiveUp()
	receive(&r, "a5")
	r.Prepend(page("b1", "a5"), cluster.Position{})
	r.Hold()
	r.Ask()
	if deliver, gap, _ := r.Repair(notFound(page("b1"))); len(deliver) > 0 || !gap {
		t.Errorf("delivered %v, gap = %v, want a gap only", texts(deliver), gap)
	}
}
