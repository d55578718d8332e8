package recovery

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

// shrink drops all messages of a room from memory.
func (b *broker) shrink(channel string) {
	s := b.rooms.stripe(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rooms[channel].ring.Shrink(0)
	s.count(s.rooms[channel])
}

// TestReturnIsServedFromMemory: no read, also in a room in which nothing was
// ever said.
func TestReturnIsServedFromMemory(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		start := b.recover(channel, Wish{}).Head
		if !start.IsStart() {
			t.Fatalf("the head of an empty room is %v, want a start position", start)
		}
		b.publish(channel, 1, 5)
		b.reads()
		for after, want := range map[cluster.Position][]string{
			start: numbers(1, 5), at(1): numbers(2, 5), at(5): nil,
		} {
			got := b.recover(channel, Wish{After: after})
			if !got.Recovered || !slices.Equal(payloads(got), want) || got.Head != at(5) {
				t.Errorf("after %v: recovered %v, head %v, messages %v, want %v", after, got.Recovered, got.Head, payloads(got), want)
			}
		}
		if reads := b.reads(); len(reads) != 0 {
			t.Errorf("%d reads, want none", len(reads))
		}
		if got := b.recover(channel, Wish{After: at(9), Newest: 2}); got.Recovered || !slices.Equal(payloads(got), numbers(4, 5)) {
			t.Errorf("an unknown position: recovered %v, messages %v, want the newest two", got.Recovered, payloads(got))
		}
	})
}

// TestPositionAheadOfNode: a client has received a message on a faster node.
// This one reads it, so that the client does not receive it again.
func TestPositionAheadOfNode(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		b.publish(channel, 1, 3)
		b.subscribe(channel, false)
		b.publish(channel, 4, 6) // on their way to this node
		got := b.recover(channel, Wish{After: at(5)})
		if !got.Recovered || !slices.Equal(payloads(got), numbers(6, 6)) {
			t.Errorf("recovered %v, messages %v, want the sixth", got.Recovered, payloads(got))
		}
		for number := uint64(4); number <= 7; number++ { // they arrive
			b.rooms.Receive(channel, &cluster.Envelope{Position: at(number), Payload: fmt.Append(nil, number)})
		}
		b.want(channel, numbers(1, 7)...)
	})
}

// TestSingleFlight: a thousand clients with positions older than the ring, and
// two thousand with two start positions, cost three reads.
func TestSingleFlight(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		starts := []cluster.Position{cluster.StartPosition(5, 0), cluster.StartPosition(5, 1)}
		b.starts[starts[0]], b.starts[starts[1]] = 0, 0
		b.publish(channel, 1, 10)
		b.open(channel)
		b.publish(channel, 11, 15)
		b.shrink(channel)
		b.reads()
		b.change(func() { b.slow = time.Second })
		var group sync.WaitGroup
		check := func(after cluster.Position, first uint64) {
			got := b.recover(channel, Wish{After: after})
			if !got.Recovered || !slices.Equal(payloads(got), numbers(first, 15)) {
				t.Errorf("after %v: recovered %v, messages %v", after, got.Recovered, payloads(got))
			}
		}
		for range 1000 {
			group.Go(func() { check(at(3), 4) })
			group.Go(func() { check(starts[0], 1) })
			group.Go(func() { check(starts[1], 1) })
		}
		group.Wait()
		if reads := b.reads(); len(reads) > 3 {
			t.Errorf("%d reads, want 3", len(reads))
		}
		check(at(1), 2)
		if reads := b.reads(); len(reads) != 0 {
			t.Errorf("%d reads for one more client, want none", len(reads))
		}
	})
}

