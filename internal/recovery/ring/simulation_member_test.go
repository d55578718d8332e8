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
}

// recovered takes the answer to its wish.
func (m *member) recovered(answer Recovery) {
	s := m.sim
	s.trace("member %d at node %d, after %v: recovered=%v head=%v messages %v",
		m.number, m.node.number, m.wish.After, answer.Recovered, answer.Head, s.sequences(answer.Messages))
	m.inside, m.missed = true, false
	head, known := s.after(answer.Head)
	switch {
	case answer.Recovered:
		s.recoveries++
		next, ok := s.after(m.wish.After)
		if !ok {
			s.fail("member %d has recovered with the position %v, which is none", m.number, m.wish.After)
		}
		m.next = next
	case len(answer.Messages) > 0:
		m.next = s.server.known[answer.Messages[0].Position].sequence
	case known:
		m.next = head
	default:
		m.next, m.missed = 0, true
	}
	if answer.Head.IsZero() && (answer.Recovered || len(answer.Messages) > 0) {
		s.fail("member %d has messages without a head", m.number)
	}
	if len(answer.Messages) > max(0, m.wish.Newest) && !answer.Recovered {
		s.fail("member %d has %d messages, but wanted %d", m.number, len(answer.Messages), m.wish.Newest)
	}
	m.position = answer.Head
	for _, message := range answer.Messages {
		m.receive(s.server.known[message.Position])
	}
	if known {
		m.skip(head)
		m.position = answer.Head
	}
}

// receive checks a message.
func (m *member) receive(p *published) {
	m.position = p.position
	if p.excused {
		return
	}
	if p.sequence < m.next && !m.node.late {
		m.sim.fail("member %d received message %d again or late, want %d", m.number, p.sequence, m.next)
	}
	m.skip(p.sequence)
	m.next, m.missed = max(m.next, p.sequence+1), false
	m.sim.deliveries++
}

// skip checks that no message before a sequence is missing.
func (m *member) skip(sequence int) {
	for i := m.next; i < sequence && !m.missed && !m.node.late; i++ {
		if !m.sim.server.channel[i].excused {
			m.sim.fail("member %d misses message %d, silently", m.number, i)
			return
		}
	}
	m.next = max(m.next, sequence)
}
