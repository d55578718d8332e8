package presence

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fabric is a cluster of Rooms. Its channels and inboxes keep an order, and
// lose the messages that the test chooses. The tests run in a bubble, with its
// clock.
type fabric struct {
	t     *testing.T
	grace time.Duration

	mu    sync.Mutex
	nodes map[string]*testNode
	lose  func(from, to string, a *Announcement) bool // guarded by mu; nil: nothing
	fail  error                                       // guarded by mu; of every publish
	sent  []message                                   // guarded by mu
	tries int                                         // guarded by mu; publishes
}

type message struct {
	from, channel string
	at            time.Time
	a             *Announcement
}

type testNode struct {
	f     *fabric
	id    string
	rooms *Rooms
	inbox chan message

	members     map[string]int         // guarded by fabric.mu; connections by channel
	interrupted bool                   // guarded by fabric.mu; and nothing arrives
	doubtful    bool                   // guarded by fabric.mu; Interrupted is true
	shown       map[string][]time.Time // guarded by fabric.mu; by channel
}

var errUnreachable = errors.New("unreachable")

const delay = time.Millisecond

func newFabric(t *testing.T, count int) (*fabric, []*testNode) {
	f := &fabric{t: t, grace: 2 * time.Second, nodes: make(map[string]*testNode)}
	var nodes []*testNode
	for i := range count {
		nodes = append(nodes, f.start(fmt.Sprint("n", i)))
	}
	return f, nodes
}

func (f *fabric) start(id string) *testNode {
	n := &testNode{
		f: f, id: id, inbox: make(chan message, 1<<16), members: make(map[string]int), shown: make(map[string][]time.Time),
	}
	n.rooms = New(Config{
		Self: id, Publish: n.publish, Send: n.send, Interval: time.Second, Grace: f.grace,
		Show: func(channel string, _ *Changes) {
			f.mu.Lock()
			defer f.mu.Unlock()
			n.shown[channel] = append(n.shown[channel], time.Now())
		},
		Partition: func(string) int { return 0 },
		Interrupted: func(int) bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return n.interrupted || n.doubtful
		},
		Nodes: func() []string {
			f.mu.Lock()
			defer f.mu.Unlock()
			return slices.Collect(maps.Keys(f.nodes))
		},
	})
	f.mu.Lock()
	f.nodes[id] = n
	f.mu.Unlock()
	go func() {
		for m := range n.inbox {
			<-time.After(time.Until(m.at.Add(delay)))
			n.rooms.Receive(m.from, m.channel, m.a)
		}
	}()
	f.t.Cleanup(func() {
		n.rooms.Close()
		f.mu.Lock()
		defer f.mu.Unlock()
		close(n.inbox)
		n.inbox = nil
	})
	return n
}

// publish and send are those of Config.
func (n *testNode) publish(channel string, a *Announcement, done func(int, error)) {
	f := n.f
	f.mu.Lock()
	count, err := 0, f.fail
	f.tries++
	for _, to := range f.nodes {
		if err == nil && to.members[channel] > 0 {
			count++
			f.deliver(n, to, channel, a)
		}
	}
	f.mu.Unlock()
	done(count, err)
}

func (n *testNode) send(node, channel string, a *Announcement) {
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	if to := n.f.nodes[node]; to != nil {
		n.f.deliver(n, to, channel, a)
	}
}

// deliver is called with mu held.
func (f *fabric) deliver(from, to *testNode, channel string, a *Announcement) {
	text, err := json.Marshal(a)
	copied := new(Announcement)
	if err != nil || json.Unmarshal(text, copied) != nil {
		f.t.Errorf("announcement %+v: %v", a, err)
	}
	m := message{from.id, channel, time.Now(), copied}
	f.sent = append(f.sent, m)
	if to.inbox != nil && !to.interrupted && (f.lose == nil || !f.lose(from.id, to.id, a)) {
		to.inbox <- m
	}
}

// messages returns the announcements that were sent.
func (f *fabric) messages() []message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sent)
}

// set changes something, or reads it.
func (f *fabric) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (n *testNode) join(channel, key string) {
	n.f.set(func() { n.members[channel]++ })
	n.rooms.Join(channel, key, "")
}

func (n *testNode) leave(channel, key string) {
	n.rooms.Leave(channel, key)
	n.f.set(func() { n.members[channel]-- })
}

// pass lets time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// knows returns the members that the node knows now.
func (n *testNode) knows(channel string) map[string]int {
	s := n.rooms.stripe(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	got := make(map[string]int)
	if in := s.rooms[channel]; in != nil {
		members, _ := in.roster.Members("", 1<<20)
		for _, m := range members {
			got[m.Key] = m.Conns
		}
	}
	return got
}

func (f *fabric) expect(channel string, want map[string]int, nodes ...*testNode) {
	f.t.Helper()
	for _, n := range nodes {
		if got := n.knows(channel); !maps.Equal(got, want) {
			f.t.Errorf("%s knows %v, want %v", n.id, got, want)
		}
	}
}

func (n *testNode) expectIdle() {
	n.f.t.Helper()
	n.rooms.worker.mu.Lock()
	defer n.rooms.worker.mu.Unlock()
	if n.rooms.worker.running {
		n.f.t.Errorf("the worker of %s runs, want none while there is no work", n.id)
	}
}
