package presence

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stoa-io/stoa/internal/testkit"
)

// world is a cluster with one room: a channel with one order, an inbox for each
// node, and links that lose messages.
type world struct {
	t       *testing.T
	random  *rand.Rand
	now     int64
	epoch   uint64
	channel []parcel
	nodes   map[string]*simulated
	made    int
	reading bool // clients read pages, so some changes are shown twice
}

type parcel struct {
	from string
	a    *Announcement
}

type simulated struct {
	id     string
	roster *Roster
	cursor int // in the channel
	lost   bool
	closed bool // it has no member, so it is not subscribed
	inbox  []parcel
	opened int64
	truth  map[string]int      // own members
	shown  map[string]struct{} // by Changes
	reader reader
}

// reader is a client that reads the roster of its node in pages, again and
// again, and applies the changes that it is shown.
type reader struct {
	members map[string]struct{}
	after   string
	reads   bool
}

// read reads the next page.
func (r *reader) read(roster *Roster) {
	if !r.reads {
		r.reads, r.after, r.members = true, "", make(map[string]struct{})
	}
	page, more := roster.Members(r.after, 3)
	for _, m := range page {
		r.members[m.Key], r.after = struct{}{}, m.Key
	}
	r.reads = more
}

// apply takes what the members of the room are shown.
func (r *reader) apply(c *Changes) {
	if r.members == nil {
		return
	}
	for _, m := range c.Joined {
		r.members[m.Key] = struct{}{}
	}
	for _, key := range c.Left {
		delete(r.members, key)
	}
}

const (
	simInterval = 100
	simGrace    = 200
)

func (w *world) add() {
	w.made++
	w.epoch += 10
	id := fmt.Sprint("node", w.made)
	w.nodes[id] = &simulated{
		id: id, roster: NewRoster(id, w.epoch, simInterval, simGrace), cursor: len(w.channel), opened: w.now,
		truth: make(map[string]int), shown: make(map[string]struct{}),
	}
}

func (w *world) any() *simulated {
	ids := slices.Sorted(maps.Keys(w.nodes))
	return w.nodes[ids[w.random.IntN(len(ids))]]
}

// open gives a node without members a new roster.
func (w *world) open(n *simulated) {
	w.epoch += 10
	n.roster = NewRoster(n.id, w.epoch, simInterval, simGrace)
	n.closed, n.lost, n.cursor, n.opened = false, false, len(w.channel), w.now
	clear(n.shown)
	n.reader = reader{}
}

// send posts to a node's inbox. It is lost if the node is gone.
func (w *world) send(from, to string, a *Announcement) {
	if n := w.nodes[to]; n != nil {
		n.inbox = append(n.inbox, parcel{from, a})
	}
}

// announce publishes what the node has to say; sometimes that is lost, and the
// node knows.
func (w *world) announce(n *simulated, reliable bool) {
	for _, a := range n.roster.Announce() {
		if !reliable && w.random.IntN(20) == 0 {
			w.restart(n)
			return
		}
		w.channel = append(w.channel, parcel{n.id, a})
	}
}

func (w *world) restart(n *simulated) {
	w.epoch += 10
	n.roster.Restart(w.epoch)
	n.opened = w.now
}

func (w *world) receive(n *simulated, p parcel) {
	if w.nodes[p.from] == nil {
		return // the registry has told the node already, and nothing follows
	}
	if n.closed {
		if p.a.Ask && p.a.Epoch == 0 {
			w.epoch += 10
			w.send(n.id, p.from, &Announcement{Epoch: w.epoch, Share: true, For: p.a.For})
		}
		return
	}
	if p.a.Ask && p.from != n.id {
		w.announce(n, true)
		for _, part := range n.roster.Share(max(p.a.Epoch, p.a.For)) {
			w.send(n.id, p.from, part)
		}
	}
	if n.roster.Receive(p.from, p.a, w.now) {
		w.send(n.id, p.from, n.roster.Ask(p.from))
	}
}

func (w *world) step(n *simulated, reliable bool) {
	if !n.lost && !n.closed && n.cursor < len(w.channel) {
		p := w.channel[n.cursor]
		n.cursor++
		// Now and then a message is missing, and only the next one shows it. So
		// it is not the last one of a node that leaves.
		from := w.nodes[p.from]
		if reliable || from != nil && from.closed || w.random.IntN(50) > 0 {
			w.receive(n, p)
		}
	}
	if len(n.inbox) > 0 && w.random.IntN(3) > 0 {
		p := n.inbox[0]
		n.inbox = n.inbox[1:]
		w.receive(n, p)
	}
	if n.closed {
		return
	}
	if w.random.IntN(2) == 0 || reliable {
		w.announce(n, reliable)
	}
	for _, node := range n.roster.Missing(w.now) {
		w.send(n.id, node, n.roster.Ask(node))
	}
	if n.opened != 0 && w.now-n.opened > 3000 {
		n.opened = 0
		n.roster.DropUnconfirmed(w.now)
	}
	if w.reading && (n.reader.reads || !reliable) && w.random.IntN(4) == 0 {
		n.reader.read(n.roster)
	}
	if c, _ := n.roster.Changes(w.now); c != nil {
		n.reader.apply(c)
		for _, m := range c.Joined {
			if _, there := n.shown[m.Key]; there && !w.reading {
				w.t.Errorf("%s shows the join of %s twice", n.id, m.Key)
			}
			n.shown[m.Key] = struct{}{}
		}
		for _, key := range c.Left {
			if _, there := n.shown[key]; !there && !w.reading {
				w.t.Errorf("%s shows the leave of %s, which was not there", n.id, key)
			}
			delete(n.shown, key)
		}
	}
}

