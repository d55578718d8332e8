package presence

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// Rosters agree, and then no goroutine and no timer is left.
func TestRoomsAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, nodes := newFabric(t, 3)
		for i, n := range nodes {
			n.join("r", UserKey("ann"))
			n.join("r", ConnKey(fmt.Sprint(i)))
		}
		pass(time.Second)
		f.expect("r", map[string]int{"uann": 3, "c0": 1, "c1": 1, "c2": 1}, nodes...)
		nodes[0].leave("r", UserKey("ann"))
		nodes[1].leave("r", ConnKey("1"))
		nodes[2].leave("r", UserKey("ann"))
		nodes[2].leave("r", ConnKey("2"))
		pass(10 * time.Second)
		f.expect("r", map[string]int{"uann": 1, "c0": 1}, nodes[:2]...)
		f.expect("r", map[string]int{}, nodes[2])
		before := len(f.messages())
		pass(time.Hour)
		for _, n := range nodes {
			n.expectIdle()
		}
		if len(f.messages()) != before {
			t.Errorf("%d announcements in an hour without a change, want none", len(f.messages())-before)
		}
	})
}

// A change wakes a worker that waits for something else, here for the grace
// time of a leave.
func TestChangeWakesWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, nodes := newFabric(t, 1)
		f.grace = time.Hour
		nodes = append(nodes, f.start("patient"))
		for _, n := range nodes {
			n.join("r", ConnKey(n.id))
			n.join("r", UserKey("ann"))
		}
		nodes[1].join("r", UserKey("carl"))
		pass(5 * time.Second)
		nodes[1].leave("r", UserKey("carl"))
		pass(5 * time.Second)
		nodes[1].join("r", UserKey("bob"))
		pass(time.Second)
		f.expect("r", map[string]int{"cn0": 1, "cpatient": 1, "uann": 2, "ubob": 1}, nodes[0])
		// Here the leave was not shown.
		f.expect("r", map[string]int{"cn0": 1, "cpatient": 1, "uann": 2, "ubob": 1, "ucarl": 0}, nodes[1])
	})
}

// A room that is emptied and opened at once has its new members.
func TestRoomReopened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, nodes := newFabric(t, 2)
		nodes[0].join("r", ConnKey("a"))
		nodes[1].join("r", ConnKey("b"))
		pass(time.Second)
		for i := range 20 {
			nodes[1].leave("r", ConnKey("b"))
			pass(time.Duration(i%7) * 10 * time.Millisecond)
			nodes[1].join("r", ConnKey("b"))
		}
		pass(5 * time.Second)
		f.expect("r", map[string]int{"ca": 1, "cb": 1}, nodes...)

		// A member joins while the answer that there is none is on its way.
		nodes[1].leave("r", ConnKey("b"))
		pass(time.Second)
		nodes[1].join("x", ConnKey("b")) // so the next turn is not at once
		pass(delay)
		nodes[1].rooms.Receive("n0", "r", &Announcement{Ask: true, For: nodes[0].rooms.epoch})
		pass(delay)
		nodes[1].join("r", ConnKey("b"))
		pass(5 * time.Second)
		nodes[1].join("r", ConnKey("c"))
		pass(time.Second)
		f.expect("r", map[string]int{"ca": 1, "cb": 1, "cc": 1}, nodes...)
	})
}

// While a broker fails, there are few attempts; afterwards the rosters agree,
// also about a room without members.
func TestPublishFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, nodes := newFabric(t, 2)
		for _, n := range nodes {
			n.join("r", ConnKey(n.id))
			n.join("left", ConnKey(n.id))
		}
		pass(time.Second)
		f.set(func() { f.fail, f.tries = errUnreachable, 0 })
		nodes[1].leave("left", ConnKey("n1"))
		nodes[1].join("r", UserKey("ann"))
		pass(10 * time.Second)
		f.set(func() {
			if f.tries > 25 {
				t.Errorf("%d attempts in 10 s for two rooms, want about one per second and room", f.tries)
			}
		})
		f.expect("r", map[string]int{"cn0": 1, "cn1": 1}, nodes[0])
		f.set(func() { f.fail = nil })
		pass(5 * time.Second)
		f.expect("r", map[string]int{"cn0": 1, "cn1": 1, "uann": 1}, nodes...)
		f.expect("left", map[string]int{"cn0": 1}, nodes[0])
	})
}

