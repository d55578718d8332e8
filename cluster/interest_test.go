package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/clustertest"
)

const lobby = "r:chat:lobby"

// fixture is an Interest on a broker with faults, in a synctest bubble: time
// passes only while all goroutines wait.
type fixture struct {
	t        *testing.T
	memory   *cluster.Memory
	broker   *clustertest.Faulty
	interest *cluster.Interest
}

// inBubble runs a test on a fixture of its own.
func inBubble(t *testing.T, config cluster.InterestConfig, test func(t *testing.T, b *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		memory := startMemory(t, &counter{})
		faulty := clustertest.NewFaulty(memory)
		b := newFixture(t, memory, faulty, config)
		b.broker = faulty
		test(t, b)
	})
}

// newFixture is for tests with their own broker in front of memory.
func newFixture(t *testing.T, memory *cluster.Memory, broker cluster.Broker, config cluster.InterestConfig) *fixture {
	b := &fixture{t: t, memory: memory, interest: cluster.NewInterest(broker, config)}
	t.Cleanup(func() {
		if err := b.interest.Close(context.Background()); err != nil {
			t.Errorf("Close = %v, want nil", err)
		}
	})
	return b
}

// request is one Acquire: its result, and the calls of done.
type request struct {
	confirmed bool
	answers   chan error
}

func acquire(i *cluster.Interest, channel string, loop int) request {
	r := request{answers: make(chan error, 2)}
	r.confirmed = i.Acquire(channel, loop, func(err error) { r.answers <- err })
	return r
}

func (b *fixture) acquire(channel string, loop int) request {
	return acquire(b.interest, channel, loop)
}

// expectAnswer waits until all goroutines block, and expects one call of done
// since then.
func (b *fixture) expectAnswer(r request, want error) {
	b.t.Helper()
	synctest.Wait()
	if r.confirmed {
		b.t.Fatal("Acquire = true, want false and a call of done")
	}
	select {
	case err := <-r.answers:
		if !errors.Is(err, want) {
			b.t.Fatalf("done was called with %v, want %v", err, want)
		}
	default:
		b.t.Fatalf("done was not called, want a call with %v", want)
	}
	b.expectSilence(r)
}

func (b *fixture) expectSilence(r request) {
	b.t.Helper()
	synctest.Wait()
	select {
	case err := <-r.answers:
		b.t.Fatalf("done was called with %v, want no call", err)
	default:
	}
}

func (b *fixture) expectConfirmed(r request) {
	b.t.Helper()
	if !r.confirmed {
		b.t.Fatal("Acquire = false, want true")
	}
	b.expectSilence(r)
}

func (b *fixture) expectLoops(channel string, want uint64) {
	b.t.Helper()
	if got := b.interest.Loops(channel); got != want {
		b.t.Fatalf("Loops(%s) = %b, want %b", channel, got, want)
	}
}

func (b *fixture) expectStats(subscriptions, pending int) {
	b.t.Helper()
	synctest.Wait()
	gotSubscriptions, gotPending := b.interest.Stats()
	if gotSubscriptions != subscriptions || gotPending != pending {
		b.t.Fatalf("Stats = (%d, %d), want (%d, %d)", gotSubscriptions, gotPending, subscriptions, pending)
	}
}

// expectCalls compares the calls to the broker with "subscribe a b" lines.
func (b *fixture) expectCalls(want ...string) {
	b.t.Helper()
	synctest.Wait()
	var got []string
	for _, c := range b.broker.Calls() {
		line := c.Operation.String()
		for _, channel := range c.Channels {
			line += " " + channel
		}
		got = append(got, line)
	}
	if !slices.Equal(got, want) {
		b.t.Fatalf("calls to the broker = %q, want %q", got, want)
	}
}

func (b *fixture) expectEmpty() {
	b.t.Helper()
	synctest.Wait()
	if sizes := b.interest.Sizes(); sizes != (cluster.Sizes{}) {
		b.t.Fatalf("sizes = %+v, want nothing left", sizes)
	}
	if count := b.memory.Subscriptions(); count != 0 {
		b.t.Fatalf("%d subscriptions at the broker, want 0", count)
	}
	b.expectStats(0, 0)
}

