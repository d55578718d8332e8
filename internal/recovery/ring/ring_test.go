package ring

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

const (
	start = 10_000_000 // Unix milliseconds at which the tests begin
	large = 1 << 30    // bytes
)

var retention = cluster.Retention{Messages: 5, Age: time.Hour, Bytes: 1000}

func at(incarnation, number uint64) cluster.Position {
	return cluster.Position{Incarnation: incarnation, Number: number}
}

// text builds messages of ten bytes: "a1" is the first of incarnation a.
func message(text string) *Message {
	var number uint64
	_, _ = fmt.Sscan(text[1:], &number)
	return &Message{Position: at(uint64(text[0]), number), Time: start, Size: 10}
}

func messages(texts ...string) (all []*Message) {
	for _, text := range texts {
		all = append(all, message(text))
	}
	return all
}

func texts(all []*Message) (names []string) {
	for _, m := range all {
		names = append(names, fmt.Sprintf("%c%d", rune(m.Position.Incarnation), m.Position.Number))
	}
	return names
}

// page is one from long after its messages, so that no late ones may follow.
func page(names ...string) *Page {
	p := &Page{Messages: messages(names...), Found: true, Now: start + 2*maxLag, Head: cluster.StartPosition(9, 9)}
	if len(names) > 0 {
		p.Head = p.Messages[len(names)-1].Position
	}
	return p
}

func notFound(p *Page) *Page { p.Found = false; return p }

// young is a page of messages that were published just now.
func young(names ...string) *Page { p := page(names...); p.Now = start; return p }

// opened returns a ring that has begun with messages.
func opened(names ...string) *Ring {
	r := New(&retention)
	r.Ask()
	r.Open(page(names...))
	return &r
}

// own checks the messages of a ring.
func own(t *testing.T, r *Ring, want ...string) {
	t.Helper()
	if got := texts(r.messages[r.first:]); !slices.Equal(got, want) {
		t.Errorf("the ring has %v, want %v", got, want)
	}
	if got := len(want) * (10 + Overhead); r.Memory() != got {
		t.Errorf("the ring counts %d bytes, want %d", r.Memory(), got)
	}
}

// receive passes messages to a ring, and returns those to be delivered.
func receive(r *Ring, names ...string) (delivered []string) {
	for _, m := range messages(names...) {
		if deliver, _ := r.Receive(m); deliver {
			delivered = append(delivered, texts([]*Message{m})...)
		}
	}
	return delivered
}

func TestOpen(t *testing.T) {
	for name, test := range map[string]struct {
		page          *Page
		before, after []string // the call of Ask
		want          []string
		again         bool
	}{
		"empty":                                {page: page()},
		"page only":                            {page: page("a1", "b1"), want: []string{"a1", "b1"}},
		"messages that are in the page":        {page: page("a1", "b1"), before: []string{"a1"}, after: []string{"b1"}, want: []string{"a1", "b1"}},
		"messages after the page":              {page: page("a1"), after: []string{"a1", "b1", "a2"}, want: []string{"a1", "b1", "a2"}},
		"more than the retention":              {page: page("a1", "a2", "a3"), after: []string{"a4", "a5", "a6"}, want: []string{"a2", "a3", "a4", "a5", "a6"}},
		"messages from before a cut page":      {page: young("a5", "a6", "a7", "a8", "a9"), before: []string{"b1"}, after: []string{"a5"}, want: []string{"a5", "a6", "a7", "a8", "a9"}},
		"a message whose place is not known":   {page: young("a5", "a6", "a7", "a8", "a9"), after: []string{"b1"}, want: []string{"a5", "a6", "a7", "a8", "a9"}, again: true},
		"a message that follows a cut page":    {page: young("a5", "b6", "a7", "a8", "a9"), after: []string{"b7"}, want: []string{"b6", "a7", "a8", "a9", "b7"}},
		"a new incarnation, page not cut":      {page: young("a1"), after: []string{"b1"}, want: []string{"a1", "b1"}},
		"a new incarnation long after the cut": {page: page("a5", "a6", "a7", "a8", "a9"), after: []string{"b1"}, want: []string{"a6", "a7", "a8", "a9", "b1"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := New(&retention)
			receive(&r, test.before...)
			r.Ask()
			receive(&r, test.after...)
			if again := r.Open(test.page); again != test.again || r.IsHolding() != test.again {
				t.Errorf("again = %v, holding = %v, want %v", again, r.IsHolding(), test.again)
			}
			own(t, &r, test.want...)
		})
	}
}

