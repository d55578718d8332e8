package outbox

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stoa-io/stoa/internal/testkit"
)

// TestSimulation: connections that are lost with requests and answers on their
// way, copies that arrive late, nodes that crash, brokers that take a message
// and do not say so, and callers that give up. No message is stored twice; one
// that is confirmed is stored, one that is refused or not published is not; and
// those of a room keep their order. STOA_SEED replays one seed with a trace,
// STOA_SEEDS runs so many.
func TestSimulation(t *testing.T) {
	first, end, replays := testkit.Seeds(t, 4000)
	seeds := int(end - first)
	var results [Unconfirmed + 1]int
	repeats, copies := 0, 0
	for seed := first; seed < end; seed++ {
		s := newSimulation(seed)
		s.tracing = replays
		s.run()
		if s.failure != "" || replays {
			for _, line := range s.lines {
				t.Log(line)
			}
			if s.failure == "" {
				return
			}
			t.Fatalf("%s; replay: STOA_SEED=%d go test -run TestSimulation ./internal/outbox", s.failure, seed)
		}
		for _, c := range s.calls {
			results[c.entry.Result()]++
			repeats += max(c.sent-1, 0)
		}
		copies += s.copies
	}
	t.Logf("results %v, %d repeats, %d copies that were not published again", results, repeats, copies)
	if results[Confirmed] < 10*seeds || results[Unconfirmed] < seeds/10 || results[Refused] < seeds/10 ||
		results[NotPublished] < seeds/10 || repeats < seeds || copies < seeds {
		t.Errorf("%v, %d repeats and %d copies in %d seeds show nothing", results, repeats, copies, seeds)
	}
}

const (
	serverWindow = 1200 // for which the store remembers an ID
	clientWindow = 900
	longestWay   = serverWindow - clientWindow // of a copy
)

// call is a confirmed emit and its caller.
type call struct {
	entry         *Entry
	number, room  int
	sent, expires int // copies; the time after which no further one is sent
	deadline      int
	// forbidden: how many percent of the copies the server refuses. laterWith:
	// the calls that were sent before the client knew of another answer than
	// Yes: the order of these and of the call is open.
	forbidden, laterWith int
}

// packet is a copy, or its answer.
type packet struct {
	call   *call
	answer Answer
	sent   int // when the client has sent it
}

// note notes the calls that are sent with one that is not published:
// until the client has the answer, or has lost it.
func (p packet) note(s *simulation) {
	if p.answer != Yes {
		p.call.laterWith = len(s.calls)
	}
}

// conn is a connection and its node, which handles copies in order.
type conn struct {
	up, down []packet // on their way
	storing  []packet // taken by the node, on their way to the store
	isLost   bool
}

// pause is a timer of the client.
type pause struct{ room, number, due int }

type simulation struct {
	random  *rand.Rand
	now     int
	outbox  Outbox
	conn    *conn // nil: not connected
	old     []*conn
	calls   []*call
	pauses  []pause
	stored  map[*call]int // the first time
	order   [3][]*call    // by room
	copies  int
	tracing bool

	failure string
	lines   []string
}

func newSimulation(seed uint64) *simulation {
	return &simulation{random: rand.New(rand.NewPCG(seed, 7)), stored: make(map[*call]int)}
}

func (s *simulation) trace(format string, args ...any) {
	if s.tracing {
		s.lines = append(s.lines, fmt.Sprintf("%5d ", s.now)+fmt.Sprintf(format, args...))
	}
}

func (s *simulation) fail(format string, args ...any) {
	if s.failure == "" {
		s.failure = fmt.Sprintf(format, args...)
	}
}

func (s *simulation) chance(percent int) bool { return s.random.IntN(100) < percent }

func (s *simulation) run() {
	for range 300 + s.random.IntN(500) {
		s.step()
	}
	for s.outbox.Len() > 0 || len(s.old) > 0 {
		s.settle()
	}
	for _, c := range s.calls {
		s.check(c)
	}
	s.checkOrder()
}

