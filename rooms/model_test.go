package rooms_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stoa-io/stoa/rooms"
)

// model is the index written in the most naive way.
type model struct {
	connections map[string]map[int]bool
	members     map[[2]string]map[int]bool
}

func newModel() *model {
	return &model{connections: map[string]map[int]bool{}, members: map[[2]string]map[int]bool{}}
}

func add[K comparable](sets map[K]map[int]bool, key K, m int) (first bool) {
	if sets[key] == nil {
		sets[key] = map[int]bool{}
	}
	before := len(sets[key])
	sets[key][m] = true
	return before == 0
}

func remove[K comparable](sets map[K]map[int]bool, key K, m int) (last bool) {
	if !sets[key][m] {
		return false
	}
	delete(sets[key], m)
	if len(sets[key]) > 0 {
		return false
	}
	delete(sets, key)
	return true
}

func TestRandomOperations(t *testing.T) {
	for _, c := range []struct {
		name                       string
		namespaces, rooms, members int
		operations                 int
	}{
		{"few members", 2, 3, 4, 20_000},
		{"around the scan limit", 2, 2, 24, 40_000},
		{"large rooms", 1, 2, 3_000, 60_000},
		{"many rooms", 2, 400, 6, 40_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			var x rooms.Index[int]
			m := newModel()
			for n := range c.operations {
				// The share of arrivals swings, so that rooms fill and empty.
				arriving := random.IntN(100) < 20+60*(n/2_000%2)
				namespace := fmt.Sprint("ns", random.IntN(c.namespaces))
				room := fmt.Sprint("room", random.IntN(c.rooms))
				step(t, &x, m, random, arriving, namespace, room, random.IntN(c.members))
				if t.Failed() {
					t.Fatalf("after %d operations", n)
				}
				if n%500 == 0 || n == c.operations-1 {
					compare(t, &x, m)
				}
			}
		})
	}
}

// step does one operation on both sides.
func step(t *testing.T, x *rooms.Index[int], m *model, random *rand.Rand, arriving bool, namespace, room string, member int) {
	t.Helper()
	if arriving {
		ns, first := x.Connect(namespace, member)
		if want := add(m.connections, namespace, member); first != want {
			t.Errorf("Connect(%s, %d): first = %v, want %v", namespace, member, first, want)
		}
		r, first := x.Join(ns, room, member)
		if want := add(m.members, [2]string{namespace, room}, member); first != want {
			t.Errorf("Join(%s, %s, %d): first = %v, want %v", namespace, room, member, first, want)
		}
		if r.Name() != room || r.Namespace() != ns || ns.Name() != namespace {
			t.Errorf("Join(%s, %s) gave room %s of %s", namespace, room, r.Name(), ns.Name())
		}
		return
	}
	if random.IntN(4) > 0 {
		leave(t, x, m, namespace, room, member)
		return
	}
	ns := x.Namespace(namespace)
	if ns == nil {
		return
	}
	for key := range m.members {
		if key[0] == namespace {
			leave(t, x, m, namespace, key[1], member)
		}
	}
	last := x.Disconnect(ns, member)
	if want := remove(m.connections, namespace, member); last != want {
		t.Errorf("Disconnect(%s, %d): last = %v, want %v", namespace, member, last, want)
	}
}

func leave(t *testing.T, x *rooms.Index[int], m *model, namespace, room string, member int) {
	t.Helper()
	r := x.Room(namespace, room)
	if (r == nil) != (m.members[[2]string{namespace, room}] == nil) {
		t.Errorf("Room(%s, %s) = %v, the model says %v", namespace, room, r, m.members[[2]string{namespace, room}])
	}
	if r == nil {
		return
	}
	last := x.Leave(r, member)
	if want := remove(m.members, [2]string{namespace, room}, member); last != want {
		t.Errorf("Leave(%s, %s, %d): last = %v, want %v", namespace, room, member, last, want)
	}
}

func compare(t *testing.T, x *rooms.Index[int], m *model) {
	t.Helper()
	memberships, connected := 0, 0
	for namespace, want := range m.connections {
		connected += len(want)
		expectMembers(t, namespace, x.Namespace(namespace).Members(), want)
	}
	for key, want := range m.members {
		memberships += len(want)
		expectMembers(t, key[0]+"/"+key[1], x.Room(key[0], key[1]).Members(), want)
	}
	expectCounts(t, x, len(m.members), memberships, connected)
	if x.Namespaces() != len(m.connections) {
		t.Errorf("%d namespaces, want %d", x.Namespaces(), len(m.connections))
	}
}

func expectMembers(t *testing.T, name string, got []int, want map[int]bool) {
	t.Helper()
	sorted := slices.Sorted(slices.Values(got))
	if compacted := slices.Compact(slices.Clone(sorted)); len(compacted) != len(want) || len(sorted) != len(want) {
		t.Fatalf("%s has %d members of which %d different, want %d", name, len(sorted), len(compacted), len(want))
	}
	for _, member := range sorted {
		if !want[member] {
			t.Fatalf("%s has member %d, which the model has not", name, member)
		}
	}
}
