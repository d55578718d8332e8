package recovery

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

// TestRepair: missed messages come first, then those that were kept back, then
// new ones.
func TestRepair(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		b.publish(channel, 1, 2)
		b.change(func() { b.after = func(cluster.HistoryQuery) { b.publish(channel, 8, 9) } })
		b.lose(channel, 3, 5)
		b.publish(channel, 6, 7)
		pass(2 * interruptedPoll)
		b.want(channel, numbers(1, 9)...)
		b.change(func() { b.after = nil })
		b.publish(channel, 10, 10)
		b.want(channel, "10")
		if got := b.rooms.Stats(); got.Repaired != 7 || got.Gaps != 0 || got.Reads != 2 {
			t.Errorf("%+v, want 7 messages repaired with the second read, and no gap", got)
		}
	})
}

func TestRepairOfTooMuchTellsGap(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		b.publish(channel, 1, 2)
		b.lose(channel, 3, 200)
		pass(2 * interruptedPoll)
		b.want(channel, append([]string{"1", "2", "gap"}, numbers(101, 200)...)...)
		b.publish(channel, 201, 201)
		b.want(channel, "201")
	})
}

// TestLostAgain: a subscription is lost a second time while it is repaired, and
// the page of the first one arrives late.
func TestLostAgain(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		b.publish(channel, 1, 2)
		again := true
		b.change(func() {
			b.after = func(cluster.HistoryQuery) {
				if again {
					again = false
					b.publish(channel, 5, 6)
					b.lose(channel, 7, 8)
					b.publish(channel, 9, 9)
				}
			}
		})
		b.lose(channel, 3, 4)
		b.lose(channel, 0, 0)
		pass(3 * interruptedPoll)
		b.publish(channel, 10, 10)
		b.want(channel, numbers(1, 10)...)
	})
}

// TestLostAgainDuringRead: the repair of the second loss is wanted before the
// page of the first one arrives.
func TestLostAgainDuringRead(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		b.publish(channel, 1, 2)
		b.change(func() {
			b.after = func(cluster.HistoryQuery) {
				b.change(func() { b.after = nil })
				b.lose(channel, 5, 6)
				pass(time.Second)
			}
		})
		b.lose(channel, 3, 4)
		pass(2 * time.Second)
		b.publish(channel, 7, 7)
		b.want(channel, numbers(1, 7)...)
	})
}

func TestLostWhileOpening(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.publish(channel, 1, 2)
		first := true
		b.after = func(cluster.HistoryQuery) {
			if first {
				first = false
				b.publish(channel, 3, 3)
				b.lose(channel, 4, 5)
				b.publish(channel, 6, 6)
				pass(time.Second) // so the repair is wanted before the room is open
			}
		}
		b.open(channel)
		b.want(channel, numbers(3, 6)...)
		b.publish(channel, 7, 7)
		b.want(channel, "7")
		got := b.recover(channel, Wish{After: at(1)})
		if !got.Recovered || !slices.Equal(payloads(got), numbers(2, 7)) {
			t.Errorf("recovered %v, %v, want 2 to 7", got.Recovered, payloads(got))
		}
	})
}

// TestOpenedDuringSilence: a room that opens while the broker lacks a sign of
// life gets its messages although no subscription was lost.
func TestOpenedDuringSilence(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.interrupted[0].Store(true)
		b.open(channel)
		b.publish(channel, 1, 3)
		b.want(channel)
		b.interrupted[0].Store(false)
		pass(2 * interruptedPoll)
		b.publish(channel, 4, 4)
		b.want(channel, numbers(1, 4)...)
	})
}

