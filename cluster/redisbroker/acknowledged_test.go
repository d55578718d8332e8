package redisbroker_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// TestServerKilledAfterAcknowledgement kills the server repeatedly while every
// node publishes as fast as the server acknowledges. So the server often dies
// between the answer to a publisher and the messages to the subscribers.
func TestServerKilledAfterAcknowledgement(t *testing.T) {
	server := redistest.Start(t)
	channels := rooms(3)
	var nodes []*redisbroker.Broker
	var ledgers []*ledger
	for i := range channels {
		l := newLedger()
		b := startBroker(t, redisbroker.Config{Servers: []string{server.URL()}, NodeID: fmt.Sprint("node", i)}, l)
		if err := b.Subscribe(t.Context(), channels...); err != nil {
			t.Fatalf("Subscribe = %v, want nil", err)
		}
		nodes, ledgers = append(nodes, b), append(ledgers, l)
	}
	for i, b := range nodes {
		testkit.Eventually(t, fmt.Sprintf("node %d knows the others", i), func() bool { return len(b.Nodes()) == len(nodes) })
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
			testkit.Eventually(t, fmt.Sprintf("node %d receives messages", i), func() bool { return l.count() >= want })
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
		testkit.Eventually(t, fmt.Sprintf("node %d has the last message of all nodes", i), func() bool {
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

// publishAcknowledged publishes messages of one publisher and waits until the
// server has acknowledged them.
func publishAcknowledged(t testing.TB, b *redisbroker.Broker, channel string, from, to int) {
	t.Helper()
	outcome := make(chan error, to-from)
	for number := from; number < to; number++ {
		b.PublishCount(channel, &cluster.Envelope{Payload: fmt.Appendf(nil, "publisher/%d", number)},
			func(_ int, err error) { outcome <- err })
	}
	for range to - from {
		if err := <-outcome; err != nil {
			t.Fatalf("PublishCount reported %v, want nil", err)
		}
	}
}

// cutOffPair is two nodes, one of which reaches the server through a proxy.
// Only the test publishes, and no connection is dropped for silence.
func cutOffPair(t *testing.T, channel string) (server *redistest.Server, proxy *redistest.Proxy, direct, through *redisbroker.Broker, ledgers [2]*ledger) {
	t.Helper()
	server = redistest.Start(t)
	proxy = redistest.StartProxy(t, server)
	var nodes [2]*redisbroker.Broker
	for i, url := range []string{server.URL(), proxy.URL()} {
		ledgers[i] = newLedger()
		nodes[i] = startBroker(t, redisbroker.Config{
			Servers: []string{url}, NodeID: fmt.Sprint("node", i), ProbeInterval: time.Minute,
		}, ledgers[i])
		if err := nodes[i].Subscribe(t.Context(), channel); err != nil {
			t.Fatalf("Subscribe = %v, want nil", err)
		}
	}
	for i, b := range nodes {
		testkit.Eventually(t, fmt.Sprintf("node %d knows the other", i), func() bool { return len(b.Nodes()) == len(nodes) })
	}
	return server, proxy, nodes[0], nodes[1], ledgers
}

// TestServerKilledBeforeOneNodeReceived: one node misses several pipelines that
// the server has acknowledged, and receives them after the restart.
func TestServerKilledBeforeOneNodeReceived(t *testing.T) {
	channel := rooms(1)[0]
	server, proxy, direct, _, ledgers := cutOffPair(t, channel)
	const before, missed, after = 100, redisbroker.MaxKept, 100
	publishAcknowledged(t, direct, channel, 0, before)
	testkit.Eventually(t, "the node has the first messages", func() bool { return ledgers[1].count() == before })
	proxy.Cut()
	publishAcknowledged(t, direct, channel, before, before+missed)
	server.Kill()
	proxy.Break()
	proxy.Heal()
	server.Restart()
	publishAcknowledged(t, direct, channel, before+missed, before+missed+after)
	for i, l := range ledgers {
		testkit.Eventually(t, fmt.Sprintf("node %d has everything", i), func() bool {
			return l.count() >= before+missed+after
		})
		l.expectAll(t, fmt.Sprint("node ", i), map[string]int{channel + " publisher": before + missed + after})
	}
	if stats := direct.Stats().Servers[0]; stats.Repeats == 0 || stats.Published != before+missed+after {
		t.Errorf("%d repeats at the node that was not cut off, %d published; want some, %d",
			stats.Repeats, stats.Published, before+missed+after)
	}
}

// TestServerRefusesAfterRestart: the first answers of the restarted server are
// errors. Such a connection must not make the publisher forget which process it
// was connected to before, nor the messages that one node has not received.
func TestServerRefusesAfterRestart(t *testing.T) {
	channel := rooms(1)[0]
	server, proxy, direct, _, ledgers := cutOffPair(t, channel)
	const before, missed, after = 10, 100, 10
	publishAcknowledged(t, direct, channel, 0, before)
	testkit.Eventually(t, "the node has the first messages", func() bool { return ledgers[1].count() == before })
	proxy.Cut()
	publishAcknowledged(t, direct, channel, before, before+missed)
	server.Kill()
	proxy.Break()
	proxy.Heal()
	server.RestartLocked()
	published := make(chan error, after)
	for number := before + missed; number < before+missed+after; number++ {
		direct.PublishCount(channel, &cluster.Envelope{Payload: fmt.Appendf(nil, "publisher/%d", number)},
			func(_ int, err error) { published <- err })
	}
	testkit.Eventually(t, "the publisher was refused twice", func() bool {
		stats := direct.Stats().Servers[0]
		if stats.Up {
			t.Fatal("the broker works with a server that refuses all commands")
		}
		return stats.PublisherRefusals >= 2
	})
	server.Unlock()
	for range after {
		if err := <-published; err != nil {
			t.Errorf("PublishCount reported %v, want nil", err)
		}
	}
	for i, l := range ledgers {
		testkit.Eventually(t, fmt.Sprintf("node %d has everything", i), func() bool {
			return l.count() >= before+missed+after
		})
		l.expectAll(t, fmt.Sprint("node ", i), map[string]int{channel + " publisher": before + missed + after})
	}
}

// TestAcknowledgedIsNotSentAgainToTheSame: a node loses its connections to a
// server that lives. The acknowledged messages were delivered; a repetition
// would reach this node in another order than the other nodes.
func TestAcknowledgedIsNotSentAgainToTheSame(t *testing.T) {
	channel := rooms(1)[0]
	_, proxy, _, cutOff, ledgers := cutOffPair(t, channel)
	const each = 100
	count := 0
	for range 5 {
		publishAcknowledged(t, cutOff, channel, count, count+each)
		count += each
		for i, l := range ledgers {
			testkit.Eventually(t, fmt.Sprintf("node %d has everything", i), func() bool { return l.count() == count })
		}
		reconnects := cutOff.Stats().Servers[0].SubscriberReconnects
		proxy.Break()
		testkit.Eventually(t, "the connections are lost", func() bool {
			return cutOff.Stats().Servers[0].SubscriberReconnects > reconnects
		})
	}
	publishAcknowledged(t, cutOff, channel, count, count+each)
	count += each
	for i, l := range ledgers {
		testkit.Eventually(t, fmt.Sprintf("node %d has everything", i), func() bool { return l.count() == count })
		l.expectAll(t, fmt.Sprint("node ", i), map[string]int{channel + " publisher": count})
	}
	// The messages in flight when the connection broke are sent again. The
	// server has not executed them before, because the proxy had let none of
	// them through.
	stats := cutOff.Stats().Servers[0]
	if stats.Repeats != 0 || stats.Resent > each || stats.PublisherReconnects == 0 {
		t.Errorf("%d repeats, %d sent again after %d interruptions; want 0 and at most %d",
			stats.Repeats, stats.Resent, stats.PublisherReconnects, each)
	}
}

// TestKeptIsBounded: the number, the size and the age of the kept messages are
// bounded, but the last pipeline is always kept.
func TestKeptIsBounded(t *testing.T) {
	const now, age = time.Hour, time.Second
	for _, c := range []struct {
		name  string
		steps func(k redisbroker.Kept)
		want  int
	}{
		{"number", func(k redisbroker.Kept) {
			for range 20 {
				k.Acknowledge(redisbroker.MaxPipeline, 10, now, age)
			}
		}, redisbroker.MaxKept},
		{"size", func(k redisbroker.Kept) {
			for range 20 {
				k.Acknowledge(1, redisbroker.MaxKeptBytes/4, now, age)
			}
		}, 3},
		{"age", func(k redisbroker.Kept) {
			k.Acknowledge(10, 10, now, age)
			k.Acknowledge(3, 10, now+age, age)
			k.Acknowledge(2, 10, now+age+1, age)
		}, 5},
		{"the last one is large", func(k redisbroker.Kept) {
			k.Acknowledge(10, 10, now, age)
			k.Acknowledge(1, 2*redisbroker.MaxKeptBytes, now, age)
		}, 1},
		{"the last one is old", func(k redisbroker.Kept) { k.Acknowledge(10, 10, now-time.Minute, age) }, 10},
		{"forgotten", func(k redisbroker.Kept) { k.Acknowledge(10, 10, now, age); k.Forget() }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := redisbroker.NewKept()
			c.steps(k)
			if messages, bytes, _ := k.Usage(); messages != 0 || bytes != 0 {
				t.Errorf("%d messages wait with %d bytes, want none", messages, bytes)
			}
			got := k.Suspect()
			if got != c.want {
				t.Errorf("%d messages wait again, want %d", got, c.want)
			}
			if messages, bytes, _ := k.Usage(); messages != c.want || bytes != 0 {
				t.Errorf("%d messages wait again, counted as %d bytes; want %d and 0", messages, bytes, c.want)
			}
			if bytes, fresh := k.AcknowledgeAgain(got, now, age); bytes != 0 || fresh != 0 {
				t.Errorf("the second time %d bytes and %d messages were acknowledged, want none", bytes, fresh)
			}
			k.Forget()
			if _, _, empty := k.Usage(); !empty {
				t.Error("the queue is not empty")
			}
		})
	}
}

// TestKeptAndSentFitIntoTheWindows: the kept messages and those on their way
// are no more than a receiver recognizes as repeats.
func TestKeptAndSentFitIntoTheWindows(t *testing.T) {
	for _, growth := range []int{1, redisbroker.MaxGrowth} {
		for _, queued := range []int{0, 1, redisbroker.DedupeWindow} {
			k := redisbroker.NewKept()
			for range redisbroker.DedupeWindow / redisbroker.MaxPipeline {
				k.Acknowledge(redisbroker.MaxPipeline, 10, time.Hour, time.Second)
			}
			taken := k.Queue(queued, growth)
			if want := min(queued, growth*redisbroker.MaxPipeline); taken != want {
				t.Errorf("a transaction takes %d of %d messages, want %d", taken, queued, want)
			}
			want := min(redisbroker.MaxKept, redisbroker.DedupeWindow-taken)
			if kept := k.Suspect(); kept != want {
				t.Errorf("%d messages are kept next to %d on their way, want %d", kept, taken, want)
			}
		}
	}
}
