package cluster_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/testkit"
)

// size is the size of a load.
type size struct {
	rooms      int
	members    int           // of each room, spread over the nodes
	publishers int           // of each room, the first of its members
	pause      time.Duration // of a publisher between two messages
}

// crowd is 300 clients in 20 rooms.
var crowd = size{rooms: 20, members: 15, publishers: 4, pause: 100 * time.Millisecond}

// load is clients that publish into their rooms until finish, and record the
// messages that they receive.
type load struct {
	rooms []*room
	stop  chan struct{}
	group sync.WaitGroup
}

type room struct {
	name    string
	members []*member // publishers first; the number of one is its place
}

// member is a client in one room.
type member struct {
	*client
	node  string // the ID of its node
	room  *room
	place int

	// floor is set for a member that joined during the load. It holds, for each
	// publisher, the number of messages begun before the join was answered;
	// they may be missing.
	floor []int

	begun atomic.Int64 // messages whose sending has begun

	mu      sync.Mutex // guards the rest
	entries []entry
	last    map[int]int // the newest number by sender
}

// entry is a received message: the sender's place in the room and the number
// that the sender gave the message.
type entry struct{ sender, number int }

func (m *member) String() string {
	return fmt.Sprintf("member %d of %s on node %s", m.place, m.room.name, m.node)
}

// startLoad lets the members join and then the publishers begin.
func startLoad(t testing.TB, s size, nodes []*testNode) *load {
	t.Helper()
	l := &load{stop: make(chan struct{})}
	var ids, addresses []string
	for _, n := range nodes {
		ids, addresses = append(ids, n.ID()), append(addresses, n.Addr().String())
	}
	l.fill(t, s, "room ", ids, addresses)
	l.publish(s)
	return l
}

// fill adds rooms whose names begin with prefix, and their members. Member i of
// room r is on node r+i of those with these IDs and addresses.
func (l *load) fill(t testing.TB, s size, prefix string, ids, addresses []string) {
	t.Helper()
	for number := range s.rooms {
		r := &room{name: prefix + strconv.Itoa(number)}
		l.rooms = append(l.rooms, r)
		for i := range s.members {
			at := (number + i) % len(ids)
			l.enter(t, r, ids[at], addresses[at])
		}
	}
}

// publish starts the publishers.
func (l *load) publish(s size) {
	for _, r := range l.rooms {
		for _, m := range r.members[:s.publishers] {
			l.group.Go(func() { m.publish(s.pause, l.stop) })
		}
	}
}

// enter adds a member to a room. While publishers are running, no other
// goroutine of the test may call it.
func (l *load) enter(t testing.TB, r *room, nodeID, address string) *member {
	t.Helper()
	m := &member{node: nodeID, room: r, place: len(r.members), last: make(map[int]int)}
	var err error
	if m.client, err = openClient(address, m.received); err != nil {
		t.Fatalf("%v: %v", m, err)
	}
	t.Cleanup(m.close)
	if err := m.connect(namespace); err != nil {
		t.Fatalf("%v: %v", m, err)
	}
	if err := m.join(namespace, r.name); err != nil {
		t.Fatalf("%v: %v", m, err)
	}
	for _, other := range r.members {
		m.floor = append(m.floor, int(other.begun.Load()))
	}
	r.members = append(r.members, m)
	return m
}

// received is the client's handler.
func (m *member) received(text string) {
	sender, number, ok := strings.Cut(text[strings.LastIndexByte(text, ';')+1:], ".")
	e := entry{}
	var errs [2]error
	e.sender, errs[0] = strconv.Atoi(sender)
	e.number, errs[1] = strconv.Atoi(number)
	if !ok || errs[0] != nil || errs[1] != nil || text != emit(namespace, m.room.name, "m", sender+"."+number) {
		m.end(fmt.Errorf("unexpected message %.200q", text))
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = append(m.entries, e)
	m.last[e.sender] = e.number
}

// publish is the goroutine of a publisher. A node that pauses the connection
// makes it wait in send.
func (m *member) publish(pause time.Duration, stop <-chan struct{}) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if !m.publishNext() {
			return
		}
	}
}

func (m *member) publishNext() bool {
	number := m.begun.Add(1) - 1
	err := m.send(emit(namespace, m.room.name, "m", fmt.Sprintf("%d.%d", m.place, number)))
	if err != nil {
		m.end(err)
	}
	return err == nil
}

// progress waits until every publisher that is still connected has sent so many
// messages more, and every node has delivered some.
func (l *load) progress(t testing.TB, messages int) {
	t.Helper()
	type goal struct {
		m       *member
		number  int64
		entries int
	}
	var goals []goal
	for _, r := range l.rooms {
		for _, m := range r.members {
			if m.problem() == nil {
				goals = append(goals, goal{m: m, number: m.begun.Load() + int64(messages), entries: m.count() + messages})
			}
		}
	}
	for _, g := range goals {
		testkit.Eventually(t, fmt.Sprintf("%v sends and receives %d messages more", g.m, messages), func() bool {
			sent := !g.m.publishes() || g.m.begun.Load() >= g.number
			return g.m.problem() != nil || sent && g.m.count() >= g.entries
		})
	}
}

func (m *member) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries)
}

func (m *member) publishes() bool { return m.begun.Load() > 0 }

// finish ends the publishing and waits until every member has every sender's
// last message. Then each sender sends one more: messages that a node repeats
// arrive before that.
func (l *load) finish(t testing.TB) {
	t.Helper()
	close(l.stop)
	l.group.Wait()
	l.settle(t)
	for _, r := range l.rooms {
		for _, m := range r.members {
			if m.publishes() && m.problem() == nil {
				m.publishNext()
			}
		}
	}
	l.settle(t)
}

// settle waits for the last message of every publisher, leaving out those that
// have lost their connection.
func (l *load) settle(t testing.TB) {
	t.Helper()
	for _, r := range l.rooms {
		for _, m := range r.members {
			for _, from := range r.members {
				if m == from || !from.publishes() || m.problem() != nil || from.problem() != nil {
					continue
				}
				want := int(from.begun.Load()) - 1
				testkit.Eventually(t, fmt.Sprintf("%v has message %d, the last of %v", m, want, from), func() bool {
					return m.problem() != nil || m.newest(from.place) >= want
				})
			}
		}
	}
}

func (m *member) newest(sender int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	number, ok := m.last[sender]
	if !ok {
		return -1
	}
	return number
}

// on returns the members on a node.
func (l *load) on(nodeID string) []*member {
	var found []*member
	for _, r := range l.rooms {
		for _, m := range r.members {
			if m.node == nodeID {
				found = append(found, m)
			}
		}
	}
	return found
}
