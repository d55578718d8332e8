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
	// The node does not know the round trip before the first ones.
	publishAcknowledged(t, b, channel, 0, 1)
	before := b.Stats().Servers[0]
	const batches = 8
	for i := range batches {
		publishAcknowledged(t, b, channel, 1+100*i, 1+100*(i+1))
	}
	testkit.EventuallyWithin(t, "all messages arrive", patience, func() bool { return l.count() == 1+100*batches })
	l.expectAll(t, "the node", map[string]int{channel + " publisher": 1 + 100*batches})
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
