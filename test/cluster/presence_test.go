//go:build unix

package cluster_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// membersVariable is the number of clients of TestPresence, in place of
// fewMembers. A twentieth of them joins or leaves each second.
const (
	membersVariable = "STOA_TEST_MEMBERS"
	fewMembers      = 200
	// goal is the time after which a roster that is wrong is logged.
	goal = 12 * time.Second
)

// shown is a namespace with rosters, and square its largest room.
const (
	shown  = "shown"
	square = "square"
)

func withRosters(c *node.Config) {
	c.Namespaces[shown] = node.NamespaceOptions{Relay: node.RelayRooms, Presence: node.PresenceRoster}
}

// place is a node of TestPresence.
type place struct {
	id, address string
	program     *program // nil: the node is in the test's process
	watcher     *client  // a member of the square
}

// population is clients that join and leave rooms, and the truth about them.
type population struct {
	t      *testing.T
	places []*place

	mu      sync.Mutex
	members map[string]map[string]string // guarded by mu; the node by connection, by room
}

func (p *population) note(room, conn, node string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if node == "" {
		delete(p.members[room], conn)
		return
	}
	if p.members[room] == nil {
		p.members[room] = make(map[string]string)
	}
	p.members[room][conn] = node
}

// dropNode notes that the connections of a node have ended.
func (p *population) dropNode(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, members := range p.members {
		maps.DeleteFunc(members, func(_, node string) bool { return node == id })
	}
}

// truth returns the IDs of the connections in a room.
func (p *population) truth(room string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.members[room]))
}

// inhabitant is a client that is now and then in a room.
type inhabitant struct {
	*client
	at   *place
	room string // empty: in none
}

func (p *population) open(at *place) *client {
	p.t.Helper()
	c, err := openClient(at.address, func(string) {})
	if err == nil {
		p.t.Cleanup(c.close)
		err = c.connect(shown)
	}
	if err != nil {
		p.t.Fatalf("a client of node %s: %v", at.id, err)
	}
	return c
}

// watch lets a client that stays enter the square of a node.
func (p *population) watch(at *place) {
	p.t.Helper()
	at.watcher = p.open(at)
	if err := at.watcher.join(shown, square); err != nil {
		p.t.Fatalf("the watcher of node %s: %v", at.id, err)
	}
	p.note(square, at.watcher.id, at.id)
}

// change lets a client join, leave, or end and come back.
func (p *population) change(c *inhabitant) error {
	if c.room != "" {
		p.note(c.room, c.id, "")
		var err error
		if rand.IntN(4) > 0 {
			err = c.system(shown, c.room, wire.EventRoomLeave)
		} else {
			c.close()
			if c.client, err = openClient(c.at.address, func(string) {}); err == nil {
				err = c.connect(shown)
			}
		}
		c.room = ""
		return err
	}
	c.room = square
	if rand.IntN(3) == 0 {
		c.room = fmt.Sprint("corner ", rand.IntN(20))
	}
	if err := c.join(shown, c.room); err != nil {
		return err
	}
	p.note(c.room, c.id, c.at.id)
	return nil
}

// churn lets clients join and leave until the function that it returns is
// called. Clients of nodes that are in trouble stay where they are.
func (p *population) churn(clients []*inhabitant, except ...*place) (stop func()) {
	const goroutines = 10
	ended, group := make(chan struct{}), sync.WaitGroup{}
	clients = slices.DeleteFunc(slices.Clone(clients), func(c *inhabitant) bool { return slices.Contains(except, c.at) })
	pause := time.Duration(goroutines) * 20 * time.Second / time.Duration(len(clients))
	for i := range goroutines {
		var own []*inhabitant
		for at := i; at < len(clients); at += goroutines {
			own = append(own, clients[at])
		}
		group.Go(func() {
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for {
				select {
				case <-ended:
					return
				case <-tick.C:
				}
				if c := own[rand.IntN(len(own))]; c.at.watcher != nil {
					if err := p.change(c); err != nil {
						p.t.Errorf("a client of node %s: %v", c.at.id, err)
						return
					}
				}
			}
		})
	}
	return func() {
		close(ended)
		group.Wait()
	}
}

// read returns the IDs of the members of the square, as a node knows them.
func (at *place) read(t testing.TB) (ids []string) {
	t.Helper()
	for after := ""; ; {
		query, _ := json.Marshal(wire.PresenceQuery{Limit: 500, After: after})
		answer, err := at.watcher.request("$p;" + shown + ";" + square + ";_OnPresence;0;0;" + string(query))
		body, found := strings.CutPrefix(answer, "$p;"+shown+";"+square+";_OnPresence;0;0;")
		var page wire.PresencePage
		if err != nil || !found || json.Unmarshal([]byte(body), &page) != nil {
			t.Fatalf("node %s: %v, %.200q", at.id, err, answer)
		}
		for _, m := range page.Members {
			ids = append(ids, m.Conn)
		}
		if after = page.Next; after == "" {
			slices.Sort(ids)
			return ids
		}
	}
}

