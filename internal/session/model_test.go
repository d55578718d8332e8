package session_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// The model: a server and a client joined by two queues do anything, in any
// interleaving. When all is quiet both know of the same namespaces and rooms,
// and every ask has ended once.
func TestRandomOperations(t *testing.T) {
	// Rounds are short: in a long one later asks bring the two sides together
	// again, which hides an error.
	const runs, rounds, steps = 1000, 10, 20
	for seed := range uint64(runs) {
		m := newModel(t, seed)
		for range rounds {
			for range steps {
				m.step()
			}
			m.settle()
			m.compare()
		}
		m.close()
		if t.Failed() {
			for _, entry := range m.trace {
				t.Log(entry)
			}
			t.Fatalf("seed %d", seed)
		}
	}
}

type model struct {
	t      *testing.T
	random *rand.Rand
	sides  [2]*side
	// stubborn programs refuse to leave and disconnect, others lose patience.
	// Both at once can end in disagreement: the other side may refuse to
	// reverse a change that it made after the ask was canceled.
	stubborn bool
	// obliging programs accept everything at once.
	obliging bool
	// names is how many namespaces, and rooms in each, there are: the fewer,
	// the more the asks of the two sides collide.
	names int
	// pace is how many percent of the steps deliver a message.
	pace  int
	trace []string
}

// side is one end and its program.
type side struct {
	model   *model
	name    string
	session session.Session
	other   *side
	// inbox is what the other side has sent.
	inbox    []payload
	deferred []*session.Request
	// asks counts how often an ask has ended, by its ID.
	asks map[uint64]int
	// given are the IDs of all asks.
	given []uint64
	// members mirrors the callbacks: rooms by namespace.
	members map[string]map[string]bool
}

var _ session.Driver = (*side)(nil)

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, random: rand.New(rand.NewPCG(seed, 1)), stubborn: seed%2 == 0, pace: 20 + int(seed%3)*20, names: 1 + int(seed/2%2)}
	server := session.Config{Role: session.Server, Features: wire.FeaturePositions}.WithDefaults()
	client := session.Config{Role: session.Client, Features: wire.FeaturePositions}.WithDefaults()
	for i, config := range []*session.Config{&server, &client} {
		m.sides[i] = &side{
			model: m, name: config.Role.String(),
			asks: make(map[uint64]int), members: make(map[string]map[string]bool),
		}
		m.sides[i].session.Init(config, m.sides[i])
	}
	m.sides[0].other, m.sides[1].other = m.sides[1], m.sides[0]
	m.sides[1].session.Hello()
	m.sides[0].deliver()
	m.sides[0].session.Acknowledge("id")
	m.sides[1].deliver()
	return m
}

func (m *model) note(format string, arguments ...any) {
	m.trace = append(m.trace, fmt.Sprintf(format, arguments...))
}

func (m *model) chance(percent int) bool { return m.random.IntN(100) < percent }

func (m *model) step() {
	s := m.sides[m.random.IntN(2)]
	switch {
	case m.chance(m.pace):
		s.deliver()
	case m.chance(40):
		s.decide()
	default:
		s.operate()
	}
}

// settle delivers everything that is in flight.
func (m *model) settle() {
	for range 100000 {
		if len(m.sides[0].inbox)+len(m.sides[1].inbox)+len(m.sides[0].deferred)+len(m.sides[1].deferred) == 0 {
			return
		}
		for _, s := range m.sides {
			s.deliver()
			s.decide()
		}
	}
	m.t.Error("it never gets quiet, want every message taken")
}

// compare looks at both sides while all is quiet.
func (m *model) compare() {
	server, client := m.sides[0], m.sides[1]
	if got, want := client.state(), server.state(); got != want {
		m.t.Errorf("the client is in %s, the server in %s", got, want)
	}
	for _, s := range m.sides {
		if got, want := s.state(), s.mirror(); got != want {
			m.t.Errorf("the %s is in %s, its callbacks said %s", s.name, got, want)
		}
	}
}

func (m *model) close() {
	for _, s := range m.sides {
		s.session.Close()
		if got := s.mirror(); got != "map[]" {
			m.t.Errorf("after Close the callbacks of the %s leave %s, want nothing", s.name, got)
		}
		for id, ended := range s.asks {
			if ended != 1 {
				m.t.Errorf("ask %d of the %s ended %d times, want once", id, s.name, ended)
			}
		}
	}
}

func (s *side) state() string {
	members := make(map[string]map[string]bool)
	for namespace := range s.session.Namespaces() {
		rooms := make(map[string]bool)
		for room := range s.session.Rooms(namespace) {
			rooms[room.Name()] = true
		}
		members[namespace.Name()] = rooms
	}
	return fmt.Sprint(members)
}

func (s *side) mirror() string { return fmt.Sprint(s.members) }

func (s *side) deliver() {
	if len(s.inbox) == 0 {
		return
	}
	next := s.inbox[0]
	verdict := s.session.Receive(next.bytes, next.binary)
	s.model.note("%s receives %s: %v", s.name, next, verdict)
	switch verdict {
	case session.VerdictBusy:
		if !s.session.Busy() {
			s.model.t.Errorf("%s: %v although nothing is deferred", next, verdict)
		}
		return
	case session.VerdictInvalid, session.VerdictEmpty, session.VerdictEarlyOverflow:
		s.model.t.Errorf("%s: verdict %v", next, verdict)
	}
	s.inbox = s.inbox[1:]
}

