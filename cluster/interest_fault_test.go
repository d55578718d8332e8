package cluster_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/clustertest"
)

var errRefused = errors.New("refused")

func TestInterestSubscribeFails(t *testing.T) {
	inBubble(t, cluster.InterestConfig{}, func(t *testing.T, b *fixture) {
		hold := make(chan struct{})
		b.broker.Set(clustertest.Faults{Subscribe: errRefused, Hold: hold})
		first, second := b.acquire(lobby, 0), b.acquire(lobby, 1)
		close(hold)
		b.expectAnswer(first, errRefused)
		b.expectAnswer(second, errRefused)
		b.expectLoops(lobby, 0)
		b.expectStats(0, 0)
		b.broker.Set(clustertest.Faults{})
		b.expectAnswer(b.acquire(lobby, 2), nil)
		b.expectLoops(lobby, 1<<2)
		b.pass(5 * time.Second)
		b.expectStats(1, 0)
		b.expectCalls("subscribe "+lobby, "subscribe "+lobby)
	})
}

// A failed call may have subscribed, so an entry without loops is unsubscribed
// all the same.
func TestInterestCleansUpAfterFailure(t *testing.T) {
	inBubble(t, cluster.InterestConfig{}, func(t *testing.T, b *fixture) {
		b.broker.Set(clustertest.Faults{LoseAnswer: true})
		r := b.acquire(lobby, 0)
		b.expectSilence(r)
		b.pass(5 * time.Second)
		b.expectAnswer(r, context.DeadlineExceeded)
		if count := b.memory.Subscriptions(); count != 1 {
			t.Fatalf("%d subscriptions at the broker, want the one whose answer was lost", count)
		}
		b.broker.Set(clustertest.Faults{})
		b.pass(2 * time.Second)
		b.expectCalls("subscribe "+lobby, "unsubscribe "+lobby)
		b.expectEmpty()
	})
}

func TestInterestTimeout(t *testing.T) {
	inBubble(t, cluster.InterestConfig{SubscribeTimeout: 3 * time.Second}, func(t *testing.T, b *fixture) {
		hold := make(chan struct{})
		b.broker.Set(clustertest.Faults{Hold: hold})
		first := b.acquire(lobby, 0)
		b.pass(time.Second)
		second := b.acquire("r:chat:other", 0)
		b.pass(1999 * time.Millisecond)
		b.expectSilence(first)
		b.pass(2 * time.Millisecond)
		b.expectAnswer(first, context.DeadlineExceeded)
		b.expectSilence(second)
		close(hold)
		b.expectAnswer(second, nil)
	})
}

// A slow broker loses nothing: requests that arrive during a call are served
// after it.
func TestInterestSlowBroker(t *testing.T) {
	inBubble(t, cluster.InterestConfig{}, func(t *testing.T, b *fixture) {
		b.broker.Set(clustertest.Faults{Delay: 2 * time.Second})
		first := b.acquire("r:chat:a", 0)
		b.pass(time.Second)
		second, third := b.acquire("r:chat:b", 0), b.acquire("r:chat:a", 1)
		b.pass(1001 * time.Millisecond)
		b.expectAnswer(first, nil)
		b.expectAnswer(third, nil)
		b.expectSilence(second)
		b.interest.Release("r:chat:a", 0)
		b.interest.Release("r:chat:a", 1)
		b.pass(2 * time.Second)
		b.expectAnswer(second, nil)
		b.pass(4 * time.Second)
		b.expectCalls("subscribe r:chat:a", "subscribe r:chat:b", "unsubscribe r:chat:a")
		b.expectStats(1, 0)
	})
}

// slowBroker is a broker that can block calls to unsubscribe, and subscribes
// immediately or not.
type slowBroker interface {
	cluster.Broker
	Set(clustertest.Faults)
}

// syncFaulty subscribes immediately like a memory broker, but has faults
// otherwise.
type syncFaulty struct {
	*clustertest.Faulty
	memory *cluster.Memory
}

func (f syncFaulty) SubscribeNow(channel string) bool { return f.memory.SubscribeNow(channel) }

