package rooms_test

import (
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/stoa-io/stoa/rooms"
)

func TestFirstAndLast(t *testing.T) {
	var x rooms.Index[int]
	ns, first := x.Connect("chat", 1)
	if !first {
		t.Error("Connect of the first connection: first = false, want true")
	}
	if _, first = x.Connect("chat", 1); first {
		t.Error("Connect of the same connection again: first = true, want false")
	}
	if _, first = x.Connect("chat", 2); first {
		t.Error("Connect of the second connection: first = true, want false")
	}
	r, first := x.Join(ns, "lobby", 1)
	if !first {
		t.Error("Join of the first member: first = false, want true")
	}
	if _, first = x.Join(ns, "lobby", 1); first {
		t.Error("Join of the same member again: first = true, want false")
	}
	if same, first := x.Join(ns, "lobby", 2); first || same != r {
		t.Errorf("Join of the second member = (same room %v, first %v), want (true, false)", same == r, first)
	}
	expectCounts(t, &x, 1, 2, 2)
	for _, step := range []struct {
		name   string
		member int
		last   bool
	}{
		{"one of two", 2, false},
		{"not a member any more", 2, false},
		{"the last one", 1, true},
		{"a dead room", 1, false},
	} {
		if last := x.Leave(r, step.member); last != step.last {
			t.Errorf("Leave of %s: last = %v, want %v", step.name, last, step.last)
		}
	}
	expectCounts(t, &x, 0, 0, 2)
	if x.Disconnect(ns, 1) {
		t.Error("Disconnect of one of two: last = true, want false")
	}
	if x.Disconnect(ns, 1) {
		t.Error("Disconnect of one that is gone: last = true, want false")
	}
	if !x.Disconnect(ns, 2) {
		t.Error("Disconnect of the last one: last = false, want true")
	}
	if x.Disconnect(ns, 2) {
		t.Error("Disconnect in a dead namespace: last = true, want false")
	}
	expectCounts(t, &x, 0, 0, 0)
}

func TestLookup(t *testing.T) {
	var x rooms.Index[int]
	if x.Namespace("") != nil || x.Room("", "") != nil {
		t.Error("an empty index knows the empty names, want nil")
	}
	empty, _ := x.Connect("", 1)
	chat, _ := x.Connect("chat", 1)
	inEmpty, _ := x.Join(empty, "", 1)
	inChat, _ := x.Join(chat, "", 1)
	for _, c := range []struct {
		name            string
		namespace, room string
		ns              *rooms.Namespace[int]
		r               *rooms.Room[int]
	}{
		{"empty names are names", "", "", empty, inEmpty},
		{"rooms belong to a namespace", "chat", "", chat, inChat},
		{"unknown room", "chat", "lobby", chat, nil},
		{"unknown namespace", "game", "", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := x.Namespace(c.namespace); got != c.ns {
				t.Errorf("Namespace(%q) = %p, want %p", c.namespace, got, c.ns)
			}
			if got := x.Room(c.namespace, c.room); got != c.r {
				t.Errorf("Room(%q, %q) = %p, want %p", c.namespace, c.room, got, c.r)
			}
		})
	}
	if inChat.Namespace() != chat || chat.Room("") != inChat {
		t.Error("room and namespace do not know each other")
	}
	if chat.Name() != "chat" || inChat.Name() != "" {
		t.Errorf("names = %q, %q, want %q, %q", chat.Name(), inChat.Name(), "chat", "")
	}
	x.Leave(inChat, 1)
	if x.Room("chat", "") != nil {
		t.Error("a room without members is still there")
	}
	x.Disconnect(chat, 1)
	if x.Namespace("chat") != nil {
		t.Error("a namespace without connections is still there")
	}
}

// A name is usually cut out of a message; keeping it must not keep the message.
func TestNamesAreCopied(t *testing.T) {
	message := strings.Repeat("x", 1<<10) + "chatlobby"
	namespace, room := message[1<<10:1<<10+4], message[1<<10+4:]
	var x rooms.Index[int]
	ns, _ := x.Connect(namespace, 1)
	r, _ := x.Join(ns, room, 1)
	if ns.Name() != "chat" || r.Name() != "lobby" {
		t.Fatalf("names = %q, %q, want chat, lobby", ns.Name(), r.Name())
	}
	if unsafe.StringData(ns.Name()) == unsafe.StringData(namespace) {
		t.Error("the namespace's name is part of the caller's string")
	}
	if unsafe.StringData(r.Name()) == unsafe.StringData(room) {
		t.Error("the room's name is part of the caller's string")
	}
	again, _ := x.Join(ns, "lobby", 2)
	if unsafe.StringData(again.Name()) != unsafe.StringData(r.Name()) {
		t.Error("a room has two name strings, want one")
	}
}

func TestJoinInDeadNamespacePanics(t *testing.T) {
	var x rooms.Index[int]
	ns, _ := x.Connect("chat", 1)
	x.Disconnect(ns, 1)
	defer func() {
		if recover() == nil {
			t.Error("Join in a namespace that is gone did not panic")
		}
	}()
	x.Join(ns, "lobby", 1)
}

// Disconnecting before leaving is a mistake of the caller; it must not leave
// the index with rooms that cannot be found.
func TestDisconnectBeforeLeave(t *testing.T) {
	var x rooms.Index[int]
	ns, _ := x.Connect("chat", 1)
	r, _ := x.Join(ns, "lobby", 1)
	if !x.Disconnect(ns, 1) {
		t.Error("Disconnect of the last one: last = false, want true")
	}
	if x.Namespace("chat") != ns {
		t.Error("a namespace with a room was dropped")
	}
	if !x.Leave(r, 1) {
		t.Error("Leave of the last member: last = false, want true")
	}
	if x.Namespaces() != 0 {
		t.Errorf("%d namespaces left, want 0", x.Namespaces())
	}
	expectCounts(t, &x, 0, 0, 0)
}

func TestMembers(t *testing.T) {
	for _, size := range []int{1, 2, 3, 16, 17, 18, 1000} {
		var x rooms.Index[int]
		ns, _ := x.Connect("chat", -1)
		want := make([]int, size)
		for i := range want {
			want[i] = i
			x.Connect("chat", i)
			x.Join(ns, "lobby", i)
		}
		r := x.Room("chat", "lobby")
		if r.Len() != size || ns.Len() != size+1 {
			t.Errorf("size %d: Len = %d and %d, want %d and %d", size, r.Len(), ns.Len(), size, size+1)
		}
		if got := slices.Sorted(slices.Values(r.Members())); !slices.Equal(got, want) {
			t.Errorf("size %d: members = %v, want %v", size, got, want)
		}
		if got := slices.Sorted(slices.Values(ns.Members())); !slices.Equal(got[1:], want) || got[0] != -1 {
			t.Errorf("size %d: connections = %v, want -1 and %v", size, got, want)
		}
	}
}

func expectCounts(t testing.TB, x *rooms.Index[int], wantRooms, wantMemberships, wantConnected int) {
	t.Helper()
	if x.Rooms() != wantRooms || x.Memberships() != wantMemberships || x.Connected() != wantConnected {
		t.Errorf("rooms, memberships, connected = %d, %d, %d, want %d, %d, %d",
			x.Rooms(), x.Memberships(), x.Connected(), wantRooms, wantMemberships, wantConnected)
	}
}
