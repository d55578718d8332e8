package recovery

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

func TestRoomOpensWithOneRead(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.publish(channel, 1, 20)
		b.slow = time.Second
		opened := make(chan bool, 100)
		for range 100 {
			if b.rooms.Open(channel, func() { opened <- true }) {
				t.Fatal("the room was open before it was read")
			}
		}
		pass(time.Second)
		synctest.Wait()
		if reads := b.reads(); len(opened) != 100 || len(reads) != 1 {
			t.Errorf("%d of 100 members entered after %d reads, want all after 1", len(opened), len(reads))
		}
		if !b.rooms.Open(channel, func() { t.Error("done was called for an open room") }) {
			t.Error("Open returned false for an open room")
		}
		b.want(channel)
	})
}

func TestRoomWithoutHistoryIsOpen(t *testing.T) {
	without := func(c *Config) { c.Retention = func(string) *cluster.Retention { return nil } }
	inBubble(t, without, func(t *testing.T, b *broker) {
		if !b.rooms.Open(channel, func() {}) {
			t.Error("Open returned false")
		}
		b.subscribe(channel, true)
		b.publish(channel, 1, 2)
		b.want(channel, "1", "2")
		if got := b.recover(channel, Wish{After: at(1), Newest: 5}); got.Recovered || got.Messages != nil || !got.Head.IsZero() {
			t.Errorf("recovery is %+v, want none", got)
		}
	})
}

// TestMessagesWhileOpening: they are not lost to those who enter afterwards,
// wherever the page ends.
func TestMessagesWhileOpening(t *testing.T) {
	for name, late := range map[string]bool{"before the read": false, "before the answer": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *broker) {
				b.publish(channel, 1, 3)
				say := func(cluster.HistoryQuery) { b.publish(channel, 4, 6) }
				if late {
					b.after = say
				} else {
					b.before = say
				}
				b.open(channel)
				b.publish(channel, 7, 7)
				b.want(channel, "7")
				got := b.recover(channel, Wish{After: at(2)})
				if !got.Recovered || !slices.Equal(payloads(got), numbers(3, 7)) {
					t.Errorf("recovered %v, %v, want 3 to 7", got.Recovered, payloads(got))
				}
			})
		})
	}
}

// TestOpenWithoutAnswer: a broker that does not answer delays members, but does
// not keep them out. Its history comes back with it.
func TestOpenWithoutAnswer(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.publish(channel, 1, 3)
		b.slow = time.Hour
		started := time.Now()
		for i := range 3 * maxReaders {
			go b.open(channel + string(rune('a'+i)))
		}
		b.open(channel)
		if took := time.Since(started); took != timeout {
			t.Errorf("the room opened after %v, want %v", took, timeout)
		}
		b.change(func() { b.slow = 0 })
		b.publish(channel, 4, 5)
		b.want(channel, "4", "5")
		got := b.recover(channel, Wish{After: at(2)})
		if !got.Recovered || !slices.Equal(payloads(got), numbers(3, 5)) {
			t.Errorf("recovered %v, %v, want 3 to 5", got.Recovered, payloads(got))
		}
	})
}

// TestHerd: many rooms open at once. It takes longer than a read may take, but
// the broker answers one after the other, so none opens without its history.
func TestHerd(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		const rooms = 10 * maxReaders
		b.slow = timeout * 3 / 4
		var group sync.WaitGroup
		for i := range rooms {
			name := channel + string(rune('a'+i))
			b.publish(name, 1, 3)
			group.Go(func() {
				b.open(name)
				if got := b.recover(name, Wish{After: at(1)}); !got.Recovered || len(got.Messages) != 2 {
					t.Errorf("recovered %v with %d messages, want 2", got.Recovered, len(got.Messages))
				}
			})
		}
		group.Wait()
		if reads := b.reads(); len(reads) != rooms {
			t.Errorf("%d reads for %d rooms", len(reads), rooms)
		}
	})
}

// TestUnknownRoomLearnsQuietly: the first client that needs the history makes a
// room read it that has opened without. The members learn that they may have
// missed something.
func TestUnknownRoomLearnsQuietly(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.publish(channel, 1, 3)
		b.change(func() { b.fail = errDown })
		b.open(channel)
		if got := b.recover(channel, Wish{Newest: 2}); !got.Head.IsZero() || got.Messages != nil {
			t.Errorf("a room without history answers %+v", got)
		}
		b.change(func() { b.fail = nil })
		got := b.recover(channel, Wish{Newest: 2})
		if got.Head != at(3) || !slices.Equal(payloads(got), numbers(2, 3)) {
			t.Errorf("head %v and messages %v, want 2 and 3", got.Head, payloads(got))
		}
		b.publish(channel, 4, 4)
		b.want(channel, "gap", "4")
	})
}

// TestOpenRoomsDoNotWaitForOthers: the server of another partition does not
// answer, and the queue of the own one is full of repairs.
func TestOpenRoomsDoNotWaitForOthers(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		for i := range 3 * maxReaders {
			b.open(channel + string(rune('a'+i)))
		}
		b.change(func() {
			b.before = func(q cluster.HistoryQuery) {
				if q.Oldest {
					pass(timeout / 2)
				}
			}
		})
		b.lose(channel+"a", 1, 1)
		pass(2 * interruptedPoll)
		started := time.Now()
		b.open("elsewhere")
		if took := time.Since(started); took != 0 {
			t.Errorf("a room of another partition opened after %v", took)
		}
		b.open(channel)
		if took := time.Since(started); took > timeout/2 {
			t.Errorf("a room opened after %v, behind the repairs", took)
		}
	})
}
