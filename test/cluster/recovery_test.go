package cluster_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

func oneServer(server *redistest.Server) func(int) redisbroker.Config {
	return func(int) redisbroker.Config { return redisbroker.Config{Servers: []string{server.URL()}} }
}

func sentinels(group *redistest.Group) func(int) redisbroker.Config {
	return func(int) redisbroker.Config { return redisbroker.Config{Servers: []string{group.URL()}} }
}

// Clients that leave and return miss nothing.
func TestRecoveryOfClients(t *testing.T) {
	t.Parallel()
	l := startLedger(t, keepingNodes(t, 3, oneServer(redistest.Start(t))))
	for range 4 {
		l.phase()
	}
	l.finish()
	l.expectNoNotice()
}

// Nodes that lose their subscriptions read the gap.
func TestRecoveryOfSubscriptions(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	l := startLedger(t, keepingNodes(t, 3, oneServer(server)))
	second := min(10, int64(time.Second/l.size.pause)) // or less
	for range l.size.kills {
		l.progress(second)
		server.Command("CLIENT KILL TYPE pubsub")
	}
	l.phase()
	l.finish()
	l.expectNoNotice()
}

// A server that stands still loses nothing.
func TestRecoveryAfterPause(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	l := startLedger(t, keepingNodes(t, 3, oneServer(server)))
	l.phase()
	server.Pause()
	awaitReady(t, l.nodes, false)
	outage(l.size.outage)
	server.Resume()
	awaitReady(t, l.nodes, true)
	l.phase()
	l.finish()
	l.expectNoNotice()
}

// What a killed server has lost, it may have lost after some nodes had received
// it. Clients learn that they may have missed something.
func TestRecoveryAfterCrash(t *testing.T) {
	for name, arguments := range map[string][]string{
		"always":   alwaysWritten,
		"everysec": {"--appendonly", "yes", "--appendfsync", "everysec"},
		"empty":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, arguments...)
			l := startLedger(t, keepingNodes(t, 3, oneServer(server)))
			crashes(t, server, l.nodes, 2, l.phase)
			l.finish()
			l.reportRedis(server.Addr())
		})
	}
}

// crashes kills and restarts a server so many times, between phases of a test.
func crashes(t *testing.T, server *redistest.Server, nodes []*testNode, count int, phase func()) {
	t.Helper()
	for range count {
		phase()
		server.Kill()
		awaitReady(t, nodes, false)
		server.Restart()
		awaitReady(t, nodes, true)
	}
	phase()
}

// proxied is the nodes of a server, the first one behind a proxy.
func proxied(t *testing.T, server *redistest.Server) (proxy *redistest.Proxy, nodes []*testNode) {
	t.Helper()
	proxy = redistest.StartProxy(t, server)
	return proxy, keepingNodes(t, 3, func(i int) redisbroker.Config {
		if i == 0 {
			return redisbroker.Config{Servers: []string{proxy.URL()}}
		}
		return redisbroker.Config{Servers: []string{server.URL()}}
	})
}

// One node is cut off. Clients that come to it in this time, and whose joins
// cannot wait for as long, learn that they may have missed something.
func TestRecoveryOfNode(t *testing.T) {
	t.Parallel()
	proxy, nodes := proxied(t, redistest.Start(t))
	l := startLedger(t, nodes)
	l.phase()
	proxy.Cut()
	awaitReady(t, l.nodes[:1], false)
	outage(l.size.outage)
	proxy.Heal()
	awaitReady(t, l.nodes, true)
	l.phase()
	l.finish()
}

// TestRecoveryAfterOverrun: one node receives nothing until the server ends its
// subscription because too much waits for it. The bytes on their way then
// arrive, up to any place in a message, and the rest is read.
func TestRecoveryAfterOverrun(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--client-output-buffer-limit", "pubsub 256kb 0 0")
	proxy, nodes := proxied(t, server)
	l := startLedger(t, nodes)
	a := openAdmin(t, server.Addr())
	for range 2 {
		l.phase()
		before := len(subscribers(a, "n0"))
		proxy.Cut()
		overrun(a, "n0", before)
		proxy.Heal()
		awaitReady(t, l.nodes, true)
	}
	l.phase()
	l.finish()
	if gaps := nodes[0].broker.Stats().Servers[0].Gaps; gaps < 2 {
		t.Errorf("the subscription was interrupted %d times, want at least twice", gaps)
	}
}

// overrun sends messages that no node can read to a node that reads nothing,
// until one of its subscriptions has ended.
func overrun(a *admin, id string, before int) {
	a.t.Helper()
	junk := strings.Repeat("x", 256<<10)
	testkit.Eventually(a.t, "the server ends the subscription of node "+id, func() bool {
		if err := a.client.Publish(a.t.Context(), "stoa:"+cluster.NodeChannel(id), junk).Err(); err != nil {
			a.t.Fatalf("PUBLISH: %v", err)
		}
		return len(subscribers(a, id)) < before
	})
}

// subscribers returns the subscribed connections of a node.
func subscribers(a *admin, id string) []string {
	return slices.DeleteFunc(a.connections(), func(name string) bool {
		return !strings.Contains(name, "."+id+".") || !strings.HasSuffix(name, ".subscriber")
	})
}

// The master fails, and the Sentinels choose its replica. Of the messages that
// this one lacks, the clients have notice.
func TestRecoveryAfterFailover(t *testing.T) {
	t.Parallel()
	group := redistest.StartGroup(t, "stoa")
	l := startLedger(t, keepingNodes(t, 3, sentinels(group)))
	l.phase()
	group.Master.Kill()
	awaitReady(t, l.nodes, false)
	awaitReady(t, l.nodes, true)
	l.phase()
	l.finish()
	l.reportRedis(group.Replicas[0].Addr())
}