// pass lets time pass.
func (b *fixture) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestInterestSubscribesOnce(t *testing.T) {
	inBubble(t, cluster.InterestConfig{}, func(t *testing.T, b *fixture) {
		hold := make(chan struct{})
		b.broker.Set(clustertest.Faults{Hold: hold})
		first, second := b.acquire(lobby, 0), b.acquire(lobby, 63)
		b.expectLoops(lobby, 1<<63|1)
		close(hold)
		b.expectAnswer(first, nil)
		b.expectAnswer(second, nil)
		b.expectConfirmed(b.acquire(lobby, 5))
		b.expectLoops(lobby, 1<<63|1<<5|1)
		b.expectLoops("r:chat:other", 0)
		b.expectStats(1, 0)
		b.expectCalls("subscribe " + lobby)
	})
}

func TestInterestConfirmsAtOnceOnMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counter
		memory := startMemory(t, &c)
		b := newFixture(t, memory, memory, cluster.InterestConfig{})
		b.expectConfirmed(b.acquire(lobby, 3))
		b.expectConfirmed(b.acquire(lobby, 4))
		publish(t, memory, lobby)
		if c.delivered != 1 {
			t.Errorf("%d messages delivered, want 1", c.delivered)
		}
		b.expectStats(1, 0)
		b.interest.Release(lobby, 3)
		b.interest.Release(lobby, 4)
		b.pass(3 * time.Second)
		b.expectEmpty()
	})
}

func TestInterestUnsubscribesLater(t *testing.T) {
	inBubble(t, cluster.InterestConfig{}, func(t *testing.T, b *fixture) {
		b.expectAnswer(b.acquire(lobby, 0), nil)
		b.expectConfirmed(b.acquire(lobby, 1))
		b.interest.Release(lobby, 0)
		b.pass(5 * time.Second)
		b.expectCalls("subscribe " + lobby)
		b.interest.Release(lobby, 1)
		b.expectLoops(lobby, 0)
		b.pass(999 * time.Millisecond)
		b.expectStats(1, 0)
		b.expectCalls("subscribe " + lobby)
		b.pass(2 * time.Millisecond)
		b.expectCalls("subscribe "+lobby, "unsubscribe "+lobby)
		b.expectEmpty()
		b.expectAnswer(b.acquire(lobby, 1), nil)
		b.expectCalls("subscribe "+lobby, "unsubscribe "+lobby, "subscribe "+lobby)
	})
}

func TestInterestUnsubscribesAtOnce(t *testing.T) {
	inBubble(t, cluster.InterestConfig{UnsubscribeDelay: -1}, func(t *testing.T, b *fixture) {
		b.expectAnswer(b.acquire(lobby, 0), nil)
		b.interest.Release(lobby, 0)
		b.expectCalls("subscribe "+lobby, "unsubscribe "+lobby)
		b.expectEmpty()
	})
}

func TestInterestAbsorbsChurn(t *testing.T) {
	inBubble(t, cluster.InterestConfig{}, func(t *testing.T, b *fixture) {
		b.expectAnswer(b.acquire(lobby, 0), nil)
		for range 1000 {
			b.interest.Release(lobby, 0)
			b.pass(9 * time.Millisecond)
			b.expectConfirmed(b.acquire(lobby, 0))
			b.interest.Release(lobby, 0)
			b.expectConfirmed(b.acquire(lobby, 0))
			if sizes := b.interest.Sizes(); sizes.Idle > 1 || sizes.Entries != 1 {
				t.Fatalf("sizes = %+v, want one entry, once in the idle queue", sizes)
			}
		}
		b.expectCalls("subscribe " + lobby)
		b.interest.Release(lobby, 0)
		b.pass(2001 * time.Millisecond)
		b.expectCalls("subscribe "+lobby, "unsubscribe "+lobby)
		b.expectEmpty()
	})
}

func TestInterestReleaseOfUnwantedChannel(t *testing.T) {
	inBubble(t, cluster.InterestConfig{}, func(t *testing.T, b *fixture) {
		b.interest.Release(lobby, 0)
		b.expectAnswer(b.acquire(lobby, 0), nil)
		b.interest.Release(lobby, 1)
		b.pass(5 * time.Second)
		b.expectLoops(lobby, 1)
		b.expectCalls("subscribe " + lobby)
	})
}

