package cluster_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

func oneServer(server *redistest.Server) func(int) redisbroker.Config {
	return func(int) redisbroker.Config { return redisbroker.Config{Servers: []string{server.URL()}} }
}

// Clients that leave and return miss nothing.
func TestRecoveryOfClients(t *testing.T) {
	t.Parallel()
	l := startLedger(t, smallLedger, keepingNodes(t, 3, oneServer(redistest.Start(t))))
	l.progress(100)
	l.finish()
	if told := l.told(); told > 0 {
		t.Errorf("%d visits were not recovered, want all", told)
	}
}

// Nodes that lose their subscriptions read the gap.
func TestRecoveryOfSubscriptions(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	l := startLedger(t, smallLedger, keepingNodes(t, 3, oneServer(server)))
	for range 8 {
		l.progress(10)
		server.Command("CLIENT KILL TYPE pubsub")
	}
	l.progress(25)
	l.finish()
	if told := l.told(); told > 0 {
		t.Errorf("clients were told of a loss %d times, want never", told)
	}
}

// A server that stands still loses nothing.
func TestRecoveryAfterPause(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	l := startLedger(t, smallLedger, keepingNodes(t, 3, oneServer(server)))
	l.progress(25)
	server.Pause()
	awaitReady(t, l.nodes, false)
	outage(3 * time.Second)
	server.Resume()
	awaitReady(t, l.nodes, true)
	l.progress(25)
	l.finish()
	if told := l.told(); told > 0 {
		t.Errorf("clients were told of a loss %d times, want never", told)
	}
}

// What a killed server has lost, it may have lost after some nodes had received
// it. Clients learn that they may have missed something.
func TestRecoveryAfterCrash(t *testing.T) {
	for name, arguments := range map[string][]string{
		"always":   {"--appendonly", "yes", "--appendfsync", "always"},
		"everysec": {"--appendonly", "yes", "--appendfsync", "everysec"},
		"empty":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, arguments...)
			l := startLedger(t, smallLedger, keepingNodes(t, 3, oneServer(server)))
			for range 2 {
				l.progress(25)
				server.Kill()
				awaitReady(t, l.nodes, false)
				server.Restart()
				awaitReady(t, l.nodes, true)
			}
			l.progress(25)
			l.finish()
		})
	}
}

// One node is cut off. Clients that come to it in this time, and whose joins
// cannot wait for as long, learn that they may have missed something.
func TestRecoveryOfNode(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	l := startLedger(t, smallLedger, keepingNodes(t, 3, func(i int) redisbroker.Config {
		if i == 0 {
			return redisbroker.Config{Servers: []string{proxy.URL()}}
		}
		return redisbroker.Config{Servers: []string{server.URL()}}
	}))
	l.progress(25)
	proxy.Cut()
	awaitReady(t, l.nodes[:1], false)
	outage(3 * time.Second)
	proxy.Heal()
	awaitReady(t, l.nodes, true)
	l.progress(25)
	l.finish()
}

// The master fails, and the Sentinels choose its replica. Of the messages that
// this one lacks, the clients have notice.
func TestRecoveryAfterFailover(t *testing.T) {
	t.Parallel()
	group := redistest.StartGroup(t, "stoa")
	l := startLedger(t, smallLedger, keepingNodes(t, 3, func(int) redisbroker.Config {
		return redisbroker.Config{Servers: []string{group.URL()}}
	}))
	l.progress(25)
	group.Master.Kill()
	awaitReady(t, l.nodes, false)
	awaitReady(t, l.nodes, true)
	l.progress(25)
	l.finish()
}

// A crowd comes back at once, after its node was stopped: each node reads each
// room at most once.
func TestHerd(t *testing.T) {
	t.Parallel()
	const rooms, clients = 20, 400
	server := redistest.Start(t)
	nodes := keepingNodes(t, 2, oneServer(server))
	var positions [rooms]string
	for i := range positions {
		room := "room " + strconv.Itoa(i)
		for number := range 10 {
			m := node.Message{Namespace: kept, Room: room, Event: "e", Body: []byte(strconv.Itoa(number))}
			if err := nodes[0].Emit(context.Background(), m, node.EmitOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		testkit.Eventually(t, "the messages are kept", func() bool {
			page, err := nodes[0].History(t.Context(), kept, room, node.HistoryQuery{})
			if err != nil || len(page.Entries) != 10 {
				return false
			}
			positions[i] = string(page.Entries[4].Position)
			return true
		})
	}
	before := nodes[1].Stats().History.Reads
	var group sync.WaitGroup
	var received atomic.Int64
	began := time.Now()
	for i := range clients {
		group.Go(func() {
			c, err := openClientWith(nodes[1].Addr().String(), " positions", func(string) { received.Add(1) })
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(c.close)
			if err := c.connect(kept); err != nil {
				t.Error(err)
				return
			}
			reply, err := c.request("$r;" + kept + ";room " + strconv.Itoa(i%rooms) + ";_OnRoomRecover;0;0;" + positions[i%rooms] + ",0,;")
			if err != nil || !strings.Contains(reply, ";1,") {
				t.Errorf("the join was answered %.200q, %v, want recovery", reply, err)
			}
		})
	}
	group.Wait()
	testkit.Eventually(t, "all are level", func() bool { return received.Load() == clients*5 })
	reads := nodes[1].Stats().History.Reads - before
	t.Logf("%d clients are level after %v, with %d reads", clients, time.Since(began), reads)
	if reads > rooms {
		t.Errorf("%d reads for %d rooms, want one for each", reads, rooms)
	}
}
