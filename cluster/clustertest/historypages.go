package clustertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

// expectPage reads a page and checks it.
func expectPage(t testing.TB, n *node, channel string, query cluster.HistoryQuery, found, more bool, want ...string) {
	t.Helper()
	page := n.history(t, channel, query)
	if got := payloadsOf(page); !slices.Equal(got, want) || page.Found != found || page.More != more {
		t.Errorf("History(%+v) = %q, Found %v, More %v, want %q, %v, %v", query, got, page.Found, page.More, want, found, more)
	}
}

func (s *suite) historyPages(t *testing.T) {
	const channel = "r:chat:lobby"
	nodes, ok := s.startHistory(t, channel)
	if !ok {
		return
	}
	reader, publisher := nodes[0], nodes[len(nodes)-1]
	publisher.keep(t, channel, roomy, "0", "1", "2", "3", "4", "5", "6", "7")
	reader.awaitCount(t, 8)
	at := reader.positionsOn(channel)
	type query = cluster.HistoryQuery
	for _, c := range []struct {
		query query
		more  bool
		want  string
	}{
		{query{}, false, "01234567"},
		{query{Oldest: true}, false, "01234567"},
		{query{Limit: 8}, false, "01234567"},
		{query{Limit: 7}, true, "1234567"},
		{query{Limit: 1}, true, "7"},
		{query{Limit: 7, Oldest: true}, true, "0123456"},
		{query{Limit: 1, Oldest: true}, true, "0"},
		{query{After: at[0]}, false, "1234567"},
		{query{After: at[5]}, false, "67"},
		{query{After: at[7]}, false, ""},
		{query{After: at[3], Limit: 2}, true, "67"},
		{query{After: at[3], Limit: 2, Oldest: true}, true, "45"},
		{query{After: at[3], Limit: 4, Oldest: true}, false, "4567"},
		{query{After: at[3], Limit: 4}, false, "4567"},
		{query{Before: at[0]}, false, ""},
		{query{Before: at[1]}, false, "0"},
		{query{Before: at[7]}, false, "0123456"},
		{query{Before: at[4], Limit: 2}, true, "23"},
		{query{Before: at[4], Limit: 2, Oldest: true}, true, "01"},
		{query{Before: at[4], Limit: 4}, false, "0123"},
		{query{After: at[1], Before: at[5]}, false, "234"},
		{query{After: at[1], Before: at[5], Limit: 2}, true, "34"},
		{query{After: at[1], Before: at[5], Limit: 2, Oldest: true}, true, "23"},
		{query{After: at[4], Before: at[5]}, false, ""},
		{query{After: at[4], Before: at[4]}, false, ""},
		{query{After: at[5], Before: at[2]}, false, ""},
	} {
		var want []string
		if c.want != "" {
			want = strings.Split(c.want, "")
		}
		expectPage(t, reader, channel, c.query, true, c.more, want...)
		if head := reader.history(t, channel, c.query).Head; head != at[7] {
			t.Errorf("History(%+v) has the head %+v, want that of the newest message, %+v", c.query, head, at[7])
		}
	}
}

