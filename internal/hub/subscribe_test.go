package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/engine"
)

const testChannel = "channel"

// members is a group that stands for members of the channel.
type members struct{}

func (members) Members() []*Client { return nil }
func (members) in() *Namespace     { return nil }

// slowBroker answers a Subscribe when the test does. It hides that the memory
// broker subscribes without a wait.
type slowBroker struct {
	cluster.Broker
	answers     chan error
	interrupted atomic.Bool
	calls       atomic.Int64 // to Subscribe
}

// Interrupted implements cluster.Interruptible.
func (b *slowBroker) Interrupted(int) bool { return b.interrupted.Load() }

func (b *slowBroker) Subscribe(ctx context.Context, channels ...string) error {
	b.calls.Add(1)
	select {
	case err := <-b.answers:
		if err != nil {
			return err
		}
		return b.Broker.Subscribe(ctx, channels...)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answer ends the broker's current Subscribe, or its next one.
func (b *slowBroker) answer(t *testing.T, err error) {
	t.Helper()
	select {
	case b.answers <- err:
	case <-time.After(patience):
		t.Fatal("the broker is not asked to subscribe")
	}
}

// startSlowShard is startShard with a slow broker, and a client.
func startSlowShard(t *testing.T) (testShard, *slowBroker, *Client) {
	t.Helper()
	broker := &slowBroker{Broker: cluster.NewMemory(cluster.MemoryConfig{}), answers: make(chan error)}
	s := startShard(t, false, func(cfg *Config) { cfg.Broker = broker })
	c, _ := s.dial(t)
	return s, broker, c
}

// expectSubscription compares the shard's subscription to the channel with the
// expected one, and with the interest that the broker sees. It runs on the
// loop.
func (s testShard) expectSubscription(t *testing.T, step, channel string, withMembers bool, retained int) {
	t.Helper()
	sub, exists := s.channels[channel]
	got := 0
	if sub.joining != nil {
		got = sub.joining.retained
	}
	if (sub.members != nil) != withMembers || got != retained || (sub.joining != nil) != (retained > 0) {
		t.Errorf("%s: %+v, want members: %v, retained %d times", step, sub, withMembers, retained)
	}
	wanted := withMembers || retained > 0
	if interested := s.hub.interest.Loops(channel) != 0; exists != wanted || interested != wanted {
		t.Errorf("%s: entry %v, interest %v, want both %v", step, exists, interested, wanted)
	}
}

// TestSubscriptionEndsWithItsLastReason: a subscription exists while it has
// members or is retained, whichever ends last.
func TestSubscriptionEndsWithItsLastReason(t *testing.T) {
	type step struct {
		do       func(s *Shard, channel string)
		members  bool
		retained int
	}
	enter := func(s *Shard, channel string) { s.setMembers(channel, members{}) }
	drop, retain, release := (*Shard).dropMembers, (*Shard).retain, (*Shard).release
	s := startShard(t, false, nil)
	for channel, steps := range map[string][]step{
		"members":             {{enter, true, 0}, {drop, false, 0}},
		"retained":            {{retain, false, 1}, {release, false, 0}},
		"retained twice":      {{retain, false, 1}, {retain, false, 2}, {release, false, 1}, {release, false, 0}},
		"members leave first": {{enter, true, 0}, {retain, true, 1}, {drop, false, 1}, {release, false, 0}},
		"members stay":        {{retain, false, 1}, {enter, true, 1}, {release, true, 0}, {drop, false, 0}},
		"members return":      {{retain, false, 1}, {enter, true, 1}, {drop, false, 1}, {enter, true, 1}, {release, true, 0}, {drop, false, 0}},
	} {
		s.onLoop(func() {
			if !s.subscribed(channel) {
				t.Errorf("%s: not subscribed at once, although the broker needs no wait", channel)
				return
			}
			for _, next := range steps {
				next.do(s.Shard, channel)
				s.expectSubscription(t, channel, channel, next.members, next.retained)
				if wanted := next.members || next.retained > 0; wanted && !s.subscribed(channel) {
					t.Errorf("%s: not subscribed any more", channel)
				}
			}
		})
	}
}

// TestWaitersEnterOneByOne: the clients that wait for a subscription are served
// in their order, and the subscription outlives one that leaves at once.
func TestWaitersEnterOneByOne(t *testing.T) {
	s, broker, c := startSlowShard(t)
	var served []int
	s.onLoop(func() {
		for i := range 3 {
			if s.subscribed(testChannel) {
				t.Error("subscribed before the broker has answered")
				return
			}
			s.wait(testChannel, waiter{client: c, then: func(err error) {
				served = append(served, i)
				if err != nil || !s.subscribed(testChannel) {
					t.Errorf("waiter %d is served with %v, subscribed: %v", i, err, s.subscribed(testChannel))
				}
				s.setMembers(testChannel, members{})
				s.dropMembers(testChannel)
			}})
		}
		if s.hub.interest.Loops(testChannel) == 0 {
			t.Error("the broker sees no interest while the clients wait")
		}
	})
	broker.answer(t, nil)
	s.eventually(t, "the waiters are served", func() bool { return len(served) > 0 })
	if !slices.Equal(served, []int{0, 1, 2}) {
		t.Errorf("served %v, want 0, 1 and 2", served)
	}
	s.onLoop(func() { s.expectSubscription(t, "after all left", testChannel, false, 0) })
}

// TestWaiterRetains: a join that the client has yet to agree to keeps the
// subscription from the broker's answer to its release.
func TestWaiterRetains(t *testing.T) {
	s, broker, c := startSlowShard(t)
	retained := 0
	then := func(err error) {
		if err != nil {
			t.Errorf("subscribed with %v, want nil", err)
		}
		retained++
	}
	s.onLoop(func() { s.subscribeThenRetain(c, testChannel, then) })
	broker.answer(t, nil)
	s.eventually(t, "the client is served", func() bool { return retained == 1 })
	s.onLoop(func() {
		s.expectSubscription(t, "after the answer", testChannel, false, 1)
		s.subscribeThenRetain(c, testChannel, then) // at once
		s.expectSubscription(t, "after another", testChannel, false, 2)
		s.release(testChannel)
		s.release(testChannel)
		s.expectSubscription(t, "after both releases", testChannel, false, 0)
	})
	if retained != 2 {
		t.Errorf("%d of 2 were served", retained)
	}
}

// TestFailedSubscription: all waiters receive the broker's error, nothing is
// left of the subscription, and the next join asks the broker again.
func TestFailedSubscription(t *testing.T) {
	s, broker, c := startSlowShard(t)
	failure := errors.New("the broker is unreachable")
	var failed []error
	note := func(err error) { failed = append(failed, err) }
	s.onLoop(func() {
		s.subscribeThenRetain(c, testChannel, note)
		s.subscribed(testChannel)
		s.wait(testChannel, waiter{client: c, then: note})
	})
	broker.answer(t, failure)
	s.eventually(t, "the waiters receive the error", func() bool { return len(failed) > 0 })
	if len(failed) != 2 || !errors.Is(failed[0], failure) || !errors.Is(failed[1], failure) {
		t.Errorf("the waiters received %v, want %v twice", failed, failure)
	}
	again := false
	s.onLoop(func() {
		s.expectSubscription(t, "after the error", testChannel, false, 0)
		s.subscribeThenRetain(c, testChannel, func(err error) { again = err == nil })
	})
	broker.answer(t, nil)
	s.eventually(t, "the next join is served", func() bool { return again })
	s.onLoop(func() {
		s.expectSubscription(t, "after the next join", testChannel, false, 1)
		s.release(testChannel)
		s.expectSubscription(t, "after its release", testChannel, false, 0)
	})
}

// TestInterruptedSubscription: while the subscription is interrupted, a join of
// a channel with members waits for the broker, too. An error ends the join and
// nothing else.
func TestInterruptedSubscription(t *testing.T) {
	s, broker, c := startSlowShard(t)
	failure := errors.New("the broker is unreachable")
	var served []error
	join := func() {
		s.subscribeThenRetain(c, testChannel, func(err error) {
			served = append(served, err)
			if err == nil {
				s.release(testChannel)
			}
		})
	}
	s.onLoop(join)
	broker.answer(t, nil)
	s.eventually(t, "the first join is served", func() bool { return len(served) == 1 })
	s.onLoop(func() {
		if !s.subscribed(testChannel) {
			t.Error("not subscribed at once, although the broker still is")
		}
		s.setMembers(testChannel, members{})
	})
	for i, outcome := range []error{failure, nil} {
		broker.interrupted.Store(true)
		s.onLoop(func() {
			join()
			join()
			if len(served) != 1+2*i {
				t.Errorf("%d joins served, want %d: the subscription is interrupted", len(served), 1+2*i)
			}
		})
		broker.answer(t, outcome)
		s.eventually(t, "both joins are served", func() bool { return len(served) == 3+2*i })
		for _, err := range served[1+2*i:] {
			if !errors.Is(err, outcome) {
				t.Errorf("a join was answered with %v, want %v", err, outcome)
			}
		}
		s.onLoop(func() { s.expectSubscription(t, "after the answer", testChannel, true, 0) })
	}
	// The last member leaves while a join waits: that keeps the subscription.
	s.onLoop(func() {
		join()
		s.dropMembers(testChannel)
	})
	broker.answer(t, failure)
	s.eventually(t, "the join is answered", func() bool { return len(served) == 6 })
	s.onLoop(func() { s.expectSubscription(t, "after the last one", testChannel, false, 0) })
	broker.interrupted.Store(false)
}

// joinMany lets a client wait for many channels, and counts the answers.
func (s testShard) joinMany(t *testing.T, c *Client, count int, served *int, want error) {
	t.Helper()
	s.onLoop(func() {
		for i := range count {
			channel := fmt.Sprint(testChannel, i)
			if s.subscribed(channel) {
				t.Error("subscribed before the broker has answered")
				return
			}
			c.await(channel, func(err error) {
				*served++
				if !errors.Is(err, want) {
					t.Errorf("a join is answered with %v, want %v", err, want)
				}
			})
			if waits := i >= maxAsked+maxPaced-1; c.IsPaused(engine.PauseTurn) != waits {
				t.Errorf("after %d joins the client is paused: %v, want %v", i+1, !waits, waits)
			}
		}
		if _, pending := s.hub.interest.Stats(); pending > maxAsked {
			t.Errorf("the broker is asked for %d channels at once, want at most %d", pending, maxAsked)
		}
	})
}

// TestJoinsArePaced: of many joins only some ask the broker at the same time,
// and all are answered.
func TestJoinsArePaced(t *testing.T) {
	const joins = 5 * maxAsked
	s, broker, c := startSlowShard(t)
	served := 0
	s.joinMany(t, c, joins, &served, nil)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case broker.answers <- nil:
			case <-done:
				return
			}
		}
	}()
	s.eventually(t, "all joins are answered", func() bool { return served == joins })
	s.onLoop(func() {
		if c.IsPaused(engine.PauseTurn) {
			t.Error("the client is still paused")
		}
		if p := s.pacers[0]; p.asked != 0 || p.next != nil || len(s.channels) != 0 {
			t.Errorf("%+v and %d channels are left, want nothing", p, len(s.channels))
		}
	})
}

// TestPacedJoinsTimeOutTogether: if the broker does not answer, joins that wait
// for their turn do not wait for one time-out after the other.
func TestPacedJoinsTimeOutTogether(t *testing.T) {
	const joins = 50 * maxAsked
	broker := &slowBroker{Broker: cluster.NewMemory(cluster.MemoryConfig{}), answers: make(chan error)}
	s := startShard(t, false, func(cfg *Config) { cfg.Broker, cfg.JoinTimeout = broker, time.Second })
	c, _ := s.dial(t)
	served := 0
	s.joinMany(t, c, joins, &served, context.DeadlineExceeded)
	s.eventually(t, "all joins are answered", func() bool { return served == joins })
	if calls := broker.calls.Load(); calls > 10 {
		t.Errorf("the broker was asked %d times, want a few", calls)
	}
}
