package stream_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/stream"
)

// publisher makes the entries of one incarnation.
type publisher struct {
	incarnation, number, confirmed uint64
}

// written is a stream, the oldest entry first.
type written struct {
	entries []stream.Entry
	clock   uint64
	random  *rand.Rand
}

func (w *written) add(kind stream.Kind, p cluster.Position) {
	w.clock += uint64(w.random.IntN(3))
	id := stream.ID{Time: w.clock}
	if last := len(w.entries) - 1; last >= 0 && w.entries[last].ID.Time == w.clock {
		id.Sequence = w.entries[last].ID.Sequence + 1
	}
	w.entries = append(w.entries, stream.Entry{ID: id, Kind: kind, Position: p, Size: 1 + w.random.IntN(9)})
}

// send makes transactions of a publisher, of which some are lost and some are
// sent again, as after a broken connection or a crash of the server.
func (w *written) send(p *publisher) {
	first := p.number + 1
	p.number += 1 + uint64(w.random.IntN(3))
	kind := stream.Message
	if w.random.IntN(8) == 0 {
		first -= min(first-1, uint64(w.random.IntN(6)))
	}
	for attempt := 0; ; attempt++ {
		lost := w.random.IntN(5) == 0
		for n := first; n <= p.number && !lost; n++ {
			if n <= p.confirmed {
				kind = stream.Again
			} else if attempt == 0 {
				kind = stream.Message
			}
			w.add(kind, cluster.Position{Incarnation: p.incarnation, Number: n})
		}
		if !lost && w.random.IntN(4) != 0 {
			break
		}
		kind = stream.Again
	}
	p.confirmed = p.number
}

// messages are those of a history, without repeats, by the rule of
// cluster.Position.
func (w *written) messages() (messages []stream.Entry) {
	last := make(map[uint64]uint64)
	for _, e := range w.entries {
		if e.Kind == stream.Removal || e.Position.Number <= last[e.Position.Incarnation] {
			continue
		}
		last[e.Position.Incarnation] = e.Position.Number
		messages = append(messages, e)
	}
	return messages
}

type page struct {
	positions   []cluster.Position
	found, more bool
	head        cluster.Position
}

// expected computes a page from all messages, without start positions.
func expected(messages []stream.Entry, query cluster.HistoryQuery, now uint64) (p page) {
	size, first := 0, len(messages)
	for first > 0 {
		m := &messages[first-1]
		size += m.Size
		age := time.Duration(now-m.ID.Time) * time.Millisecond
		if len(messages)-first >= query.Retention.Messages || size > query.Retention.Bytes || age > query.Retention.Age {
			break
		}
		first--
	}
	messages = messages[first:]
	if len(messages) > 0 {
		p.head = messages[len(messages)-1].Position
	}
	p.found = true
	at := func(position cluster.Position) int {
		return slices.IndexFunc(messages, func(e stream.Entry) bool { return e.Position == position })
	}
	from, to := 0, len(messages)
	if !query.After.IsZero() {
		if i := at(query.After); i >= 0 {
			from = i + 1
		} else {
			p.found = false
		}
	}
	if !query.Before.IsZero() {
		if i := at(query.Before); i >= 0 {
			to = i
		} else {
			p.found = false
		}
	}
	to = max(from, to)
	if to-from > query.Limit {
		p.more = true
		if query.Oldest {
			to = from + query.Limit
		} else {
			from = to - query.Limit
		}
	}
	for _, e := range messages[from:to] {
		p.positions = append(p.positions, e.Position)
	}
	return p
}

// selected reads a page as a broker does: from the newest entry on, looking
// ahead only where an entry may be a repeat.
func selected(entries []stream.Entry, query cluster.HistoryQuery, now uint64) (p page, read int) {
	s := stream.NewSelection(query, now, 0)
	var repeats stream.Repeats
	backward := slices.Clone(entries)
	slices.Reverse(backward)
	for i := range backward {
		e := backward[i]
		read++
		if e.Kind == stream.Again && !repeats.Covers(e.ID) {
			for j := i; j < len(backward); j++ {
				if repeats.Add(&backward[j]); repeats.Settled() {
					break
				}
			}
		}
		repeats.Resolve(&e, math.MaxInt)
		if !s.Add(&e) {
			break
		}
	}
	var chosen []stream.Entry
	chosen, p.more = s.Entries()
	for _, e := range chosen {
		p.positions = append(p.positions, e.Position)
	}
	p.found, p.head = s.Found(), s.Head()
	return p, read
}

