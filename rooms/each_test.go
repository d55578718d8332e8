package rooms_test

import (
	"slices"
	"testing"

	"github.com/stoa-io/stoa/rooms"
)

func TestBackward(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		body func(x *rooms.Index[int], r *rooms.Room[int], m int)
		left int
	}{
		{"no member leaves", 100, func(*rooms.Index[int], *rooms.Room[int], int) {}, 100},
		{"all members leave", 100, func(x *rooms.Index[int], r *rooms.Room[int], m int) {
			x.Leave(r, m)
		}, 0},
		{"all members leave a small room", 5, func(x *rooms.Index[int], r *rooms.Room[int], m int) {
			x.Leave(r, m)
		}, 0},
		{"every third leaves", 99, func(x *rooms.Index[int], r *rooms.Room[int], m int) {
			if m%3 == 0 {
				x.Leave(r, m)
			}
		}, 66},
		{"one joins for each", 40, func(x *rooms.Index[int], r *rooms.Room[int], m int) {
			x.Join(r.Namespace(), r.Name(), m+1000)
		}, 80},
	} {
		t.Run(c.name, func(t *testing.T) {
			var x rooms.Index[int]
			r, want := fill(&x, c.size)
			var seen []int
			for m := range r.Backward() {
				seen = append(seen, m)
				c.body(&x, r, m)
			}
			slices.Sort(seen)
			if !slices.Equal(seen, want) {
				t.Errorf("seen %v, want %v", seen, want)
			}
			if r.Len() != c.left {
				t.Errorf("%d members left, want %d", r.Len(), c.left)
			}
		})
	}
}

// What happens to the others is not promised beyond this: those that stay are
// seen, and the iteration ends.
func TestBackwardWhileOthersLeave(t *testing.T) {
	var x rooms.Index[int]
	r, _ := fill(&x, 100)
	seen := make(map[int]bool)
	for m := range r.Backward() {
		seen[m] = true
		for other := range 100 {
			if other%2 == 1 {
				x.Leave(r, other)
			}
		}
	}
	for m := 0; m < 100; m += 2 {
		if !seen[m] {
			t.Errorf("member %d stayed and was not seen", m)
		}
	}
}

func TestBackwardOfConnections(t *testing.T) {
	var x rooms.Index[int]
	ns, _ := x.Connect("chat", 0)
	for m := range 50 {
		x.Connect("chat", m)
	}
	seen := 0
	for m := range ns.Backward() {
		seen++
		x.Disconnect(ns, m)
	}
	if seen != 50 || x.Namespace("chat") != nil {
		t.Errorf("seen %d connections and namespace still there %v, want 50 and false",
			seen, x.Namespace("chat") != nil)
	}
}

func TestBackwardStops(t *testing.T) {
	var x rooms.Index[int]
	r, _ := fill(&x, 10)
	seen := 0
	for range r.Backward() {
		seen++
		if seen == 3 {
			break
		}
	}
	if seen != 3 {
		t.Errorf("seen %d members, want 3", seen)
	}
}

// fill makes a room with members 0 to size-1.
func fill(x *rooms.Index[int], size int) (r *rooms.Room[int], members []int) {
	ns, _ := x.Connect("chat", -1)
	for m := range size {
		r, _ = x.Join(ns, "lobby", m)
		members = append(members, m)
	}
	return r, members
}
