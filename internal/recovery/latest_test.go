package recovery

import (
	"slices"
	"sync"
	"testing"
)

// keyed makes the room of a broker one with keys.
func keyed(b *broker) { b.change(func() { b.retention.Keys, b.retention.Messages = 10, 2 }) }

// wantLatest checks what a client without a position receives.
func wantLatest(t *testing.T, b *broker, reads int, want ...string) {
	t.Helper()
	if got := payloads(b.recover(channel, Wish{Latest: true})); !slices.Equal(got, want) {
		t.Errorf("a client receives %v, want %v", got, want)
	}
	queries := b.reads()
	for _, q := range queries {
		if !q.Latest {
			t.Errorf("a read does not ask for the newest message of each key: %+v", q)
		}
	}
	if len(queries) != reads {
		t.Errorf("%d reads, want %d", len(queries), reads)
	}
}

// TestLatestFromMemory: a room reads the newest message of each key once.
func TestLatestFromMemory(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		keyed(b)
		b.publish(channel, 1, 7)
		b.open(channel)
		wantLatest(t, b, 1, "4", "5", "6")
		b.publish(channel, 8, 11)
		wantLatest(t, b, 0, "8", "9", "10")
		b.lose(channel, 12, 12)
		pass(2 * interruptedPoll)
		b.want(channel, "8", "9", "10", "11", "12")
		b.reads()
		wantLatest(t, b, 0, "9", "10", "12")
	})
}

// TestLatestAfterAGap: the newest messages of the keys are read when a client
// wants them, once for all clients.
func TestLatestAfterAGap(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		keyed(b)
		b.open(channel)
		b.publish(channel, 1, 3)
		b.lose(channel, 4, 13)
		pass(2 * interruptedPoll)
		b.want(channel, "1", "2", "3", "gap", "12", "13")
		b.reads()
		var clients sync.WaitGroup
		for range 20 {
			clients.Go(func() {
				if got := payloads(b.recover(channel, Wish{Latest: true})); !slices.Equal(got, []string{"10", "12", "13"}) {
					t.Errorf("a client receives %v, want 10, 12, 13", got)
				}
			})
		}
		clients.Wait()
		if reads := b.reads(); len(reads) != 1 {
			t.Errorf("%d reads for 20 clients, want 1", len(reads))
		}
		wantLatest(t, b, 0, "10", "12", "13")
	})
}

// TestLatestBeyondTheMemory: a room that is too large reads them each time.
func TestLatestBeyondTheMemory(t *testing.T) {
	inBubble(t, func(c *Config) { c.Bytes = stripes * 500 }, func(t *testing.T, b *broker) {
		keyed(b)
		b.publish(channel, 1, 7)
		b.open(channel)
		b.reads()
		for range 3 {
			wantLatest(t, b, 1, "4", "5", "6")
			b.check()
		}
		b.publish(channel, 8, 8)
		wantLatest(t, b, 1, "5", "6", "8")
	})
}

// TestLatestWithoutAnswer: a client enters without the messages if the broker
// does not answer.
func TestLatestWithoutAnswer(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *broker) {
		keyed(b)
		b.publish(channel, 1, 7)
		b.change(func() { b.fail = errDown })
		b.open(channel)
		b.reads()
		wantLatest(t, b, 1)
		b.publish(channel, 8, 9)
		b.change(func() { b.fail = nil })
		wantLatest(t, b, 1, "6", "8", "9")
	})
}
