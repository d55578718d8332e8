package redisbroker_test

import (
	"fmt"
	"testing"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// TestCongestionOfOneServer kills one of two servers and fills its queue. The
// handler is notified for that server only, and messages still pass through the
// other one.
func TestCongestionOfOneServer(t *testing.T) {
	servers := []*redistest.Server{redistest.Start(t), redistest.Start(t)}
	l := newLedger()
	b := startBroker(t, redisbroker.Config{
		Servers: []string{servers[0].URL(), servers[1].URL()}, QueueBytes: 100_000,
	}, l)
	var channels [2]string // by partition
	for i := 0; channels[0] == "" || channels[1] == ""; i++ {
		channel := cluster.RoomChannel("chat", fmt.Sprint("room ", i))
		channels[b.Partition(channel)] = channel
	}
	if err := b.Subscribe(t.Context(), channels[:]...); err != nil {
		t.Fatal(err)
	}
	dead := 0
	if b.Stats().Servers[1].Server == servers[0].Addr() {
		dead = 1
	}
	alive := 1 - dead
	servers[0].Kill()
	waiting := 0
	for ; !l.held(dead); waiting++ {
		if err := b.Publish(channels[dead], &cluster.Envelope{Payload: fmt.Appendf(nil, "publisher/%d", waiting)}); err != nil {
			t.Fatalf("Publish = %v after %d messages, want congestion first", err, waiting)
		}
	}
	// Many more messages than the queue would hold.
	const count = 2000
	for i := range count {
		testkit.Eventually(t, "the other server's queue has room", func() bool { return !l.held(alive) })
		if err := b.Publish(channels[alive], &cluster.Envelope{Payload: fmt.Appendf(nil, "publisher/%d", i)}); err != nil {
			t.Fatalf("Publish to the other server = %v, want nil", err)
		}
	}
	testkit.Eventually(t, "everything has come through the other server", func() bool { return l.count() == count })
	stats := b.Stats().Servers
	if !stats[dead].Congested || stats[alive].Congested || !l.held(dead) || l.held(alive) {
		t.Errorf("congested: %v and %v, the handler received %v and %v; want true for the server that was killed, and false",
			stats[dead].Congested, stats[alive].Congested, l.held(dead), l.held(alive))
	}
	servers[0].Restart()
	testkit.Eventually(t, "congestion ends", func() bool { return !l.held(dead) })
	testkit.Eventually(t, "what waited has come", func() bool { return l.count() == count+waiting })
	l.expectAll(t, "the node", map[string]int{channels[dead] + " publisher": waiting, channels[alive] + " publisher": count})
}