// TestOpenAgain: a second page replaces the first one, also if others are
// missing in between.
func TestOpenAgain(t *testing.T) {
	r := New(&retention)
	r.Ask()
	receive(&r, "b1")
	if again := r.Open(young("a1", "a2", "a3", "a4", "a5")); !again {
		t.Fatal("the place of a message is not known, but no second page is wanted")
	}
	r.Ask()
	if again := r.Open(young("a7", "a8")); again {
		t.Error("a third page is wanted")
	}
	own(t, &r, "a7", "a8")
	if got := receive(&r, "a8", "a9"); !slices.Equal(got, []string{"a9"}) {
		t.Errorf("delivered %v, want a9", got)
	}
}

func TestReceive(t *testing.T) {
	r := opened("a1", "b1")
	got := receive(r, "b1", "a1", "a2", "a2", "c1", "b1", "b3", "b2", "c2")
	if want := []string{"a2", "c1", "b3", "c2"}; !slices.Equal(got, want) {
		t.Errorf("delivered %v, want %v", got, want)
	}
	if r.Head() != at('c', 2) {
		t.Errorf("the head is %v, want c2", r.Head())
	}
	own(t, r, "b1", "a2", "c1", "b3", "c2")
}

// TestReceiveOfUnknownIncarnation: after a cut page, the first message of an
// unknown incarnation may be a late one. A page tells.
func TestReceiveOfUnknownIncarnation(t *testing.T) {
	begin := func() *Ring {
		r := New(&retention)
		r.Ask()
		r.Open(young("a5", "a6", "a7", "a8", "a9"))
		if deliver, ask := r.Receive(message("b1")); deliver || !ask || r.Ask() != at('a', 9) {
			t.Fatalf("deliver = %v, ask = %v for a message that may be late", deliver, ask)
		}
		return &r
	}
	t.Run("late", func(t *testing.T) {
		r := begin()
		deliver, gap, again := r.Repair(young())
		if len(deliver) > 0 || gap || again {
			t.Errorf("delivered %v, gap = %v, again = %v, want nothing", texts(deliver), gap, again)
		}
		if got := receive(r, "a10"); len(got) != 1 {
			t.Errorf("delivered %v, want a10", got)
		}
	})
	t.Run("new", func(t *testing.T) {
		r := begin()
		receive(r, "b2", "c1")
		deliver, gap, again := r.Repair(young("b1", "b2"))
		if got := texts(deliver); !slices.Equal(got, []string{"b1", "b2"}) || gap || !again {
			t.Errorf("delivered %v, gap = %v, again = %v, want b1 and b2, and another page for c1", got, gap, again)
		}
		r.Ask()
		deliver, _, again = r.Repair(young("c1"))
		if got := texts(deliver); !slices.Equal(got, []string{"c1"}) || again {
			t.Errorf("delivered %v, again = %v, want c1", got, again)
		}
		if got := receive(r, "b3", "c2"); len(got) != 2 {
			t.Errorf("delivered %v, want b3 and c2", got)
		}
	})
	t.Run("much later", func(t *testing.T) {
		r := begin()
		r.Repair(young())
		m := message("d1")
		m.Time = start + maxLag + 1
		if deliver, ask := r.Receive(m); !deliver || ask {
			t.Errorf("deliver = %v, ask = %v, want it delivered", deliver, ask)
		}
	})
}

func TestRepair(t *testing.T) {
	for name, test := range map[string]struct {
		page          *Page
		before, after []string // the call of Ask
		want          []string
		gap           bool
		own           []string
	}{
		"nothing was missed":     {page: page(), own: []string{"a1", "a2"}},
		"missed":                 {page: page("a3", "b1"), want: []string{"a3", "b1"}, own: []string{"a1", "a2", "a3", "b1"}},
		"missed, and kept back":  {page: page("a3", "b1"), before: []string{"b1"}, after: []string{"a4"}, want: []string{"a3", "b1", "a4"}, own: []string{"a1", "a2", "a3", "b1", "a4"}},
		"kept back only":         {page: page(), after: []string{"a2", "a3"}, want: []string{"a3"}, own: []string{"a1", "a2", "a3"}},
		"too much was missed":    {page: notFound(page("a5", "b6")), after: []string{"b7"}, want: []string{"a5", "b6", "b7"}, gap: true, own: []string{"a5", "b6", "b7"}},
		"all have left":          {page: notFound(page()), before: []string{"b7"}, gap: true},
		"the history lost a2":    {page: notFound(page("a1")), after: []string{"b7"}, want: []string{"b7"}, gap: true, own: []string{"a1", "b7"}},
		"it lost a2, then got c": {page: notFound(page("z1", "a1", "c1")), want: []string{"c1"}, gap: true, own: []string{"z1", "a1", "c1"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := opened("a1", "a2")
			r.Hold()
			if got := receive(r, test.before...); got != nil || r.Ask() != at('a', 2) {
				t.Errorf("delivered %v while holding", got)
			}
			receive(r, test.after...)
			deliver, gap, again := r.Repair(test.page)
			if got := texts(deliver); !slices.Equal(got, test.want) || gap != test.gap || again {
				t.Errorf("delivered %v, gap = %v, again = %v, want %v, %v, false", got, gap, again, test.want, test.gap)
			}
			own(t, r, test.own...)
		})
	}
}

