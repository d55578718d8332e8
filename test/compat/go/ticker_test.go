package compat_test

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kataras/neffos"
)

// TestExampleTicker broadcasts at full length to members of different speed.
func TestExampleTicker(t *testing.T) {
	const count, crowd = 100_000, 5
	program := runBinary(t, buildExample(t, "ticker"), "-messages", strconv.Itoa(count))
	type follower struct {
		*person
		room  *neffos.Room
		ticks atomic.Int64
		ended chan string
	}
	followers := make([]*follower, crowd)
	for i := range followers {
		f := &follower{ended: make(chan string, 1)}
		var ns *neffos.NSConn
		f.person, ns = enter(t, "follower "+strconv.Itoa(i), program.url(""), namespace, nil, neffos.Events{
			"ready": say("yes"),
			"tick": func(_ *neffos.NSConn, m neffos.Message) error {
				next := f.ticks.Add(1)
				if want := strconv.FormatInt(next, 10); string(m.Body) != want {
					t.Errorf("follower %d: tick %s, want %s", i, m.Body, want)
				}
				for range i * 20 {
					strconv.Itoa(i) // the higher ones have more to do
				}
				return nil
			},
			"end": func(_ *neffos.NSConn, m neffos.Message) error {
				f.ended <- string(m.Body)
				return nil
			},
		})
		f.room = f.join(t, ns, "ticks")
		followers[i] = f
	}

	followers[0].room.Emit("start", nil)
	late := time.After(3 * deadline)
	for i, f := range followers {
		select {
		case body := <-f.ended:
			if ticks := f.ticks.Load(); ticks != count || body != strconv.Itoa(count) {
				t.Errorf("follower %d has %d ticks at the end of %s, want %d", i, ticks, body, count)
			}
		case <-late:
			t.Fatalf("follower %d has %d of %d ticks:\n%s", i, f.ticks.Load(), count, &program.Output)
		}
	}
}
