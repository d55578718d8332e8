package clustertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

// roomy is a retention that no check exceeds.
var roomy = cluster.Retention{Messages: 10_000, Age: time.Hour, Bytes: 16 << 20}

// startHistory makes a cluster whose brokers are subscribed to the channels. If
// they are no historians, ok is false.
func (s *suite) startHistory(t *testing.T, channels ...string) (nodes []*node, ok bool) {
	t.Helper()
	nodes = s.start(t, 0)
	if _, is := nodes[0].Broker.(cluster.Historian); !is {
		return nil, false
	}
	for _, n := range nodes {
		n.subscribe(t, channels...)
	}
	return nodes, true
}

// keep publishes messages that are kept.
func (n *node) keep(t testing.TB, channel string, retention cluster.Retention, payloads ...string) {
	t.Helper()
	for _, payload := range payloads {
		n.publish(t, channel, &cluster.Envelope{Keep: &retention, Payload: []byte(payload)})
	}
}

// history reads a page. The zero Retention and the zero Limit stand for large
// ones.
func (n *node) history(t testing.TB, channel string, query cluster.HistoryQuery) cluster.HistoryPage {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if query.Retention == (cluster.Retention{}) {
		query.Retention = roomy
	}
	if query.Limit == 0 {
		query.Limit = roomy.Messages
	}
	page, err := n.Broker.(cluster.Historian).History(ctx, channel, query)
	if err != nil {
		t.Fatalf("History(%q) = %v, want nil", channel, err)
	}
	return page
}

// awaitHistory reads until a page has the payloads.
func (n *node) awaitHistory(t testing.TB, channel string, query cluster.HistoryQuery, want ...string) cluster.HistoryPage {
	t.Helper()
	var page cluster.HistoryPage
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		page = n.history(t, channel, query)
		if slices.Equal(payloadsOf(page), want) {
			return page
		}
	}
	t.Fatalf("the history of %q has %q, want %q", channel, payloadsOf(page), want)
	return page
}

func payloadsOf(page cluster.HistoryPage) []string {
	var payloads []string
	for i := range page.Entries {
		payloads = append(payloads, string(page.Entries[i].Envelope.Payload))
	}
	return payloads
}

func positionsOf(page cluster.HistoryPage) []cluster.Position {
	var positions []cluster.Position
	for i := range page.Entries {
		positions = append(positions, page.Entries[i].Envelope.Position)
	}
	return positions
}

// positionsOn returns the positions of the messages delivered on a channel.
func (r *recorder) positionsOn(channel string) []cluster.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	var positions []cluster.Position
	for _, d := range r.delivered {
		if d.channel == channel {
			positions = append(positions, d.position)
		}
	}
	return positions
}

// historyOrder publishes from all nodes at the same time: the history has the
// order in which every node delivered the messages, with their positions.
func (s *suite) historyOrder(t *testing.T) {
	const channel, each = "r:chat:lobby", 300
	nodes, ok := s.startHistory(t, channel)
	if !ok {
		return
	}
	var publishers sync.WaitGroup
	for i, n := range nodes {
		for p := range publishersPerNode {
			publishers.Go(func() {
				for m := range each {
					n.keep(t, channel, roomy, fmt.Sprintf("%d.%d/%d", i, p, m))
				}
			})
		}
	}
	publishers.Wait()
	for _, n := range nodes {
		n.awaitCount(t, len(nodes)*publishersPerNode*each)
	}
	for i, n := range nodes {
		page := n.history(t, channel, cluster.HistoryQuery{})
		if !slices.Equal(payloadsOf(page), n.on(channel)) {
			t.Errorf("broker %d: the history has another order than the deliveries", i)
		}
		positions := positionsOf(page)
		if !slices.Equal(positions, n.positionsOn(channel)) {
			t.Errorf("broker %d: the history has other positions than the deliveries", i)
		}
		if !page.Found || page.More || page.Head != positions[len(positions)-1] {
			t.Errorf("broker %d: Found, More, Head = %v, %v, %v, want true, false, %v",
				i, page.Found, page.More, page.Head, positions[len(positions)-1])
		}
		last := make(map[uint64]uint64)
		for j, position := range positions {
			if position.IsZero() || position.Number <= last[position.Incarnation] {
				t.Fatalf("broker %d: message %d has the position %+v after the number %d of its incarnation",
					i, j, position, last[position.Incarnation])
			}
			last[position.Incarnation] = position.Number
		}
	}
}