func TestSelectionIsThatOfAllMessages(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 400 {
		w := &written{random: random, clock: 1}
		publishers := []*publisher{{incarnation: 1}, {incarnation: 2}, {incarnation: 3}}
		for range 1 + random.IntN(30) {
			w.send(publishers[random.IntN(len(publishers))])
			if random.IntN(10) == 0 {
				w.add(stream.Removal, cluster.Position{})
			}
		}
		messages := w.messages()
		now := w.clock + uint64(random.IntN(3))
		position := func() cluster.Position {
			switch {
			case random.IntN(3) == 0 || len(messages) == 0:
				return cluster.Position{}
			case random.IntN(5) == 0:
				return cluster.Position{Incarnation: uint64(1 + random.IntN(3)), Number: 1000}
			}
			return messages[random.IntN(len(messages))].Position
		}
		for range 50 {
			query := cluster.HistoryQuery{
				Retention: cluster.Retention{
					Messages: 1 + random.IntN(60), Bytes: 1 + random.IntN(300), Age: time.Duration(random.IntN(80)) * time.Millisecond,
				},
				After: position(), Before: position(), Limit: 1 + random.IntN(40), Oldest: random.IntN(2) == 0,
			}
			want := expected(messages, query, now)
			if got, _ := selected(w.entries, query, now); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("round %d: %+v of %+v selects\n%+v, want\n%+v", round, query, w.entries, got, want)
			}
		}
	}
}

// roomy is a retention that excludes nothing.
var roomy = cluster.Retention{Messages: 100, Age: time.Hour, Bytes: 1 << 20}

// TestSelectionReadsNoMoreThanItNeeds: the newest messages need no entry but
// one more, which shows that there are more.
func TestSelectionReadsNoMoreThanItNeeds(t *testing.T) {
	w := &written{random: rand.New(rand.NewPCG(1, 2))}
	for n := range uint64(50) {
		w.add(stream.Message, cluster.Position{Incarnation: 1, Number: n + 1})
	}
	for _, c := range []struct {
		query cluster.HistoryQuery
		read  int
	}{
		{cluster.HistoryQuery{Limit: 3}, 4},
		{cluster.HistoryQuery{Limit: 50}, 50},
		{cluster.HistoryQuery{Limit: 3, Before: cluster.Position{Incarnation: 1, Number: 50}}, 5},
		{cluster.HistoryQuery{Limit: 50, After: cluster.Position{Incarnation: 1, Number: 47}}, 4},
	} {
		c.query.Retention = roomy
		if _, read := selected(w.entries, c.query, w.clock); read != c.read {
			t.Errorf("%+v reads %d entries, want %d", c.query, read, c.read)
		}
	}
}

func TestSelectionInDoubt(t *testing.T) {
	entries := []stream.Entry{
		{ID: stream.ID{Time: 30}, Kind: stream.Message, Position: cluster.Position{Incarnation: 1, Number: 3}},
		{ID: stream.ID{Time: 20}, Kind: stream.Message, Position: cluster.Position{Incarnation: 1, Number: 2}},
		{ID: stream.ID{Time: 10}, Kind: stream.Message, Position: cluster.Position{Incarnation: 1, Number: 1}},
	}
	unknown := slices.Insert(slices.Clone(entries), 1, stream.Entry{ID: stream.ID{Time: 25}, Kind: stream.Unknown})
	for _, c := range []struct {
		name    string
		entries []stream.Entry
		after   uint64
		doubt   uint64
		found   bool
		count   int
	}{
		{"no failure", entries, 2, 0, true, 1},
		{"a failure before the position", entries, 2, 19, true, 1},
		{"a failure at the position", entries, 2, 20, false, 3},
		{"a failure after the position", entries, 2, 29, false, 3},
		{"a failure that continues", entries, 3, 1<<64 - 1, false, 3},
		{"an entry of another version after the position", unknown, 2, 0, false, 3},
		{"an entry of another version before the position", unknown, 3, 0, true, 0},
	} {
		s := stream.NewSelection(cluster.HistoryQuery{
			Retention: roomy, Limit: 10, After: cluster.Position{Incarnation: 1, Number: c.after},
		}, 30, c.doubt)
		for i := range c.entries {
			if !s.Add(&c.entries[i]) {
				break
			}
		}
		if chosen, _ := s.Entries(); s.Found() != c.found || len(chosen) != c.count {
			t.Errorf("%s: found %v with %d messages, want %v with %d", c.name, s.Found(), len(chosen), c.found, c.count)
		}
	}
}

