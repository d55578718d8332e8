package redisbroker_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/testkit"
)

// ledger is a handler that records, per channel and publisher, the numbers of
// the messages.
type ledger struct {
	mu        sync.Mutex // guards the rest
	numbers   map[string][]int
	total     int
	congested map[int]bool // by partition
	losses    []int        // total at each loss of the subscriptions
}

func newLedger() *ledger {
	return &ledger{numbers: make(map[string][]int), congested: make(map[int]bool)}
}

func (l *ledger) Deliver(channel string, env *cluster.Envelope) {
	publisher, number, _ := strings.Cut(string(env.Payload), "/")
	n, err := strconv.Atoi(number)
	if err != nil {
		n = -1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := channel + " " + publisher
	l.numbers[key] = append(l.numbers[key], n)
	l.total++
}

func (l *ledger) Congested(partition int, congested bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.congested[partition] = congested
}

func (l *ledger) SubscriptionLost(int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.losses = append(l.losses, l.total)
}

func (l *ledger) lost() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.losses)
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

func (l *ledger) held(partition int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.congested[partition]
}

// expectAll checks that every published message arrived once and in order.
func (l *ledger) expectAll(t testing.TB, who string, published map[string]int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, count := range published {
		got := l.numbers[key]
		if len(got) != count {
			t.Errorf("%s got %d messages of %s, want %d", who, len(got), key, count)
		}
		for i := range got {
			if i > 0 && got[i] != got[i-1]+1 {
				t.Errorf("%s got message %d of %s after %d, want every one once and in order", who, got[i], key, got[i-1])
				break
			}
		}
	}
}

// expectOrder checks that no message arrived twice or out of order, and returns
// how many are missing.
func (l *ledger) expectOrder(t testing.TB, who string, published map[string]int) (missing int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, count := range published {
		got := l.numbers[key]
		missing += count - len(got)
		for i := range got {
			if i > 0 && got[i] <= got[i-1] {
				t.Errorf("%s got message %d of %s after %d, want them once and in order", who, got[i], key, got[i-1])
				break
			}
		}
	}
	return missing
}

// traffic is several nodes that publish all the time.
type traffic struct {
	nodes    []*redisbroker.Broker
	ledgers  []*ledger
	channels []string
	stop     chan struct{}
	once     sync.Once // closes stop
	group    sync.WaitGroup

	mu        sync.Mutex // guards published
	published map[string]int
}

// startTraffic makes a node for each configuration, subscribes all to all
// channels, and lets each publish into them every few milliseconds.
func startTraffic(t testing.TB, channels []string, configs ...redisbroker.Config) *traffic {
	t.Helper()
	f := &traffic{channels: channels, stop: make(chan struct{}), published: make(map[string]int)}
	for i, config := range configs {
		config.NodeID = fmt.Sprint("node", i)
		l := newLedger()
		b := startBroker(t, config, l)
		if err := b.Subscribe(t.Context(), channels...); err != nil {
			t.Fatalf("Subscribe = %v, want nil", err)
		}
		f.nodes, f.ledgers = append(f.nodes, b), append(f.ledgers, l)
	}
	for i := range f.nodes {
		f.group.Go(func() { f.publish(t, i) })
	}
	t.Cleanup(f.halt)
	return f
}

// publish is the publisher of one node, until stop. Like a node it waits while
// the partition of a channel is congested.
func (f *traffic) publish(t testing.TB, node int) {
	name := fmt.Sprint("publisher", node)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for number := 0; ; number++ {
		select {
		case <-f.stop:
			f.record(name, number)
			return
		case <-tick.C:
		}
		for _, channel := range f.channels {
			for f.ledgers[node].held(f.nodes[node].Partition(channel)) {
				<-tick.C
			}
			err := f.nodes[node].Publish(channel, &cluster.Envelope{Payload: fmt.Appendf(nil, "%s/%d", name, number)})
			if err != nil {
				t.Errorf("Publish = %v, want nil", err)
			}
		}
	}
}

func (f *traffic) record(publisher string, count int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, channel := range f.channels {
		f.published[channel+" "+publisher] = count
	}
}

// run waits until every node has received this many more messages.
func (f *traffic) run(t testing.TB, messages int) {
	t.Helper()
	for i, l := range f.ledgers {
		want := l.count() + messages
		testkit.Eventually(t, fmt.Sprintf("node %d receives %d messages more", i, messages),
			func() bool { return l.count() >= want })
	}
}

// halt stops the publishers.
func (f *traffic) halt() {
	f.once.Do(func() { close(f.stop) })
	f.group.Wait()
}

// end stops the publishers and waits until the queues are empty and the last
// message of every publisher has arrived on every node.
func (f *traffic) end(t testing.TB) {
	t.Helper()
	f.halt()
	for i, l := range f.ledgers {
		testkit.Eventually(t, fmt.Sprintf("node %d has the last message of all nodes", i), func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			for key, count := range f.published {
				if got := l.numbers[key]; len(got) == 0 || got[len(got)-1] != count-1 {
					return false
				}
			}
			return true
		})
	}
}

// pass waits for a period of traffic.
func pass(period time.Duration) {
	<-time.After(period)
}

// expectNothingLost ends the traffic and checks all messages.
func (f *traffic) expectNothingLost(t testing.TB) {
	t.Helper()
	f.end(t)
	for i, l := range f.ledgers {
		l.expectAll(t, fmt.Sprint("node ", i), f.published)
	}
	f.report(t)
}

func (f *traffic) report(t testing.TB) {
	t.Helper()
	for i, b := range f.nodes {
		for _, s := range b.Stats().Servers {
			t.Logf("node %d: published %d, resent %d, repeats %d, gaps %d, missed at most %d, flush timeouts %d, too old %d, reconnects %d and %d",
				i, s.Published, s.Resent, s.Repeats, s.Gaps, s.MissedAtMost, s.FlushTimeouts, s.TooOld,
				s.PublisherReconnects, s.SubscriberReconnects)
			if s.Malformed+s.BadVersion > 0 {
				t.Errorf("node %d dropped %d malformed messages and %d of another version, want none", i, s.Malformed, s.BadVersion)
			}
		}
	}
}
