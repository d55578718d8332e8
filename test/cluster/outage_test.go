package cluster_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// probeTime bounds one call of Ready.
const probeTime = 500 * time.Millisecond

// ready returns true if the node is ready within probeTime.
func (n *testNode) ready(t testing.TB) bool {
	ctx, cancel := context.WithTimeout(t.Context(), probeTime)
	defer cancel()
	return n.Ready(ctx) == nil
}

func awaitReady(t testing.TB, nodes []*testNode, want bool) {
	t.Helper()
	for _, n := range nodes {
		testkit.Eventually(t, fmt.Sprintf("node %s is ready: %t", n.ID(), want), func() bool { return n.ready(t) == want })
	}
}

// TestRedisKilled: the server comes back empty.
func TestRedisKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	nodes := startNodes(t, 3, redisbroker.Config{Servers: []string{server.URL()}})
	l := startLoad(t, crowd, nodes)
	l.progress(t, 10)
	server.Kill()
	awaitReady(t, nodes, false)
	outage(5 * time.Second)
	server.Restart()
	awaitReady(t, nodes, true)
	l.progress(t, 10)
	l.finish(t)
	crashed(nodes).expect(t, l)
	report(t, nodes)
	awaitMembers(t, nodes, len(nodes))
	admin := openAdmin(t, server.Addr())
	testkit.Eventually(t, "the nodes are registered again", func() bool { return len(admin.members("stoa:nodes")) == len(nodes) })
}

// TestRedisKilledWithSmallQueues: the messages of the outage exceed the queues
// of the nodes. The nodes stop reading the clients for a while, and drop
// nothing.
func TestRedisKilledWithSmallQueues(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	nodes := startNodes(t, 3, redisbroker.Config{Servers: []string{server.URL()}, QueueBytes: 128 << 10})
	l := startLoad(t, size{rooms: 6, members: 5, publishers: 3, pause: 5 * time.Millisecond}, nodes)
	l.progress(t, 10)
	server.Kill()
	for _, n := range nodes {
		testkit.Eventually(t, "publishers are held back on node "+n.ID(), func() bool {
			stats := n.Stats()
			return stats.Congested && stats.Paused > 0
		})
	}
	outage(5 * time.Second)
	server.Restart()
	l.progress(t, 100)
	l.finish(t)
	crashed(nodes).expect(t, l)
	report(t, nodes)
	for _, n := range nodes {
		testkit.Eventually(t, "no connection is paused on node "+n.ID(), func() bool { return n.Stats().Paused == 0 })
	}
}

// TestRedisPaused: the server stands still with its connections open.
func TestRedisPaused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	nodes := startNodes(t, 3, redisbroker.Config{Servers: []string{server.URL()}})
	l := startLoad(t, crowd, nodes)
	l.progress(t, 10)
	server.Pause()
	awaitReady(t, nodes, false)
	outage(10 * time.Second)
	server.Resume()
	awaitReady(t, nodes, true)
	l.progress(t, 10)
	l.finish(t)
	history{}.expect(t, l)
	report(t, nodes)
}

// TestFailover: the master is killed, and the Sentinels choose the replica.
func TestFailover(t *testing.T) {
	t.Parallel()
	group := redistest.StartGroup(t, "stoa")
	nodes := startNodes(t, 3, redisbroker.Config{Servers: []string{group.URL()}})
	l := startLoad(t, crowd, nodes)
	l.progress(t, 10)
	group.Master.Kill()
	awaitReady(t, nodes, false)
	awaitReady(t, nodes, true)
	l.progress(t, 10)
	l.finish(t)
	crashed(nodes).expect(t, l)
	report(t, nodes)
}

// TestPlannedFailovers: an operator lets the Sentinels replace a master that
// works, again and again.
func TestPlannedFailovers(t *testing.T) {
	t.Parallel()
	group := redistest.StartGroup(t, "stoa")
	nodes := startNodes(t, 3, redisbroker.Config{Servers: []string{group.URL()}})
	l := startLoad(t, crowd, nodes)
	for range 3 {
		l.progress(t, 10)
		var before []uint64
		for _, n := range nodes {
			before = append(before, n.broker.Stats().Servers[0].PublisherReconnects)
		}
		group.FailOver(t)
		for i, n := range nodes {
			testkit.Eventually(t, "node "+n.ID()+" follows the master", func() bool {
				return n.broker.Stats().Servers[0].PublisherReconnects > before[i]
			})
		}
		awaitReady(t, nodes, true)
	}
	l.progress(t, 10)
	l.finish(t)
	crashed(nodes).expect(t, l)
	report(t, nodes)
}

// TestNodeCutOff: one node cannot reach the server, nor hears that it cannot.
// When its connections survive that, what the server kept for it arrives late;
// when they do not, it is lost, and counted.
func TestNodeCutOff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		broken bool
	}{{"connections survive", false}, {"connections end", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			testCutOff(t, c.broken)
		})
	}
}

func testCutOff(t *testing.T, broken bool) {
	server := redistest.Start(t)
	nodes := startNodes(t, 2, redisbroker.Config{Servers: []string{server.URL()}})
	proxy := redistest.StartProxy(t, server)
	cut := startNode(t, nodeOptions{id: "cut", redis: redisbroker.Config{Servers: []string{proxy.URL()}}})
	all := append(nodes, cut)
	awaitMembers(t, all, len(all))
	s := crowd
	s.rooms /= 2
	l := startLoad(t, s, all)
	l.progress(t, 10)
	before := cut.broker.Stats().Servers[0]
	proxy.Cut()
	awaitReady(t, all[2:], false)
	outage(10 * time.Second)
	if cut.ready(t) {
		t.Error("the node that is cut off is ready, want an error")
	}
	awaitReady(t, nodes, true)
	if broken {
		proxy.Break()
	}
	proxy.Heal()
	awaitReady(t, all, true)
	l.progress(t, 10)
	l.finish(t)
	expected := crashed(all)
	expected.cutOff = "cut"
	missed := expected.expect(t, l).missedByNode
	report(t, all)
	after := cut.broker.Stats().Servers[0]
	if broken && (missed == 0 || after.Gaps == before.Gaps) || after.MissedAtMost < uint64(missed) {
		t.Errorf("the node missed %d messages and counted %d gaps and at most %d; want some messages and a gap if connections ended, and a bound that holds",
			missed, after.Gaps-before.Gaps, after.MissedAtMost)
	}
	if stats := cut.Stats(); stats.Connections != len(l.on("cut")) {
		t.Errorf("the node has %d connections, want all %d", stats.Connections, len(l.on("cut")))
	}
}
