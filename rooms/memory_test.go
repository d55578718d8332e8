package rooms_test

import (
	"fmt"
	"testing"

	"github.com/stoa-io/stoa/rooms"
)

// connection stands for what a node keeps per connection: a pointer member is
// what the real index holds.
type connection struct {
	id int
}

func TestLargeRoomGivesMemoryBack(t *testing.T) {
	const size = 10_000
	var x rooms.Index[*connection]
	members := connections(size)
	ns, _ := x.Connect("chat", members[0])
	for _, m := range members {
		x.Connect("chat", m)
		x.Join(ns, "lobby", m)
	}
	r := x.Room("chat", "lobby")
	full := r.Capacities()
	if full.Members < size || full.Slots < size {
		t.Fatalf("capacities of the full room = %+v, want at least %d each", full, size)
	}
	for left := size; left > 1; left-- {
		x.Leave(r, members[left-1])
		x.Disconnect(ns, members[left-1])
		for name, c := range map[string]rooms.Capacities{"room": r.Capacities(), "namespace": ns.Capacities()} {
			if c.Members > 4*left || c.Slots > 8*left && c.Slots > 32 {
				t.Fatalf("%s of %d members has capacities %+v, want at most %d and %d", name, left-1, c, 4*left, 8*left)
			}
		}
		for _, m := range r.Vacated() {
			if m != nil {
				t.Fatalf("the room of %d members still refers to one that left", left-1)
			}
		}
	}
	if c := r.Capacities(); c != (rooms.Capacities{Members: 1}) {
		t.Errorf("capacities of a room with one member = %+v, want 1 and 0", c)
	}
	x.Leave(r, members[0])
	if c := r.Capacities(); c != (rooms.Capacities{}) {
		t.Errorf("capacities of a dead room = %+v, want none", c)
	}
}

func TestManyRoomsGiveMemoryBack(t *testing.T) {
	const count = 10_000
	var x rooms.Index[int]
	ns, _ := x.Connect("chat", 1)
	var all []*rooms.Room[int]
	for n := range count {
		r, _ := x.Join(ns, fmt.Sprint("room", n), 1)
		all = append(all, r)
	}
	if ns.RoomPeak() != count {
		t.Fatalf("peak = %d, want %d", ns.RoomPeak(), count)
	}
	for left := count - 1; left >= 0; left-- {
		x.Leave(all[left], 1)
		if peak := ns.RoomPeak(); peak > 4*left && peak >= 64 {
			t.Fatalf("the map of %d rooms was made for %d, want at most %d", left, peak, 4*left)
		}
	}
	x.Disconnect(ns, 1)
	if x.Namespaces() != 0 {
		t.Errorf("%d namespaces left, want 0", x.Namespaces())
	}
}

// Rooms whose size swings around a limit must not allocate on every change.
func TestChurnDoesNotAllocate(t *testing.T) {
	for _, size := range []int{1, 2, 4, 8, 16, 17, 100, 1000, 20_000} {
		var x rooms.Index[*connection]
		members := connections(size + 1)
		ns, _ := x.Connect("chat", members[0])
		for _, m := range members {
			x.Join(ns, "lobby", m)
		}
		r := x.Room("chat", "lobby")
		extra := members[size]
		allocations := testing.AllocsPerRun(200, func() {
			x.Leave(r, extra)
			x.Join(ns, "lobby", extra)
		})
		if allocations != 0 {
			t.Errorf("leave and join at %d members allocate %v times, want 0", size, allocations)
		}
	}
}

func connections(count int) []*connection {
	all := make([]*connection, count)
	for i := range all {
		all[i] = &connection{id: i}
	}
	return all
}
