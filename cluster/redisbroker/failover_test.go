package redisbroker_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// TestFailoverBehindOneName: a name follows the master, and the old master
// lives on as a replica with open connections. All nodes find the new one, and
// no message stays behind.
func TestFailoverBehindOneName(t *testing.T) {
	first, second := redistest.Start(t), redistest.Start(t)
	name := redistest.StartProxy(t, first)
	f := startTraffic(t, rooms(2), repeated(3, redisbroker.Config{Servers: []string{name.URL()}})...)
	f.run(t, 300)
	second.Command(fmt.Sprintf("REPLICAOF 127.0.0.1 %d", first.Port()))
	testkit.Eventually(t, "the replica is in step", func() bool {
		return slices.Contains(redisLines(t, second.Addr(), "INFO replication"), "master_link_status:up")
	})
	name.Redirect(second)
	second.Command("REPLICAOF NO ONE")
	first.Command(fmt.Sprintf("REPLICAOF 127.0.0.1 %d", second.Port()))
	testkit.Eventually(t, "all nodes are on the new master", func() bool {
		lines := redisLines(t, second.Addr(), "PUBSUB NUMSUB stoa:c:")
		return slices.Contains(lines, ":3")
	})
	f.run(t, 500)
	f.expectNothingLost(t)
	for i, b := range f.nodes {
		awaitReady(t, fmt.Sprintf("node %d is ready", i), b, "")
	}
	for _, line := range redisLines(t, first.Addr(), "PUBSUB NUMSUB stoa:c:") {
		if strings.HasPrefix(line, ":") && line != ":0" {
			t.Errorf("%s nodes have stayed on the old master, want none", line)
		}
	}
}

// TestReadyBehindBacklog: a node that publishes as fast as its connection
// allows is ready, however many messages wait.
func TestReadyBehindBacklog(t *testing.T) {
	server := redistest.Start(t)
	slow := redistest.StartThrottle(t, server, 2<<20)
	l := newLedger()
	b := startBroker(t, redisbroker.Config{Servers: []string{slow.URL()}, ProbeInterval: time.Second}, l)
	awaitReady(t, "the node is ready", b, "")
	const messages, size = 160, 50_000
	for range messages {
		if err := b.Publish("r:chat:lobby", &cluster.Envelope{Payload: make([]byte, size)}); err != nil {
			t.Fatalf("Publish = %v, want nil", err)
		}
	}
	checks := 0
	testkit.Eventually(t, "the queue is empty", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := b.Ready(ctx); err != nil {
			t.Errorf("Ready with %d bytes in the queue = %v, want nil", b.Stats().Servers[0].QueueBytes, err)
		}
		checks++
		return b.Stats().Servers[0].QueueBytes < size
	})
	if checks < 10 {
		t.Errorf("Ready was checked %d times behind the queue, want more", checks)
	}
}

// TestReadyAfterNewSubscription: what returned over the last subscription does
// not make the node ready when it has a new one.
func TestReadyAfterNewSubscription(t *testing.T) {
	server := redistest.Start(t)
	b := startBroker(t, redisbroker.Config{Servers: []string{server.URL()}, ProbeInterval: 10 * time.Second}, newLedger())
	awaitReady(t, "the node is ready", b, "")
	server.Command("CLIENT PAUSE 60000 WRITE") // nothing is published
	server.Command("CLIENT KILL TYPE pubsub")
	testkit.Eventually(t, "the node has subscribed again", func() bool {
		s := b.Stats().Servers[0]
		return s.Gaps == 1 && s.Up
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := b.Ready(ctx); err == nil || !strings.Contains(err.Error(), "no round trip") {
		t.Errorf("Ready without a message over the new subscription = %v, want an error", err)
	}
	server.Command("CLIENT UNPAUSE")
	awaitReady(t, "the node is ready again", b, "")
}

// TestWithoutOptionalCommands: a server behind a proxy lacks the commands that
// the broker can do without.
func TestWithoutOptionalCommands(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartRefuser(t, server)
	proxy.Refuse("ERR unknown command, with args beginning with:", "client", "info", "role", "hello")
	f := startTraffic(t, rooms(2), repeated(2, redisbroker.Config{Servers: []string{proxy.URL()}})...)
	f.run(t, 300)
	proxy.Break()
	f.run(t, 300)
	f.end(t)
	for i, l := range f.ledgers {
		l.expectOrder(t, fmt.Sprint("node ", i), f.published)
		awaitReady(t, fmt.Sprintf("node %d is ready", i), f.nodes[i], "")
	}
}