// decide answers one deferred request.
func (s *side) decide() {
	if len(s.deferred) == 0 {
		return
	}
	i := s.model.random.IntN(len(s.deferred))
	r := s.deferred[i]
	s.deferred = slices.Delete(s.deferred, i, i+1)
	s.answer(r)
}

func (s *side) answer(r *session.Request) {
	ending := r.Kind == session.Disconnect || r.Kind == session.Leave
	if !s.model.obliging && s.model.chance(15) && (s.model.stubborn || !ending) {
		s.model.note("%s rejects %v %s", s.name, r.Kind, r.Message.Token)
		s.session.Reject(r, "no")
		return
	}
	s.model.note("%s accepts %v %s", s.name, r.Kind, r.Message.Token)
	switch r.Kind {
	case session.Connect:
		s.session.AcceptConnect(r, &place{name: string(r.Message.Namespace)})
	case session.Disconnect:
		s.session.AcceptDisconnect(r)
	case session.Join:
		s.session.AcceptJoin(r, &place{name: string(r.Message.Room)})
	case session.Leave:
		s.session.AcceptLeave(r)
	}
}

// operate does something of this side's own accord.
func (s *side) operate() {
	random := s.model.random
	name := []byte([]string{"a", "b"}[random.IntN(s.model.names)])
	roomName := []string{"x", "y"}[random.IntN(s.model.names)]
	namespace := s.session.Namespace(name)
	var id uint64
	var err error
	kind := session.Kind(random.IntN(6) + 1)
	if namespace == nil || kind == session.Connect {
		kind = session.Connect
		id, err = s.session.AskConnect(&place{name: string(name)}, nil)
	} else {
		switch kind {
		case session.Disconnect:
			if s.model.chance(60) {
				return
			}
			if s.forces() {
				id, err = s.session.ForceDisconnect(namespace)
			} else {
				id, err = s.session.AskDisconnect(namespace)
			}
		case session.Join:
			if s.model.chance(50) {
				id, err = s.session.AskRecover(namespace, &place{name: roomName}, wire.RecoveryRequest{Limit: 1}, nil)
			} else {
				id, err = s.session.AskJoin(namespace, &place{name: roomName}, nil)
			}
		case session.Leave:
			if s.forces() {
				id, err = s.session.ForceLeave(namespace, &place{name: roomName})
			} else {
				id, err = s.session.AskLeave(namespace, &place{name: roomName})
			}
		case session.EventAsk:
			id, err = s.session.Ask(namespace, s.session.Room(namespace, []byte(roomName)), "event", []byte("body"), s.model.chance(50))
		default:
			s.cancel()
			return
		}
	}
	if err != nil {
		return
	}
	s.model.note("%s asks %v %s/%s: %d", s.name, kind, name, roomName, id)
	s.asks[id] += 0
	s.given = append(s.given, id)
}

// forces reports whether the next leave or disconnect does not wait for the
// client, which must not refuse it.
func (s *side) forces() bool {
	return s == s.model.sides[0] && !s.model.stubborn && s.model.chance(50)
}

func (s *side) cancel() {
	if len(s.given) == 0 || s.model.stubborn {
		return
	}
	id := s.given[s.model.random.IntN(len(s.given))]
	ended := s.asks[id]
	s.model.note("%s cancels %d", s.name, id)
	if canceled := s.session.Cancel(id, wire.ErrTimeout); canceled != (ended == 0) {
		s.model.t.Errorf("Cancel of ask %d, which ended %d times, returned %v", id, ended, canceled)
	}
}

func (s *side) Send(bytes []byte, binary bool) {
	s.other.inbox = append(s.other.inbox, payload{slices.Clone(bytes), binary})
}

func (s *side) Hello()              {}
func (s *side) Acknowledged(string) {}
func (s *side) Refused(string)      { s.model.t.Error("refused") }

func (s *side) Request(r *session.Request) {
	if !s.model.obliging && s.model.chance(40) {
		s.deferred = append(s.deferred, s.session.Defer(r))
		return
	}
	s.answer(r)
}

func (s *side) Connected(n session.Namespace, _ bool) {
	if s.members[n.Name()] != nil {
		s.model.t.Errorf("%s: %s connected twice", s.name, n.Name())
	}
	s.members[n.Name()] = make(map[string]bool)
}

func (s *side) Disconnected(n session.Namespace, _, _ bool) {
	if rooms := s.members[n.Name()]; rooms == nil || len(rooms) > 0 {
		s.model.t.Errorf("%s: %s disconnected with rooms %v, want it connected and empty", s.name, n.Name(), rooms)
	}
	delete(s.members, n.Name())
}

func (s *side) Joined(n session.Namespace, r session.Room, _ bool) {
	if rooms := s.members[n.Name()]; rooms == nil || rooms[r.Name()] {
		s.model.t.Errorf("%s: joined %s/%s beside %v", s.name, n.Name(), r.Name(), rooms)
		return
	}
	s.members[n.Name()][r.Name()] = true
}

func (s *side) Left(n session.Namespace, r session.Room, _, _ bool) {
	if !s.members[n.Name()][r.Name()] {
		s.model.t.Errorf("%s: left %s/%s, want it joined", s.name, n.Name(), r.Name())
	}
	delete(s.members[n.Name()], r.Name())
}

func (s *side) Event(e *session.Event) {
	switch s.model.random.IntN(3) {
	case 0:
		s.session.Reply(e.Message, e.Message.Body)
	case 1:
		s.session.ReplyError(e.Message, "")
	}
}

func (s *side) Answered(a *session.Answer) {
	s.model.note("%s: ask %d (%v) ended: %v", s.name, a.ID, a.Kind, a.Err)
	s.asks[a.ID]++
}
