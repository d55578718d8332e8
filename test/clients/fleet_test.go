package clients_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	// guestsOfAKind are half of all guests.
	guestsOfAKind = 100
	rooms         = 20
)

// habits is the behavior of all guests of a test.
type habits struct {
	// base and cap are those of reconnecting; zero means the default.
	base, cap time.Duration
	// pause is the time between two emissions of a guest, burst how many more
	// it makes when it hears that the connection is lost.
	pause time.Duration
	burst int
	// kept is how many emissions a guest keeps while it has no connection.
	kept int
}

// fleet is the guests of both kinds at one node.
type fleet struct {
	server *server
	guests []*guest
	rooms  [][]*guest // by number
	goSide *goGuests
	jsSide *jsGuests
	round  int // of the newest marks
	kills  []time.Time
	starts []time.Time // after the kills; when the node served again
}

// startFleet starts a node and brings all guests into their rooms, where they
// emit until finish. Half of the members of each room are of either kind.
func startFleet(t testing.TB, h habits) *fleet {
	t.Helper()
	f := &fleet{server: startServer(t), rooms: make([][]*guest, rooms)}
	ofKind := make(map[kind][]*guest)
	for i := range guestsOfAKind {
		for _, k := range kinds {
			// Each guest joins two rooms. Guests that share the first room have
			// different second rooms.
			in := []int{i % rooms, (i%rooms + 1 + i/rooms) % rooms}
			g := newGuest(k, len(f.guests), in)
			f.guests = append(f.guests, g)
			ofKind[k] = append(ofKind[k], g)
			for _, number := range in {
				f.rooms[number] = append(f.rooms[number], g)
			}
		}
	}
	f.goSide = enterGo(t, f.server.address, ofKind[kindGo], h)
	f.jsSide = enterJS(t, f.server.address, ofKind[kindJS], len(f.guests), h)
	f.goSide.begin(len(f.guests))
	f.jsSide.order("begin", 0)
	f.mark(t)
	return f
}

// outage kills the node, lets some time pass and starts it again. It returns
// when every guest is back in its rooms and has received a mark of every other
// guest there.
func (f *fleet) outage(t testing.TB, lasting time.Duration) {
	t.Helper()
	f.kills = append(f.kills, time.Now())
	f.server.run.Kill()
	<-time.After(lasting)
	f.server.start(t)
	f.starts = append(f.starts, time.Now())
	f.all(t, "is back in its rooms", func(g *guest) bool { return len(g.backs) >= len(f.kills) })
	f.mark(t)
}

// mark emits from every guest to every room, and waits until all guests have
// received it.
func (f *fleet) mark(t testing.TB) {
	t.Helper()
	f.round++
	f.goSide.mark(f.round)
	f.jsSide.order("mark", f.round)
	f.all(t, "has heard the marks of all others in its rooms", func(g *guest) bool {
		want := 0
		for _, number := range g.rooms {
			want += len(f.rooms[number]) - 1
		}
		return g.marks[f.round] >= want
	})
}

// finish ends the emissions and waits until all are received.
func (f *fleet) finish(t testing.TB) {
	t.Helper()
	f.goSide.end()
	f.jsSide.end(t)
	f.mark(t)
}

// all waits until the condition holds for all guests. It is called with their
// lock held.
func (f *fleet) all(t testing.TB, what string, holds func(*guest) bool) {
	t.Helper()
	missing := func() []string {
		var list []string
		for _, g := range f.guests {
			g.mu.Lock()
			if !holds(g) {
				list = append(list, g.String())
			}
			g.mu.Unlock()
		}
		return list
	}
	eventually(t, func() string {
		list := missing()
		f.complaints(t)
		return fmt.Sprintf("every guest %s; %d do not: %s", what, len(list), strings.Join(list[:min(len(list), 10)], ", "))
	}, func() bool { return f.jsSide.alive(t) && len(missing()) == 0 })
}

// complaints reports the problems that guests have found.
func (f *fleet) complaints(t testing.TB) {
	t.Helper()
	for _, g := range f.guests {
		g.mu.Lock()
		for _, problem := range g.problems {
			t.Error(problem)
		}
		g.mu.Unlock()
	}
}