// TestStartPositionAndNewMessages: messages of which the page knows nothing
// arrive before its answer, and push others out.
func TestStartPositionAndNewMessages(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		start := cluster.StartPosition(5, 0)
		b.starts[start] = 0
		b.publish(channel, 1, 100) // as many as are kept
		b.open(channel)
		if got := b.recover(channel, Wish{After: start}); !got.Recovered || len(got.Messages) != 100 {
			t.Errorf("recovered %v with %d messages, want all 100", got.Recovered, len(got.Messages))
		}
		other := cluster.StartPosition(5, 1)
		b.change(func() {
			b.starts[other] = 0
			b.after = func(cluster.HistoryQuery) { b.publish(channel, 101, 101) }
		})
		pass(olderPause)
		if got := b.recover(channel, Wish{After: other, Newest: 1}); got.Recovered || !slices.Equal(payloads(got), numbers(101, 101)) {
			t.Errorf("recovered %v with %d messages, want no recovery: message 1 has left", got.Recovered, len(got.Messages))
		}
	})
}

// TestForgedPositions: clients can claim anything. The reads of a room are
// bounded, and none of them recovers.
func TestForgedPositions(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	kinds := map[string]struct {
		position func() cluster.Position
		reads    int // in ten seconds, at most
	}{
		"random": {func() cluster.Position {
			return cluster.Position{Incarnation: random.Uint64(), Number: random.Uint64() >> 1}
		}, int(10 * time.Second / olderPause)},
		"old":                             {func() cluster.Position { return at(0) }, 0},
		"future":                          {func() cluster.Position { return at(1000 + random.Uint64N(1000)) }, int(10 * time.Second / olderPause)},
		"start of another incarnation":    {func() cluster.Position { return cluster.StartPosition(random.Uint64(), 1) }, int(10 * time.Second / olderPause)},
		"start of the broker, the future": {func() cluster.Position { return cluster.StartPosition(99, random.Uint64()>>1) }, int(10 * time.Second / olderPause)},
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *broker) {
				b.publish(channel, 1, 5)
				b.open(channel)
				b.reads()
				for range 10_000 {
					b.rooms.Recover(channel, Wish{After: kind.position(), MaxBytes: 1}, func(r Recovery) {
						if r.Recovered {
							t.Errorf("a forged position has recovered")
						}
					})
					pass(time.Millisecond)
				}
				if got := len(b.reads()); got > kind.reads+1 {
					t.Errorf("%d reads, want at most %d", got, kind.reads)
				}
				if got := b.recover(channel, Wish{After: at(1)}); !got.Recovered {
					t.Error("an honest client did not recover")
				}
				pass(2 * timeout)
				synctest.Wait()
				if s := b.rooms.stripe(channel); s.rooms[channel].work != nil {
					t.Error("the room still remembers forged positions")
				}
			})
		})
	}
}

// TestForgedPositionsInLargeRoom: a room that is too large for the memory is
// read again and again, but not for each client.
func TestForgedPositionsInLargeRoom(t *testing.T) {
	inBubble(t, func(c *Config) { c.Bytes = stripes * 1000 }, func(t *testing.T, b *broker) {
		b.publish(channel, 1, 50)
		b.open(channel)
		b.reads()
		for i := range 1000 {
			b.rooms.Recover(channel, Wish{After: at(uint64(10_000 + i)), MaxBytes: 1}, func(Recovery) {})
			pass(time.Millisecond)
		}
		if got, most := len(b.reads()), int(time.Second/olderPause)+1; got > most {
			t.Errorf("%d reads in a second, want at most %d", got, most)
		}
		if got := b.recover(channel, Wish{After: at(1)}); !got.Recovered || !slices.Equal(payloads(got), numbers(2, 50)) {
			t.Errorf("recovered %v, %v, want 2 to 50", got.Recovered, payloads(got))
		}
	})
}

// TestFailingReadAnswers: a client is answered when a read fails, and when it
// takes too long.
func TestFailingReadAnswers(t *testing.T) {
	for name, slow := range map[string]time.Duration{"fails": 0, "takes too long": time.Hour} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *broker) {
				b.publish(channel, 1, 5)
				b.open(channel)
				b.shrink(channel)
				b.change(func() { b.fail, b.slow = errDown, slow })
				started := time.Now()
				if got := b.recover(channel, Wish{After: at(1), Newest: 3}); got.Recovered || len(got.Messages) != 0 {
					t.Errorf("recovery is %+v, want none", got)
				}
				if took := time.Since(started); took > timeout {
					t.Errorf("the answer took %v, want at most %v", took, timeout)
				}
				synctest.Wait()
				b.change(func() { b.fail, b.slow = nil, 0 })
				if got := b.recover(channel, Wish{After: at(1)}); !got.Recovered {
					t.Error("the room does not recover after the failure")
				}
			})
		})
	}
}

