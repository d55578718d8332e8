package ring

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

var keyed = cluster.Retention{Messages: 2, Age: time.Hour, Bytes: 1000, Keys: 3}

// keyedMessages builds messages: "xa1" is message a1 with the key x.
func keyedMessages(texts ...string) (all []*Message) {
	for _, text := range texts {
		m := message(text[1:])
		m.Key = OwnKey(strings.Trim(text[:1], "-"))
		all = append(all, m)
	}
	return all
}

// keyedPage is a page with the newest messages of the keys.
func keyedPage(latest, newest []string) *Page {
	p := page()
	p.Messages, p.Latest, p.HasLatest = keyedMessages(newest...), keyedMessages(latest...), true
	if len(newest) > 0 {
		p.Head = p.Messages[len(newest)-1].Position
	}
	return p
}

func openedKeyed(latest, newest []string) *Ring {
	r := New(&keyed)
	r.Ask()
	r.Open(keyedPage(latest, newest))
	return &r
}

// wantLatest checks the answer to a client without a position.
func wantLatest(t *testing.T, r *Ring, newest int, want ...string) {
	t.Helper()
	answer, older := r.Recover(Wish{Newest: newest, Latest: true, MaxBytes: large}, start)
	if got := texts(answer.Messages); !slices.Equal(got, want) || older || answer.Recovered {
		t.Errorf("a client receives %v, older %v, recovered %v, want %v, false, false", got, older, answer.Recovered, want)
	}
}

func take(r *Ring, texts ...string) {
	for _, m := range keyedMessages(texts...) {
		r.Receive(m)
	}
}

func TestLatest(t *testing.T) {
	r := openedKeyed([]string{"xa1", "ya3"}, []string{"ya3", "-a4"})
	wantLatest(t, r, 0, "a1", "a3")
	take(r, "-b1", "xb2", "zb3")
	wantLatest(t, r, 0, "a3", "b2", "b3")
	// The newest messages follow, none of them twice.
	take(r, "-b4")
	wantLatest(t, r, 2, "a3", "b2", "b3", "b4")
	// The key that was not updated for longest leaves.
	take(r, "wb5")
	wantLatest(t, r, 0, "b2", "b3", "b5")
	// A repeat changes nothing.
	take(r, "xb2")
	wantLatest(t, r, 0, "b2", "b3", "b5")
	// The newest ones that fit.
	answer, _ := r.Recover(Wish{Latest: true, MaxBytes: 29}, start)
	if got := texts(answer.Messages); !slices.Equal(got, []string{"b3", "b5"}) {
		t.Errorf("a client with little space receives %v, want b3, b5", got)
	}
	// A client with a position receives exactly the messages after it.
	for after, want := range map[string][]string{"b4": {"b5"}, "b5": nil, "a9": {"b2", "b3", "b5"}} {
		answer, _ := r.Recover(Wish{After: message(after).Position, Latest: true, MaxBytes: large}, start)
		if got := texts(answer.Messages); !slices.Equal(got, want) || answer.Recovered != (after != "a9") {
			t.Errorf("after %s a client receives %v, recovered %v, want %v", after, got, answer.Recovered, want)
		}
	}
	r.Remove(message("b3").Position)
	wantLatest(t, r, 0, "b2", "b5")
	answer, _ = r.Recover(Wish{Latest: true, MaxBytes: large}, start+time.Hour.Milliseconds()+1)
	if len(answer.Messages) != 0 {
		t.Errorf("a client receives %v, which have expired", texts(answer.Messages))
	}
}

// TestLatestWithoutKeys: a retention without keys ignores those of messages.
func TestLatestWithoutKeys(t *testing.T) {
	r := opened()
	take(r, "xa1")
	if answer, _ := r.Recover(Wish{MaxBytes: large}, start); len(answer.Messages) > 0 || r.keys != nil || r.CollectLatest() {
		t.Error("a ring knows the newest message of each key for a retention without keys")
	}
}

