package recovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/recovery/ring"
)

var errDown = errors.New("the broker is down")

// broker is a Historian, and what a node does with it: Rooms, whose deliveries
// it records. Its server is as fast as the test wants.
type broker struct {
	t     *testing.T
	rooms *Rooms

	mu          sync.Mutex
	retention   cluster.Retention
	kept        map[string][]cluster.HistoryEntry // by channel
	starts      map[cluster.Position]int          // the number of messages when they were given out
	subscribed  map[string]bool
	queries     []cluster.HistoryQuery
	delivered   map[string][]string                   // the payloads, and "gap"
	fail        error                                 // of reads
	failing     func(query cluster.HistoryQuery) bool // which of them; nil: all
	slow        time.Duration                         // of reads
	before      func(query cluster.HistoryQuery)
	after       func(query cluster.HistoryQuery) // between the read and the answer
	interrupted [2]atomic.Bool
	released    atomic.Bool // no loop has subscribed
}

const (
	timeout = 5 * time.Second
	channel = "room"
)

// newBroker is called in a synctest bubble.
func newBroker(t *testing.T, change func(*Config)) *broker {
	b := &broker{
		t: t, retention: cluster.Retention{Messages: 100, Age: time.Hour, Bytes: 1 << 20},
		kept: map[string][]cluster.HistoryEntry{}, starts: map[cluster.Position]int{},
		subscribed: map[string]bool{}, delivered: map[string][]string{},
	}
	config := Config{
		Historian: b, Retention: func(string) *cluster.Retention { return &b.retention },
		Loops: func(string) uint64 {
			if b.released.Load() {
				return 0
			}
			return 1
		},
		Partition: func(channel string) int {
			if channel == "elsewhere" {
				return 1
			}
			return 0
		},
		Partitions: 2, Interrupted: func(p int) bool { return b.interrupted[p].Load() },
		NewMessage: func(env *cluster.Envelope, at time.Time) *ring.Message {
			return &ring.Message{
				Position: env.Position, Time: at.UnixMilli(), Resent: env.Resent, Repeat: env.Repeat, Key: ring.OwnKey(env.Key),
				Frame: slices.Clone(env.Payload), Size: len(env.Payload),
			}
		},
		Deliver: func(channel string, _ uint64, m *ring.Message) { b.record(channel, string(m.Frame)) },
		Gap:     func(channel string, _ uint64) { b.record(channel, "gap") },
		Timeout: timeout, Bytes: 64 << 20, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&config)
	}
	b.rooms = New(config)
	t.Cleanup(b.rooms.Close)
	return b
}

// inBubble runs a test with a clock of its own.
func inBubble(t *testing.T, change func(*Config), test func(t *testing.T, b *broker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newBroker(t, change)) })
}

// pass lets time pass in the bubble.
func pass(d time.Duration) { <-time.After(d) }

func (b *broker) record(channel, what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.delivered[channel] = append(b.delivered[channel], what)
}

// publish keeps messages with the numbers from first to last, and delivers them
// if the channel is subscribed.
func (b *broker) publish(channel string, first, last uint64) {
	for number := first; number <= last; number++ {
		env := cluster.Envelope{Position: at(number), Payload: []byte(fmt.Sprint(number)), Key: key(number)}
		b.mu.Lock()
		b.kept[channel] = append(b.kept[channel], cluster.HistoryEntry{Envelope: env, Time: time.Now()})
		subscribed := b.subscribed[channel]
		b.mu.Unlock()
		if subscribed {
			b.rooms.Receive(channel, &env)
		}
	}
}

// key is the key of a message: "0", "1", "2" or none.
func key(number uint64) string { return []string{"0", "1", "2", ""}[number%4] }

func at(number uint64) cluster.Position { return cluster.Position{Incarnation: 7, Number: number} }

// subscribe sets whether published messages arrive.
func (b *broker) subscribe(channel string, subscribed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subscribed[channel] = subscribed
}