// TestRecoverDuringLoss: a client that knows more than the ring, which has not
// noticed yet that it misses messages, waits for the repair.
func TestRecoverDuringLoss(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		b.publish(channel, 1, 2)
		b.interrupted[0].Store(true)
		b.subscribe(channel, false)
		b.rooms.SubscriptionLost(0)
		b.publish(channel, 3, 6)
		if got := b.recover(channel, Wish{After: at(1)}); !got.Recovered || !slices.Equal(payloads(got), numbers(2, 2)) {
			t.Errorf("recovered %v, %v, want message 2 at once", got.Recovered, payloads(got))
		}
		time.AfterFunc(time.Second, func() { b.interrupted[0].Store(false) })
		if got := b.recover(channel, Wish{After: at(5)}); !got.Recovered || !slices.Equal(payloads(got), numbers(6, 6)) {
			t.Errorf("recovered %v, %v, want message 6", got.Recovered, payloads(got))
		}
		b.want(channel, numbers(1, 6)...)
	})
}

func TestRecoveryThatIsTooLarge(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		b.publish(channel, 1, 9)
		got := b.recover(channel, Wish{After: at(1), Newest: 5, MaxBytes: 3})
		if got.Recovered || !slices.Equal(payloads(got), numbers(7, 9)) {
			t.Errorf("recovered %v, %v, want the newest three only", got.Recovered, payloads(got))
		}
		if stats := b.rooms.Stats(); stats.NotRecovered != 1 || stats.Recovered != 0 {
			t.Errorf("%+v, want one client that has not recovered", stats)
		}
	})
}

// TestHistory: pages for clients are read as well, and fail in time.
func TestHistory(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.publish(channel, 1, 3)
		read := func() (page cluster.HistoryPage, err error) {
			done := make(chan bool)
			b.rooms.History(channel, cluster.HistoryQuery{Retention: b.retention, Limit: 5}, func(p cluster.HistoryPage, e error) {
				page, err = p, e
				close(done)
			})
			<-done
			return page, err
		}
		if page, err := read(); err != nil || len(page.Entries) != 3 {
			t.Errorf("%d entries, %v, want 3", len(page.Entries), err)
		}
		b.change(func() { b.slow = time.Hour })
		started := time.Now()
		if _, err := read(); err == nil || time.Since(started) != timeout {
			t.Errorf("%v after %v, want an error after %v", err, time.Since(started), timeout)
		}
	})
}

// TestMessageBetweenLoops: a message arrives when the last loop has
// unsubscribed, and the next one subscribes before the room is released. Its
// clients do not lack the message.
func TestMessageBetweenLoops(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		b.publish(channel, 1, 1)
		b.released.Store(true)
		b.publish(channel, 2, 2)
		b.released.Store(false)
		b.rooms.Release(channel)
		b.open(channel)
		if got := b.recover(channel, Wish{After: at(1)}); !got.Recovered || !slices.Equal(payloads(got), numbers(2, 2)) {
			t.Errorf("recovered %v, messages %v, want the second message", got.Recovered, payloads(got))
		}
	})
}

// TestPagesAreNotUrgent lets members ask for many pages of a slow broker: a
// room opens as if there were none.
func TestPagesAreNotUrgent(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.slow = time.Second
		var answered atomic.Int32
		for range 3 * maxReaders {
			b.rooms.History(channel, cluster.HistoryQuery{Limit: 1}, func(cluster.HistoryPage, error) { answered.Add(1) })
		}
		began := time.Now()
		b.open("another room")
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("a room opened after %v, want one read of the broker", took)
		}
		pass(time.Minute)
		if got := answered.Load(); got != 3*maxReaders {
			t.Errorf("%d pages were answered, want %d", got, 3*maxReaders)
		}
	})
}
