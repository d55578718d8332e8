package ring

import (
	"slices"

	"github.com/stoa-io/stoa/cluster"
)

// node has a ring, its members, and does the reads that the ring asks for, as
// package recovery does.
type node struct {
	sim        *simulation
	number     int
	ring       *Ring // nil: no member is in the room
	opening    bool
	subscribed bool
	queue      []arrival
	main       *reading // for Open or Repair
	older      *reading // for Prepend
	failures   int      // of reads in a row
	// blind: it has no page, which alone can tell late messages from new ones.
	// late: it may have delivered some of these.
	blind, late bool
	repeated    bool      // a repeat was kept back
	behind      []*member // wait for the end of holding
	waiting     []*member // wait for the end of opening
	members     []*member
	remove      []cluster.Position // removals that it does not know yet
	// heard are the messages of all its subscriptions. A broker drops the
	// repeats of these, unless the history may have got them again.
	heard map[*published]bool
	// headAt is the place of the message with the position head, which was last
	// in the ring.
	head   cluster.Position
	headAt int
	// arrived is the last place of its subscription.
	arrived int
}

// arrival is a message on its way over a subscription.
type arrival struct {
	*published
	place          int
	repeat, resent bool
}

// reading is a read of the history.
type reading struct {
	node    *node
	after   cluster.Position
	page    *Page // nil: the server has not read yet
	stale   bool  // the subscription was lost, or a message removed
	latest  bool  // with the newest message of each key
	again   int   // pages that could not be used
	members []*member
}

// enter makes a member enter, after the node has opened the room.
func (n *node) enter(m *member) {
	if n.ring == nil {
		if !n.sim.server.up {
			return // it cannot subscribe
		}
		r := New(&n.sim.retention)
		n.ring, n.opening, n.subscribed, n.queue, n.failures, n.arrived = &r, true, true, nil, 0, -1
		n.ask()
	}
	m.node = n
	if n.opening {
		n.waiting = append(n.waiting, m)
		return
	}
	n.recover(m, true)
}

func (n *node) ask() { n.main = &reading{node: n, after: n.ring.Ask()} }

// recover is recovery.Rooms.recover.
func (n *node) recover(m *member, mayRead bool) {
	if n.ring.IsHolding() {
		n.behind = append(n.behind, m)
		return
	}
	n.headPlace() // the ring may drop its messages
	answer, older := n.ring.Recover(m.wish, n.sim.now)
	if !answer.Recovered && !m.wish.After.IsZero() && !n.subscribed {
		n.ring.Hold()
		n.behind = append(n.behind, m)
		return
	}
	if older && mayRead {
		if start := startOf(m); n.older == nil {
			n.older = &reading{node: n, after: start, latest: n.ring.CollectLatest(), members: []*member{m}}
			return
		} else if n.older.after == start {
			n.older.members = append(n.older.members, m)
			return
		}
	}
	n.members = append(n.members, m)
	m.recovered(answer)
}

func startOf(m *member) cluster.Position {
	if m.wish.After.IsStart() {
		return m.wish.After
	}
	return cluster.Position{}
}

// receive takes the next message of the subscription.
func (n *node) receive() {
	if n.ring == nil || len(n.queue) == 0 {
		return
	}
	m := n.queue[0]
	n.queue = n.queue[1:]
	if !m.resent && (n.heard[m.published] || m.repeat && n.blind) {
		return
	}
	message := m.message(n.sim.now, m.place, m.resent)
	message.Repeat = n.heard[m.published]
	n.heard[m.published] = true
	n.arrived = max(n.arrived, m.place)
	n.late = n.late || m.repeat && n.blind
	n.repeated = n.repeated || m.repeat && n.ring.IsHolding()
	deliver, ask := n.ring.Receive(message)
	n.sim.trace("node %d receives %d: deliver=%v ask=%v", n.number, m.place, deliver, ask)
	if deliver {
		n.deliver(m.published, m.place)
	}
	n.check()
	if ask {
		n.ask()
	}
}

// check is called after each call that takes messages.
func (n *node) check() {
	n.headPlace()
	if noticed := n.ring.missed; n.ring.Missed() {
		n.gap()
	} else if noticed {
		n.sim.fail("node %d does not notify its members", n.number)
	}
}

func (n *node) deliver(m *published, place int) {
	for _, to := range n.members {
		to.receive(m, place)
	}
}

// headPlace returns the place up to which the ring has taken all messages, also
// those that it knew before.
func (n *node) headPlace() (place int, known bool) {
	if count := len(n.ring.messages); n.ring.count() > 0 {
		n.head, n.headAt = n.ring.head, placeOf(n.ring.messages[count-1])
	}
	place, isStart := n.sim.server.starts[n.ring.head]
	switch {
	case isStart:
		place--
	case n.ring.head == n.head && !n.head.IsZero():
		place = n.headAt
	default:
		return 0, false
	}
	if !n.ring.holding {
		place = max(place, n.arrived)
	}
	return place, true
}

