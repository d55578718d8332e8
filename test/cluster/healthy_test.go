package cluster_test

import (
	"fmt"
	"testing"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

// report logs the counters of the brokers, and fails if one that must be zero
// is not.
func report(t testing.TB, nodes []*testNode) {
	t.Helper()
	for _, n := range nodes {
		stats := n.broker.Stats()
		for _, s := range stats.Servers {
			t.Logf("node %s: published %d, delivered %d, resent %d, repeats %d, gaps %d, missed at most %d, flush timeouts %d, reconnects %d and %d",
				n.ID(), s.Published, s.Delivered, s.Resent, s.Repeats, s.Gaps, s.MissedAtMost, s.FlushTimeouts,
				s.PublisherReconnects, s.SubscriberReconnects)
			if s.Malformed+s.BadVersion+s.TooOld > 0 {
				t.Errorf("node %s dropped %d malformed messages, %d of another version, %d too old; want none",
					n.ID(), s.Malformed, s.BadVersion, s.TooOld)
			}
		}
		dropped := uint64(0)
		for _, results := range n.Stats().MessagesIn {
			dropped += results[node.MessageDropped]
		}
		if dropped+stats.QueueFull > 0 {
			t.Errorf("node %s did not accept %d messages, queue full %d times; want none", n.ID(), dropped, stats.QueueFull)
		}
		for key, count := range n.Stats().Closes {
			if count > 0 && key.Initiator == node.ByServer {
				t.Errorf("node %s closed %d connections with %s, want none", n.ID(), count, key.Code)
			}
		}
	}
}

// TestOneOrder is three nodes with 300 clients. In the course of it more
// clients join, on nodes that have not been subscribed to their room: a client
// whose join was answered receives everything that is sent from then on.
func TestOneOrder(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	nodes := startNodes(t, 3, redisbroker.Config{Servers: []string{server.URL()}})
	s := crowd
	s.pause /= 2
	l := startLoad(t, s, nodes)
	few := size{rooms: 10, members: 3, publishers: 2, pause: s.pause}
	elsewhere := &load{stop: make(chan struct{})}
	elsewhere.fill(t, few, "elsewhere ", []string{nodes[0].ID(), nodes[1].ID()},
		[]string{nodes[0].Addr().String(), nodes[1].Addr().String()})
	elsewhere.publish(few)
	l.progress(t, 20)
	for i, r := range elsewhere.rooms {
		n := nodes[2-i%2]
		elsewhere.enter(t, r, n.ID(), n.Addr().String())
		elsewhere.enter(t, r, nodes[2].ID(), nodes[2].Addr().String())
	}
	l.progress(t, 20)
	for _, one := range []*load{l, elsewhere} {
		one.finish(t)
		history{}.expect(t, one)
	}
	report(t, nodes)
}

// neffos row 9: two connections to Redis, with one client as with 200.
// TestConnectionsToRedis: what a node opens does not grow with its clients.
func TestConnectionsToRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := startNodes(t, 1, redisbroker.Config{Servers: []string{server.URL()}})[0]
	admin := openAdmin(t, server.Addr())
	enter := func(i int) {
		c, err := openClient(n.Addr().String(), func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.close)
		if err := c.connect(namespace); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"common", fmt.Sprint("room of ", i)} {
			if err := c.join(namespace, name); err != nil {
				t.Fatal(err)
			}
		}
	}
	enter(0)
	// The first connection of a broker may be followed by another try.
	testkit.Eventually(t, "the node has two connections", func() bool { return len(admin.connections()) == 2 })
	for i := 1; i < 200; i++ {
		enter(i)
	}
	if got := admin.connections(); len(got) != 2 {
		t.Errorf("with 200 clients there are %d connections to Redis, want 2 as with one client: %q", len(got), got)
	}
	if got := len(admin.channels("stoa:*")); got < 200 {
		t.Errorf("%d channels are subscribed, want those of 201 rooms", got)
	}
}