// TestFailingRepair: messages are kept back for some time, and then delivered
// behind a gap. A client that waits has an answer before.
func TestFailingRepair(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		b.publish(channel, 1, 2)
		b.change(func() { b.fail = errDown })
		b.lose(channel, 3, 4)
		b.publish(channel, 5, 6)
		b.want(channel, "1", "2")
		started := time.Now()
		if got := b.recover(channel, Wish{After: at(1)}); got.Recovered || !got.Head.IsZero() {
			t.Errorf("recovery is %+v, want an unknown room", got)
		}
		if took := time.Since(started); took != timeout {
			t.Errorf("the answer took %v, want %v", took, timeout)
		}
		pass((repairTimeouts + 1) * timeout)
		b.want(channel, "gap", "5", "6")
		b.change(func() { b.fail = nil })
		b.publish(channel, 7, 7)
		b.want(channel, "7")
		got := b.recover(channel, Wish{After: at(3)})
		if !got.Recovered || !slices.Equal(payloads(got), numbers(4, 7)) {
			t.Errorf("recovered %v, %v, want 4 to 7", got.Recovered, payloads(got))
		}
	})
}

// TestOldPageAfterGiveUp: a room gives up that had to drop messages, and a page
// from before arrives. It is not the place at which the room continues.
func TestOldPageAfterGiveUp(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		b.publish(channel, 1, 3)
		b.shrink(channel)
		b.change(func() {
			b.fail, b.failing = errDown, func(q cluster.HistoryQuery) bool { return q.Oldest }
			b.after = func(cluster.HistoryQuery) {
				b.change(func() { b.after = nil })
				pass(timeout * 3 / 2)
			}
		})
		b.rooms.config.Timeout *= 2
		b.lose(channel, 4, 4)
		pass((2*repairTimeouts - 1) * timeout)
		s := b.rooms.stripe(channel)
		s.mu.Lock()
		b.rooms.wantOlder(s, s.rooms[channel], &client{wish: Wish{After: at(1)}, post: func(Recovery) {}})
		s.mu.Unlock()
		synctest.Wait()
		b.publish(channel, 5, 2000)
		pass(3 * timeout)
		b.want(channel, append(append([]string{"1", "2", "3", "gap"}, numbers(5, 1028)...), "gap", "gap")...)
		if got := b.recover(channel, Wish{}); got.Head != at(2000) {
			t.Errorf("the head is %v, want that of the newest message", got.Head)
		}
	})
}

// TestRepairSurvivesAnOutageOfHistory: reads fail for some time.
func TestRepairSurvivesAnOutageOfHistory(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		b.publish(channel, 1, 2)
		b.change(func() { b.fail = errDown })
		b.lose(channel, 3, 4)
		pass(repairTimeouts * timeout / 2)
		b.change(func() { b.fail = nil })
		pass(retryRead)
		b.publish(channel, 5, 5)
		b.want(channel, numbers(1, 5)...)
	})
}

// TestManyRepairs: the broker answers slowly, but it does answer, so no room is
// given up, however long its turn takes. If it does not answer, all are given
// up soon.
func TestManyRepairs(t *testing.T) {
	for name, answers := range map[string]bool{"slow": true, "dead": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *broker) {
				const rooms = 20 * maxReaders
				name := func(i int) string { return channel + string(rune('a'+i)) }
				for i := range rooms {
					b.open(name(i))
					b.publish(name(i), 1, 1)
				}
				slow := timeout * 3 / 4
				if !answers {
					slow = 2 * timeout
				}
				b.change(func() { b.slow = slow })
				b.lose(name(0), 2, 2)
				for i := range rooms {
					b.publish(name(i), 3, 3)
				}
				pass(25 * timeout)
				want := []string{"1", "gap", "3"}
				for i := range rooms {
					switch {
					case answers && i == 0:
						want = []string{"1", "2", "3"}
					case answers:
						want = []string{"1", "3"}
					}
					b.want(name(i), want...)
				}
			})
		})
	}
}

// TestHeldOverflow: more arrives during a repair than is kept back.
func TestHeldOverflow(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.retention.Messages = 10_000
		b.open(channel)
		b.publish(channel, 1, 1)
		b.change(func() {
			b.after = func(cluster.HistoryQuery) {
				b.change(func() { b.after = nil })
				b.publish(channel, 3, 3000)
			}
		})
		b.lose(channel, 2, 2)
		pass(2 * interruptedPoll)
		b.publish(channel, 3001, 3001)
		b.want(channel, numbers(1, 3001)...)
	})
}