func TestStartPositions(t *testing.T) {
	at := func(kind stream.Kind, times ...uint64) (entries []stream.Entry) {
		for i, time := range times {
			entries = append(entries, stream.Entry{
				ID: stream.ID{Time: time}, Kind: kind, Size: 10, Position: cluster.Position{Incarnation: 1, Number: uint64(100 - i)},
			})
		}
		return entries
	}
	three := cluster.Retention{Messages: 3, Age: 50 * time.Millisecond, Bytes: 30}
	const start, now = 60, 100
	for _, c := range []struct {
		name       string
		entries    []stream.Entry
		retention  cluster.Retention
		doubt      uint64
		incomplete bool
		want       bool
	}{
		{"no message", nil, three, 0, false, true},
		{"no message, but perhaps trimmed", nil, three, 0, true, false},
		{"a few messages since then", at(stream.Message, 80, 70), three, 0, false, true},
		{"one in the same millisecond", at(stream.Message, 80, 60), three, 0, false, true},
		{"as many as the history has", at(stream.Message, 80, 75, 70), three, 0, false, false},
		{"an expired one from before", at(stream.Message, 80, 75, 70, 40), three, 0, true, true},
		{"too many since then", at(stream.Message, 90, 80, 75, 70, 40), three, 0, false, false},
		{"too many bytes since then", at(stream.Message, 90, 80), cluster.Retention{Messages: 9, Age: time.Hour, Bytes: 19}, 0, false, false},
		{"one from before that has not expired", at(stream.Message, 80, 55), three, 0, false, false},
		{"an older start than the age", nil, cluster.Retention{Messages: 3, Age: 39 * time.Millisecond, Bytes: 30}, 0, false, false},
		{"a start as old as the age", nil, cluster.Retention{Messages: 3, Age: 40 * time.Millisecond, Bytes: 30}, 0, false, true},
		{"a removal since then", at(stream.Removal, 80), three, 0, false, false},
		{"a removal in the same millisecond", at(stream.Removal, 60), three, 0, false, false},
		{"a removal before", at(stream.Removal, 59), three, 0, false, true},
		{"a failure since then", nil, three, 60, false, false},
		{"a failure before", nil, three, 59, false, true},
		{"an entry of another version", at(stream.Unknown, 80), three, 0, false, false},
	} {
		s := stream.NewSelection(cluster.HistoryQuery{
			Retention: c.retention, Limit: 10, After: cluster.StartPosition(7, start),
		}, now, c.doubt)
		for i := range c.entries {
			if !s.Add(&c.entries[i]) {
				break
			}
		}
		if got := s.Found() && s.Start(!c.incomplete); got != c.want {
			t.Errorf("%s: found %v, want %v", c.name, got, c.want)
		}
	}
	future := stream.NewSelection(cluster.HistoryQuery{Retention: roomy, After: cluster.StartPosition(7, 101)}, now, 0)
	if future.Start(true) {
		t.Error("found a start position of the future")
	}
}

func TestPaging(t *testing.T) {
	var p stream.Paging
	if first := p.Next(3); first != 3 {
		t.Errorf("the first read has %d entries, want the 3 that are needed", first)
	}
	if first := p.Next(0); first > 16 {
		t.Errorf("the first read has %d entries, of which the size is not known", first)
	}
	for _, c := range []struct{ size, want int }{{100, 256}, {1000, 256}, {10_000, 26}, {64 << 10, 4}, {1 << 20, 1}, {10, 1}} {
		p.Read(c.size)
		if got := p.Next(0); got != c.want {
			t.Errorf("after an entry of %d bytes, a read has %d entries, want %d", c.size, got, c.want)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("1526919030474-55")
	f.Add("01-2")
	f.Add("18446744073709551615-0")
	f.Fuzz(func(t *testing.T, text string) {
		if id, ok := stream.ParseID(text); ok && id.String() != text {
			t.Errorf("ParseID(%q) = %v, want its own form only", text, id)
		}
	})
}
