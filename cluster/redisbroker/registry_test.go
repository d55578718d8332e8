package redisbroker_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// ids are the IDs of nodes.
func ids(nodes []cluster.NodeInfo) []string {
	list := make([]string, len(nodes))
	for i, n := range nodes {
		list[i] = n.ID
	}
	return list
}

func expectNodes(t testing.TB, who string, list func() []cluster.NodeInfo, want ...string) {
	t.Helper()
	testkit.Eventually(t, fmt.Sprintf("%s sees the nodes %v", who, want),
		func() bool { return slices.Equal(ids(list()), want) })
}

// redisLines sends a command on a separate connection, in the inline form.
func redisLines(t testing.TB, address string, command string) []string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, command+"\r\nQUIT\r\n"); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for scanner := bufio.NewScanner(conn); scanner.Scan(); {
		if strings.HasPrefix(scanner.Text(), "-ERR unknown command") {
			break // a Sentinel does not know QUIT
		}
		lines = append(lines, scanner.Text())
	}
	return lines
}

func TestRegistry(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	started := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	config := func(id, url string) redisbroker.Config {
		return redisbroker.Config{
			Servers: []string{url}, NodeID: id, Cluster: "registry", Lease: time.Second,
			Info: func() cluster.NodeInfo {
				return cluster.NodeInfo{Address: id + ":8080", Version: "1.2.3", Connections: 7, Started: started}
			},
		}
	}
	a := startBroker(t, config("a", server.URL()), newLedger())
	b := startBroker(t, config("b", server.URL()), newLedger())
	c := startBroker(t, config("c", proxy.URL()), newLedger())
	stranger := config("stranger", server.URL())
	stranger.Cluster = "another"
	startBroker(t, stranger, newLedger())
	list := func() []cluster.NodeInfo {
		nodes, err := redisbroker.ListNodes(t.Context(), config("", server.URL()))
		// The server takes a while to notice that a connection is gone.
		if err != nil && !errors.Is(err, redisbroker.ErrUnregistered) {
			t.Errorf("ListNodes = %v, want nil", err)
		}
		return nodes
	}
	for _, n := range []*redisbroker.Broker{a, b, c} {
		expectNodes(t, n.NodeID(), n.Nodes, "a", "b", "c")
	}
	expectNodes(t, "ListNodes", list, "a", "b", "c")
	want := cluster.NodeInfo{ID: "b", Address: "b:8080", Version: "1.2.3", Connections: 7, Started: started}
	if got := a.Nodes()[1]; got != want {
		t.Errorf("b is known as %+v, want %+v", got, want)
	}

	// A node that leaves is forgotten at once; a node that dies, after its
	// lease.
	if err := b.Close(t.Context()); err != nil {
		t.Errorf("Close = %v, want nil", err)
	}
	expectNodes(t, "a", a.Nodes, "a", "c")
	proxy.Cut()
	expectNodes(t, "a", a.Nodes, "a")
	expectNodes(t, "ListNodes", list, "a")
	testkit.Eventually(t, "nothing of c is left", func() bool {
		return !slices.Contains(redisLines(t, server.Addr(), "SMEMBERS registry:nodes"), "c")
	})
	proxy.Heal()
	expectNodes(t, "a", a.Nodes, "a", "c")

	// The nodes announce themselves to an empty server again.
	server.Restart()
	expectNodes(t, "ListNodes", list, "a", "c")
}

// TestLeavesNoResidue checks the keys on the server a while after the last node
// has died.
func TestLeavesNoResidue(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	b := startBroker(t, redisbroker.Config{Servers: []string{proxy.URL()}, Lease: 300 * time.Millisecond}, newLedger())
	if err := b.Subscribe(t.Context(), "r:chat:lobby"); err != nil {
		t.Fatal(err)
	}
	proxy.Cut()
	proxy.Break()
	testkit.Eventually(t, "the server has no keys and no channels", func() bool {
		keys := redisLines(t, server.Addr(), "DBSIZE")
		channels := redisLines(t, server.Addr(), "PUBSUB CHANNELS")
		return keys[0] == ":0" && channels[0] == "*0"
	})
	proxy.Heal()
}