// historyFields checks that the history has the envelopes as they were
// published, although the publisher reuses its memory.
func (s *suite) historyFields(t *testing.T) {
	const channel = "r:chat:lobby"
	nodes, ok := s.startHistory(t, channel)
	if !ok {
		return
	}
	reader, publisher := nodes[0], nodes[len(nodes)-1]
	envelopes := []cluster.Envelope{
		{Payload: []byte("text")},
		{Binary: true, Payload: []byte("\x00\xff binary")},
		{Origin: "node1.abc", User: "alice", Payload: []byte("origin and user")},
		{User: "\x00*\r\n;\xff", Payload: []byte("odd user")},
		{User: strings.Repeat("語", 80), Payload: []byte("long user")},
		{Kind: cluster.EnvelopeControl, Payload: []byte("control")},
		{Origin: "node1.a", Except: []string{"node1.a", "", "node2.b"}, User: "bob", Payload: []byte("exceptions")},
		{Payload: []byte{}},
		{Payload: []byte(strings.Repeat("x", 20_000))},
	}
	before := time.Now().Add(-time.Hour)
	for _, env := range envelopes {
		retention := roomy
		sent := env
		sent.Keep, sent.Payload, sent.Except = &retention, slices.Clone(env.Payload), slices.Clone(env.Except)
		publisher.publish(t, channel, &sent)
		retention = cluster.Retention{Messages: 1, Age: 1, Bytes: 1}
		clear(sent.Payload)
		clear(sent.Except)
	}
	reader.awaitCount(t, len(envelopes))
	page := reader.history(t, channel, cluster.HistoryQuery{})
	if len(page.Entries) != len(envelopes) {
		t.Fatalf("the history has %d messages, want %d", len(page.Entries), len(envelopes))
	}
	for i := range page.Entries {
		got, want := &page.Entries[i], &envelopes[i]
		env := &got.Envelope
		if env.Binary != want.Binary || env.Origin != want.Origin || env.User != want.User || env.Keep != nil ||
			string(env.Payload) != string(want.Payload) || describe(env) != describe(want) {
			t.Errorf("message %d is in the history as %.300q, want %.300q", i, fmt.Sprintf("%+v", *env), fmt.Sprintf("%+v", *want))
		}
		if got.Time.Before(before) || got.Time.After(time.Now().Add(time.Hour)) {
			t.Errorf("message %d was kept at %v, want about now", i, got.Time)
		}
		clear(env.Payload) // it belongs to the caller
	}
	if again := reader.history(t, channel, cluster.HistoryQuery{Limit: 1, Oldest: true}); string(again.Entries[0].Envelope.Payload) != "text" {
		t.Errorf("the history has %q after a page was changed, want %q", again.Entries[0].Envelope.Payload, "text")
	}
}

// historyWithoutSubscriber keeps messages of a channel without subscribers, and
// no message without Keep.
func (s *suite) historyWithoutSubscriber(t *testing.T) {
	nodes, ok := s.startHistory(t, "r:chat:witness")
	if !ok {
		return
	}
	reader, publisher := nodes[0], nodes[len(nodes)-1]
	for _, channel := range []string{"r:chat:lobby", "", "*", "\x00\r\n", "nodes", "node:a", "h:a"} {
		publisher.keep(t, channel, roomy, "first")
		publisher.publishText(t, channel, "not kept")
		publisher.keep(t, channel, roomy, "second "+channel)
		reader.awaitHistory(t, channel, cluster.HistoryQuery{}, "first", "second "+channel)
	}
	publisher.publishText(t, "r:chat:witness", "not kept")
	reader.awaitPayload(t, "r:chat:witness", "not kept")
	if positions := reader.positionsOn("r:chat:witness"); !positions[0].IsZero() {
		t.Errorf("a message that is not kept has the position %+v", positions[0])
	}
	if page := reader.history(t, "r:chat:witness", cluster.HistoryQuery{}); len(page.Entries) != 0 || !page.Found || page.More {
		t.Errorf("the history of a channel without kept messages is %+v, want it empty", page)
	}
}