// agree waits until all rosters agree with the truth, and logs how long that
// took.
func (p *population) agree(when string, n *testNode) {
	p.t.Helper()
	begin, want := time.Now(), p.truth(square)
	for _, at := range p.places {
		late := false
		testkit.Eventually(p.t, fmt.Sprintf("%s, node %s knows the %d members of the square", when, at.id, len(want)), func() bool {
			got := at.read(p.t)
			if took := time.Since(begin); took > goal && !late && !slices.Equal(got, want) {
				late = true
				p.t.Logf("%s, after %v node %s knows %d members, %v are missing, %v are not there",
					when, took, at.id, len(got), without(want, got), without(got, want))
			}
			return slices.Equal(got, want)
		})
	}
	took := time.Since(begin)
	for i := range 20 {
		room := fmt.Sprint("corner ", i)
		want := p.truth(room)
		testkit.Eventually(p.t, fmt.Sprintf("%s, %d are in %s", when, len(want), room), func() bool {
			page, err := n.Presence(p.t.Context(), shown, room, node.PresenceQuery{Limit: 1 << 20})
			var got []string
			for _, m := range page.Members {
				got = append(got, m.Conn)
			}
			slices.Sort(got)
			return err == nil && slices.Equal(got, want)
		})
	}
	p.t.Logf("%s: all rosters agree after %v, on %d members of the square; those of the other rooms after %v",
		when, took, len(want), time.Since(begin))
}

// without returns the elements of a list that are not in another one.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(id string) bool { return slices.Contains(other, id) })
}

// startPlace starts a program that has rosters, too.
func startPlace(t testing.TB, id, url string) *place {
	t.Helper()
	file := filepath.Join(t.TempDir(), "stoa.yaml")
	text := "namespaces:\n  " + shown + ":\n    relay: [rooms]\n    presence: roster\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	started := startProgram(t, id, "--redis", url, "--config", file)
	return &place{id: id, address: started.address, program: started}
}

// TestPresence is clients on four nodes that join and leave rooms all the time.
// Nodes are killed, replaced, stopped and cut off, Redis is restarted and ends
// the subscriptions. Soon afterwards all rosters agree with the truth.
func TestPresence(t *testing.T) {
	t.Parallel()
	count := fewMembers
	if text := os.Getenv(membersVariable); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	n := startNode(t, nodeOptions{id: "steady", redis: redisbroker.Config{Servers: []string{server.URL()}}, change: withRosters})
	cut := startNode(t, nodeOptions{id: "cut", redis: redisbroker.Config{Servers: []string{proxy.URL()}}, change: withRosters})
	steady := &place{id: "steady", address: n.Addr().String()}
	remote := &place{id: "cut", address: cut.Addr().String()}
	stopped, doomed := startPlace(t, "stopped", server.URL()), startPlace(t, "doomed", server.URL())
	awaitMembers(t, []*testNode{n, cut}, 4)

	p := &population{t: t, places: []*place{steady, remote, stopped, doomed}, members: make(map[string]map[string]string)}
	var clients []*inhabitant
	for i := range count {
		clients = append(clients, &inhabitant{at: p.places[i%4], client: p.open(p.places[i%4])})
		if i%2 == 0 {
			if err := p.change(clients[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, at := range p.places {
		p.watch(at)
	}
	p.agree("at the beginning", n)

	stop := p.churn(clients, doomed)
	doomed.program.Kill()
	p.dropNode("doomed")
	p.places = p.places[:3]
	stop()
	p.agree("after a node was killed", n)
	p.replaceDoomed(n, clients, doomed, server.URL())

	stop = p.churn(clients, stopped, doomed)
	stopped.program.Signal(syscall.SIGSTOP)
	outage(12 * time.Second) // more than the lease
	stopped.program.Signal(syscall.SIGCONT)
	stop()
	p.agree("after a node was stopped", n)

	stop = p.churn(clients, remote, doomed)
	proxy.Cut()
	outage(10 * time.Second)
	proxy.Break()
	proxy.Heal()
	stop()
	p.agree("after a node was cut off", n)

	admin := openAdmin(t, server.Addr())
	stop = p.churn(clients, doomed)
	for range 3 {
		if err := admin.client.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
		outage(time.Second)
	}
	stop()
	p.agree("after Redis has ended the subscriptions", n)

	server.Kill()
	awaitReady(t, []*testNode{n, cut}, false)
	server.Restart()
	awaitReady(t, []*testNode{n, cut}, true)
	stop = p.churn(clients, doomed)
	outage(time.Second)
	stop()
	p.agree("after Redis was restarted", n)
}

// replaceDoomed starts a process with the ID of the one that was killed, and
// kills that and starts the next one at once, before its lease has ended.
func (p *population) replaceDoomed(n *testNode, clients []*inhabitant, doomed *place, url string) {
	p.t.Helper()
	others := slices.Clone(p.places)
	for range 2 {
		if doomed.watcher != nil && len(p.places) == 4 {
			doomed.program.Kill()
			p.dropNode(doomed.id)
		}
		next := startPlace(p.t, doomed.id, url)
		*doomed = *next
		p.places = append(slices.Clone(others), doomed)
		p.watch(doomed)
		c := p.open(doomed)
		if err := c.join(shown, "corner 1"); err != nil {
			p.t.Fatal(err)
		}
		p.note("corner 1", c.id, doomed.id)
		stop := p.churn(clients, doomed)
		outage(time.Second)
		stop()
		p.agree("after a node was replaced", n)
	}
}
