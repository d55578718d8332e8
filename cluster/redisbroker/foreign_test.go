package redisbroker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// foreignClient is a client of the server that is no node.
func foreignClient(t testing.TB, server *redistest.Server) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), WriteTimeout: patience, ReadTimeout: patience})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// listen returns the headers of the messages of a channel.
func listen(t testing.TB, client *redis.Client, channel string) func() redisbroker.Header {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	subscription := client.Subscribe(ctx, channel)
	t.Cleanup(func() { _ = subscription.Close() })
	if _, err := subscription.Receive(ctx); err != nil {
		t.Fatalf("the subscription failed: %v", err)
	}
	return func() redisbroker.Header {
		t.Helper()
		message, err := subscription.ReceiveMessage(ctx)
		if err != nil {
			t.Fatalf("no message: %v", err)
		}
		header, _, _, err := redisbroker.DecodeEnvelope(message.Payload, nil)
		if err != nil {
			t.Fatalf("DecodeEnvelope = %v, want nil", err)
		}
		return header
	}
}

// TestWrongNumbers: messages in a node's name with numbers that it has not
// reached do not hide its own ones.
func TestWrongNumbers(t *testing.T) {
	server := redistest.Start(t)
	channel := rooms(1)[0]
	l := newLedger()
	b := startBroker(t, redisbroker.Config{Servers: []string{server.URL()}, ProbeInterval: time.Minute}, l)
	if err := b.Subscribe(t.Context(), channel); err != nil {
		t.Fatalf("Subscribe = %v, want nil", err)
	}
	client := foreignClient(t, server)
	header := listen(t, client, "stoa:"+channel)
	publishAcknowledged(t, b, channel, 0, 1)
	own := header()
	wrong := []uint64{1 << 62, 1<<64 - 1, 1 << 63, 1 << 40, 1_000_000}
	for i, number := range wrong {
		own.Number = number
		payload := fmt.Appendf(nil, "foreign/%d", i)
		envelope := redisbroker.AppendEnvelope(nil, own, &cluster.Envelope{Payload: payload})
		if err := client.Publish(t.Context(), "stoa:"+channel, envelope).Err(); err != nil {
			t.Fatalf("Publish = %v, want nil", err)
		}
		publishAcknowledged(t, b, channel, i+1, i+2)
	}
	published := map[string]int{channel + " publisher": len(wrong) + 1}
	testkit.EventuallyWithin(t, "the node's own messages arrive", patience, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.numbers[channel+" publisher"]) == len(wrong)+1
	})
	l.expectAll(t, "the node", published)
	if stats := b.Stats().Servers[0]; stats.BadNumber != 3 || stats.Repeats != 0 {
		t.Errorf("%d messages with a bad number, %d repeats; want 3 and none", stats.BadNumber, stats.Repeats)
	}
}

// TestTooLargeMessages: a message that exceeds the limit is refused or dropped,
// the ones after it arrive, and no memory stays with it.
func TestTooLargeMessages(t *testing.T) {
	server := redistest.Start(t, "--client-output-buffer-limit", "pubsub 1gb 1gb 60")
	channel := rooms(1)[0]
	l := newLedger()
	b := startBroker(t, redisbroker.Config{Servers: []string{server.URL()}, ProbeInterval: time.Minute}, l)
	if err := b.Subscribe(t.Context(), channel); err != nil {
		t.Fatalf("Subscribe = %v, want nil", err)
	}
	client := foreignClient(t, server)
	header := listen(t, client, "stoa:"+channel)
	publishAcknowledged(t, b, channel, 0, 1)
	foreign := header()
	foreign.Number = 0
	for i, size := range []int{1<<20 + 1, 3 << 20, 16 << 20} {
		envelope := redisbroker.AppendEnvelope(nil, foreign, &cluster.Envelope{Payload: make([]byte, size)})
		if err := client.Publish(t.Context(), "stoa:"+channel, envelope).Err(); err != nil {
			t.Fatalf("Publish = %v, want nil", err)
		}
		publishAcknowledged(t, b, channel, i+1, i+2)
	}
	testkit.EventuallyWithin(t, "the other messages arrive", patience, func() bool { return l.count() == 4 })
	l.expectAll(t, "the node", map[string]int{channel + " publisher": 4})
	if err := b.Publish(channel, &cluster.Envelope{Payload: make([]byte, 1<<20)}); !errors.Is(err, cluster.ErrTooLarge) {
		t.Errorf("Publish of a megabyte and a header = %v, want %v", err, cluster.ErrTooLarge)
	}
	stats := b.Stats().Servers[0]
	if stats.TooLarge != 4 || stats.Gaps != 0 || stats.Malformed != 0 {
		t.Errorf("%d too large, %d gaps, %d malformed; want 4, 0, 0", stats.TooLarge, stats.Gaps, stats.Malformed)
	}
	scratch := redisbroker.ScratchBytes(b)
	if err := b.Close(t.Context()); err != nil { // announcements arrive until then
		t.Fatalf("Close = %v, want nil", err)
	}
	if reader, payload := scratch(); reader+payload > 256<<10 {
		t.Errorf("%d and %d bytes are kept for the next message, want little", reader, payload)
	}
}