// historyRemoval removes single messages, and all.
func (s *suite) historyRemoval(t *testing.T) {
	const channel = "r:chat:lobby"
	nodes, ok := s.startHistory(t, channel)
	if !ok {
		return
	}
	reader, other := nodes[0], nodes[len(nodes)-1]
	empty := reader.history(t, channel, cluster.HistoryQuery{}).Head
	reader.keep(t, channel, roomy, "a", "b", "c", "d")
	reader.awaitCount(t, 4)
	positions := reader.positionsOn(channel)
	remove := func(position cluster.Position) bool {
		t.Helper()
		removed, err := other.Broker.(cluster.Historian).RemoveFromHistory(t.Context(), channel, position)
		if err != nil {
			t.Fatalf("RemoveFromHistory = %v, want nil", err)
		}
		return removed
	}
	for _, position := range []cluster.Position{positions[1], positions[3]} {
		if first, second := remove(position), remove(position); !first || second {
			t.Errorf("RemoveFromHistory twice = %v, %v, want true, false", first, second)
		}
	}
	forged := cluster.Position{Incarnation: positions[0].Incarnation + 1, Number: positions[0].Number}
	for _, position := range []cluster.Position{{}, forged, {Incarnation: positions[3].Incarnation, Number: positions[3].Number + 1}} {
		if remove(position) {
			t.Errorf("RemoveFromHistory(%+v) = true for a position that no message has", position)
		}
	}
	page := reader.history(t, channel, cluster.HistoryQuery{})
	if got := payloadsOf(page); !slices.Equal(got, []string{"a", "c"}) || page.Head != positions[2] {
		t.Errorf("the history has %q and the head %+v, want a and c, and %+v", got, page.Head, positions[2])
	}
	expectPage(t, reader, channel, cluster.HistoryQuery{After: positions[0]}, true, false, "c")
	expectPage(t, reader, channel, cluster.HistoryQuery{After: positions[1]}, false, false, "a", "c")
	expectPage(t, reader, channel, cluster.HistoryQuery{After: empty}, false, false, "a", "c")
	if err := other.Broker.(cluster.Historian).ClearHistory(t.Context(), channel); err != nil {
		t.Fatalf("ClearHistory = %v, want nil", err)
	}
	expectPage(t, reader, channel, cluster.HistoryQuery{After: positions[2]}, false, false)
	expectPage(t, reader, channel, cluster.HistoryQuery{After: empty}, false, false)
	reader.keep(t, channel, roomy, "e")
	reader.awaitCount(t, 5)
	expectPage(t, reader, channel, cluster.HistoryQuery{}, true, false, "e")
}

// historyCalls checks the errors that all calls have.
func (s *suite) historyCalls(t *testing.T) {
	call := map[string]func(context.Context, cluster.Historian) error{
		"History": func(ctx context.Context, h cluster.Historian) error {
			_, err := h.History(ctx, "r:chat:lobby", cluster.HistoryQuery{Retention: roomy, Limit: 1})
			return err
		},
		"RemoveFromHistory": func(ctx context.Context, h cluster.Historian) error {
			_, err := h.RemoveFromHistory(ctx, "r:chat:lobby", cluster.Position{Incarnation: 1, Number: 1})
			return err
		},
		"ClearHistory": func(ctx context.Context, h cluster.Historian) error { return h.ClearHistory(ctx, "r:chat:lobby") },
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, b := range s.factory(t) {
		historian, is := b.(cluster.Historian)
		if !is {
			return
		}
		for name, run := range call {
			expectError(t, name+" before Start", run(t.Context(), historian), cluster.ErrNotStarted)
		}
		expectError(t, "Start", b.Start(t.Context(), newRecorder(0)), nil)
		for name, run := range call {
			expectError(t, name, run(t.Context(), historian), nil)
			expectError(t, name+" with a canceled context", run(canceled, historian), context.Canceled)
		}
		expectError(t, "Close", b.Close(t.Context()), nil)
		for name, run := range call {
			expectError(t, name+" after Close", run(t.Context(), historian), cluster.ErrClosed)
		}
	}
}
