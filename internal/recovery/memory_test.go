package recovery

import (
	"fmt"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/stoa-io/stoa/cluster"
)

// check compares the bytes of all stripes with those of their rings.
func (b *broker) check() (bytes int) {
	b.t.Helper()
	for i := range b.rooms.stripes {
		s := &b.rooms.stripes[i]
		s.mu.Lock()
		sum := 0
		for _, in := range s.rooms {
			sum += in.ring.Memory()
		}
		if sum != s.bytes {
			b.t.Errorf("a stripe counts %d bytes, but its rings have %d", s.bytes, sum)
		}
		bytes += sum
		s.mu.Unlock()
	}
	return bytes
}

func TestBudget(t *testing.T) {
	const share = 4000
	inBubble(t, func(c *Config) { c.Bytes = stripes * share }, func(t *testing.T, b *broker) {
		const rooms = 500
		for i := range rooms {
			b.open(fmt.Sprint("room ", i))
			b.publish(fmt.Sprint("room ", i), 1, 10)
		}
		if got := b.check(); got > stripes*share || got < stripes*share/2 {
			t.Errorf("all rooms have %d bytes, want nearly %d", got, stripes*share)
		}
		if got := b.rooms.Stats(); got.Rooms != rooms || got.Bytes != b.check() {
			t.Errorf("%+v, want %d rooms with %d bytes", got, rooms, b.check())
		}
		for i := range rooms {
			got := b.recover(fmt.Sprint("room ", i), Wish{After: at(2)})
			if !got.Recovered || !slices.Equal(payloads(got), numbers(3, 10)) {
				t.Fatalf("recovered %v, %v, want 3 to 10", got.Recovered, payloads(got))
			}
		}
		b.check()
		pass(2 * time.Hour) // everything expires
		for i := range rooms {
			b.recover(fmt.Sprint("room ", i), Wish{After: at(2)})
			b.check()
		}
		b.released.Store(true)
		for i := range rooms {
			b.rooms.Release(fmt.Sprint("room ", i))
		}
		if got := b.rooms.Stats(); got.Rooms != 0 || b.check() != 0 || got.Bytes != 0 {
			t.Errorf("%+v after the release of all rooms", got)
		}
	})
}

// TestBudgetOfBusyRoom: a room that is larger than its stripe's share keeps its
// newest messages, and does not take the memory of the others.
func TestBudgetOfBusyRoom(t *testing.T) {
	const share = 10_000
	inBubble(t, func(c *Config) { c.Bytes = stripes * share }, func(t *testing.T, b *broker) {
		b.open(channel)
		other := ""
		for i := 0; other == "" || b.rooms.stripe(other) != b.rooms.stripe(channel); i++ {
			other = fmt.Sprint(i)
		}
		b.open(other)
		b.publish(other, 1, 3)
		b.publish(channel, 1, 1000)
		b.reads()
		if got := b.recover(other, Wish{After: at(1)}); !got.Recovered || len(got.Messages) != 2 {
			t.Errorf("recovered %v with %d messages, want 2", got.Recovered, len(got.Messages))
		}
		if got := b.recover(channel, Wish{After: at(970)}); !got.Recovered || len(got.Messages) != 30 {
			t.Errorf("recovered %v with %d messages, want 30", got.Recovered, len(got.Messages))
		}
		if reads := b.reads(); len(reads) != 0 {
			t.Errorf("%d reads, want none", len(reads))
		}
		if got := b.recover(channel, Wish{After: at(901)}); !got.Recovered || len(got.Messages) != 99 {
			t.Errorf("recovered %v with %d messages, want 99 with a read", got.Recovered, len(got.Messages))
		}
		if got := b.check(); got > share {
			t.Errorf("the stripe has %d bytes, want at most %d", got, share)
		}
	})
}

func TestRemove(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		b.publish(channel, 1, 5)
		b.rooms.Remove(channel, at(3))
		b.rooms.Remove(channel, at(3))
		b.rooms.Remove("elsewhere", at(1))
		if got := b.recover(channel, Wish{After: at(1)}); !slices.Equal(payloads(got), []string{"2", "4", "5"}) {
			t.Errorf("messages %v, want 2, 4, 5", payloads(got))
		}
		b.change(func() { b.kept[channel] = nil })
		b.rooms.Remove(channel, cluster.Position{})
		if got := b.recover(channel, Wish{After: at(1), Newest: 9}); got.Recovered || len(got.Messages) != 0 {
			t.Errorf("recovered %v, %v after all were removed", got.Recovered, payloads(got))
		}
		b.check()
	})
}

// TestRemoveDuringReads: a page that was read before a removal does not bring
// the message back.
func TestRemoveDuringReads(t *testing.T) {
	remove := func(b *broker) {
		b.after = func(cluster.HistoryQuery) {
			b.change(func() {
				b.after = nil
				b.kept[channel] = slices.DeleteFunc(b.kept[channel], func(e cluster.HistoryEntry) bool { return e.Envelope.Position == at(2) })
			})
			b.rooms.Remove(channel, at(2))
		}
	}
	t.Run("open", func(t *testing.T) {
		inBubble(t, nil, func(t *testing.T, b *broker) {
			b.publish(channel, 1, 3)
			remove(b)
			b.open(channel)
			if got := b.recover(channel, Wish{Newest: 9}); !slices.Equal(payloads(got), []string{"1", "3"}) {
				t.Errorf("messages %v, want 1 and 3", payloads(got))
			}
		})
	})
	t.Run("older", func(t *testing.T) {
		inBubble(t, nil, func(t *testing.T, b *broker) {
			b.publish(channel, 1, 3)
			b.open(channel)
			b.shrink(channel)
			b.change(func() { remove(b) })
			if got := b.recover(channel, Wish{Newest: 9}); !slices.Equal(payloads(got), []string{"1", "3"}) {
				t.Errorf("messages %v, want 1 and 3", payloads(got))
			}
		})
	})
	t.Run("repair", func(t *testing.T) {
		inBubble(t, nil, func(t *testing.T, b *broker) {
			b.open(channel)
			b.publish(channel, 1, 1)
			b.change(func() { remove(b) })
			b.lose(channel, 2, 3)
			pass(2 * interruptedPoll)
			b.want(channel, "1", "3")
		})
	})
}

// TestMemoryOfRoom: a million quiet rooms may be open.
func TestMemoryOfRoom(t *testing.T) {
	if got := unsafe.Sizeof(room{}); got > 288 {
		t.Errorf("a room has %d bytes, want at most 288", got)
	}
	inBubble(t, nil, func(t *testing.T, b *broker) {
		b.open(channel)
		b.publish(channel, 1, 3)
		b.lose(channel, 4, 5)
		pass(2 * interruptedPoll)
		b.want(channel, numbers(1, 5)...)
		if in := b.rooms.stripe(channel).rooms[channel]; in.work != nil {
			t.Errorf("a quiet room keeps %+v", *in.work)
		}
	})
}
