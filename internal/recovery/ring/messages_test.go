package ring

import (
	"slices"
	"testing"

	"github.com/stoa-io/stoa/cluster"
)

func TestRecover(t *testing.T) {
	head := cluster.StartPosition(9, 9) // of a history without messages
	for name, test := range map[string]struct {
		ring      func() *Ring
		wish      Wish
		recovered bool
		want      []string
		older     bool
	}{
		"head":                      {wish: Wish{After: at('a', 3)}, recovered: true},
		"inside":                    {wish: Wish{After: at('a', 1)}, recovered: true, want: []string{"a2", "a3"}},
		"no position":               {wish: Wish{}},
		"no position, newest":       {wish: Wish{Newest: 2}, want: []string{"a2", "a3"}},
		"more than there are":       {wish: Wish{Newest: 9}, want: []string{"a1", "a2", "a3"}},
		"negative":                  {wish: Wish{Newest: -1}},
		"future":                    {wish: Wish{After: at('a', 9), Newest: 1}, want: []string{"a3"}, older: true},
		"another incarnation":       {wish: Wish{After: at('b', 2)}, older: true},
		"start of another broker":   {wish: Wish{After: cluster.StartPosition(1, 1)}, older: true},
		"too much":                  {wish: Wish{After: at('a', 1), MaxBytes: 19, Newest: 3}, want: []string{"a3"}},
		"start of an empty history": {ring: func() *Ring { r := opened(); receive(r, "a1"); return r }, wish: Wish{After: head}, recovered: true, want: []string{"a1"}},
		"empty history":             {ring: func() *Ring { return opened() }, wish: Wish{After: head, Newest: 2}, recovered: true},
		"right before the oldest":   {ring: func() *Ring { r := opened("a1"); receive(r, "a2", "a3", "a4", "a5", "a6"); return r }, wish: Wish{After: at('a', 1)}, recovered: true, want: []string{"a2", "a3", "a4", "a5", "a6"}},
		"too old":                   {ring: func() *Ring { r := opened("a1", "a2"); receive(r, "a3", "a4", "a5", "a6", "a7"); return r }, wish: Wish{After: at('a', 1)}},
		"shrunk":                    {ring: shrunk, wish: Wish{After: at('a', 1)}, older: true},
		"shrunk, newest":            {ring: shrunk, wish: Wish{Newest: 1}, want: []string{"a3"}},
		"shrunk, more":              {ring: shrunk, wish: Wish{Newest: 2}, want: []string{"a3"}, older: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := opened("a1", "a2", "a3")
			if test.ring != nil {
				r = test.ring()
			}
			if test.wish.MaxBytes == 0 {
				test.wish.MaxBytes = large
			}
			got, older := r.Recover(test.wish, start)
			if got.Recovered != test.recovered || !slices.Equal(texts(got.Messages), test.want) || older != test.older {
				t.Errorf("recovered %v, %v, older = %v, want %v, %v, %v",
					got.Recovered, texts(got.Messages), older, test.recovered, test.want, test.older)
			}
			if got.Head != r.Head() {
				t.Errorf("the head is %v, want %v", got.Head, r.Head())
			}
		})
	}
}

// shrunk returns a ring that has dropped two of three messages.
func shrunk() *Ring {
	r := opened("a1", "a2", "a3")
	r.Shrink(10 + Overhead)
	return r
}

func TestExpire(t *testing.T) {
	r := opened("a1", "a2")
	late := message("a3")
	late.Time += 1000
	r.Receive(late)
	if got, _ := r.Recover(Wish{Newest: 9, MaxBytes: large}, start+retention.Age.Milliseconds()+1); !slices.Equal(texts(got.Messages), []string{"a3"}) {
		t.Errorf("the newest messages are %v, want a3", texts(got.Messages))
	}
	own(t, r, "a3")
}

func TestRetentionOfBytes(t *testing.T) {
	narrow := cluster.Retention{Messages: 100, Age: retention.Age, Bytes: 25}
	r := New(&narrow)
	r.Ask()
	r.Open(page("a1", "a2"))
	receive(&r, "a3")
	own(t, &r, "a2", "a3")
	r.Receive(&Message{Position: at('a', 4), Size: 26})
	own(t, &r)
}

func TestPrepend(t *testing.T) {
	first := cluster.StartPosition(1, 1)
	for name, test := range map[string]struct {
		ring  *Ring
		page  *Page
		start cluster.Position
		want  []string
		after cluster.Position // recovers then
	}{
		"older ones":                  {ring: shrunk(), page: page("a1", "a2", "a3"), want: []string{"a1", "a2", "a3"}, after: at('a', 1)},
		"a page that knows more":      {ring: shrunk(), page: page("a2", "a3", "a4"), want: []string{"a2", "a3"}, after: at('a', 2)},
		"a ring without messages":     {ring: emptied(), page: page("a2", "a3", "a4"), want: []string{"a2", "a3"}, after: at('a', 2)},
		"a page without the oldest":   {ring: shrunk(), page: page("a4"), want: []string{"a3"}, after: at('a', 3)},
		"start position":              {ring: shrunk(), page: page("a1", "a2", "a3"), start: first, want: []string{"a1", "a2", "a3"}, after: first},
		"start, all in the ring":      {ring: opened("a1", "a2"), page: page("a1", "a2"), start: first, want: []string{"a1", "a2"}, after: first},
		"start, older ones have left": {ring: opened("a1", "a2"), page: page("a2"), start: first, want: []string{"a2"}, after: first},
		"start, nothing since then":   {ring: opened(), page: page(), start: first, after: first},
	} {
		t.Run(name, func(t *testing.T) {
			if test.ring.Prepend(test.page, test.start) {
				t.Error("there is a gap")
			}
			own(t, test.ring, test.want...)
			if got, _ := test.ring.Recover(Wish{After: test.after, MaxBytes: large}, start); !got.Recovered {
				t.Errorf("the position %v has not recovered", test.after)
			}
			if got := receive(test.ring, "b1"); len(got) != 1 {
				t.Error("a new message was not delivered")
			}
		})
	}
}