func TestInterestBatches(t *testing.T) {
	inBubble(t, cluster.InterestConfig{Batch: 100}, func(t *testing.T, b *fixture) {
		hold := make(chan struct{})
		b.broker.Set(clustertest.Faults{Hold: hold})
		requests := []request{b.acquire(lobby, 0)}
		synctest.Wait()
		for n := range 250 {
			requests = append(requests, b.acquire(fmt.Sprint("r:chat:", n), n%64))
		}
		b.expectStats(0, 251)
		close(hold)
		for _, r := range requests {
			b.expectAnswer(r, nil)
		}
		b.expectStats(251, 0)
		var sizes []int
		for _, c := range b.broker.Calls() {
			sizes = append(sizes, len(c.Channels))
		}
		if want := []int{1, 100, 100, 50}; !slices.Equal(sizes, want) {
			t.Errorf("channels per call = %v, want %v", sizes, want)
		}
	})
}

func TestInterestGivesMemoryBack(t *testing.T) {
	inBubble(t, cluster.InterestConfig{}, func(t *testing.T, b *fixture) {
		const count = 20_000
		for n := range count {
			b.acquire(fmt.Sprint("r:chat:", n), 0)
		}
		b.expectStats(count, 0)
		for n := range count {
			b.interest.Release(fmt.Sprint("r:chat:", n), 0)
		}
		b.pass(5 * time.Second)
		b.expectEmpty()
	})
}

func TestInterestLoopNumber(t *testing.T) {
	inBubble(t, cluster.InterestConfig{}, func(t *testing.T, b *fixture) {
		for _, loop := range []int{-1, 64} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("Acquire for loop %d did not panic", loop)
					}
				}()
				b.acquire(lobby, loop)
			}()
		}
	})
}

func TestInterestClose(t *testing.T) {
	inBubble(t, cluster.InterestConfig{}, func(t *testing.T, b *fixture) {
		b.expectAnswer(b.acquire("r:chat:confirmed", 0), nil)
		b.broker.Set(clustertest.Faults{Hold: make(chan struct{})})
		called := b.acquire("r:chat:called", 0)
		synctest.Wait()
		queued, second := b.acquire("r:chat:queued", 0), b.acquire("r:chat:queued", 1)
		b.expectSilence(called)
		if err := b.interest.Close(t.Context()); err != nil {
			t.Fatalf("Close = %v, want nil", err)
		}
		for _, r := range []request{called, queued, second} {
			b.expectAnswer(r, cluster.ErrClosed)
		}
		b.expectLoops("r:chat:queued", 0)
		b.expectAnswer(b.acquire("r:chat:new", 0), cluster.ErrClosed)
		b.expectAnswer(b.acquire("r:chat:confirmed", 1), cluster.ErrClosed)
		b.expectLoops("r:chat:confirmed", 1)
		b.interest.Release("r:chat:confirmed", 0)
		b.expectLoops("r:chat:confirmed", 0)
		b.expectLoops("r:chat:new", 0)
	})
}

func TestInterestCloseAbandonsWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := &stuckBroker{Broker: startMemory(t, &counter{}), release: make(chan struct{})}
		i := cluster.NewInterest(stuck, cluster.InterestConfig{})
		r := acquire(i, lobby, 0)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := i.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close on a broker that does not return = %v, want %v", err, context.DeadlineExceeded)
		}
		close(stuck.release)
		if err := i.Close(t.Context()); err != nil {
			t.Errorf("second Close = %v, want nil", err)
		}
		if err := <-r.answers; !errors.Is(err, cluster.ErrClosed) && err != nil {
			t.Errorf("done was called with %v, want nil or %v", err, cluster.ErrClosed)
		}
	})
}

// stuckBroker ignores the contexts of its calls.
type stuckBroker struct {
	cluster.Broker
	release chan struct{}
}

func (s *stuckBroker) Subscribe(ctx context.Context, channels ...string) error {
	<-s.release
	return s.Broker.Subscribe(ctx, channels...)
}
