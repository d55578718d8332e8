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
var hour = cluster.Retention{Messages: 10_000, Age: time.Hour, Bytes: 64 << 20}

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