// deliverAll delivers messages of the ring.
func (n *node) deliverAll(messages []*Message) {
	for _, m := range messages {
		n.deliver(n.sim.server.known[m.Position], placeOf(m))
	}
}

func (n *node) gap() {
	n.sim.trace("node %d: gap", n.number)
	n.sim.gaps++
	for _, m := range n.members {
		m.missed = true
		m.notices++
	}
}

// lose is the end of the subscription.
func (n *node) lose() {
	if n.ring == nil || !n.subscribed {
		return
	}
	n.sim.trace("node %d loses its subscription", n.number)
	n.subscribed, n.queue, n.arrived = false, nil, -1
	if n.main != nil {
		n.main.stale = true
	}
	if !n.opening {
		n.ring.Hold()
	}
}

// resubscribe begins a subscription after a loss.
func (n *node) resubscribe() {
	if n.ring == nil || n.subscribed || !n.sim.server.up {
		return
	}
	n.sim.trace("node %d subscribes again", n.number)
	n.subscribed = true
	if !n.opening {
		n.ask()
	}
}

// answer ends a read. A failed one has no page.
func (n *node) answer(r *reading, failed bool) {
	page := r.page
	switch {
	case failed:
		page = nil
		n.sim.trace("node %d: read fails", n.number)
	case page != nil:
		page.Now = n.sim.now
		n.sim.trace("node %d: page %v, found=%v", n.number, n.sim.sequences(page.Messages), page.Found)
	}
	switch {
	case r == n.older:
		n.answerOlder(r, page)
	case n.opening:
		n.answerOpen(r, page)
	case r.stale && !n.subscribed:
		n.main = nil
	case r.stale:
		n.ask()
	default:
		n.answerRepair(page)
	}
	n.check()
}

func (n *node) answerOpen(r *reading, page *Page) {
	if r.stale {
		n.ring.Hold()
	}
	if page == nil {
		n.giveUp()
	} else if n.ring.Open(page) {
		n.ask()
		n.main.stale = r.stale
		return
	}
	n.opening, n.main = false, nil
	if r.stale {
		n.ring.Hold()
	}
	if r.stale && n.subscribed {
		n.ask()
	}
	waiting := n.waiting
	n.waiting = nil
	for _, m := range waiting {
		n.recover(m, true)
	}
}

func (n *node) answerRepair(page *Page) {
	if page == nil {
		if n.failures++; n.failures < 3 {
			n.ask()
			return
		}
		n.failures = 0
		n.sim.trace("node %d gives up", n.number)
		deliver, gap := n.giveUp()
		n.gap()
		n.deliverAll(deliver)
		if gap {
			n.gap()
		}
		n.check()
		n.endHold()
		return
	}
	n.failures = 0
	deliver, gap, again := n.ring.Repair(page)
	if gap {
		n.see()
		n.gap()
	}
	n.deliverAll(deliver)
	n.check()
	if again {
		n.ask()
		return
	}
	n.endHold()
}

func (n *node) giveUp() (deliver []*Message, gap bool) {
	n.blind, n.late = true, n.late || n.ring.unsure != 0 || n.repeated
	if n.older != nil {
		n.older.stale = true
	}
	return n.ring.GiveUp()
}

// see ends blindness.
func (n *node) see() { n.blind, n.late, n.repeated = false, false, false }

func (n *node) endHold() {
	n.main = nil
	behind := n.behind
	n.behind = nil
	for _, m := range behind {
		n.recover(m, true)
	}
}

func (n *node) answerOlder(r *reading, page *Page) {
	n.older = nil
	again := func() {
		n.older = &reading{node: n, after: r.after, latest: n.ring.CollectLatest(), again: r.again + 1, members: r.members}
	}
	if r.stale {
		again()
		return
	}
	if page != nil && n.ring.Prepend(page, r.after) {
		n.see()
		n.gap()
	}
	if page != nil && r.latest && !n.ring.KnowsLatest() && !n.ring.IsHolding() && r.again < 5 {
		again()
		return
	}
	for _, m := range r.members {
		n.recover(m, false)
	}
}

// learn tells the ring of a removal.
func (n *node) learn() {
	if n.ring == nil || len(n.remove) == 0 {
		n.remove = nil
		return
	}
	if p := n.remove[0]; p.IsZero() {
		n.ring.Clear()
	} else {
		n.ring.Remove(p)
	}
	n.remove = n.remove[1:]
	for _, r := range []*reading{n.older, n.main} {
		if r != nil && !n.opening && n.subscribed {
			r.stale = true
		}
	}
}

// leave makes a member leave. The room is released with the last one.
func (n *node) leave(m *member) {
	is := func(other *member) bool { return other == m }
	n.members = slices.DeleteFunc(n.members, is)
	m.node = nil
	if len(n.members)+len(n.behind)+len(n.waiting) == 0 && n.older == nil {
		*n = node{sim: n.sim, number: n.number, heard: n.heard}
	}
}
