package clients_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// kind is the library of a guest.
type kind uint8

const (
	kindGo kind = iota + 1
	kindJS
)

var kinds = []kind{kindGo, kindJS}

// String returns the name of the library.
func (k kind) String() string {
	switch k {
	case kindGo:
		return "client"
	case kindJS:
		return "stoa-client"
	}
	return "invalid"
}

// guest is a client of either kind with everything that it has sent and
// received, as recorded by goGuest and guests.js.
type guest struct {
	kind  kind
	place int   // among all guests
	rooms []int // by number

	mu        sync.Mutex       // guards the rest
	emissions []emission       // by number
	attempts  []time.Time      // to connect, each before it began
	waits     []wait           // before an attempt
	backs     []back           // after each loss
	heard     map[stream][]int // numbers, as they came
	marks     map[int]int      // how many were heard, by round
	id        string           // of the connection
	problems  []string         // what should not have happened
}

func newGuest(k kind, place int, rooms []int) *guest {
	return &guest{kind: k, place: place, rooms: rooms, heard: make(map[stream][]int), marks: make(map[int]int)}
}

// emission is a message that a guest has emitted into one of its rooms.
type emission struct {
	At   time.Time // before it was emitted
	Room int
	// Kept: accepted without a connection. Refused: emit returned an error.
	Kept, Refused bool
	// Mark: every guest in the room must receive it.
	Mark bool
}

// wait is the delay of a guest before an attempt.
type wait struct {
	at    time.Time
	delay time.Duration
	first bool // since the loss
}

// back is a return to all rooms.
type back struct {
	at     time.Time
	number int // of the first emission afterwards
}

// stream is the emissions of one guest to one room.
type stream struct{ room, sender int }

// maxProblems keeps a broken test readable.
const maxProblems = 5

func (g *guest) String() string { return fmt.Sprintf("guest %d of %v", g.place, g.kind) }

// complain is called with mu held.
func (g *guest) complain(format string, arguments ...any) {
	if len(g.problems) < maxProblems {
		g.problems = append(g.problems, fmt.Sprintf("%v: ", g)+fmt.Sprintf(format, arguments...))
	}
}

func (g *guest) failed(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.complain("%v", err)
}

func (g *guest) attempted(at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.attempts = append(g.attempts, at)
}

func (g *guest) waiting(w wait) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waits = append(g.waits, w)
}

// connected is called at the first connection.
func (g *guest) connected(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.id = id
}

// returned is called when the guest is connected again.
func (g *guest) returned(b back, id string, rooms []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var want []string
	for _, number := range g.rooms {
		want = append(want, roomName(number))
	}
	if !slices.Equal(rooms, want) {
		g.complain("back in the rooms %q, want %q", rooms, want)
	}
	if id == "" || id == g.id {
		g.complain("the new connection has the ID %q, the old one %q", id, g.id)
	}
	g.id = id
	g.backs = append(g.backs, b)
}

// emitted is called with every emission, in order.
func (g *guest) emitted(number int, e emission) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if number != len(g.emissions) {
		g.complain("emission %d is reported after %d emissions", number, len(g.emissions))
		return
	}
	g.emissions = append(g.emissions, e)
}

// Events of the guests. The body of a message is the sender's place and the
// number of the emission, that of a mark has the round as well.
const (
	eventMessage = "message"
	eventMark    = "mark"
)

// hears is called with every received message.
func (g *guest) hears(room, event, body string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var fields [3]int
	for i, text := range strings.SplitN(body, ".", len(fields)) {
		number, err := strconv.Atoi(text)
		if err != nil {
			g.complain("heard %q in %q", body, room)
			return
		}
		fields[i] = number
	}
	sender, number, round := fields[0], fields[1], fields[2]
	of := stream{room: -1, sender: sender}
	for _, own := range g.rooms {
		if roomName(own) == room {
			of.room = own
		}
	}
	if of.room < 0 || sender == g.place {
		g.complain("heard %q of %d in %q, want members of its own rooms only", body, sender, room)
	}
	before := g.heard[of]
	if len(before) > 0 && number <= before[len(before)-1] {
		g.complain("heard emission %d of guest %d in %q after %d: twice or out of order", number, sender, room, before[len(before)-1])
	}
	g.heard[of] = append(before, number)
	if event == eventMark {
		g.marks[round]++
	}
}

// roomName returns the name of a room.
func roomName(number int) string { return "room " + strconv.Itoa(number) }
