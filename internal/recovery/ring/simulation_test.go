package ring

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/testkit"
)

// TestSimulation: publishers that crash and repeat themselves, a server that
// restarts and loses messages, subscriptions with delay that end and come back,
// reads that are slow, fail and race with messages, and clients that come and
// go. No member misses a message of the retention without notice, or receives
// one twice or late. STOA_SEED replays one seed with a trace, STOA_SEEDS runs
// so many.
func TestSimulation(t *testing.T) {
	first, end, replays := testkit.Seeds(t, 6000)
	seeds := int(end - first)
	var total simulation
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
			t.Fatalf("%s; replay: STOA_SEED=%d go test -run TestSimulation ./internal/recovery/ring", s.failure, seed)
		}
		total.deliveries += s.deliveries
		total.recoveries += s.recoveries
		total.gaps += s.gaps
		total.keyed += s.keyed
		total.unkeyed += s.unkeyed
	}
	t.Logf("%d deliveries, %d recoveries, %d gaps, %d members with the newest message of each key, %d without",
		total.deliveries, total.recoveries, total.gaps, total.keyed, total.unkeyed)
	if total.keyed < seeds || total.unkeyed > total.keyed/10 {
		t.Errorf("%d members with the newest message of each key, %d without, show nothing", total.keyed, total.unkeyed)
	}
	if total.recoveries < seeds*3/4 || total.gaps < seeds/10 {
		t.Errorf("%d recoveries and %d gaps in %d seeds show nothing", total.recoveries, total.gaps, seeds)
	}
}

// simulation is one channel, from the publishers to the clients.
type simulation struct {
	random     *rand.Rand
	now        int64
	retention  cluster.Retention
	sizes      int // the largest size of a message
	server     *server
	publishers []*publisher
	nodes      []*node
	members    []*member
	wild       bool // the server crashes, reads fail, and messages are removed
	fragile    bool // the server crashes often
	tracing    bool

	failure                      string
	lines                        []string
	deliveries, recoveries, gaps int
	// keyed members received the newest message of each key when they entered,
	// unkeyed ones could not.
	keyed, unkeyed int
}

func newSimulation(seed uint64) *simulation {
	random := rand.New(rand.NewPCG(seed, 12))
	pick := func(values ...int) int { return values[random.IntN(len(values))] }
	s := &simulation{random: random, now: 1_000_000, sizes: pick(1, 10, 400_000), wild: random.IntN(2) == 0}
	s.fragile = s.wild && random.IntN(2) == 0
	s.retention = cluster.Retention{
		Messages: pick(1, 3, 10, 100, 100),
		Age:      time.Duration(pick(50, 1000, 3_600_000, 3_600_000)) * time.Millisecond,
		Bytes:    2 * s.sizes * pick(1, 5, 100, 100),
		Keys:     pick(0, 2, 100),
	}
	s.server = &server{sim: s, up: true, known: map[cluster.Position]*published{}, starts: map[cluster.Position]int{}}
	for range pick(1, 2, 3, 6) {
		s.publishers = append(s.publishers, &publisher{incarnation: random.Uint64()})
	}
	for i := range pick(1, 2, 3) {
		s.nodes = append(s.nodes, &node{sim: s, number: i, heard: map[*published]bool{}})
	}
	for i := range pick(1, 3, 6) {
		s.members = append(s.members, &member{sim: s, number: i, has: map[*published]int{}})
	}
	return s
}

func (s *simulation) run() {
	for range 100 + s.random.IntN(300) {
		if s.step(); s.failure != "" {
			return
		}
	}
	s.settle()
	for _, m := range s.members {
		if m.inside && s.failure == "" {
			m.skip(len(s.server.channel))
		}
	}
}

// settle lets everything arrive.
func (s *simulation) settle() {
	s.restart()
	for _, p := range s.publishers {
		p.sendDue(s.server)
	}
	for range 200 {
		busy := false
		for _, n := range s.nodes {
			n.resubscribe()
			for len(n.remove) > 0 {
				n.learn()
			}
			for len(n.queue) > 0 && n.ring != nil {
				n.receive()
			}
			for _, r := range []*reading{n.main, n.older} {
				if r != nil {
					busy = true
					s.read(r)
					n.answer(r, false)
				}
			}
		}
		if !busy {
			return
		}
	}
	s.fail("the nodes do not come to rest")
}