// step does one thing.
func (s *simulation) step() {
	s.clock()
	switch k := s.random.IntN(100); {
	case k < 25:
		s.publish()
	case k < 92:
		s.now += s.random.IntN(8)
		for range s.random.IntN(20) {
			s.advance()
		}
	case k < 94 && s.conn != nil:
		s.lose()
	case k < 97 && s.conn == nil:
		s.connect()
	case k < 98:
		s.now += s.random.IntN(clientWindow)
	case k < 99 && len(s.calls) > 0:
		c := s.calls[s.random.IntN(len(s.calls))]
		s.trace("cancel %d", c.number)
		s.outbox.Cancel(c.entry)
	}
	for range s.random.IntN(3) {
		s.advanceOld()
	}
}

// settle lets everything arrive.
func (s *simulation) settle() {
	s.now += 1 + s.random.IntN(4)
	if s.conn == nil {
		s.connect()
	}
	s.clock()
	s.advance()
	s.advanceOld()
}

func (s *simulation) publish() {
	c := &call{number: len(s.calls), room: s.random.IntN(len(s.order)), deadline: s.now + 1 + s.random.IntN(2*serverWindow), forbidden: []int{0, 0, 0, 0, 0, 0, 0, 0, 50, 100}[s.random.IntN(10)]}
	c.entry = s.outbox.Add(c.room, c)
	s.calls = append(s.calls, c)
	s.trace("call %d in room %d", c.number, c.room)
	s.flush()
}

// flush sends all that may be sent.
func (s *simulation) flush() {
	for {
		e, first := s.outbox.Next()
		if e == nil {
			return
		}
		c := e.Value.(*call)
		if first != (c.sent == 0) {
			s.fail("call %d is sent %d times, first is %t", c.number, c.sent, first)
		}
		if first {
			c.expires = s.now + clientWindow
		}
		c.sent++
		if c.sent > 1 && s.now >= c.expires {
			s.fail("call %d is sent again at %d, after its time, %d", c.number, s.now, c.expires)
		}
		s.trace("send %d, copy %d", c.number, c.sent)
		s.conn.up = append(s.conn.up, packet{call: c, sent: s.now})
	}
}

func (s *simulation) expire() {
	for _, e := range s.outbox.Of(nil) {
		if c := e.Value.(*call); c.sent > 0 && s.now >= c.expires {
			s.outbox.Expire(e)
		}
	}
}

// clock runs the timers that are due.
func (s *simulation) clock() {
	s.expire()
	for _, e := range s.outbox.Of(nil) {
		if s.now >= e.Value.(*call).deadline {
			s.outbox.Cancel(e)
		}
	}
	rest := s.pauses[:0]
	for _, p := range s.pauses {
		if s.now >= p.due {
			s.outbox.Resume(p.room, p.number)
		} else {
			rest = append(rest, p)
		}
	}
	s.pauses = rest
	s.flush()
}

func (s *simulation) connect() {
	s.trace("connect")
	s.conn = &conn{}
	s.expire() // late timers
	s.outbox.Connect()
	s.flush()
}

// lose cuts the connection: answers are lost, and copies of which the node gets
// some, perhaps late.
func (s *simulation) lose() {
	c := s.conn
	s.conn = nil
	for _, p := range c.down {
		p.note(s)
	}
	c.isLost, c.down = true, nil
	c.up = c.up[:s.random.IntN(len(c.up)+1)]
	if s.chance(20) { // the node crashes
		c.up, c.storing = nil, c.storing[:s.random.IntN(len(c.storing)+1)]
	}
	s.trace("lose, with %d copies on their way", len(c.up)+len(c.storing))
	s.old = append(s.old, c)
	for _, e := range s.outbox.Lost() {
		if e.Result() != Unconfirmed {
			s.fail("a lost copy ends as %v", e.Result())
		}
	}
}

