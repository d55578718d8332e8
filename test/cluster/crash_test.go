package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// TestNodeKilled kills the process of a node under load. The others go on, asks
// to it end, and after the lease Redis has no trace of it.
func TestNodeKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	config := redisbroker.Config{Servers: []string{server.URL()}}
	var nodes []*testNode
	for i := range 2 {
		nodes = append(nodes, startNode(t, nodeOptions{
			id: fmt.Sprint("n", i), redis: config,
			// So that no ask ends because its time is up.
			change: func(c *node.Config) { c.Timeouts.Ask = time.Hour },
		}))
	}
	const doomedID = "doomed"
	doomed := startProgram(t, doomedID, "--redis", server.URL())
	awaitMembers(t, nodes, 3)
	l := &load{stop: make(chan struct{})}
	s := size{rooms: 20, members: 15, publishers: 4, pause: 100 * time.Millisecond}
	ids := []string{nodes[0].ID(), nodes[1].ID(), doomedID}
	addresses := []string{nodes[0].Addr().String(), nodes[1].Addr().String(), doomed.address}
	l.fill(t, s, "room ", ids, addresses)
	// Rooms without other members.
	own := &load{stop: make(chan struct{})}
	own.fill(t, size{rooms: 20, members: 2}, "own ", ids[2:], addresses[2:])
	l.publish(s)
	l.progress(t, 10)

	admin := openAdmin(t, server.Addr())
	if found := residue(admin, nodes, l); len(found) < 22 {
		t.Fatalf("before: the node has %d channels and keys, want its 20 rooms, inbox and entry: %q", len(found), found)
	}
	endOfAsks := askDoomed(t, nodes[0], doomedID, doomed.address)
	doomed.Kill()
	l.progress(t, 10)
	endOfAsks()
	testkit.Eventually(t, "nothing of the node is left in Redis", func() bool { return len(residue(admin, nodes, l)) == 0 })
	awaitMembers(t, nodes, 2)
	listed, err := redisbroker.ListNodes(t.Context(), config)
	if err != nil || len(listed) != 2 {
		t.Errorf("ListNodes = %v, %v; want the two others", listed, err)
	}
	l.progress(t, 10)
	l.finish(t)
	history{killed: doomedID}.expect(t, l)
	report(t, nodes)
}

// askDoomed asks a connection of a node that is to be killed, and a room that
// only it has members of, twice. The function that it returns waits for the
// outcome.
func askDoomed(t testing.TB, n *testNode, doomedID, address string) (wait func()) {
	t.Helper()
	m := node.Message{Namespace: namespace, Room: "asked", Event: "q"}
	l := enterRoom(t, address, m.Room)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	var asks sync.WaitGroup
	asks.Go(func() {
		if _, err := n.Ask(ctx, l.id, m); !errors.Is(err, wire.ErrGone) {
			t.Errorf("asking a connection of the node that is killed: %v, want %v", err, wire.ErrGone)
		}
	})
	asks.Go(func() {
		if _, err := n.AskRoom(ctx, m); !errors.Is(err, wire.ErrNobody) {
			t.Errorf("asking a room of the node that is killed: %v, want %v", err, wire.ErrNobody)
		}
	})
	asks.Go(func() {
		all, err := n.AskAll(ctx, m)
		if err != nil || len(all.Answers) > 0 || !slices.Equal(all.Missing, []string{doomedID}) || ctx.Err() != nil {
			t.Errorf("asking all members of a room of the node that is killed: %+v, %v; want no answer and the node missing", all, err)
		}
	})
	for range 3 {
		l.expectAsk(t)
	}
	return asks.Wait
}

// residue returns the channels, keys and members of sets that are not of the
// nodes given, nor of the rooms of the load, which they share.
func residue(a *admin, nodes []*testNode, l *load) []string {
	a.t.Helper()
	const prefix = "stoa:"
	ours := []string{prefix + cluster.ClusterChannel(), prefix + cluster.NamespaceChannel(namespace), prefix + "nodes"}
	for _, n := range nodes {
		ours = append(ours, prefix+cluster.NodeChannel(n.ID()), prefix+"node:"+n.ID(), n.ID())
	}
	for _, r := range l.rooms {
		ours = append(ours, prefix+cluster.RoomChannel(namespace, r.name))
	}
	found := slices.Concat(a.channels("*"), a.keys(), a.members(prefix+"nodes"))
	found = slices.DeleteFunc(found, func(name string) bool { return slices.Contains(ours, name) })
	for _, connection := range a.connections() {
		if !slices.ContainsFunc(nodes, func(n *testNode) bool { return strings.Contains(connection, "."+n.ID()+".") }) {
			found = append(found, connection)
		}
	}
	return found
}