// historyNotFound asks for positions that the history does not have.
func (s *suite) historyNotFound(t *testing.T) {
	const channel, other = "r:chat:lobby", "r:chat:other"
	nodes, ok := s.startHistory(t, channel, other)
	if !ok {
		return
	}
	reader, publisher := nodes[0], nodes[len(nodes)-1]
	three := roomy
	three.Messages = 3
	publisher.keep(t, other, roomy, "foreign")
	publisher.keep(t, channel, three, "0", "1", "2", "3", "4")
	publisher.keep(t, other, roomy, "foreign")
	reader.awaitCount(t, 7)
	at, foreign := reader.positionsOn(channel), reader.positionsOn(other)
	newest := at[len(at)-1]
	for name, position := range map[string]cluster.Position{
		"foreign, older": foreign[0],
		"foreign, newer": foreign[1],
		"removed":        at[0],
		"removed last":   at[1],
		"future":         {Incarnation: newest.Incarnation, Number: newest.Number + 2},
		"far future":     {Incarnation: newest.Incarnation, Number: 1<<64 - 1},
		"past":           {Incarnation: newest.Incarnation, Number: 0},
		"forged":         {Incarnation: newest.Incarnation ^ 1<<40, Number: newest.Number},
		"only a number":  {Number: newest.Number},
		"all bits":       {Incarnation: 1<<64 - 1, Number: 1<<64 - 1},
	} {
		t.Log(name)
		expectPage(t, reader, channel, cluster.HistoryQuery{After: position, Retention: three}, false, false, "2", "3", "4")
		expectPage(t, reader, channel, cluster.HistoryQuery{Before: position, Retention: three}, false, false, "2", "3", "4")
		expectPage(t, reader, channel, cluster.HistoryQuery{After: position, Retention: three, Limit: 2}, false, true, "3", "4")
		expectPage(t, reader, channel, cluster.HistoryQuery{After: position, Retention: three, Limit: 2, Oldest: true}, false, true, "2", "3")
		expectPage(t, reader, channel, cluster.HistoryQuery{After: position, Before: at[4], Retention: three}, false, false, "2", "3")
		expectPage(t, reader, channel, cluster.HistoryQuery{After: at[2], Before: position, Retention: three}, false, false, "3", "4")
		expectPage(t, reader, "r:chat:empty", cluster.HistoryQuery{After: position, Retention: three}, false, false)
	}
	expectPage(t, reader, channel, cluster.HistoryQuery{After: at[2], Retention: three}, true, false, "3", "4")
}

// historyForeign checks that no position of another channel is found, wherever
// the broker keeps that one.
func (s *suite) historyForeign(t *testing.T) {
	const channel, count = "r:chat:lobby", 100
	channels := []string{channel}
	for i := range count {
		channels = append(channels, fmt.Sprint("r:chat:other ", i))
	}
	nodes, ok := s.startHistory(t, channels...)
	if !ok {
		return
	}
	reader, publisher := nodes[0], nodes[len(nodes)-1]
	for _, c := range channels {
		publisher.keep(t, c, roomy, "1", "2", "3")
	}
	reader.awaitCount(t, 3*len(channels))
	for _, other := range channels[1:] {
		for _, position := range reader.positionsOn(other) {
			if page := reader.history(t, channel, cluster.HistoryQuery{After: position}); page.Found {
				t.Fatalf("after position %v of %q: found in %q", position, other, channel)
			}
		}
	}
}

