package redisbroker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/testkit"
)

// hour is a retention that the tests do not exceed.
var hour = cluster.Retention{Messages: 100_000, Age: time.Hour, Bytes: 64 << 20}

// keptLedger is a handler that records messages with their positions.
type keptLedger struct {
	mu        sync.Mutex // guards the rest
	payloads  map[string][]string
	positions map[string][]cluster.Position
	repeats   map[string]int // of the same
}

func newKeptLedger() *keptLedger {
	return &keptLedger{payloads: make(map[string][]string), positions: make(map[string][]cluster.Position), repeats: make(map[string]int)}
}

func (l *keptLedger) Deliver(channel string, env *cluster.Envelope) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if env.Repeat {
		l.repeats[channel]++
		return
	}
	l.payloads[channel] = append(l.payloads[channel], string(env.Payload))
	l.positions[channel] = append(l.positions[channel], env.Position)
}

func (l *keptLedger) Congested(int, bool) {}

func (l *keptLedger) on(channel string) ([]string, []cluster.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.payloads[channel]), slices.Clone(l.positions[channel])
}

// await waits until so many messages were delivered, and returns the position
// of the last one.
func (l *keptLedger) await(t testing.TB, channel string, count int) cluster.Position {
	t.Helper()
	var positions []cluster.Position
	testkit.EventuallyWithin(t, fmt.Sprintf("%d messages arrive", count), patience, func() bool {
		_, positions = l.on(channel)
		return len(positions) >= count
	})
	return positions[count-1]
}

// keep publishes messages for the history.
func keep(t testing.TB, b *redisbroker.Broker, channel string, retention cluster.Retention, payloads ...string) {
	t.Helper()
	for _, payload := range payloads {
		if err := b.Publish(channel, &cluster.Envelope{Keep: &retention, Payload: []byte(payload)}); err != nil {
			t.Fatalf("Publish = %v, want nil", err)
		}
	}
}

func readHistory(t testing.TB, b *redisbroker.Broker, channel string, query cluster.HistoryQuery) (cluster.HistoryPage, []string) {
	t.Helper()
	page, payloads, err := tryHistory(b, channel, query)
	if err != nil {
		t.Fatalf("History = %v, want nil", err)
	}
	return page, payloads
}

// tryHistory reads a page. The zero Retention and the zero Limit stand for
// large ones.
func tryHistory(b *redisbroker.Broker, channel string, query cluster.HistoryQuery) (cluster.HistoryPage, []string, error) {
	if query.Limit == 0 {
		query.Limit = hour.Messages
	}
	if query.Retention == (cluster.Retention{}) {
		query.Retention = hour
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	page, err := b.History(ctx, channel, query)
	payloads := []string{}
	for i := range page.Entries {
		payloads = append(payloads, string(page.Entries[i].Envelope.Payload))
	}
	return page, payloads, err
}

// expectHistory checks the messages of a history, and whether a position is
// found.
func expectHistory(t testing.TB, b *redisbroker.Broker, channel string, after cluster.Position, found bool, want ...string) {
	t.Helper()
	page, got := readHistory(t, b, channel, cluster.HistoryQuery{After: after})
	if !slices.Equal(got, want) || page.Found != found {
		t.Errorf("history after %+v: %q, found %v, want %q, %v", after, got, page.Found, want, found)
	}
}

// historyPair is two nodes that are subscribed to a channel.
func historyPair(t testing.TB, channel string, urls ...string) (nodes [2]*redisbroker.Broker, ledgers [2]*keptLedger) {
	t.Helper()
	for i := range nodes {
		ledgers[i] = newKeptLedger()
		nodes[i] = startBroker(t, redisbroker.Config{Servers: []string{urls[i%len(urls)]}, NodeID: fmt.Sprint("node", i)}, ledgers[i])
		if err := nodes[i].Subscribe(t.Context(), channel); err != nil {
			t.Fatalf("Subscribe = %v, want nil", err)
		}
	}
	return nodes, ledgers
}

// redisError is an error reply.
func redisError(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// onceOutcome is the outcome of PublishOnce.
type onceOutcome struct {
	position cluster.Position
	err      error
}

// publishOnceFor publishes a message once. A second outcome fails the test.
func publishOnceFor(t testing.TB, b *redisbroker.Broker, channel, id, payload string, window time.Duration) <-chan onceOutcome {
	t.Helper()
	outcome := make(chan onceOutcome, 1)
	env := &cluster.Envelope{Keep: &hour, Payload: []byte(payload)}
	b.PublishOnce(channel, env, cluster.Once{ID: id, Window: window}, func(p cluster.Position, err error) {
		select {
		case outcome <- onceOutcome{p, err}:
		default:
			t.Errorf("the message with the ID %q has a second outcome: %v, %v", id, p, err)
		}
	})
	return outcome
}

func publishOnce(t testing.TB, b *redisbroker.Broker, channel, id, payload string) <-chan onceOutcome {
	t.Helper()
	return publishOnceFor(t, b, channel, id, payload, time.Hour)
}

func awaitOnce(t testing.TB, outcome <-chan onceOutcome) onceOutcome {
	t.Helper()
	select {
	case o := <-outcome:
		return o
	case <-time.After(patience):
		t.Fatal("PublishOnce has no outcome")
		return onceOutcome{}
	}
}

// confirmed publishes a message once and returns its position.
func confirmed(t testing.TB, b *redisbroker.Broker, channel, id, payload string) cluster.Position {
	t.Helper()
	o := awaitOnce(t, publishOnce(t, b, channel, id, payload))
	if o.err != nil || o.position.IsZero() {
		t.Fatalf("PublishOnce(%q) = %v, %v, want a position", id, o.position, o.err)
	}
	return o.position
}

// expectEverywhere checks the deliveries on each node, and the history.
func expectEverywhere(t testing.TB, nodes []*redisbroker.Broker, ledgers []*keptLedger, channel string, want ...string) {
	t.Helper()
	for i, l := range ledgers {
		l.await(t, channel, len(want))
		if got, _ := l.on(channel); !slices.Equal(got, want) {
			t.Errorf("node %d has received %q, want %q", i, got, want)
		}
	}
	if _, got := readHistory(t, nodes[0], channel, cluster.HistoryQuery{}); !slices.Equal(got, want) {
		t.Errorf("the history has %q, want %q", got, want)
	}
}
