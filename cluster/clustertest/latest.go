package clustertest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

// keyed is a retention with few messages, and more keys than a check uses.
var keyed = cluster.Retention{Messages: 2, Age: time.Hour, Bytes: 16 << 20, Keys: 100}

// keepKeyed publishes messages "key=value"; without "=" they have no key.
func (n *node) keepKeyed(t testing.TB, channel string, retention cluster.Retention, payloads ...string) {
	t.Helper()
	for _, payload := range payloads {
		key, _, is := strings.Cut(payload, "=")
		if !is {
			key = ""
		}
		n.publish(t, channel, &cluster.Envelope{Keep: &retention, Key: key, Payload: []byte(payload)})
	}
}

// expectLatest reads a page with the newest message of each key, and checks
// these.
func expectLatest(t testing.TB, n *node, channel string, query cluster.HistoryQuery, want ...string) cluster.HistoryPage {
	t.Helper()
	query.Latest = true
	page := n.history(t, channel, query)
	latest := cluster.HistoryPage{Entries: page.Latest}
	if got := payloadsOf(latest); !slices.Equal(got, want) {
		t.Errorf("History(%+v) has the latest messages %q, want %q", query, got, want)
	}
	for i := range page.Latest {
		env := &page.Latest[i].Envelope
		if key, _, _ := strings.Cut(string(env.Payload), "="); env.Key != key || env.Keep != nil {
			t.Errorf("the latest message %q has the key %q, Keep %v", env.Payload, env.Key, env.Keep)
		}
	}
	return page
}

// latest checks the newest message of each key, next to the history.
func (s *suite) latest(t *testing.T) {
	const channel, other = "r:chat:lobby", "r:chat:other"
	nodes, ok := s.startHistory(t, channel, other)
	if !ok {
		return
	}
	reader, publisher := nodes[0], nodes[len(nodes)-1]
	expectLatest(t, reader, channel, cluster.HistoryQuery{Retention: keyed})
	publisher.keepKeyed(t, channel, keyed, "a=1", "b=2", "none", "a=4", "\x00\r\n*=5", "b=6", strings.Repeat("k", 200)+"=7", "none")
	publisher.keepKeyed(t, other, keyed, "a=9")
	publisher.publish(t, channel, &cluster.Envelope{Key: "a", Payload: []byte("a=not kept")})
	reader.awaitCount(t, 10)
	want := []string{"a=4", "\x00\r\n*=5", "b=6", strings.Repeat("k", 200) + "=7"}
	page := expectLatest(t, reader, channel, cluster.HistoryQuery{Retention: keyed}, want...)
	at := reader.positionsOn(channel)
	if got := payloadsOf(page); !slices.Equal(got, []string{want[3], "none"}) || page.Head != at[7] {
		t.Errorf("the history has %q next to the latest messages, want the newest two", got)
	}
	for i, place := range []int{3, 4, 5, 6} {
		if e := &page.Latest[i]; e.Envelope.Position != at[place] || e.Time.Before(time.Now().Add(-time.Hour)) {
			t.Errorf("%q has the position %+v and the time %v, want %+v and about now", want[i], e.Envelope.Position, e.Time, at[place])
		}
	}
	expectLatest(t, reader, channel, cluster.HistoryQuery{Retention: keyed, After: at[6], Limit: 1, Oldest: true}, want...)
	expectLatest(t, reader, other, cluster.HistoryQuery{Retention: keyed}, "a=9")
	expectLatest(t, reader, channel, cluster.HistoryQuery{})
	if latest := reader.history(t, channel, cluster.HistoryQuery{Retention: keyed}).Latest; latest != nil {
		t.Errorf("%d latest messages in a page whose query does not ask for them", len(latest))
	}
	reader.mu.Lock()
	defer reader.mu.Unlock()
	for _, d := range reader.delivered {
		if want, _, _ := strings.Cut(d.payload, "="); d.payload != "none" && d.key != want && !d.position.IsZero() {
			t.Errorf("%q was delivered with the key %q, want %q", d.payload, d.key, want)
		}
	}
}

// latestOrder publishes the same keys from all nodes at the same time: the
// newest messages are those that every node delivered last.
func (s *suite) latestOrder(t *testing.T) {
	const channel, each, keys = "r:chat:lobby", 200, 7
	nodes, ok := s.startHistory(t, channel)
	if !ok {
		return
	}
	var publishers sync.WaitGroup
	for i, n := range nodes {
		for p := range publishersPerNode {
			publishers.Go(func() {
				for m := range each {
					n.keepKeyed(t, channel, keyed, fmt.Sprintf("%d=%d.%d/%d", m%keys, i, p, m))
				}
			})
		}
	}
	publishers.Wait()
	for _, n := range nodes {
		n.awaitCount(t, len(nodes)*publishersPerNode*each)
		var want []string
		for _, payload := range n.on(channel) {
			key, _, _ := strings.Cut(payload, "=")
			want = slices.DeleteFunc(want, func(other string) bool { return strings.HasPrefix(other, key+"=") })
			want = append(want, payload)
		}
		expectLatest(t, n, channel, cluster.HistoryQuery{Retention: keyed}, want...)
	}
}