// TestLatestAgain: a ring that had to drop the newest messages of the keys puts
// a page together with the messages since.
func TestLatestAgain(t *testing.T) {
	begin := func() *Ring {
		r := openedKeyed([]string{"xa1"}, []string{"xa1"})
		take(r, "ya2")
		if want := 4 * (10 + Overhead); r.Memory() != want {
			t.Errorf("the ring counts %d bytes, want %d", r.Memory(), want)
		}
		if r.Shrink(0); r.Memory() != 0 || r.KnowsLatest() {
			t.Errorf("the ring has %d bytes after Shrink(0)", r.Memory())
		}
		if _, older := r.Recover(Wish{Latest: true, MaxBytes: large}, start); !older {
			t.Error("a ring that lacks the newest message of each key needs no page")
		}
		if !r.CollectLatest() {
			t.Error("CollectLatest = false for a ring that does not know them")
		}
		return r
	}
	for name, test := range map[string]struct {
		during []string // received while the page is read
		page   *Page
		want   []string // nil: the page cannot be used
	}{
		"the same":        {nil, keyedPage([]string{"xa1", "ya2"}, []string{"xa1", "ya2"}), []string{"a1", "a2"}},
		"newer messages":  {[]string{"ya3", "zb1"}, keyedPage([]string{"xa1", "ya2"}, []string{"xa1", "ya2"}), []string{"a1", "a3", "b1"}},
		"overlap":         {[]string{"ya3", "zb1"}, keyedPage([]string{"xa1", "ya3"}, []string{"ya2", "ya3"}), []string{"a1", "a3", "b1"}},
		"a newer page":    {nil, keyedPage([]string{"xa1", "yb1"}, []string{"ya2", "yb1"}), []string{"a1"}},
		"unclear":         {nil, keyedPage([]string{"xa1", "yb2"}, []string{"yb1", "yb2"}), nil},
		"without history": {nil, keyedPage([]string{"xa1"}, nil), []string{"a1"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := begin()
			take(r, test.during...)
			r.Prepend(test.page, cluster.Position{})
			if test.want == nil {
				if r.KnowsLatest() {
					t.Error("the ring uses a page without knowing which of its messages it has received")
				}
				return
			}
			wantLatest(t, r, 0, test.want...)
		})
	}
}

// TestLatestCollectedBeyondTheLimit: then an earlier message must not take the
// place of one that had to leave.
func TestLatestCollectedBeyondTheLimit(t *testing.T) {
	small := keyed
	small.Bytes = 25
	r := New(&small)
	r.Ask()
	r.Open(keyedPage([]string{"wa1"}, []string{"wa1"}))
	r.Shrink(0)
	if !r.CollectLatest() {
		t.Fatal("CollectLatest = false after Shrink")
	}
	sized := func(text string, size int) *Message {
		m := keyedMessages(text)[0]
		m.Size = size
		return m
	}
	r.Receive(sized("xa2", 10))
	r.Receive(sized("ya3", 20))
	p := keyedPage(nil, []string{"wa1"})
	p.Latest = []*Message{sized("xb1", 5)}
	r.Prepend(p, cluster.Position{})
	wantLatest(t, &r, 0, "a3")
}

// TestLatestIsForgotten: after a gap or the removal of all messages the ring
// does not know them.
func TestLatestIsForgotten(t *testing.T) {
	for name, happens := range map[string]func(r *Ring){
		"gap":     func(r *Ring) { r.Hold(); r.Ask(); r.Repair(notFound(page("b1", "b2"))) },
		"no page": func(r *Ring) { r.Hold(); r.Ask(); r.GiveUp() },
		"clear":   func(r *Ring) { r.Clear() },
	} {
		r := openedKeyed([]string{"xa1"}, []string{"xa1"})
		happens(r)
		if answer, older := r.Recover(Wish{Latest: true, MaxBytes: large}, start); len(answer.Messages) > 0 || !older {
			t.Errorf("%s: a client receives %v, older %v, want nothing, true", name, texts(answer.Messages), older)
		}
	}
	r := openedKeyed([]string{"xa1"}, []string{"xa1"})
	r.Hold()
	r.Ask()
	p := page()
	p.Messages = keyedMessages("yb1")
	r.Repair(p)
	wantLatest(t, r, 0, "a1", "b1")
	r.Clear()
	if !r.CollectLatest() {
		t.Fatal("CollectLatest = false after Clear")
	}
	r.Prepend(keyedPage([]string{"yb2"}, []string{"yb2"}), cluster.Position{})
	if r.KnowsLatest() {
		t.Error("the ring uses a page whose messages it has yet to receive")
	}
}