// TestHoldForgets: messages that were kept back before another loss are in the
// next page, and may have a gap behind them.
func TestHoldForgets(t *testing.T) {
	r := opened("a1")
	r.Hold()
	receive(r, "a2")
	r.Hold()
	r.Ask()
	receive(r, "a5")
	deliver, _, _ := r.Repair(page("a2", "a3", "a4"))
	if got, want := texts(deliver), []string{"a2", "a3", "a4", "a5"}; !slices.Equal(got, want) {
		t.Errorf("delivered %v, want %v", got, want)
	}
}

// TestOverflow: more is kept back than there is memory for.
func TestOverflow(t *testing.T) {
	for name, size := range map[string]int{"messages": 1, "bytes": maxHeldBytes / 100} {
		t.Run(name, func(t *testing.T) {
			wide := cluster.Retention{Messages: 10_000, Age: time.Hour, Bytes: large}
			r := New(&wide)
			r.Ask()
			r.Open(page())
			r.Hold()
			r.Ask()
			for i := range uint64(2000) {
				r.Receive(&Message{Position: at('a', i+1), Time: start, Size: size})
			}
			if len(r.held.messages) > maxHeld || r.held.bytes > maxHeldBytes {
				t.Errorf("%d messages with %d bytes are kept back", len(r.held.messages), r.held.bytes)
			}
			deliver, gap, again := r.Repair(page())
			if gap || !again || len(deliver) == 0 || !r.IsHolding() {
				t.Errorf("%d delivered, gap = %v, again = %v, want another page", len(deliver), gap, again)
			}
			after := r.Ask().Number
			rest := page()
			for i := after + 1; i <= 2000; i++ {
				rest.Messages = append(rest.Messages, &Message{Position: at('a', i), Time: start, Size: size})
			}
			if next, _, again := r.Repair(rest); len(deliver)+len(next) != 2000 || again {
				t.Errorf("%d and %d delivered, again = %v, want 2000", len(deliver), len(next), again)
			}
		})
	}
}

func TestGiveUp(t *testing.T) {
	r := opened("a1", "a2")
	r.Hold()
	receive(r, "a5")
	r.Ask()
	receive(r, "a6")
	deliver, gap := r.GiveUp()
	if got := texts(deliver); !slices.Equal(got, []string{"a5", "a6"}) || gap || r.IsHolding() {
		t.Errorf("delivered %v, gap = %v, want a5 and a6", got, gap)
	}
	own(t, r, "a5", "a6")
	if got, _ := r.Recover(Wish{After: at('a', 2), MaxBytes: large}, start); got.Recovered {
		t.Error("a position from before the gap has recovered")
	}
	r.Hold()
	for i := range uint64(maxHeld + 10) {
		r.Receive(&Message{Position: at('a', 10+i), Size: 1})
	}
	if deliver, gap := r.GiveUp(); len(deliver) != maxHeld || !gap || r.IsHolding() {
		t.Errorf("%d delivered, gap = %v, want a gap behind %d", len(deliver), gap, maxHeld)
	}
	if answer, older := r.Recover(Wish{After: at('a', 9+maxHeld), MaxBytes: large}, start); answer.Recovered || !older {
		t.Error("a position in front of the gap has recovered")
	}
}

// TestUnknownRing: a ring that has given up begins again with the next page,
// which its members do not receive.
func TestUnknownRing(t *testing.T) {
	for name, begin := range map[string]func(*Ring) (gap bool){
		"Prepend": func(r *Ring) bool { return r.Prepend(page("a1", "a2"), cluster.Position{}) },
		"Repair": func(r *Ring) bool {
			r.Hold()
			r.Ask()
			deliver, gap, _ := r.Repair(page("a1", "a2"))
			if len(deliver) > 0 {
				t.Errorf("delivered %v", texts(deliver))
			}
			return gap
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := New(&retention)
			r.GiveUp()
			if _, older := r.Recover(Wish{}, start); !older {
				t.Error("no page is wanted")
			}
			if !begin(&r) {
				t.Error("the members may miss messages, but there is no gap")
			}
			own(t, &r, "a1", "a2")
		})
	}
}