// latestRetention checks the limits of the keys.
func (s *suite) latestRetention(t *testing.T) {
	const channel = "r:chat:lobby"
	nodes, ok := s.startHistory(t, channel)
	if !ok {
		return
	}
	reader, publisher := nodes[0], nodes[len(nodes)-1]
	publisher.keepKeyed(t, channel, keyed, "a=1", "b=2", "c=3", "d=4", "a=5")
	reader.awaitCount(t, 5)
	with := func(change func(*cluster.Retention)) cluster.HistoryQuery {
		r := keyed
		change(&r)
		return cluster.HistoryQuery{Retention: r}
	}
	two := with(func(r *cluster.Retention) { r.Keys = 2 })
	expectLatest(t, reader, channel, two, "d=4", "a=5")
	expectLatest(t, reader, channel, with(func(r *cluster.Retention) { r.Bytes = 11 }), "c=3", "d=4", "a=5")
	expectLatest(t, reader, channel, with(func(r *cluster.Retention) { r.Bytes = 12 }), "b=2", "c=3", "d=4", "a=5")
	young := with(func(r *cluster.Retention) { r.Age = time.Millisecond })
	awaitNoLatest(t, reader, channel, young)

	// The publisher's retention removes the same messages.
	publisher.keepKeyed(t, channel, two.Retention, "e=6")
	reader.awaitCount(t, 6)
	expectLatest(t, reader, channel, cluster.HistoryQuery{Retention: keyed}, "a=5", "e=6")
	small := with(func(r *cluster.Retention) { r.Bytes = 7 })
	publisher.keepKeyed(t, channel, small.Retention, "e=78")
	reader.awaitCount(t, 7)
	expectLatest(t, reader, channel, cluster.HistoryQuery{Retention: keyed}, "a=5", "e=78")
	publisher.keepKeyed(t, channel, small.Retention, "f=9")
	reader.awaitCount(t, 8)
	expectLatest(t, reader, channel, cluster.HistoryQuery{Retention: keyed}, "e=78", "f=9")
	publisher.keepKeyed(t, "r:chat:short", young.Retention, "g=1")
	awaitNoLatest(t, reader, "r:chat:short", young)
}

// awaitNoLatest waits until the newest messages have expired.
func awaitNoLatest(t testing.TB, n *node, channel string, query cluster.HistoryQuery) {
	t.Helper()
	query.Latest = true
	for deadline := time.Now().Add(patience); len(n.history(t, channel, query).Latest) > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%q has newest messages, which have expired", channel)
		}
	}
}

// latestRemoval removes single messages, and all.
func (s *suite) latestRemoval(t *testing.T) {
	const channel = "r:chat:lobby"
	nodes, ok := s.startHistory(t, channel)
	if !ok {
		return
	}
	reader, other := nodes[0], nodes[len(nodes)-1]
	historian := other.Broker.(cluster.Historian)
	reader.keepKeyed(t, channel, keyed, "a=1", "b=2", "a=3", "c=4", "d=5")
	reader.awaitCount(t, 5)
	query := cluster.HistoryQuery{Retention: keyed}
	at := reader.positionsOn(channel)
	// The first has left the history. The second is in it.
	for _, i := range []int{2, 4} {
		for _, want := range []bool{true, false} {
			if removed, err := historian.RemoveFromHistory(t.Context(), channel, at[i]); removed != want || err != nil {
				t.Errorf("RemoveFromHistory of message %d = %v, %v, want %v, nil", i, removed, err, want)
			}
		}
	}
	expectLatest(t, reader, channel, query, "b=2", "c=4")
	reader.keepKeyed(t, channel, keyed, "a=6")
	reader.awaitCount(t, 6)
	expectLatest(t, reader, channel, query, "b=2", "c=4", "a=6")
	if err := historian.ClearHistory(t.Context(), channel); err != nil {
		t.Fatalf("ClearHistory = %v, want nil", err)
	}
	expectLatest(t, reader, channel, query)
	reader.keepKeyed(t, channel, keyed, "b=7")
	reader.awaitCount(t, 7)
	expectLatest(t, reader, channel, query, "b=7")
}