// The room fills again while the broker is unsubscribing it: the newer request
// wins.
func TestInterestAcquireDuringUnsubscribe(t *testing.T) {
	for _, c := range []struct {
		name   string
		wrap   func(m *cluster.Memory) slowBroker
		answer error // of the unsubscription
	}{
		{"waiting broker", func(m *cluster.Memory) slowBroker { return clustertest.NewFaulty(m) }, nil},
		{"waiting broker, failing", func(m *cluster.Memory) slowBroker { return clustertest.NewFaulty(m) }, errRefused},
		{"synchronous broker", func(m *cluster.Memory) slowBroker { return syncFaulty{clustertest.NewFaulty(m), m} }, nil},
		{"synchronous broker, failing", func(m *cluster.Memory) slowBroker { return syncFaulty{clustertest.NewFaulty(m), m} }, errRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var delivered counter
				memory := startMemory(t, &delivered)
				broker := c.wrap(memory)
				b := newFixture(t, memory, broker, cluster.InterestConfig{})
				if r := b.acquire(lobby, 0); !r.confirmed {
					b.expectAnswer(r, nil)
				}
				hold := make(chan struct{})
				broker.Set(clustertest.Faults{Hold: hold, Unsubscribe: c.answer})
				b.interest.Release(lobby, 0)
				b.pass(2 * time.Second)
				again, other := b.acquire(lobby, 0), b.acquire(lobby, 1)
				b.expectSilence(again)
				close(hold)
				b.expectAnswer(again, nil)
				b.expectAnswer(other, nil)
				b.expectLoops(lobby, 3)
				publish(t, memory, lobby)
				b.pass(10 * time.Second)
				publish(t, memory, lobby)
				if delivered.delivered != 2 {
					t.Errorf("%d messages delivered, want 2", delivered.delivered)
				}
				b.expectStats(1, 0)
			})
		})
	}
}

func TestInterestUnsubscribeFails(t *testing.T) {
	var log lines
	logger := slog.New(slog.NewTextHandler(&log, nil))
	inBubble(t, cluster.InterestConfig{Logger: logger, SubscribeTimeout: time.Second}, func(t *testing.T, b *fixture) {
		b.expectAnswer(b.acquire(lobby, 0), nil)
		b.broker.Set(clustertest.Faults{Unsubscribe: errRefused})
		b.interest.Release(lobby, 0)
		b.pass(20 * time.Second)
		calls := len(b.broker.Calls()) - 1
		if calls < 5 || calls > 20 {
			t.Errorf("%d attempts to unsubscribe in 20 s, want between 5 and 20", calls)
		}
		log.expect(t, "unsubscribe failed; retrying", 1)
		log.expect(t, "lobby", 0)
		b.broker.Set(clustertest.Faults{})
		b.pass(3 * time.Second)
		b.expectEmpty()
		log.expect(t, "unsubscribe succeeded again", 1)
	})
}

func TestInterestUnsubscribeFailureDoesNotSpin(t *testing.T) {
	inBubble(t, cluster.InterestConfig{UnsubscribeDelay: -1}, func(t *testing.T, b *fixture) {
		b.expectAnswer(b.acquire(lobby, 0), nil)
		b.broker.Set(clustertest.Faults{Unsubscribe: errRefused})
		b.interest.Release(lobby, 0)
		b.pass(10 * time.Second)
		if calls := len(b.broker.Calls()) - 1; calls > 11 {
			t.Errorf("%d attempts to unsubscribe in 10 s, want at most 11", calls)
		}
		b.expectAnswer(b.acquire("r:chat:other", 0), nil)
	})
}

func TestInterestBrokerNotStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := cluster.NewMemory(cluster.MemoryConfig{})
		b := newFixture(t, memory, memory, cluster.InterestConfig{})
		b.expectAnswer(b.acquire(lobby, 0), cluster.ErrNotStarted)
		if err := memory.Start(t.Context(), &counter{}); err != nil {
			t.Fatal(err)
		}
		b.expectConfirmed(b.acquire(lobby, 0))
		if err := memory.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.expectAnswer(b.acquire("r:chat:other", 0), cluster.ErrClosed)
	})
}

// halves is a broker over two servers: channels that begin with "n" and all
// others.
type halves struct {
	*clustertest.Faulty // of the others
	named               *clustertest.Faulty
}

func (h halves) Partitions() int { return 2 }

