//go:build unix

package cluster_test

import (
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/node"
)

// TestPresenceIsQuiet: while the members of a room stay, Redis gets the
// commands that it gets without presence.
func TestPresenceIsQuiet(t *testing.T) {
	t.Parallel()
	var servers []*redistest.Server
	for _, change := range []func(*node.Config){
		withRosters,
		func(c *node.Config) { c.Namespaces[shown] = node.NamespaceOptions{Relay: node.RelayRooms} },
	} {
		server := redistest.Start(t)
		p := &population{t: t, members: make(map[string]map[string]string)}
		var nodes []*testNode
		for i := range 3 {
			nodes = append(nodes, startNode(t, nodeOptions{
				id: fmt.Sprint("n", i), redis: redisbroker.Config{Servers: []string{server.URL()}}, change: change,
			}))
			p.places = append(p.places, &place{id: nodes[i].ID(), address: nodes[i].Addr().String()})
		}
		awaitMembers(t, nodes, 3)
		for _, at := range p.places {
			p.watch(at)
			if err := p.change(&inhabitant{at: at, client: p.open(at)}); err != nil {
				t.Fatal(err)
			}
		}
		if len(servers) == 0 {
			p.agree("at the beginning", nodes[0])
		}
		servers = append(servers, server)
	}
	outage(5 * time.Second) // the rosters have settled, and nothing waits for a lease
	var commands [2]map[string]int
	var group sync.WaitGroup
	for i, server := range servers {
		group.Go(func() { commands[i] = monitor(t, server, 10*time.Second) })
	}
	group.Wait()
	t.Logf("Redis got %v, and without presence %v", commands[0], commands[1])
	for command, count := range commands[0] {
		// The signs of life of nodes have times of their own, and are left out
		// where there is traffic. One more of each node per second would be 30.
		if without := commands[1][command]; count > without+without/4+3 {
			t.Errorf("Redis got %s %d times, and without presence %d times", command, count, without)
		}
	}
	if len(commands[0]) == 0 {
		t.Error("Redis got no command: this test proves nothing")
	}
}

// monitor counts the commands that a server gets in a period.
func monitor(t *testing.T, server *redistest.Server, period time.Duration) map[string]int {
	t.Helper()
	begin := openAdmin(t, server.Addr()).calls()
	outage(period)
	commands := openAdmin(t, server.Addr()).calls()
	for command, count := range begin {
		commands[command] -= count
	}
	maps.DeleteFunc(commands, func(command string, count int) bool { return count == 0 || command == "info" })
	return commands
}
