package clients_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// history checks the messages that the guests of all rooms have received:
//
//   - nothing was received twice, and the messages of every sender in their order;
//     guests check that themselves,
//   - nothing was received whose emit returned an error,
//   - every guest lost its connection once for each time that the node was killed,
//   - a guest that was back in a room received all later messages of the room, at
//     least up to the sender's mark,
//   - a guest that was back before another one tried to connect received everything
//     that the other one had kept.
//
// Messages between the mark and the moment when the guest noticed that the node
// is gone may be lost: the node was killed with them, and a client cannot know
// that. So may be the kept messages of the guest that was back first: no other
// guest was there to receive them.
type history struct {
	t       testing.TB
	fleet   *fleet
	figures map[kind]*figures
}

// figures are the counts of a history for one kind of guest.
type figures struct {
	emitted, kept, refused int
	// heard counts receptions by guests, certain the required ones of these.
	heard, certain int
	// keptCertain are kept messages that a guest had to receive, keptUnheard
	// those that no guest has received.
	keptCertain, keptUnheard int
	// lost are those that were not kept and that no guest has received.
	lost int
}

// clockError is the greatest difference between the clocks of two processes.
const clockError = 5 * time.Millisecond

// maxComplaints keeps a broken test readable.
const maxComplaints = 20

// check checks the history of a fleet that has finished.
func (f *fleet) check(t testing.TB) map[kind]*figures {
	t.Helper()
	f.complaints(t)
	h := &history{t: t, fleet: f, figures: map[kind]*figures{kindGo: {}, kindJS: {}}}
	complaints := 0
	for _, g := range f.guests {
		g.mu.Lock()
		defer g.mu.Unlock()
	}
	for _, g := range f.guests {
		if len(g.backs) != len(f.kills) {
			t.Errorf("%v came back %d times, want %d", g, len(g.backs), len(f.kills))
			continue
		}
		for number, e := range g.emissions {
			for _, complaint := range h.emission(g, number, e) {
				if complaints++; complaints <= maxComplaints {
					t.Error(complaint)
				}
			}
		}
	}
	if complaints > maxComplaints {
		t.Errorf("... and %d more", complaints-maxComplaints)
	}
	for _, k := range kinds {
		t.Logf("emissions of %v: %+v", k, *h.figures[k])
	}
	return h.figures
}

// emission checks which guests have received a message, and counts.
func (h *history) emission(g *guest, number int, e emission) (complaints []string) {
	count := h.figures[g.kind]
	since, connection := h.certainty(g, number, e)
	heard, certain := 0, 0
	for _, other := range h.fleet.rooms[e.Room] {
		if other == g {
			continue
		}
		_, found := slices.BinarySearch(other.heard[stream{e.Room, g.place}], number)
		must := connection >= 0 && (connection == 0 || other.backs[connection-1].at.Add(clockError).Before(since))
		switch {
		case found && e.Refused:
			complaints = append(complaints, fmt.Sprintf("%v heard emission %d of %v, which was refused", other, number, g))
		case !found && must:
			complaints = append(complaints, fmt.Sprintf("%v has not heard emission %d of %v in %q, want it (kept: %t; connection %d, sent after %s)",
				other, number, g, roomName(e.Room), e.Kept, connection, since.Format("05.000")))
		}
		if found {
			heard++
		}
		if must {
			certain++
		}
	}
	count.heard += heard
	count.certain += certain
	switch {
	case e.Refused:
		count.refused++
	case e.Kept:
		count.kept++
		if certain > 0 {
			count.keptCertain++
		}
		if heard == 0 {
			count.keptUnheard++
		}
	default:
		count.emitted++
		if heard == 0 {
			count.lost++
		}
	}
	return complaints
}

// certainty returns the connection, counted from zero, with which an emission
// has certainly reached the node, and since when the guest may have sent it;
// negative if it may be lost.
func (h *history) certainty(g *guest, number int, e emission) (since time.Time, connection int) {
	connection, _ = slices.BinarySearchFunc(g.backs, number, func(b back, number int) int { return b.number - number - 1 })
	switch {
	case e.Refused:
		return since, -1
	case e.Kept:
		if connection >= len(g.backs) {
			return since, -1
		}
		return g.attemptBefore(g.backs[connection].at), connection + 1
	case number <= g.lastMark(connection):
		return e.At, connection
	}
	return since, -1
}

// attemptBefore returns when the newest attempt before a moment began.
func (g *guest) attemptBefore(at time.Time) time.Time {
	var newest time.Time
	for _, attempt := range g.attempts {
		if attempt.Before(at) {
			newest = attempt
		}
	}
	return newest
}

// lastMark returns the last mark that the guest has emitted on a connection.
func (g *guest) lastMark(connection int) int {
	end := len(g.emissions)
	if connection < len(g.backs) {
		end = g.backs[connection].number
	}
	for number := end - 1; number >= 0; number-- {
		if g.emissions[number].Mark {
			return number
		}
	}
	return -1
}