func (h halves) Partition(channel string) int {
	if strings.HasPrefix(channel, "n:") {
		return 1
	}
	return 0
}

func (h halves) Subscribe(ctx context.Context, channels ...string) error {
	if h.Partition(channels[0]) == 1 {
		return h.named.Subscribe(ctx, channels...)
	}
	return h.Faulty.Subscribe(ctx, channels...)
}

func TestInterestPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := startMemory(t, &counter{})
		broker := halves{clustertest.NewFaulty(memory), clustertest.NewFaulty(memory)}
		b := newFixture(t, memory, broker, cluster.InterestConfig{})
		broker.named.Set(clustertest.Faults{Hold: make(chan struct{})})
		waiting, quick := b.acquire("n:chat", 0), b.acquire(lobby, 0)
		b.expectAnswer(quick, nil)
		b.expectSilence(waiting)
		b.expectStats(1, 1)
		b.pass(5 * time.Second)
		b.expectAnswer(waiting, context.DeadlineExceeded)
	})
}

// lines is a log for tests to read.
type lines struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) expect(t testing.TB, text string, count int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := strings.Count(l.text.String(), text); got != count {
		t.Errorf("the log has %q %d times, want %d:\n%s", text, got, count, l.text.String())
	}
}

// interruptible is a broker whose subscriptions are interrupted when a test
// says so.
type interruptible struct {
	*clustertest.Faulty
	interrupted atomic.Bool
}

func (b *interruptible) Interrupted(int) bool { return b.interrupted.Load() }

// TestInterestInterrupted: while subscriptions are interrupted, a channel that
// was confirmed is subscribed again for each request, and an error takes
// it from no loop that had it before.
func TestInterestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := startMemory(t, &counter{})
		broker := &interruptible{Faulty: clustertest.NewFaulty(memory)}
		b := newFixture(t, memory, broker, cluster.InterestConfig{})
		b.broker = broker.Faulty
		confirm := func() request {
			r := request{answers: make(chan error, 2)}
			b.interest.Confirm(lobby, func(err error) { r.answers <- err })
			return r
		}
		b.expectAnswer(b.acquire(lobby, 0), nil)
		broker.interrupted.Store(true)
		broker.Set(clustertest.Faults{Subscribe: errRefused})
		if !b.interest.Interrupted(lobby) {
			t.Error("Interrupted = false, want true as the broker says")
		}
		b.expectAnswer(confirm(), errRefused)
		b.expectAnswer(b.acquire(lobby, 1), errRefused)
		b.expectLoops(lobby, 1)
		broker.Set(clustertest.Faults{})
		b.expectAnswer(confirm(), nil)
		b.expectAnswer(b.acquire(lobby, 1), nil)
		b.expectLoops(lobby, 0b11)
		broker.interrupted.Store(false)
		b.expectConfirmed(b.acquire(lobby, 2))
		// A subscription whose last call failed ends with its last loop, too.
		broker.interrupted.Store(true)
		broker.Set(clustertest.Faults{Subscribe: errRefused})
		b.expectAnswer(confirm(), errRefused)
		broker.Set(clustertest.Faults{})
		for loop := range 3 {
			b.interest.Release(lobby, loop)
		}
		b.pass(2 * time.Second)
		b.expectEmpty()
	})
}

// An Acquire during a call that does not end waits no longer than one that
// began with the call.
func TestInterestTimeoutBehindACall(t *testing.T) {
	inBubble(t, cluster.InterestConfig{SubscribeTimeout: 4 * time.Second}, func(t *testing.T, b *fixture) {
		hold := make(chan struct{})
		b.broker.Set(clustertest.Faults{Hold: hold})
		first := b.acquire(lobby, 0)
		b.pass(time.Second)
		second := b.acquire("second", 0)
		b.pass(2 * time.Second)
		third := b.acquire("third", 0)
		b.pass(time.Second)
		b.expectAnswer(first, context.DeadlineExceeded)
		b.expectSilence(second)
		b.pass(time.Second)
		b.expectAnswer(second, context.DeadlineExceeded)
		b.expectSilence(third)
		b.expectLoops("third", 1)
		close(hold)
		b.expectAnswer(third, nil)
	})
}