// change changes the broker's fields.
func (b *broker) change(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

// open subscribes and opens a room.
func (b *broker) open(channel string) {
	b.subscribe(channel, true)
	opened := make(chan struct{})
	if !b.rooms.Open(channel, func() { close(opened) }) {
		<-opened
	}
}

// lose is a subscription that ends, and comes back after some messages.
func (b *broker) lose(channel string, first, last uint64) {
	b.interrupted[0].Store(true)
	b.subscribe(channel, false)
	b.rooms.SubscriptionLost(0)
	b.publish(channel, first, last)
	b.subscribe(channel, true)
	b.interrupted[0].Store(false)
}

// recover waits for the answer to a wish.
func (b *broker) recover(channel string, wish Wish) Recovery {
	if wish.MaxBytes == 0 {
		wish.MaxBytes = 1 << 30
	}
	answer := make(chan Recovery, 2)
	b.rooms.Recover(channel, wish, func(r Recovery) { answer <- r })
	return <-answer
}

// reads waits until nothing happens, and returns the queries since the last
// call.
func (b *broker) reads() (queries []cluster.HistoryQuery) {
	synctest.Wait()
	b.change(func() { queries, b.queries = b.queries, nil })
	return queries
}

// want waits until nothing happens, and checks the deliveries since the last
// call.
func (b *broker) want(channel string, want ...string) {
	b.t.Helper()
	synctest.Wait()
	b.change(func() {
		got := b.delivered[channel]
		if !slices.Equal(got, want) {
			same := 0
			for same < min(len(got), len(want)) && got[same] == want[same] {
				same++
			}
			b.t.Errorf("delivered %d messages, want %d; after %d right ones %.80v, want %.80v",
				len(got), len(want), same, fmt.Sprint(got[same:]), fmt.Sprint(want[same:]))
		}
		delete(b.delivered, channel)
	})
}

func (b *broker) History(ctx context.Context, channel string, query cluster.HistoryQuery) (cluster.HistoryPage, error) {
	b.mu.Lock()
	b.queries = append(b.queries, query)
	before, after, err, slow := b.before, b.after, b.fail, b.slow
	if b.failing != nil && !b.failing(query) {
		err = nil
	}
	b.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
	}
	if before != nil {
		before(query)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return cluster.HistoryPage{}, err
	}
	page := b.page(channel, query)
	if after != nil {
		after(query)
	}
	return page, ctx.Err()
}

func (b *broker) page(channel string, query cluster.HistoryQuery) cluster.HistoryPage {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.kept[channel]
	entries := all[max(0, len(all)-query.Retention.Messages):]
	page := cluster.HistoryPage{Found: true}
	if len(entries) > 0 {
		page.Head = entries[len(entries)-1].Envelope.Position
	} else {
		page.Head = cluster.StartPosition(99, uint64(len(all)))
		b.starts[page.Head] = len(all)
	}
	if count, is := b.starts[query.After]; is && len(all)-len(entries) <= count {
		entries = all[count:]
	} else if !query.After.IsZero() {
		i := slices.IndexFunc(entries, func(e cluster.HistoryEntry) bool { return e.Envelope.Position == query.After })
		page.Found = i >= 0
		entries = entries[i+1:]
	}
	page.Entries = slices.Clone(entries)
	if query.Latest {
		for i, e := range all {
			later := func(other cluster.HistoryEntry) bool { return other.Envelope.Key == e.Envelope.Key }
			if e.Envelope.Key != "" && !slices.ContainsFunc(all[i+1:], later) {
				page.Latest = append(page.Latest, e)
			}
		}
	}
	return page
}

func (b *broker) RemoveFromHistory(context.Context, string, cluster.Position) (bool, error) {
	return false, nil
}

func (b *broker) ClearHistory(context.Context, string) error { return nil }

// payloads are those of an answer.
func payloads(r Recovery) (all []string) {
	for _, m := range r.Messages {
		all = append(all, string(m.Frame))
	}
	return all
}

// numbers is a list of payloads.
func numbers(first, last uint64) (all []string) {
	for ; first <= last; first++ {
		all = append(all, fmt.Sprint(first))
	}
	return all
}
