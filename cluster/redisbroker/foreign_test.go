package redisbroker_test

import (
	"context"
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
