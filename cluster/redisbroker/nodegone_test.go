package redisbroker_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// watcher is a handler that records the calls of NodeGone.
type watcher struct {
	*ledger
	mu   sync.Mutex // guards gone
	gone []string
}

func (w *watcher) NodeGone(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = append(w.gone, id)
}

// expectGone waits until exactly these nodes are gone, and clears the record.
// Two servers that notice at the same moment may report a node twice.
func (w *watcher) expectGone(t testing.TB, why string, want ...string) {
	t.Helper()
	var got []string
	testkit.Eventually(t, fmt.Sprintf("%v are said to be gone: %s", want, why), func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		got = slices.Compact(slices.Clone(w.gone))
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v are said to be gone, want %v", why, got, want)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = nil
}

func TestNodeGone(t *testing.T) {
	servers := []*redistest.Server{redistest.Start(t), redistest.Start(t)}
	proxies := []*redistest.Proxy{redistest.StartProxy(t, servers[0]), redistest.StartProxy(t, servers[1])}
	// A server is known by its address, so that brokers behind proxies use
	// channels of their own; the registry is the same for all of them.
	config := func(id string, urls ...string) redisbroker.Config {
		return redisbroker.Config{Servers: urls, NodeID: id, Lease: time.Second}
	}
	direct := []string{servers[0].URL(), servers[1].URL()}
	w := &watcher{ledger: newLedger()}
	a := startBroker(t, config("a", direct...), w)
	b := startBroker(t, config("b", direct...), newLedger())
	startBroker(t, config("c", proxies[0].URL(), proxies[1].URL()), newLedger())
	expectNodes(t, "a", a.Nodes, "a", "b", "c")

	if err := b.Close(t.Context()); err != nil {
		t.Errorf("Close = %v, want nil", err)
	}
	w.expectGone(t, "it has said so", "b")
	// One of its two servers still sees the node.
	proxies[0].Cut()
	testkit.Eventually(t, "c is forgotten at the first server", func() bool {
		return !slices.Contains(redisLines(t, servers[0].Addr(), "SMEMBERS stoa:nodes"), "c")
	})
	expectNodes(t, "a", a.Nodes, "a", "c")
	w.expectGone(t, "the second server still sees it")
	proxies[1].Cut()
	w.expectGone(t, "no server sees it", "c")
	expectNodes(t, "a", a.Nodes, "a")
	for _, proxy := range proxies {
		proxy.Heal()
	}
	expectNodes(t, "a", a.Nodes, "a", "c")
	w.expectGone(t, "it has come back")
}

// TestSuccessor: another process takes the ID of a node that has died, before
// its lease is over.
func TestSuccessor(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	w := &watcher{ledger: newLedger()}
	config := func(id, url string) redisbroker.Config {
		return redisbroker.Config{Servers: []string{url}, NodeID: id, Lease: time.Hour}
	}
	a := startBroker(t, config("a", server.URL()), w)
	startBroker(t, config("b", proxy.URL()), newLedger())
	expectNodes(t, "a", a.Nodes, "a", "b")
	proxy.Cut()
	proxy.Break()
	startBroker(t, config("b", server.URL()), newLedger())
	w.expectGone(t, "it has a successor", "b")
	expectNodes(t, "a", a.Nodes, "a", "b")
}

// TestDuplicateID: two living nodes have one ID. All nodes notice, the older
// one is not ready and leaves the inbox to the newer one, and no node is said
// to be gone again and again.
func TestDuplicateID(t *testing.T) {
	server := redistest.Start(t)
	w := &watcher{ledger: newLedger()}
	config := func(id string) redisbroker.Config {
		return redisbroker.Config{
			Servers: []string{server.URL()}, NodeID: id, Lease: 600 * time.Millisecond,
			Info: func() cluster.NodeInfo { return cluster.NodeInfo{Address: id + ".example.com"} },
		}
	}
	a := startBroker(t, config("a"), w)
	ledgers := [2]*ledger{newLedger(), newLedger()}
	older := startBroker(t, config("b"), ledgers[0])
	expectNodes(t, "a", a.Nodes, "a", "b")
	newer := startBroker(t, config("b"), ledgers[1])
	for i, b := range []*redisbroker.Broker{older, newer} {
		if err := b.Subscribe(t.Context(), cluster.NodeChannel("b")); err != nil {
			t.Fatalf("Subscribe of process %d = %v, want nil", i, err)
		}
	}
	awaitReady(t, "the older one is not ready", older, `node ID "b" belongs to a newer process, at "b.example.com"`)
	for _, b := range []*redisbroker.Broker{a, older, newer} {
		testkit.Eventually(t, "all nodes warn and count", func() bool {
			return matches(`two nodes have one ID since .*: "b": the process at `, b.Warnings()...) && b.Stats().Servers[0].Duplicates > 3
		})
	}
	awaitReady(t, "the newer one is ready", newer, "")
	w.expectGone(t, "its ID is taken", "b")
	expectNodes(t, "a", a.Nodes, "a", "b")
	publishAcknowledged(t, a, cluster.NodeChannel("b"), 0, 3)
	testkit.Eventually(t, "the newer one has the messages to the ID", func() bool { return ledgers[1].count() == 3 })
	if err := older.Publish(cluster.RoomChannel("chat", "room"), &cluster.Envelope{}); err != nil {
		t.Errorf("Publish of the older one = %v, want nil", err)
	}

	if err := newer.Close(t.Context()); err != nil {
		t.Errorf("Close = %v, want nil", err)
	}
	awaitReady(t, "the older one is ready again", older, "")
	testkit.Eventually(t, "no node warns", func() bool { return len(a.Warnings())+len(older.Warnings()) == 0 })
	if got := ledgers[0].count(); got != 0 {
		t.Errorf("the older one received %d messages to the ID, want 0", got)
	}
	publishAcknowledged(t, a, cluster.NodeChannel("b"), 3, 6)
	testkit.Eventually(t, "the older one has the messages to the ID", func() bool { return ledgers[0].count() == 3 })
}
