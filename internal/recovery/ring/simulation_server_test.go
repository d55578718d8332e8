package ring

import (
	"slices"
	"strconv"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/latest"
)

// published is a message of the channel.
type published struct {
	position cluster.Position
	sequence int // its place in the channel
	time     int64
	size     int
	key      string
	// excused: it was removed, or is lost for good. No member has a right to
	// it.
	excused bool
	// lost: the server has lost it, and its publisher has not sent it again.
	lost bool
	// moved: it was sent again, and is at the place of its repetition. Nodes
	// may have received it at the place before.
	moved bool
	// left: it had left the history before it was sent again. No member has a
	// right to it a second time.
	left bool
}

// entry is one of the stream. resent: it is at the place of its repetition, so
// a position up to it does not tell which messages follow.
type entry struct {
	*published
	resent bool
}

// server keeps the stream of the channel.
type server struct {
	sim *simulation
	up  bool
	// channel is all that was ever published, by place; nil where a message was
	// that is now at another place, or lost.
	channel []*published
	known   map[cluster.Position]*published
	starts  map[cluster.Position]int // the number of messages when they were given out
	life    uint64                   // of the process; start positions belong to one
	stream  []entry
	left    int // the highest sequence that has left the history, plus 1
	keys    keys
}

// publish appends a message.
func (s *server) publish(position cluster.Position, size int) *published {
	m := &published{position: position, time: s.sim.now, size: size}
	if s.sim.retention.Keys > 0 {
		m.key = []string{"", "a", "b", "c", "d", "e"}[s.sim.random.IntN(6)]
	}
	s.known[position] = m
	s.send(arrival{published: m, place: len(s.channel)})
	s.append(m, false)
	return m
}

func (s *server) append(m *published, resent bool) {
	m.sequence, m.lost = len(s.channel), false
	s.channel = append(s.channel, m)
	s.stream = append(s.stream, entry{m, resent})
	s.keys.put(m.message(m.time, m.sequence, resent), &s.sim.retention)
	s.sim.trace("message %d is published: %v", m.sequence, m.position)
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
// keeps it once, unless it has lost the original: in a crash, or because that
// has left it in the meantime.
func (s *server) resend(m *published, crashed bool) {
	s.sim.trace("message %d is sent again", m.sequence)
	if s.covers(m) {
		s.send(arrival{m, m.sequence, true, crashed})
		return
	}
	s.send(arrival{m, len(s.channel), true, crashed})
	if !m.lost {
		s.channel[m.sequence], m.left = nil, true
	}
	m.moved = true
	s.append(m, true)
}

// covers reports whether a repetition of a message is none of the history's.
func (s *server) covers(m *published) bool {
	return slices.ContainsFunc(s.stream, func(e entry) bool {
		return e.position.Incarnation == m.position.Incarnation && e.position.Number >= m.position.Number
	})
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
	if gone := s.stream[i]; gone.excused || gone.lost {
		s.keys.values.Delete(func(m *Message) bool { return m.Position == gone.position })
	}
	s.stream = slices.Delete(s.stream, i, i+1)
}

// crash is the end of the server, which restarts without the newest messages of
// the stream, or is replaced by a server that lacks them. Publishers send their
// latest messages again, whether they are lost or not, each before it sends
// anything new: then those that were lost have a later place.
func (s *server) crash(count int) {
	s.up = false
	s.life++
	due := make(map[*published]bool)
	for _, p := range s.sim.publishers {
		p.due = nil
		for _, m := range p.recent {
			if m.time >= s.sim.now-maxLag/2 {
				p.due, due[m] = append(p.due, m), true
			}
		}
	}
	for range min(count, len(s.stream)) {
		last := len(s.stream) - 1
		m := s.stream[last].published
		s.sim.trace("message %d is lost", m.sequence)
		s.channel[m.sequence], m.lost = nil, true
		m.excused = m.excused || !due[m]
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
		p.Head = cluster.StartPosition(77+s.life, uint64(len(s.channel)))
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
		case isStart && after.Incarnation == 77+s.life && s.left <= count:
		default:
			p.Found = false
		}
	}
	if excess := len(selected) - s.sim.retention.Messages; excess > 0 {
		panic("a history is longer than its retention")
	}
	for _, e := range selected {
		p.Messages = append(p.Messages, e.message(e.time, e.sequence, e.resent))
	}
	return p
}

// latest are the newest messages of the keys.
func (s *server) latest() []*Message {
	r := &s.sim.retention
	return s.keys.values.Within(latest.Limits{Keys: r.Keys, Bytes: r.Bytes, Since: s.sim.now - r.Age.Milliseconds()})
}

// message has the place in the field for users, which a ring does not read.
func (m *published) message(time int64, place int, resent bool) *Message {
	return &Message{Position: m.position, Time: time, User: strconv.Itoa(place), Size: m.size, Resent: resent, Key: OwnKey(m.key)}
}

// placeOf returns the place of a message.
func placeOf(m *Message) int {
	place, err := strconv.Atoi(m.User)
	if err != nil {
		panic(err)
	}
	return place
}

// publisher is one node that publishes.
type publisher struct {
	incarnation, number uint64
	recent              []*published // may be sent again
	due                 []*published // are sent again before anything new
}

func (p *publisher) publish(s *server, size int) {
	p.sendDue(s)
	p.number += 1 + uint64(s.sim.random.IntN(3)) // others are in other channels
	m := s.publish(cluster.Position{Incarnation: p.incarnation, Number: p.number}, size)
	p.recent = append(p.recent, m)
	if len(p.recent) > 4 {
		p.recent = p.recent[1:]
	}
}

// resend sends messages again after the connection has failed, which is so soon
// that the stream has them yet.
func (p *publisher) resend(s *server) {
	p.sendDue(s)
	for _, m := range p.recent {
		if m.time >= s.sim.now-maxLag/2 && s.covers(m) {
			s.resend(m, false)
		}
	}
}

// sendDue sends messages again after the server has crashed.
func (p *publisher) sendDue(s *server) {
	for _, m := range p.due {
		s.resend(m, true)
	}
	p.due = nil
}
