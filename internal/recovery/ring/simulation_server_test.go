package ring

import (
	"slices"

	"github.com/stoa-io/stoa/cluster"
)

// published is a message of the channel.
type published struct {
	position cluster.Position
	sequence int // its place in the channel
	time     int64
	size     int
	// excused: it was removed, or the server has lost it. No member has a right
	// to it.
	excused bool
}

// entry is one of the stream. resent: it is at the place of its repetition, so
// a position up to it does not tell which messages follow.
type entry struct {
	*published
	resent bool
}

// server keeps the stream of the channel.
type server struct {
	sim     *simulation
	up      bool
	channel []*published // all that was ever published
	known   map[cluster.Position]*published
	starts  map[cluster.Position]int // the number of messages when they were given out
	stream  []entry
	left    int // the highest sequence that has left the history, plus 1
}

// publish appends a message.
func (s *server) publish(position cluster.Position, size int) {
	m := &published{position: position, sequence: len(s.channel), time: s.sim.now, size: size}
	s.channel = append(s.channel, m)
	s.known[position] = m
	s.sim.trace("message %d is published: %v", m.sequence, position)
	s.stream = append(s.stream, entry{published: m})
	s.send(arrival{published: m})
	s.trim()
}

func (s *server) send(a arrival) {
	for _, n := range s.sim.nodes {
		if n.subscribed {
			n.queue = append(n.queue, a)
		}
	}
}

// resend is a publisher's repetition of a message, soon after it. The history
// keeps it once, unless a crash has made the server forget it.
func (s *server) resend(m *published, forgotten bool) {
	if m.time < s.sim.now-maxLag/2 {
		return
	}
	s.sim.trace("message %d is sent again", m.sequence)
	s.send(arrival{m, true, forgotten})
	if forgotten {
		s.stream = append(s.stream, entry{m, true})
		s.trim()
	}
}

func (s *server) trim() {
	r, bytes := s.sim.retention, 0
	for _, m := range s.stream {
		bytes += m.size
	}
	for len(s.stream) > 0 && (len(s.stream) > r.Messages || bytes > r.Bytes || s.stream[0].time < s.sim.now-r.Age.Milliseconds()) {
		bytes -= s.stream[0].size
		s.leave(0)
	}
}

func (s *server) leave(i int) {
	s.left = max(s.left, s.stream[i].sequence+1)
	s.stream = slices.Delete(s.stream, i, i+1)
}

// crash loses the newest messages of the stream. Publishers may send messages
// again, which the server may have lost or not: it keeps them at a later place.
// So the order of the newest messages is not defined.
func (s *server) crash(count int) {
	s.up = false
	for _, p := range s.sim.publishers {
		for _, m := range p.recent {
			for _, m := range s.channel[m.sequence:] {
				m.excused = true
			}
		}
	}
	for range min(count, len(s.stream)) {
		last := len(s.stream) - 1
		s.stream[last].excused = true
		s.leave(last)
	}
	for _, n := range s.sim.nodes {
		n.lose()
	}
}

// read is History of a broker.
func (s *server) read(after cluster.Position, oldest bool) *Page {
	s.trim()
	p := &Page{Found: true}
	if len(s.stream) == 0 {
		p.Head = cluster.StartPosition(77, uint64(len(s.channel)))
		s.starts[p.Head] = len(s.channel)
	} else {
		p.Head = s.stream[len(s.stream)-1].position
	}
	selected := s.stream
	if !after.IsZero() {
		i := slices.IndexFunc(s.stream, func(e entry) bool { return e.position == after })
		count, isStart := s.starts[after]
		switch {
		case slices.ContainsFunc(s.stream[i+1:], func(e entry) bool { return e.resent }) || i >= 0 && s.stream[i].resent:
			p.Found = false
		case i >= 0:
			selected = s.stream[i+1:]
		case isStart && s.left <= count:
		default:
			p.Found = false
		}
	}
	if excess := len(selected) - s.sim.retention.Messages; excess > 0 {
		panic("a history is longer than its retention")
	}
	seen := map[uint64]uint64{}
	for _, e := range selected {
		if last := seen[e.position.Incarnation]; e.position.Number > last {
			seen[e.position.Incarnation] = e.position.Number
			p.Messages = append(p.Messages, e.message(e.time, e.resent))
		}
	}
	return p
}

func (m *published) message(time int64, resent bool) *Message {
	return &Message{Position: m.position, Time: time, Size: m.size, Resent: resent}
}

// publisher is one node that publishes.
type publisher struct {
	incarnation, number uint64
	recent              []*published // may be sent again
}

func (p *publisher) publish(s *server, size int) {
	p.number += 1 + uint64(s.sim.random.IntN(3)) // others are in other channels
	s.publish(cluster.Position{Incarnation: p.incarnation, Number: p.number}, size)
	p.recent = append(p.recent, s.channel[len(s.channel)-1])
	if len(p.recent) > 4 {
		p.recent = p.recent[1:]
	}
}

func (p *publisher) resend(s *server, forgotten bool) {
	for _, m := range p.recent {
		s.resend(m, forgotten)
	}
}
