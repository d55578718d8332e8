package cluster_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/redistest"
)

// TestRedisKilledAfterAcknowledgement kills the server again and again while every
// node publishes as fast as it is acknowledged, so that the server dies often between
// the answer to a publisher and the messages to the subscribers.
func TestRedisKilledAfterAcknowledgement(t *testing.T) {
	server := redistest.Start(t)
	channels := rooms(3)
	var nodes []*cluster.Redis
	var ledgers []*ledger
	for i := range channels {
		l := newLedger()
		b := startRedis(t, cluster.RedisConfig{Servers: []string{server.URL()}, NodeID: fmt.Sprint("node", i)}, l)
		if err := b.Subscribe(t.Context(), channels...); err != nil {
			t.Fatalf("Subscribe = %v, want nil", err)
		}
		nodes, ledgers = append(nodes, b), append(ledgers, l)
	}
	for i, b := range nodes {
		redistest.Eventually(t, fmt.Sprintf("node %d knows the others", i), redisPatience, func() bool { return len(b.Nodes()) == len(nodes) })
	}
	var stop atomic.Bool
	published := make(chan map[string]int, len(nodes))
	for i, b := range nodes {
		go func() {
			counts := make(map[string]int)
			for !stop.Load() {
				outcome := make(chan error, 1)
				name := fmt.Sprint("publisher", i)
				number := counts[channels[i]+" "+name]
				b.PublishCount(channels[i], &cluster.Envelope{Payload: fmt.Appendf(nil, "%s/%d", name, number)},
					func(_ int, err error) { outcome <- err })
				if err := <-outcome; err != nil {
					t.Errorf("PublishCount reported %v, want nil", err)
				}
				counts[channels[i]+" "+name]++
			}
			published <- counts
		}()
	}
	for range 40 {
		for i, l := range ledgers {
			want := l.count() + 100
			redistest.Eventually(t, fmt.Sprintf("node %d receives messages", i), redisPatience, func() bool { return l.count() >= want })
		}
		server.Kill()
		server.Restart()
	}
	stop.Store(true)
	all := make(map[string]int)
	for range nodes {
		for key, count := range <-published {
			all[key] = count
		}
	}
	for i, l := range ledgers {
		redistest.Eventually(t, fmt.Sprintf("node %d has the last message of everybody", i), redisPatience, func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			for key, count := range all {
				if got := l.numbers[key]; len(got) == 0 || got[len(got)-1] != count-1 {
					return false
				}
			}
			return true
		})
		l.expectAll(t, fmt.Sprint("node ", i), all)
	}
}
