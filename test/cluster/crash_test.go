package cluster_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/redistest"
)

// TestNodeKilled kills the process of a node under load. The others go on, and after
// the lease nothing of it is left in Redis.
func TestNodeKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	config := cluster.RedisConfig{Servers: []string{server.URL()}, Lease: 3 * time.Second}
	nodes := startNodes(t, 2, config)
	doomed := startProcess(t, "doomed", server.URL(), config.Lease)
	awaitMembers(t, nodes, 3)
	l := &load{stop: make(chan struct{})}
	s := size{rooms: 20, members: 15, publishers: 4, pause: 100 * time.Millisecond}
	ids := []string{nodes[0].ID(), nodes[1].ID(), doomed.id}
	addresses := []string{nodes[0].Addr().String(), nodes[1].Addr().String(), doomed.address}
	l.fill(t, s, "room ", ids, addresses)
	// Rooms that nobody else has.
	own := &load{stop: make(chan struct{})}
	own.fill(t, size{rooms: 20, members: 2}, "own ", ids[2:], addresses[2:])
	l.publish(s)
	l.progress(t, 10)

	admin := openAdmin(t, server.Addr())
	if found := residue(admin, nodes, l); len(found) < 22 {
		t.Fatalf("before: the node has %d channels and keys, want its 20 rooms, inbox and entry: %q", len(found), found)
	}
	doomed.kill()
	l.progress(t, 10)
	eventually(t, "nothing of the node is left in Redis", func() bool { return len(residue(admin, nodes, l)) == 0 })
	awaitMembers(t, nodes, 2)
	listed, err := cluster.ListNodes(t.Context(), config)
	if err != nil || len(listed) != 2 {
		t.Errorf("ListNodes = %v, %v; want the two others", listed, err)
	}
	l.progress(t, 10)
	l.finish(t)
	history{killed: doomed.id}.expect(t, l)
	report(t, nodes)
}

// residue returns the channels, keys and members of sets that are not of the nodes
// given, nor of the rooms of the load, which they share.
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
