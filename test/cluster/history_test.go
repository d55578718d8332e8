package cluster_test

import (
	"fmt"
	"slices"
	"testing"
)

// history checks the messages that the members of all rooms received:
//
//   - no connection has ended,
//   - every member received every message of every other publisher once, in the order sent,
//   - all members of a room saw the messages in one order.
//
// A test that disturbs a node makes exceptions.
type history struct {
	// killed is the node whose members have lost their connections. Their last
	// messages may be lost, but then for all members.
	killed string
	// cutOff is the node whose members may have missed messages. Even one of
	// their own is possible: Redis had confirmed it, but not yet sent it back.
	cutOff string
	// resent is how many messages the nodes have sent again because the server
	// crashed. Before the crash it may have delivered such a message to some
	// nodes only: the members there saw it earlier than the other members, who
	// see it after newer messages. So its position may differ between members,
	// but the order of its sender is kept.
	resent int
}

// crashed is the history of nodes whose server crashed.
func crashed(nodes []*testNode) history {
	h := history{}
	for _, n := range nodes {
		for _, s := range n.broker.Stats().Servers {
			h.resent += int(s.Resent)
		}
	}
	return h
}

// figures are the counts of a history.
type figures struct {
	sent, received int
	// missed is how many messages were not received by members that may miss
	// some, and missedByNode how many different messages that are.
	missed, missedByNode int
	// displaced is how many messages were at another position for some member,
	// counted for each member.
	displaced int
}

// maxComplaints keeps a broken test readable.
const maxComplaints = 20

// reader checks the histories of one load.
type reader struct {
	history
	t          testing.TB
	figures    figures
	complaints int
}

func (r *reader) complain(format string, arguments ...any) {
	r.t.Helper()
	r.complaints++
	if r.complaints <= maxComplaints {
		r.t.Errorf(format, arguments...)
	}
}

// expect checks the load, which has finished.
func (h history) expect(t testing.TB, l *load) figures {
	t.Helper()
	r := &reader{history: h, t: t}
	for _, in := range l.rooms {
		r.room(in)
	}
	if r.complaints > maxComplaints {
		t.Errorf("... and %d more", r.complaints-maxComplaints)
	}
	t.Logf("%d messages sent, %d received; where that is allowed %d missed (%d different ones), %d displaced",
		r.figures.sent, r.figures.received, r.figures.missed, r.figures.missedByNode, r.figures.displaced)
	if r.figures.sent == 0 || r.figures.received < r.figures.sent {
		t.Errorf("%d messages sent and %d received: this test proves nothing", r.figures.sent, r.figures.received)
	}
	return r.figures
}

// room checks one room.
func (r *reader) room(in *room) {
	r.t.Helper()
	order := r.order(in)
	if order == nil {
		return
	}
	sent := make([]int, len(in.members))
	for i, m := range in.members {
		sent[i] = int(m.begun.Load())
		if m.node == r.killed {
			sent[i] = 0
			for e := range order {
				if e.sender == i {
					sent[i] = max(sent[i], e.number+1)
				}
			}
		}
		r.figures.sent += sent[i]
	}
	missed := make(map[entry]bool)
	for _, m := range in.members {
		if m.node == r.killed {
			continue
		}
		if err := m.problem(); err != nil {
			r.complain("%v: the connection ended: %v; want it open", m, err)
			continue
		}
		r.senders(m, sent, missed)
		r.sequence(m, order)
		r.figures.received += len(m.entries)
	}
	r.figures.missedByNode += len(missed)
}

// order is the position of every message for a member that only listened, all
// the time, on an undisturbed node.
func (r *reader) order(in *room) map[entry]int {
	r.t.Helper()
	for _, m := range in.members {
		if m.publishes() || m.late() || m.node == r.killed || m.node == r.cutOff {
			continue
		}
		order := make(map[entry]int, len(m.entries))
		for i, e := range m.entries {
			order[e] = i
		}
		return order
	}
	r.complain("%s has no member whose order the others could be compared with", in.name)
	return nil
}

// late is true for a member that joined after the first message.
func (m *member) late() bool {
	for _, number := range m.floor {
		if number > 0 {
			return true
		}
	}
	return false
}

// senders checks the numbers of every other member's messages.
func (r *reader) senders(m *member, sent []int, missed map[entry]bool) {
	r.t.Helper()
	numbers := make([][]int, len(sent))
	for _, e := range m.entries {
		if e.sender < 0 || e.sender >= len(sent) || e.sender == m.place {
			r.complain("%v: received message %d of sender %d, want others' only", m, e.number, e.sender)
			continue
		}
		numbers[e.sender] = append(numbers[e.sender], e.number)
	}
	for sender, got := range numbers {
		if sender == m.place {
			continue
		}
		from := m.room.members[sender]
		next := 0
		if sender < len(m.floor) && len(got) > 0 {
			// A message that was published during the join may be missing.
			next = min(got[0], m.floor[sender])
		}
		for _, number := range append(got, sent[sender]) {
			switch {
			case number == next:
			case number < next:
				r.complain("%v: message %d of %v came after %d: repeated or out of order", m, number, from, next-1)
			case m.node == r.cutOff:
				r.figures.missed += number - next
				for n := next; n < number; n++ {
					missed[entry{sender, n}] = true
				}
			default:
				r.complain("%v: messages %d to %d of %v are lost (%d were sent)", m, next, number-1, from, sent[sender])
			}
			next = max(next, number+1)
		}
	}
}

// sequence checks that the member saw the messages in the room's order.
func (r *reader) sequence(m *member, order map[entry]int) {
	r.t.Helper()
	var places []int
	last, lastEntry := -1, entry{}
	for _, e := range m.entries {
		at, known := order[e]
		if !known {
			r.complain("%v: received %v, which the others did not", m, e)
			continue
		}
		places = append(places, at)
		if at < last && r.displaceable(m) == 0 {
			r.complain("%v: %v came after %v; other members saw it before", m, e, lastEntry)
		}
		last, lastEntry = at, e
	}
	displaced := len(places) - ascending(places)
	if displaced > r.displaceable(m) {
		r.complain("%v: %d messages are at another place than for other members, %d were sent again", m, displaced, r.displaceable(m))
	}
	r.figures.displaced += displaced
}

// displaceable is how many messages the member may have seen at another
// position than other members. Where only one node was cut off, only its own
// members see repeated messages.
func (r *reader) displaceable(m *member) int {
	if r.cutOff != "" && m.node != r.cutOff {
		return 0
	}
	return r.resent
}

// ascending is the length of the longest ascending part of the numbers: the
// others are displaced.
func ascending(numbers []int) int {
	var ends []int // the smallest end of an ascending part of each length
	for _, number := range numbers {
		if i, _ := slices.BinarySearch(ends, number); i < len(ends) {
			ends[i] = number
		} else {
			ends = append(ends, number)
		}
	}
	return len(ends)
}

func (e entry) String() string { return fmt.Sprintf("message %d of member %d", e.number, e.sender) }
