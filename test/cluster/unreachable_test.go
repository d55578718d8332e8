package cluster_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

// TestRedisKilledAgainAndAgain kills the server at moments that the load does
// not choose, with many messages in flight.
func TestRedisKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	nodes := startNodes(t, 3, redisbroker.Config{Servers: []string{server.URL()}})
	l := startLoad(t, size{rooms: 10, members: 5, publishers: 3, pause: 4 * time.Millisecond}, nodes)
	for range 6 {
		l.progress(t, 20)
		server.Kill()
		server.Restart()
	}
	l.progress(t, 20)
	l.finish(t)
	crashed(nodes).expect(t, l)
	report(t, nodes)
}

// TestOneOfSeveralServersKilled: only the rooms that are on the server wait for
// it.
func TestOneOfSeveralServersKilled(t *testing.T) {
	t.Parallel()
	servers := []*redistest.Server{redistest.Start(t), redistest.Start(t)}
	nodes := startNodes(t, 3, redisbroker.Config{Servers: []string{servers[0].URL(), servers[1].URL()}})
	s := crowd
	s.members = 8
	l := startLoad(t, s, nodes)
	l.progress(t, 10)
	broker := nodes[0].broker
	lost := 0
	for i, server := range broker.Stats().Servers {
		if strings.Contains(server.Server, servers[1].Addr()) {
			lost = i
		}
	}
	others := &load{}
	for _, r := range l.rooms {
		if broker.Partition(cluster.RoomChannel(namespace, r.name)) != lost {
			others.rooms = append(others.rooms, r)
		}
	}
	if len(others.rooms) == 0 || len(others.rooms) == len(l.rooms) {
		t.Fatalf("%d of %d rooms are on the server that stays, want some", len(others.rooms), len(l.rooms))
	}
	servers[1].Kill()
	testkit.Eventually(t, "a node notices", func() bool { return !broker.Stats().Servers[lost].Up })
	others.progress(t, 10)
	awaitReady(t, nodes, true)
	servers[1].Restart()
	l.progress(t, 10)
	l.finish(t)
	crashed(nodes).expect(t, l)
	report(t, nodes)
}

// TestWhileRedisIsUnreachable: a call that needs Redis fails with a timeout;
// the other calls are not affected.
func TestWhileRedisIsUnreachable(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	short := func(cfg *node.Config) { cfg.Timeouts.Join, cfg.Timeouts.Ask = time.Second, time.Second }
	var nodes []*testNode
	for i := range 2 {
		nodes = append(nodes, startNode(t, nodeOptions{
			id: fmt.Sprint("n", i), redis: redisbroker.Config{Servers: []string{server.URL()}}, change: short,
		}))
	}
	awaitMembers(t, nodes, 2)
	var l [2]*listener
	for i, n := range nodes {
		l[i] = enterRoom(t, n.Addr().String(), "old")
	}
	leaver := enterRoom(t, nodes[0].Addr().String(), "old")
	server.Kill()
	awaitReady(t, nodes, false)
	for _, c := range []struct {
		name          string
		client        *listener
		request, want string
	}{
		{"a room that is new on the node", l[0], "$1;default;new;_OnRoomJoin;0;0;", "$1;default;new;_OnRoomJoin;1;0;timeout"},
		{"an ask", l[0], "$2;default;old;q;0;0;", "$2;default;old;q;1;0;timeout"},
		{"to leave", leaver, "$3;default;old;_OnRoomLeave;0;0;", "$3;;;;;;"},
		// It would miss the messages of the other nodes.
		{"a room that the node has", leaver, "$4;default;old;_OnRoomJoin;0;0;", "$4;default;old;_OnRoomJoin;1;0;timeout"},
	} {
		reply, err := c.client.request(c.request)
		if err != nil || reply != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, reply, err, c.want)
		}
	}
	if err := l[0].send(emit(namespace, "old", "e", "kept")); err != nil {
		t.Fatal(err)
	}
	// This one succeeds: Redis returns before its deadline.
	if err := l[1].send("$5;default;late;_OnRoomJoin;0;0;"); err != nil {
		t.Fatal(err)
	}
	server.Restart()
	awaitReady(t, nodes, true)
	testkit.Eventually(t, "the message that was kept arrives", func() bool { return len(l[1].messages()) > 0 })
	if got := l[1].messages(); len(got) != 1 || got[0] != emit(namespace, "old", "e", "kept") {
		t.Errorf("received %q, want one message", got)
	}
	for i := range l {
		if err := l[i].problem(); err != nil {
			t.Errorf("the client of node n%d lost its connection: %v", i, err)
		}
	}
	// The failed join has left no trace, and can be repeated.
	if err := l[0].join(namespace, "new"); err != nil {
		t.Error(err)
	}
	if err := l[0].send(emit(namespace, "old", "e", "again")); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "messages flow again", func() bool { return len(l[1].messages()) == 2 })
}