// disturb changes something at random.
func (w *world) disturb() {
	n := w.any()
	if n.closed && w.random.IntN(4) > 0 {
		w.step(n, false)
		return
	}
	if n.closed {
		w.open(n)
	}
	key := UserKey(fmt.Sprint(w.random.IntN(12)))
	switch w.random.IntN(25) {
	case 0:
		n.lost = true
	case 1, 2:
		if n.lost {
			n.lost, n.cursor = false, len(w.channel)
			w.restart(n)
		}
	case 3:
		if len(w.nodes) < 5 {
			w.add()
		}
	case 4:
		if len(w.nodes) > 2 {
			delete(w.nodes, n.id)
			for _, other := range w.nodes {
				other.roster.NodeGone(n.id, w.now)
			}
		}
	case 5: // one node takes another one for dead, which is then asked to begin again
		if other := w.any(); other != n {
			n.roster.NodeGone(other.id, w.now)
			w.restart(other)
		}
	case 24: // all its members leave
		for key, conns := range n.truth {
			for range conns {
				n.roster.Leave(key, w.now)
			}
		}
		clear(n.truth)
		w.channel = append(w.channel, parcel{n.id, n.roster.Close()})
		n.closed = true
	case 6, 7, 8, 9:
		if n.truth[key] > 0 {
			n.truth[key]--
			n.roster.Leave(key, w.now)
		}
	case 10, 11, 12, 13:
		n.truth[key]++
		n.roster.Join(key, "", w.now)
	default:
		w.step(n, false)
	}
}

func (w *world) truth() map[string]int {
	all := make(map[string]int)
	for _, n := range w.nodes {
		for key, conns := range n.truth {
			if conns > 0 {
				all[key] += conns
			}
		}
	}
	return all
}

// settle lets everything arrive.
func (w *world) settle() {
	for _, id := range slices.Sorted(maps.Keys(w.nodes)) {
		n := w.nodes[id]
		if n.closed {
			continue
		}
		if n.lost {
			n.lost, n.cursor = false, len(w.channel)
			w.restart(n)
		}
		// A missing message is noticed at the next one.
		n.roster.Join("z", "", w.now)
		n.roster.Leave("z", w.now)
	}
	for range 120 {
		w.now += 100
		for range 8 {
			for _, id := range slices.Sorted(maps.Keys(w.nodes)) {
				w.step(w.nodes[id], true)
			}
		}
	}
}

func simulate(t *testing.T, seed uint64) {
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 1)), now: 1, nodes: make(map[string]*simulated), reading: seed%2 == 0}
	for range 3 {
		w.add()
	}
	for range 400 {
		w.now += int64(w.random.IntN(30))
		w.disturb()
	}
	w.settle()
	want := w.truth()
	for id, n := range w.nodes {
		if n.closed {
			continue
		}
		members, _ := n.roster.Members("", 100)
		got := make(map[string]int)
		for _, m := range members {
			got[m.Key] = m.Conns
		}
		if !maps.Equal(got, want) || n.roster.Count() != len(want) {
			t.Errorf("%s knows %v (%d), want %v", id, got, n.roster.Count(), want)
		}
		if !slices.Equal(slices.Sorted(maps.Keys(n.shown)), slices.Sorted(maps.Keys(want))) {
			t.Errorf("%s has shown %v, want %v", id, n.shown, want)
		}
		if n.reader.members != nil && !slices.Equal(slices.Sorted(maps.Keys(n.reader.members)), slices.Sorted(maps.Keys(want))) {
			t.Errorf("a client of %s knows %v, want %v", id, n.reader.members, want)
		}
	}
}

// All rosters agree with the truth when everything has arrived. Before,
// messages and subscriptions were lost, and nodes came and went.
func TestSimulation(t *testing.T) {
	count := uint64(3000)
	if testing.Short() {
		count = 300
	}
	first, end, _ := testkit.Seeds(t, count)
	for s := first; s < end; s++ {
		if simulate(t, s); t.Failed() {
			t.Fatalf("replay: STOA_SEED=%d go test -run TestSimulation ./internal/presence", s)
		}
	}
}

// A member that is gone, and not shown so, is in the pages: no change would
// tell their readers that it is back.
func TestPagesAreAsShown(t *testing.T) {
	r := NewRoster("self", 1, simInterval, simGrace)
	r.Join("ua", `{"n":1}`, 1)
	r.Join("ub", "", 1)
	r.Changes(1)
	r.Leave("ua", 10)
	members, _ := r.Members("", 9)
	if len(members) != 2 || members[0].Key != "ua" || members[0].Conns != 0 || string(members[0].Info) != `{"n":1}` || r.Count() != 2 {
		t.Errorf("in the grace time the members are %+v, %d, want ua without connections, and ub", members, r.Count())
	}
	r.Join("uc", "", 20)
	r.Members("", 9)
	r.Leave("uc", 30)
	if c, _ := r.Changes(30 + simGrace); c == nil || len(c.Left) != 2 || len(c.Joined) != 0 || c.Count != 1 {
		t.Errorf("after the grace time the change is %+v, want the leaves of ua and uc", c)
	}
	if members, _ := r.Members("", 9); len(members) != 1 || r.Count() != 1 {
		t.Errorf("at last the members are %+v, want ub", members)
	}
}
