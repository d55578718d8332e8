package ring

import "github.com/stoa-io/stoa/cluster"

// member is a client of the room. It checks the messages that it receives.
type member struct {
	sim    *simulation
	number int
	node   *node // nil: it has left
	wish   Wish
	// next is the sequence of the message that it must receive next.
	next     int
	position cluster.Position // with which it comes back
	// missed: it knows that messages are missing in front of the next one.
	missed bool
	inside bool
	// notices is how often it has learned that messages may be missing, and has
	// how often it had when it received a message, or settled.
	notices int
	has     map[*published]int
	// late: a node that has no page has misled it about the order.
	late bool
}

// settled: the member did not receive the message, and has no right to it.
const settled = -1

// recovered takes the answer to its wish.
func (m *member) recovered(answer Recovery) {
	s := m.sim
	s.trace("member %d at node %d, after %v: recovered=%v head=%v messages %v",
		m.number, m.node.number, m.wish.After, answer.Recovered, answer.Head, s.sequences(answer.Messages))
	m.inside, m.missed, m.next = true, false, 0
	defer func() { m.late = m.node.late }()
	head, known := m.node.headPlace()
	if m.wish.Latest && !answer.Recovered && (len(answer.Messages) > 0 || m.node.ring.KnowsLatest()) {
		m.enterWithLatest(answer, head, known)
		return
	}
	switch {
	case answer.Recovered && !m.late:
		s.recoveries++
		if s.server.known[m.wish.After] == nil && !m.wish.After.IsStart() {
			s.fail("member %d has recovered with the position %v, which is none", m.number, m.wish.After)
		}
	case len(answer.Messages) > 0:
		m.enter(placeOf(answer.Messages[0]))
	case known:
		m.enter(head + 1)
	default:
		m.enter(0)
		m.missed = true
	}
	if answer.Head.IsZero() && (answer.Recovered || len(answer.Messages) > 0) {
		s.fail("member %d has messages without a head", m.number)
	}
	if len(answer.Messages) > max(0, m.wish.Newest) && !answer.Recovered {
		s.fail("member %d has %d messages, but wanted %d", m.number, len(answer.Messages), m.wish.Newest)
	}
	m.position = answer.Head
	for _, message := range answer.Messages {
		if !answer.Recovered {
			m.forgive(placeOf(message))
		}
		m.receive(s.server.known[message.Position], placeOf(message))
	}
	if known {
		if !answer.Recovered {
			m.forgive(head + 1)
		}
		m.skip(head + 1)
		m.position = answer.Head
	}
}

// enterWithLatest checks an answer that has the newest message of each key.
func (m *member) enterWithLatest(answer Recovery, head int, known bool) {
	s := m.sim
	has := map[cluster.Position]bool{}
	last := -1
	newest := map[string]int{} // by key
	for _, p := range s.server.channel[:head+1] {
		if p != nil {
			newest[p.key] = p.sequence
		}
	}
	strict := known && !s.wild && !m.node.late
	for i, message := range answer.Messages {
		p := s.server.known[message.Position]
		has[message.Position] = true
		if p.sequence <= last && strict {
			s.fail("member %d received message %d again or late, after %d", m.number, p.sequence, last)
		}
		last = p.sequence
		isNewest := i >= len(answer.Messages)-max(0, m.wish.Newest)
		if !isNewest && strict && (p.key == "" || newest[p.key] != p.sequence) {
			s.fail("member %d received message %d, which is not the newest of key %q", m.number, p.sequence, p.key)
		}
	}
	for _, message := range s.server.latest() {
		p := s.server.known[message.Position]
		if strict && p.sequence <= head && !has[p.position] && m.wish.MaxBytes == 1<<40 && m.node.ring.KnowsLatest() {
			s.fail("member %d lacks message %d, the newest of key %q", m.number, p.sequence, p.key)
		}
	}
	if m.node.ring.KnowsLatest() {
		s.keyed++
	} else {
		s.unkeyed++
	}
	m.enter(head + 1)
	m.missed, m.position = !known, answer.Head
}

// forgive lets messages be missing that were sent again. A ring that knows such
// a message from before does not show it among the newest ones.
func (m *member) forgive(place int) {
	for _, p := range m.sim.server.channel[m.next:max(m.next, place)] {
		if p != nil && p.moved {
			m.settle(p)
		}
	}
}

// enter begins at a place without recovery: the member has no right to
// the messages in the history, and may receive them again.
func (m *member) enter(place int) {
	m.notices++
	clear(m.has)
	m.next = place
	for _, p := range m.sim.server.channel[:place] {
		m.settle(p)
	}
}

// settle notes that the member does not wait for a message.
func (m *member) settle(p *published) {
	if _, has := m.has[p]; p != nil && !has {
		m.has[p] = settled
	}
}

// receive checks a message. One that was sent again may come again to a member
// that has learned in the meantime that messages may be missing.
func (m *member) receive(p *published, place int) {
	m.position = p.position
	m.late = m.late || m.node.late
	if p.excused || p.lost {
		m.has[p] = m.notices
		return
	}
	at, has := m.has[p]
	again := has && at != settled && (at == m.notices || !p.moved)
	late := (!has || at == settled && !p.moved) && place < m.next
	if (again || late) && !m.node.late {
		m.sim.fail("member %d received message %d again or late, want %d", m.number, place, m.next)
	}
	m.skip(place)
	m.has[p] = m.notices
	m.next, m.missed = max(m.next, place+1), false
	m.sim.deliveries++
}

// skip checks that no message before a sequence is missing.
func (m *member) skip(sequence int) {
	for i := m.next; i < sequence; i++ {
		p := m.sim.server.channel[i]
		if p == nil || p.excused || p.left {
			continue
		}
		switch _, has := m.has[p]; {
		case has:
		case m.missed || m.node.late || m.node.ring.missed: // the notice follows at once
			m.settle(p)
		default:
			m.sim.fail("member %d misses message %d, silently", m.number, i)
			return
		}
	}
	m.next = max(m.next, sequence)
}