// An answer is lost: reads wait for it until the end of patience, and the ask
// is repeated.
func TestShareIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, nodes := newFabric(t, 2)
		nodes[0].join("r", ConnKey("n0"))
		pass(time.Second)
		f.set(func() {
			f.lose = func(_, to string, a *Announcement) bool { return to == "n1" && a.Share && a.For != 0 }
		})
		begun := time.Now()
		nodes[1].join("r", ConnKey("n1"))
		var page Page
		var waited time.Duration
		nodes[1].rooms.Members("r", "", 10, func(p Page) { f.set(func() { page, waited = p, time.Since(begun) }) })
		pass(2 * time.Second)
		f.set(func() {
			if waited != 0 {
				t.Errorf("the read was answered after %v, want it to wait", waited)
			}
		})
		f.set(func() { f.lose = nil })
		pass(2 * time.Second)
		f.set(func() {
			if waited < patience || waited > patience+3*pause || page.Count != 1 {
				t.Errorf("the read was answered after %v with %+v, want own members after %v", waited, page, patience)
			}
		})
		pass(5 * time.Second)
		f.expect("r", map[string]int{"cn0": 1, "cn1": 1}, nodes...)
		nodes[1].rooms.Members("r", "", 1, func(p Page) { page = p })
		if page.Count != 2 || len(page.Members) != 1 || !page.More || !page.Known {
			t.Errorf("the page is %+v, want one of two members at once", page)
		}
		pass(time.Hour)
		nodes[1].expectIdle()
	})
}

// Close ends a worker with work in progress, and nothing runs afterwards.
func TestCloseAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, nodes := newFabric(t, 2)
		for i := range 100 {
			nodes[0].join(fmt.Sprint("r", i), ConnKey("n0"))
		}
		nodes[0].rooms.Members("r1", "", 1, func(Page) { t.Error("a read was answered after Close") })
		nodes[0].rooms.Close()
		nodes[0].expectIdle()
		nodes[0].leave("r1", ConnKey("n0"))
		nodes[0].rooms.NodeGone("n1")
		nodes[0].rooms.Own("r1", func([][]Member) { t.Error("a read was answered after Close") })
		pass(time.Minute)
		nodes[0].expectIdle()
	})
}

// A client that joins and leaves all the time, alone on its node or not, makes
// few announcements, and the members see at most one change per interval.
func TestFlapping(t *testing.T) {
	for _, alone := range []bool{true, false} {
		t.Run(fmt.Sprint("alone ", alone), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, nodes := newFabric(t, 3)
				want := map[string]int{"uevil": 1}
				for i := range 1000 {
					nodes[0].join("r", UserKey(fmt.Sprint(i)))
					want[UserKey(fmt.Sprint(i))] = 1
				}
				if !alone {
					nodes[1].join("r", ConnKey("other"))
					want[ConnKey("other")] = 1
				}
				pass(5 * time.Second)
				before := len(f.messages())
				for range 10_000 {
					nodes[1].join("r", UserKey("evil"))
					<-time.After(700 * time.Microsecond)
					nodes[1].leave("r", UserKey("evil"))
					<-time.After(370 * time.Microsecond)
				}
				shares := 0
				for _, m := range f.messages()[before:] {
					if m.from == "n0" && m.a.Part == 0 {
						shares++
					}
				}
				sent := len(f.messages()) - before
				if t.Logf("%d announcements, %d shares", sent, shares); sent > 10*20*4 || shares > 12 {
					t.Errorf("%d announcements and %d shares in 10 s, want at most 20 a second and one share a second", sent, shares)
				}
				var shown []time.Time
				f.set(func() { shown = nodes[0].shown["r"] })
				for i := 1; i < len(shown); i++ {
					if shown[i].Sub(shown[i-1]) < time.Second {
						t.Errorf("changes at %v and %v, want at most one per second", shown[i-1], shown[i])
					}
				}
				nodes[1].join("r", UserKey("evil"))
				pass(5 * time.Second)
				f.expect("r", want, nodes[:2]...)
			})
		})
	}
}

// A second ask within a second is answered when the second is over, and not
// when something else happens.
func TestSecondAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, nodes := newFabric(t, 2)
		for _, n := range nodes {
			n.join("r", ConnKey(n.id))
		}
		pass(500 * time.Millisecond)
		for range 3 {
			nodes[0].rooms.Receive("n1", "r", &Announcement{Ask: true, For: nodes[1].rooms.epoch})
			pass(100 * time.Millisecond)
		}
		before := len(f.messages())
		pass(1500 * time.Millisecond)
		if answers := len(f.messages()) - before; answers != 1 {
			t.Errorf("%d answers, want one", answers)
		}
	})
}