// step does one thing.
func (s *simulation) step() {
	s.now += int64(s.random.IntN(4))
	n := s.nodes[s.random.IntN(len(s.nodes))]
	p := s.publishers[s.random.IntN(len(s.publishers))]
	m := s.members[s.random.IntN(len(s.members))]
	switch k := s.random.IntN(200); {
	case k < 40:
		s.publish(p, 1+s.random.IntN(3))
	case k < 80:
		for range 1 + s.random.IntN(6) {
			n.receive()
		}
	case k < 120:
		s.advance(n)
	case k < 150:
		if m.node == nil {
			s.enter(m, n)
		}
	case k < 165:
		if m.inside {
			s.trace("member %d leaves", m.number)
			m.inside = false
			m.node.leave(m)
		}
	case k < 168:
		n.lose()
	case k < 180:
		n.resubscribe()
	case k < 183:
		if s.server.up {
			p.resend(s.server)
		}
	case k == 183:
		s.end(p)
	case k < 186:
		if n.ring != nil && !n.opening {
			n.ring.Shrink(s.random.IntN(n.ring.Memory() + 1))
		}
	case k == 186 && s.random.IntN(3) == 0:
		s.settle()
		s.now += int64(s.random.IntN(2 * int(s.retention.Age.Milliseconds())))
	case k == 187 && s.random.IntN(8) == 0:
		s.publish(p, s.random.IntN(1500))
	case k > 187 && s.wild:
		s.disaster(k, n)
	}
}

func (s *simulation) publish(p *publisher, count int) {
	for range count {
		if s.server.up {
			p.publish(s.server, 1+s.random.IntN(s.sizes))
		}
	}
}

// advance lets the server read for a node, or the answer arrive.
func (s *simulation) advance(n *node) {
	r := n.main
	if r == nil || n.older != nil && s.random.IntN(2) == 0 {
		r = n.older
	}
	switch {
	case r == nil:
	case r.page == nil:
		s.read(r)
	default:
		n.answer(r, s.wild && s.random.IntN(4) == 0)
	}
}

func (s *simulation) read(r *reading) {
	if r.page != nil || !s.server.up {
		return
	}
	// Only a start position makes a difference to a read of older messages.
	r.page = s.server.read(r.after, false)
	if r.node.opening {
		r.page = s.server.read(cluster.Position{}, false)
		r.latest = s.retention.Keys > 0
	}
	if r.latest {
		r.page.Latest, r.page.HasLatest = s.server.latest(), true
	}
}

// enter makes a client come, with a wish.
func (s *simulation) enter(m *member, n *node) {
	m.wish = Wish{
		After: m.position, Newest: s.random.IntN(6) - 1, MaxBytes: 1 << 40, Latest: s.retention.Keys > 0 && s.random.IntN(2) == 0,
	}
	switch s.random.IntN(12) {
	case 0:
		m.wish.After = cluster.Position{}
	case 1:
		m.wish.After = cluster.Position{Incarnation: s.random.Uint64(), Number: s.random.Uint64()}
	case 2:
		m.wish.After = cluster.Position{Incarnation: s.publishers[0].incarnation, Number: s.publishers[0].number + 1_000_000}
	case 3:
		m.wish.MaxBytes = s.random.IntN(4 * s.sizes)
	}
	n.enter(m)
}

// disaster is something that only wild simulations have.
func (s *simulation) disaster(k int, n *node) {
	switch {
	case k == 188 && s.random.IntN(2) == 0, k == 189 && s.fragile:
		s.trace("the server crashes")
		s.server.crash(s.random.IntN(4))
	case k < 192:
		s.restart()
	case k == 192 && s.random.IntN(2) == 0:
		s.remove(false)
	case k == 193 && s.random.IntN(5) == 0:
		s.remove(true)
	case k > 193:
		n.learn()
	}
}

// remove takes messages out of the history, which makes a page look complete
// that was cut. Then late messages and repeats are not told from new ones.
func (s *simulation) remove(all bool) {
	s.settle()
	for _, p := range s.publishers {
		p.recent, p.due = nil, nil
	}
	count := len(s.server.stream)
	if count == 0 {
		return
	}
	from, position := 0, cluster.Position{}
	if !all {
		from = s.random.IntN(count)
		count, position = 1, s.server.stream[from].position
	}
	s.trace("%d messages are removed: %v", count, position)
	for range count {
		s.server.stream[from].excused = true
		s.server.leave(from)
	}
	for _, n := range s.nodes {
		n.remove = append(n.remove, position)
	}
}

// restart starts the server. Publishers repeat their last messages soon.
func (s *simulation) restart() {
	if s.server.up {
		return
	}
	s.trace("the server is back")
	s.server.up = true
	for _, n := range s.nodes {
		if s.random.IntN(2) == 0 {
			n.resubscribe()
		}
	}
	for _, p := range s.publishers {
		if s.random.IntN(2) == 0 {
			p.sendDue(s.server)
		}
	}
}

// end replaces a publisher that has died. Messages that it does not send again
// are lost for good, and no one learns of that.
func (s *simulation) end(p *publisher) {
	for _, m := range p.due {
		m.excused = m.excused || m.lost
	}
	*p = publisher{incarnation: s.random.Uint64()}
}

func (s *simulation) sequences(messages []*Message) (all []int) {
	for _, m := range messages {
		all = append(all, placeOf(m))
	}
	return all
}

func (s *simulation) fail(format string, args ...any) {
	if s.failure == "" {
		s.failure = fmt.Sprintf(format, args...)
		s.trace("%s", s.failure)
	}
}

func (s *simulation) trace(format string, args ...any) {
	if s.tracing {
		s.lines = append(s.lines, fmt.Sprintf(format, args...))
	}
}