// advance moves one packet of the connection.
func (s *simulation) advance() {
	c := s.conn
	if c != nil && s.isStuck(c) {
		s.lose()
		c = nil
	}
	if c == nil {
		return
	}
	switch k := s.random.IntN(3); {
	case k == 0 && len(c.up) > 0:
		s.receive(c)
	case k == 1 && len(c.storing) > 0:
		s.store(c)
	case k == 2 && len(c.down) > 0:
		p := c.down[0]
		c.down = c.down[1:]
		s.trace("answer %v to %d", p.answer, p.call.number)
		p.note(s)
		if number, failures := s.outbox.Answer(p.call.entry, p.answer); number != 0 {
			s.pauses = append(s.pauses, pause{p.call.room, number, s.now + s.random.IntN(10*failures)})
		}
		s.flush()
	}
}

// isStuck reports whether copies have been on their way for too long. They do
// not arrive any more.
func (s *simulation) isStuck(c *conn) bool {
	for _, p := range slices.Concat(c.up, c.storing) {
		if s.now > p.sent+longestWay {
			c.up, c.storing = nil, nil
			return true
		}
	}
	return false
}

// advanceOld moves one packet of a lost connection.
func (s *simulation) advanceOld() {
	for i, c := range s.old {
		switch {
		case len(c.up)+len(c.storing) == 0 || s.isStuck(c):
			s.old = append(s.old[:i], s.old[i+1:]...)
			return
		case s.chance(40) && len(c.up) > 0:
			s.receive(c)
		case s.chance(40) && len(c.storing) > 0:
			s.store(c)
		}
	}
}

// receive lets the node take a copy.
func (s *simulation) receive(c *conn) {
	p := c.up[0]
	c.up = c.up[1:]
	switch k := s.random.IntN(100); {
	case s.chance(p.call.forbidden):
		p.call.laterWith = len(s.calls)
		c.down = append(c.down, packet{call: p.call, answer: No})
	case k < 4: // the broker does not take it
		p.call.laterWith = len(s.calls)
		c.down = append(c.down, packet{call: p.call, answer: Later})
	default:
		c.storing = append(c.storing, p)
	}
}

// store lets the store take a copy.
func (s *simulation) store(c *conn) {
	p := c.storing[0]
	c.storing = c.storing[1:]
	if at, known := s.stored[p.call]; known && s.now < at+serverWindow {
		s.copies++
	} else {
		if known {
			s.fail("call %d is stored at %d and again at %d", p.call.number, at, s.now)
		}
		s.trace("store %d", p.call.number)
		s.stored[p.call] = s.now
		s.order[p.call.room] = append(s.order[p.call.room], p.call)
	}
	switch {
	case c.isLost:
	case s.chance(4): // the answer of the store is lost
		p.call.laterWith = len(s.calls)
		c.down = append(c.down, packet{call: p.call, answer: Later})
	default:
		c.down = append(c.down, packet{call: p.call, answer: Yes})
	}
}

// check compares the result of a call with the store.
func (s *simulation) check(c *call) {
	_, stored := s.stored[c]
	switch result := c.entry.Result(); result {
	case None:
		s.fail("call %d has not ended", c.number)
	case Confirmed:
		if !stored {
			s.fail("call %d is confirmed and not stored", c.number)
		}
	case Refused, NotPublished:
		if stored {
			s.fail("call %d is %v and stored", c.number, result)
		}
	case Unconfirmed:
		if c.sent == 0 {
			s.fail("call %d is unconfirmed and was not sent", c.number)
		}
	}
}

// checkOrder checks that the messages of each room have the order of the calls,
// but for one whose outcome is unknown to the caller, and for those that were
// on their way with one that was not published at once.
func (s *simulation) checkOrder() {
	for _, order := range s.order {
		for i, after := range order {
			for _, before := range order[i+1:] {
				late := before.entry.Result() == Unconfirmed
				if !late && before.number < after.number && after.number >= before.laterWith {
					s.fail("call %d is stored before %d", after.number, before.number)
				}
			}
		}
	}
}