// historyRetention checks that pages keep to the retention exactly.
func (s *suite) historyRetention(t *testing.T) {
	const channel = "r:chat:lobby"
	nodes, ok := s.startHistory(t, channel)
	if !ok {
		return
	}
	reader, publisher := nodes[0], nodes[len(nodes)-1]
	publisher.keep(t, channel, roomy, "aa", "bb", "cc", "dd", "ee")
	reader.awaitCount(t, 5)
	at := reader.positionsOn(channel)
	with := func(change func(*cluster.Retention)) cluster.Retention {
		r := roomy
		change(&r)
		return r
	}
	two := with(func(r *cluster.Retention) { r.Messages = 2 })
	expectPage(t, reader, channel, cluster.HistoryQuery{Retention: two}, true, false, "dd", "ee")
	expectPage(t, reader, channel, cluster.HistoryQuery{Retention: two, Limit: 1}, true, true, "ee")
	expectPage(t, reader, channel, cluster.HistoryQuery{Retention: two, Limit: 1, Oldest: true}, true, true, "dd")
	expectPage(t, reader, channel, cluster.HistoryQuery{Retention: two, After: at[3]}, true, false, "ee")
	expectPage(t, reader, channel, cluster.HistoryQuery{Retention: two, After: at[2]}, false, false, "dd", "ee")
	expectPage(t, reader, channel, cluster.HistoryQuery{Retention: two, Before: at[2]}, false, false, "dd", "ee")
	for _, c := range []struct {
		bytes int
		want  []string
		found bool // the message before the newest one
	}{
		{1, nil, false},
		{2, []string{"ee"}, false},
		{3, []string{"ee"}, false},
		{4, []string{"dd", "ee"}, true},
		{5, []string{"dd", "ee"}, true},
		{6, []string{"cc", "dd", "ee"}, true},
		{10, []string{"aa", "bb", "cc", "dd", "ee"}, true},
	} {
		r := with(func(r *cluster.Retention) { r.Bytes = c.bytes })
		expectPage(t, reader, channel, cluster.HistoryQuery{Retention: r}, true, false, c.want...)
		after := c.want
		if c.found {
			after = []string{"ee"}
		}
		expectPage(t, reader, channel, cluster.HistoryQuery{Retention: r, After: at[3]}, c.found, false, after...)
	}
	// By the clock of the broker all are older than this, a moment later.
	young := with(func(r *cluster.Retention) { r.Age = time.Millisecond })
	page := reader.awaitHistory(t, channel, cluster.HistoryQuery{Retention: young})
	if !page.Found || page.More {
		t.Errorf("Found, More = %v, %v for a history whose messages have expired, want true, false", page.Found, page.More)
	}
	expectPage(t, reader, channel, cluster.HistoryQuery{Retention: young, After: at[4]}, false, false)
	expectPage(t, reader, channel, cluster.HistoryQuery{}, true, false, "aa", "bb", "cc", "dd", "ee")

	// The publisher's retention removes the same messages in the end.
	publisher.keep(t, channel, two, "ff")
	reader.awaitCount(t, 6)
	expectPage(t, reader, channel, cluster.HistoryQuery{Retention: two}, true, false, "ee", "ff")
	publisher.keep(t, "r:chat:short", young, "gg")
	reader.awaitHistory(t, "r:chat:short", cluster.HistoryQuery{Retention: young})
}

// historyBegin checks the position of an empty history.
func (s *suite) historyBegin(t *testing.T) {
	const channel, other = "r:chat:lobby", "r:chat:other"
	nodes, ok := s.startHistory(t, channel, other)
	if !ok {
		return
	}
	reader, publisher := nodes[0], nodes[len(nodes)-1]
	begin := reader.history(t, channel, cluster.HistoryQuery{}).Head
	if !begin.IsStart() {
		t.Fatalf("the head of an empty history is %+v, want a start position", begin)
	}
	if text, ok := cluster.ParsePosition([]byte(begin.String())); !ok || text != begin {
		t.Errorf("the head %+v of an empty history is %+v after a way as text", begin, text)
	}
	expectPage(t, reader, channel, cluster.HistoryQuery{After: begin}, true, false)
	expectPage(t, publisher, channel, cluster.HistoryQuery{After: begin}, true, false)
	publisher.keep(t, other, roomy, "other")
	publisher.keep(t, channel, roomy, "a", "b", "c")
	reader.awaitCount(t, 4)
	expectPage(t, reader, channel, cluster.HistoryQuery{After: begin}, true, false, "a", "b", "c")
	expectPage(t, publisher, channel, cluster.HistoryQuery{After: begin, Limit: 2}, true, true, "b", "c")
	expectPage(t, reader, channel, cluster.HistoryQuery{After: begin, Limit: 2, Oldest: true}, true, true, "a", "b")
	if head := reader.history(t, channel, cluster.HistoryQuery{}).Head; head == begin {
		t.Error("the head of the history is still that of the empty one")
	}
	for name, forged := range map[string]cluster.Position{
		"another incarnation": {Incarnation: begin.Incarnation ^ 1<<40, Number: begin.Number},
		"a later number":      {Incarnation: begin.Incarnation, Number: begin.Number + 1<<50},
	} {
		if reader.history(t, channel, cluster.HistoryQuery{After: forged}).Found {
			t.Errorf("found the head of an empty history with %s", name)
		}
	}
	two := roomy
	two.Messages = 2
	expectPage(t, reader, channel, cluster.HistoryQuery{After: begin, Retention: two}, false, false, "b", "c")
	publisher.keep(t, channel, two, "d")
	reader.awaitCount(t, 5)
	expectPage(t, reader, channel, cluster.HistoryQuery{After: begin, Retention: two}, false, false, "c", "d")
}
