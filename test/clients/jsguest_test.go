package clients_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/testkit"
)

// builtPackage is the package that guests.js imports.
var builtPackage = filepath.Join(top, "js", "dist", "esm", "index.js")

// jsGuests are all guests with stoa-client, in a process of their own.
type jsGuests struct {
	guests  map[int]*guest // by place
	orders  *json.Encoder
	input   io.Closer
	command *exec.Cmd
	printed testkit.Output // on standard error
	entered atomic.Int64   // guests
	ended   atomic.Int64   // guests that emit no more
	over    chan struct{}  // closed when the process has ended
}

// report is a line that guests.js prints.
type report struct {
	Guest   int
	What    string
	At      int64 // Unix time in milliseconds
	Room    string
	Event   string
	Body    string
	ID      string
	Text    string
	Number  int
	Rooms   []string
	Delay   float64 // in milliseconds
	First   bool
	Kept    bool
	Refused bool
}

// enterJS starts the process and returns when all guests are in their rooms.
func enterJS(t testing.TB, address string, guests []*guest, total int, h habits) *jsGuests {
	t.Helper()
	if _, err := os.Stat(builtPackage); err != nil {
		t.Fatalf("the package stoa-client is not built: %v; make js-build builds it", err)
	}
	all := &jsGuests{guests: make(map[int]*guest), over: make(chan struct{})}
	type about struct {
		Place int      `json:"place"`
		Rooms []string `json:"rooms"`
	}
	var list []about
	for _, g := range guests {
		all.guests[g.place] = g
		one := about{Place: g.place}
		for _, number := range g.rooms {
			one.Rooms = append(one.Rooms, roomName(number))
		}
		list = append(list, one)
	}
	settings := map[string]any{
		"url": "ws://" + address + "/ws", "pause": h.pause.Milliseconds(), "burst": h.burst, "total": total,
		"buffer": map[string]any{"messages": h.kept}, "guests": list,
	}
	if h.cap > 0 {
		settings["reconnect"] = map[string]any{"base": h.base.Milliseconds(), "cap": h.cap.Milliseconds()}
	}
	argument, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	all.start(t, string(argument))
	eventually(t, func() string { return fmt.Sprintf("%d guests of stoa-client are in their rooms", len(guests)) },
		func() bool { return all.alive(t) && int(all.entered.Load()) == len(guests) })
	return all
}

func (all *jsGuests) start(t testing.TB, argument string) {
	t.Helper()
	all.command = exec.Command("node", "guests.js", argument)
	all.command.Stderr = &all.printed
	orders, err := all.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	reports, err := all.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := all.command.Start(); err != nil {
		t.Fatal(err)
	}
	all.orders, all.input = json.NewEncoder(orders), orders
	go func() {
		defer close(all.over)
		if err := errors.Join(all.read(reports), all.command.Wait()); err != nil {
			t.Errorf("guests.js: %v; it printed:\n%s", err, &all.printed)
		}
	}()
	t.Cleanup(func() {
		_ = all.input.Close() // fails if the process has ended
		select {
		case <-all.over:
		case <-time.After(testkit.Patience):
			_ = all.command.Process.Kill()
			<-all.over
		}
	})
}

// alive fails the test if the process has ended.
func (all *jsGuests) alive(t testing.TB) bool {
	t.Helper()
	select {
	case <-all.over:
		t.Fatal("guests.js has ended")
	default:
	}
	return true
}

// read passes the reports of the process to its guests.
func (all *jsGuests) read(reports io.Reader) error {
	decoder := json.NewDecoder(bufio.NewReaderSize(reports, 1<<16))
	for {
		var r report
		if err := decoder.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		all.take(&r)
	}
}

func (all *jsGuests) take(r *report) {
	g := all.guests[r.Guest]
	at := time.UnixMilli(r.At)
	switch r.What {
	case "entered":
		g.connected(r.ID)
		all.entered.Add(1)
	case "ended":
		all.ended.Add(1)
	case "attempt":
		g.attempted(at)
	case "wait":
		g.waiting(wait{at: at, delay: time.Duration(r.Delay * float64(time.Millisecond)), first: r.First})
	case "back":
		// The clock of the reports is cut to milliseconds.
		g.returned(back{at: at.Add(time.Millisecond), number: r.Number}, r.ID, r.Rooms)
	case "emitted":
		e := emission{At: at, Kept: r.Kept, Refused: r.Refused, Mark: r.Event == eventMark}
		for _, number := range g.rooms {
			if roomName(number) == r.Room {
				e.Room = number
			}
		}
		g.emitted(r.Number, e)
	case "heard":
		g.hears(r.Room, r.Event, r.Body)
	default:
		g.failed(fmt.Errorf("%s: %s", r.What, r.Text))
	}
}

// order sends a command to the process. A failure shows in the missing effect.
func (all *jsGuests) order(name string, round int) {
	_ = all.orders.Encode(map[string]any{"order": name, "round": round})
}

func (all *jsGuests) end(t testing.TB) {
	t.Helper()
	all.order("end", 0)
	eventually(t, func() string { return "the guests of stoa-client emit no more" },
		func() bool { return all.alive(t) && int(all.ended.Load()) == len(all.guests) })
}
