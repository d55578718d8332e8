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

// TestMissed: a lost message is sent again. Members from before have it, but
// one that has entered since the gap may not. All have notice, once until the
// next message, and again for others who enter.
func TestMissed(t *testing.T) {
	r := opened("a1", "a2")
	again := func(text string) bool {
		m := message(text)
		m.Resent = true
		if deliver, _ := r.Receive(m); deliver {
			t.Errorf("delivered %v again", text)
		}
		return r.Missed()
	}
	enter := func() { r.Recover(Wish{MaxBytes: large}, start) }
	enter()
	if again("a2") {
		t.Error("notice of a message that the history has")
	}
	receive(r, "a3", "a4", "a5")
	r.Hold()
	r.Ask()
	r.Repair(notFound(page("a1")))
	if again("a2") {
		t.Error("notice although no client has entered since the gap")
	}
	enter()
	receive(r, "b1")
	if !again("a3") || r.Missed() {
		t.Error("want notice, once")
	}
	if again("a4") {
		t.Error("a second notice in front of the same message")
	}
	enter()
	if !again("a4") {
		t.Error("no notice to a client that has entered since the last one")
	}
	receive(r, "b2")
	if !again("a5") {
		t.Error("no second notice behind a message")
	}
	r.Hold()
	r.Ask()
	if deliver, _, _ := r.Repair(notFound(page("a1", "b3"))); len(deliver) != 1 {
		t.Errorf("delivered %v, want b3", texts(deliver))
	}
	if !again("a5") {
		t.Error("no notice behind the message of a page")
	}
}

// TestMissedWhileHolding: a ring has dropped a message that it held, and the
// history has lost it. When it is sent again, the broker calls it a repeat, but
// no member has it.
func TestMissedWhileHolding(t *testing.T) {
	r := opened("a1", "a2")
	r.Recover(Wish{MaxBytes: large}, start)
	r.Hold()
	receive(r, "a3")
	r.Hold()
	r.Ask()
	if deliver, gap, _ := r.Repair(notFound(page("a1"))); len(deliver) > 0 || !gap || r.Missed() {
		t.Errorf("delivered %v, gap %v, want a gap alone", texts(deliver), gap)
	}
	m := message("a3")
	m.Resent, m.Repeat = true, true
	if deliver, _ := r.Receive(m); deliver || !r.Missed() {
		t.Errorf("delivered %v, want notice in place of that", deliver)
	}
	own(t, r, "a1", "a3")
}

// TestEmptyPageBehindGap: the server has lost all messages. A client that has
// entered since lacks those that are sent again, which the ring takes for
// repeats.
func TestEmptyPageBehindGap(t *testing.T) {
	r := opened("a1", "a2")
	r.Hold()
	r.Ask()
	if _, gap, _ := r.Repair(notFound(page())); !gap {
		t.Error("no gap")
	}
	enter := func() bool {
		answer, _ := r.Recover(Wish{After: r.Head(), MaxBytes: large}, start)
		return answer.Recovered
	}
	if !enter() {
		t.Error("the head is not found")
	}
	m := message("a2")
	m.Resent = true
	if deliver, _ := r.Receive(m); deliver || !r.Missed() {
		t.Errorf("delivered %v, or no notice", deliver)
	}
	if enter() {
		t.Error("the head is found, although a2 follows it in the history")
	}
}

// TestPrependAtAnotherPlace: in the page, the oldest message of the ring is at
// the place where it was sent again. What precedes it there may be yet to come.
func TestPrependAtAnotherPlace(t *testing.T) {
	for _, names := range [][]string{{"a3"}, nil} {
		r := opened("a1", "a2", "a3")
		r.Shrink(len(names) * (10 + Overhead))
		p := page("b1", "a3")
		p.Messages[1].Resent = true
		r.Prepend(p, cluster.Position{})
		own(t, r, names...)
		if got := receive(r, "b1"); len(got) != 1 {
			t.Errorf("delivered %v, want b1", got)
		}
	}
}

// TestPrependAtALaterPlace: the oldest message was sent again, behind
// messages that the ring has, or has yet to receive. These are not older.
func TestPrependAtALaterPlace(t *testing.T) {
	for name, c := range map[string]struct{ begin, page, own []string }{
		"has":        {[]string{"a1", "b1"}, []string{"b1", "b2", "a1"}, []string{"a1", "b1"}},
		"to receive": {[]string{"b1", "a1"}, []string{"b2", "a1"}, []string{"a1"}},
	} {
		r := New(&retention)
		begin, later := page(c.begin...), page(c.page...)
		for _, m := range append(begin.Messages, later.Messages...) {
			m.Resent = m.Position == at('a', 1)
		}
		r.Open(begin)
		r.Shrink(len(c.own) * (10 + Overhead))
		r.Prepend(later, cluster.Position{})
		own(t, &r, c.own...)
		if got := receive(&r, "b2"); len(got) != 1 {
			t.Errorf("%s: delivered %v, want b2", name, got)
		}
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

// TestPrependOfOlderPage: a ring has received messages since the page was read,
// and dropped them for want of memory. A start position finds nothing.
func TestPrependOfOlderPage(t *testing.T) {
	r := opened("a1", "a2")
	r.Shrink(0)
	begin := cluster.StartPosition(9, 9)
	r.Prepend(page("a1"), begin)
	if answer, _ := r.Recover(Wish{After: begin, MaxBytes: large}, start); answer.Recovered {
		t.Errorf("recovered with %v, although a1 and a2 are missing", texts(answer.Messages))
	}
}
