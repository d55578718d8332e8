package redisbroker_test

import (
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// TestSlowLink: over a link with a long round trip messages are not sent twice,
// and no connection counts as silent.
func TestSlowLink(t *testing.T) {
	server := redistest.Start(t)
	channel := rooms(1)[0]
	l := newLedger()
	b := startBroker(t, redisbroker.Config{
		Servers: []string{redistest.StartSlowLink(t, server, 300*time.Millisecond)}, ProbeInterval: time.Second,
	}, l)
	if err := b.Subscribe(t.Context(), channel); err != nil {
		t.Fatalf("Subscribe = %v, want nil", err)
	}
	before := b.Stats().Servers[0]
	const batches = 8
	for i := range batches {
		publishAcknowledged(t, b, channel, 100*i, 100*(i+1))
	}
	testkit.EventuallyWithin(t, "all messages arrive", patience, func() bool { return l.count() == 100*batches })
	l.expectAll(t, "the node", map[string]int{channel + " publisher": 100 * batches})
	after := b.Stats().Servers[0]
	// On a busy machine a few of the answers are late indeed.
	if resent := after.Resent - before.Resent; resent > 100*batches/2 {
		t.Errorf("%d of %d messages were sent again, want none", resent, 100*batches)
	}
	if after.SubscriberReconnects != 0 || after.PublisherReconnects != 0 || after.Gaps != 0 {
		t.Errorf("%d and %d reconnects, %d gaps, want none", after.SubscriberReconnects, after.PublisherReconnects, after.Gaps)
	}
	if b.Interrupted(0) {
		t.Error("the subscription counts as interrupted, although it works")
	}
}

// TestLongTransactions: over a link with a long round trip the messages that
// have gathered leave in few transactions, and over a short one in many.
func TestLongTransactions(t *testing.T) {
	const count = redisbroker.MaxGrowth * redisbroker.MaxPipeline
	server := redistest.Start(t)
	channel := rooms(1)[0]
	for _, c := range []struct {
		name        string
		trip        time.Duration
		least, most uint64 // transactions
	}{
		// The first message need not wait for the others.
		{"long", 400 * time.Millisecond, 1, 2},
		{"short", 0, redisbroker.MaxGrowth, count},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLedger()
			b := startBroker(t, redisbroker.Config{
				Servers: []string{redistest.StartSlowLink(t, server, c.trip/2)}, Cluster: c.name, ProbeInterval: time.Minute,
			}, l)
			if err := b.Subscribe(t.Context(), channel); err != nil {
				t.Fatalf("Subscribe = %v, want nil", err)
			}
			before := b.Stats().Servers[0].BatchSize.Count
			publishAcknowledged(t, b, channel, 0, count)
			transactions := b.Stats().Servers[0].BatchSize.Count - before
			if transactions < c.least || transactions > c.most {
				t.Errorf("%d messages left in %d transactions, want %d to %d", count, transactions, c.least, c.most)
			}
			testkit.Eventually(t, "all messages arrive", func() bool { return l.count() == count })
			l.expectAll(t, "the node", map[string]int{channel + " publisher": count})
		})
	}
}

// TestServerKilledOverSlowLink kills the server while long transactions are on
// their way.
func TestServerKilledOverSlowLink(t *testing.T) {
	server := redistest.Start(t)
	config := redisbroker.Config{
		Servers: []string{redistest.StartSlowLink(t, server, 100*time.Millisecond)}, QueueAge: time.Minute,
	}
	f := startTraffic(t, rooms(4), repeated(2, config)...)
	for range 4 {
		f.run(t, 2000)
		server.Kill()
		server.Restart()
	}
	f.run(t, 2000)
	f.expectNothingLost(t)
}
