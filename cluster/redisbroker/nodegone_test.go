package redisbroker_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

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
func (w *watcher) expectGone(t testing.TB, why string, want ...string) {
	t.Helper()
	var got []string
	testkit.Eventually(t, fmt.Sprintf("%v are said to be gone: %s", want, why), func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		got = slices.Clone(w.gone)
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