// TestConnections: a node has two connections for any number of channels.
func TestConnections(t *testing.T) {
	server := redistest.Start(t)
	l := newLedger()
	b := startBroker(t, redisbroker.Config{Servers: []string{server.URL()}, NodeID: "counted"}, l)
	const channels = 200
	for i := range channels {
		channel := cluster.RoomChannel("chat", fmt.Sprint("room", i))
		if err := b.Subscribe(t.Context(), channel); err != nil {
			t.Fatal(err)
		}
		if err := b.Publish(channel, &cluster.Envelope{Payload: []byte("x/0")}); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, "all is delivered", func() bool { return l.count() == channels })
	if err := b.Ready(t.Context()); err != nil {
		t.Errorf("Ready = %v, want nil", err)
	}
	connections := 0
	for _, line := range redisLines(t, server.Addr(), "CLIENT LIST") {
		if strings.Contains(line, " name=stoa.counted.") {
			connections++
		}
	}
	if connections != 2 {
		t.Errorf("%d connections to the server, want 2", connections)
	}
	stats := b.Stats().Servers[0]
	if stats.Subscriptions != channels+2 || stats.Delivered != channels || stats.Lag.Count == 0 || !stats.Up {
		t.Errorf("%d subscriptions, %d delivered, %d lags, up %v; want %d, %d, some, true",
			stats.Subscriptions, stats.Delivered, stats.Lag.Count, stats.Up, channels+2, channels)
	}
}

func TestInboxAndCount(t *testing.T) {
	servers := []*redistest.Server{redistest.Start(t), redistest.Start(t)}
	urls := []string{servers[0].URL(), servers[1].URL()}
	ledgers := []*ledger{newLedger(), newLedger()}
	a := startBroker(t, redisbroker.Config{Servers: urls, NodeID: "a"}, ledgers[0])
	b := startBroker(t, redisbroker.Config{Servers: []string{urls[1], urls[0]}, NodeID: "b"}, ledgers[1])
	count := func(from *redisbroker.Broker, channel string) int {
		t.Helper()
		counted := make(chan int, 1)
		from.PublishCount(channel, &cluster.Envelope{Kind: cluster.EnvelopeControl, Payload: []byte("x/0")}, func(nodes int, err error) {
			if err != nil {
				t.Errorf("PublishCount reported %v, want nil", err)
			}
			counted <- nodes
		})
		return <-counted
	}
	for _, c := range []struct {
		b       *redisbroker.Broker
		channel string
	}{{a, cluster.NodeChannel("a")}, {b, cluster.NodeChannel("b")}, {a, cluster.ClusterChannel()}} {
		if err := c.b.Subscribe(t.Context(), c.channel); err != nil {
			t.Fatalf("Subscribe(%s) = %v, want nil", c.channel, err)
		}
	}
	for _, c := range []struct {
		channel string
		want    int
	}{
		{cluster.NodeChannel("b"), 1}, {cluster.NodeChannel("gone"), 0}, {cluster.ClusterChannel(), 2}, {"r:chat:nobody", 0},
	} {
		if got := count(a, c.channel); got != c.want {
			t.Errorf("%d nodes reached on %s, want %d", got, c.channel, c.want)
		}
	}
	testkit.Eventually(t, "b got its message", func() bool { return ledgers[1].count() == 1 })
	testkit.Eventually(t, "a got the cluster's", func() bool { return ledgers[0].count() == 1 })

	// With one unreachable server, the inbox works over the other one, and so
	// do the rooms of the other one.
	servers[a.Partition(cluster.NodeChannel("b"))%2].Kill()
	servers = nil
	testkit.Eventually(t, "one server is known to be unreachable", func() bool {
		up := 0
		for _, s := range a.Stats().Servers {
			if s.Up {
				up++
			}
		}
		return up == 1
	})
	if got := count(a, cluster.NodeChannel("b")); got != 1 {
		t.Errorf("%d nodes reached in b's inbox while a server is unreachable, want 1", got)
	}
	for partition, s := range a.Stats().Servers {
		channel := cluster.RoomChannel("chat", "")
		for i := 0; a.Partition(channel) != partition; i++ {
			channel = cluster.RoomChannel("chat", fmt.Sprint(i))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		err := a.Subscribe(ctx, channel)
		cancel()
		if (err == nil) != s.Up {
			t.Errorf("Subscribe on a server that is up: %v = %v, want nil only if it is", s.Up, err)
		}
	}
}