func TestReleaseDuringReads(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		b.publish(channel, 1, 2)
		gate := make(chan struct{})
		b.change(func() { b.after = func(cluster.HistoryQuery) { <-gate } })
		b.lose(channel, 3, 4)
		pass(2 * interruptedPoll)
		answers := make(chan Recovery, 2)
		b.rooms.Recover(channel, Wish{After: at(1)}, func(r Recovery) { answers <- r })
		b.rooms.Release(channel)
		if got := b.rooms.Stats().Rooms; got != 1 {
			t.Fatalf("%d rooms, want 1: a loop has subscribed", got)
		}
		b.released.Store(true)
		b.rooms.Release(channel)
		b.released.Store(false)
		if got := b.rooms.Stats(); got.Rooms != 0 || got.Bytes != 0 {
			t.Errorf("%d rooms with %d bytes after Release, want none", got.Rooms, got.Bytes)
		}
		b.change(func() { b.after = nil })
		b.open(channel) // the same name, but another room
		b.want(channel, "1", "2")
		released := time.Now()
		close(gate)
		b.want(channel) // the old room delivers nothing
		if got := <-answers; got.Recovered || time.Since(released) != 0 {
			t.Errorf("the released room answers %+v after %v", got, time.Since(released))
		}
		b.publish(channel, 5, 5)
		b.want(channel, "5")
	})
}

func TestCloseDuringReads(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		b.publish(channel, 1, 1)
		synctest.Wait()
		b.change(func() { b.slow = timeout / 2 })
		b.lose(channel, 2, 2)
		pass(2 * interruptedPoll)
		b.rooms.Recover(channel, Wish{After: at(5)}, func(Recovery) { t.Error("a client was answered after Close") })
		for i := range 3 * maxReaders {
			b.rooms.Open(channel+string(rune('a'+i)), func() { t.Error("a room opened after Close") })
		}
		b.interrupted[0].Store(true)
		b.rooms.SubscriptionLost(0)
		b.rooms.Close()
		b.rooms.Close()
		b.rooms.SubscriptionLost(1)
		b.want(channel, "1")
		pass(10 * timeout)
		b.want(channel)
	})
}

// repeat lets a message arrive that was sent again after the server has lost
// it. The broker has delivered it before.
func (b *broker) repeat(channel string, number uint64) {
	b.rooms.Receive(channel, &cluster.Envelope{Position: at(number), Resent: true, Repeat: true})
}

// TestRepeatOfLostMessage: the members from before a failover have a message
// that is sent again, but a client that has entered since may lack it.
func TestRepeatOfLostMessage(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		b.publish(channel, 1, 3)
		b.change(func() { b.kept[channel] = b.kept[channel][:1] })
		b.lose(channel, 0, 0)
		pass(2 * interruptedPoll)
		b.want(channel, "1", "2", "3", "gap")
		b.repeat(channel, 2)
		b.want(channel)
		b.recover(channel, Wish{After: at(1)})
		b.repeat(channel, 3)
		b.want(channel, "gap")
		if got := b.rooms.Stats().Gaps; got != 2 {
			t.Errorf("%d gaps, want 2", got)
		}
	})
}

// TestRepeatWithoutRing: where no ring knows a message that is sent again, the
// broker's word counts. If a room has opened since, its members may have the
// message from before, or lack it.
func TestRepeatWithoutRing(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.repeat("unopened", 1)
		b.want("unopened")
		b.open(channel)
		b.repeat(channel, 1)
		b.want(channel)
		if got := b.recover(channel, Wish{Newest: 9}); len(got.Messages) != 1 || got.Head != at(1) {
			t.Errorf("the room has %d messages and the head %v, want the one", len(got.Messages), got.Head)
		}
		b.repeat(channel, 2)
		b.repeat(channel, 3)
		b.want(channel, "gap")
		b.publish(channel, 4, 4)
		b.repeat(channel, 5)
		b.want(channel, "4", "gap")
	})
}