// emptied returns a ring that has dropped all of three messages.
func emptied() *Ring {
	r := opened("a1", "a2", "a3")
	r.Shrink(0)
	return r
}

// TestPrependOfWrongStart: the broker does not know a start position, or the
// ring does not have all messages after it.
func TestPrependOfWrongStart(t *testing.T) {
	first := cluster.StartPosition(1, 1)
	for name, test := range map[string]struct {
		ring *Ring
		page *Page
	}{
		"not found":          {opened("a1", "a2"), notFound(page("a1", "a2"))},
		"its oldest dropped": {opened("a2", "a3", "a4", "a5", "a6"), page("a1", "a2")},
		"read before all":    {opened("a1", "a2"), page()},
	} {
		t.Run(name, func(t *testing.T) {
			test.ring.Prepend(test.page, first)
			if got, _ := test.ring.Recover(Wish{After: first, MaxBytes: large}, start); got.Recovered {
				t.Error("the position has recovered")
			}
		})
	}
}

// TestPrependWhileHolding: the page is not used, since it may have messages
// that are to be delivered first.
func TestPrependWhileHolding(t *testing.T) {
	r := shrunk()
	r.Hold()
	r.Prepend(page("a1", "a2", "a3"), cluster.Position{})
	own(t, r, "a3")
}

func TestRemove(t *testing.T) {
	for name, test := range map[string]struct {
		remove string
		want   []string
	}{
		"first": {"a1", []string{"a2", "a3"}}, "middle": {"a2", []string{"a1", "a3"}},
		"last": {"a3", []string{"a1", "a2"}}, "unknown": {"b1", []string{"a1", "a2", "a3"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := opened("a1", "a2", "a3")
			r.Remove(message(test.remove).Position)
			own(t, r, test.want...)
			if got, _ := r.Recover(Wish{After: at('a', 3), MaxBytes: large}, start); !got.Recovered {
				t.Error("the head has not recovered")
			}
		})
	}
}

func TestRemoveOfHeldMessage(t *testing.T) {
	r := opened("a1")
	r.Hold()
	receive(r, "a2", "a3")
	r.Ask()
	receive(r, "a4")
	r.Remove(at('a', 2))
	r.Remove(at('a', 4))
	deliver, _, _ := r.Repair(page("a3"))
	if got := texts(deliver); !slices.Equal(got, []string{"a3"}) {
		t.Errorf("delivered %v, want a3", got)
	}
}

func TestClear(t *testing.T) {
	r := opened("a1", "a2")
	r.Clear()
	own(t, r)
	if got := receive(r, "a2", "a3"); !slices.Equal(got, []string{"a3"}) {
		t.Errorf("delivered %v, want a3", got)
	}
	if got, _ := r.Recover(Wish{After: at('a', 2), MaxBytes: large}, start); !got.Recovered || len(got.Messages) != 1 {
		t.Errorf("recovered %v, %v, want a3", got.Recovered, texts(got.Messages))
	}
}

// TestSliceDoesNotGrow: a ring that receives for a long time keeps the size of
// its memory, and a quiet one gives it back.
func TestSliceDoesNotGrow(t *testing.T) {
	r := opened()
	for i := range uint64(10_000) {
		r.Receive(&Message{Position: at('a', i+1), Size: 1})
	}
	if got := cap(r.messages); got > 4*retention.Messages {
		t.Errorf("a slice for %d messages holds %d", got, retention.Messages)
	}
	r.Shrink(0)
	if r.messages != nil {
		t.Error("a ring without messages keeps its slice")
	}
}

// TestOrigins: the incarnations that were heard last are remembered.
func TestOrigins(t *testing.T) {
	var o origins
	for round := range uint64(3) {
		for i := range uint64(2 * maxOrigins) {
			if !o.add(at(i+2, round+1)) {
				t.Fatalf("incarnation %d was forgotten, but not its number", i)
			}
			o.add(at(1, round*2*maxOrigins+i+1))
		}
	}
	if len(o.last) != maxOrigins || o.recent > maxOrigins {
		t.Errorf("%d incarnations, %d of them recent, want %d", len(o.last), o.recent, maxOrigins)
	}
	if !o.has(at(1, 5*maxOrigins)) || o.add(at(1, 1)) {
		t.Error("a busy incarnation was forgotten")
	}
	if !o.has(at(2*maxOrigins+1, 3)) || o.has(at(2*maxOrigins+1, 4)) {
		t.Error("the newest incarnation has a wrong number")
	}
}
