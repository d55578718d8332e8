package compat_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kataras/neffos"
)

// burst is the number of messages that each sender sends in a row.
const burst = 300

func TestThreeClientsShareOneOrder(t *testing.T) {
	eachClient(t, func(t *testing.T, s *server, dial dialFunc) {
		listener := dial(t, s, "listener")
		listener.connect(t, "agora")
		names := []string{"ada", "ben", "cai"}
		people := make([]*person, len(names))
		rooms := make([]*neffos.Room, len(names))
		for i, name := range names {
			people[i] = dial(t, s, name)
			rooms[i] = people[i].connect(t, "agora").Room("agora")
		}

		var senders sync.WaitGroup
		for i, room := range rooms {
			senders.Go(func() {
				for number := range burst {
					if !room.Emit("chat", fmt.Appendf(nil, "%s;%d", names[i], number)) {
						t.Errorf("%s: Emit %d was refused", names[i], number)
					}
				}
			})
		}
		senders.Wait()

		order := bodies(listener.received(t, len(names)*burst))
		if len(order) != len(names)*burst {
			t.Errorf("the listener has %d messages, want %d", len(order), len(names)*burst)
		}
		for i, p := range people {
			own := func(body string) bool { return strings.HasPrefix(body, names[i]+";") }
			for number, body := range slices.DeleteFunc(slices.Clone(order), func(b string) bool { return !own(b) }) {
				if want := fmt.Sprintf("%s;%d", names[i], number); body != want {
					t.Fatalf("listener: message %d of %s is %q, want %q", number, names[i], body, want)
				}
			}
			want := slices.DeleteFunc(slices.Clone(order), own)
			if got := bodies(p.received(t, len(want))); !slices.Equal(got, want) {
				t.Errorf("%s has another order than the listener (%d and %d messages)", p.name, len(got), len(want))
			}
		}
	})
}

func TestMessagesArriveUnchanged(t *testing.T) {
	everyByte := make([]byte, 60<<10)
	for i := range everyByte {
		everyByte[i] = byte(i * 7)
	}
	cases := []struct {
		name, room, event string
		body              []byte
		binary            bool
	}{
		{name: "plain", room: "hall", event: "chat", body: []byte("hello")},
		{name: "empty body", room: "hall", event: "chat"},
		{name: "semicolons", room: "a;b;;", event: ";c;", body: []byte(";;;;;;d;")},
		{name: "newlines", room: "a\nb", event: "c\r\nd", body: []byte("one\ntwo\r\n\n")},
		{name: "Unicode", room: "στοά", event: "柱廊 🏛️", body: []byte("Ωραία 👩‍👩‍👧 \u202eabc")},
		{name: "60 KB", room: "hall", event: "chat", body: bytes.Repeat([]byte("0123456789;\n柱"), 4096)},
		{name: "binary", room: "hall", event: "file", body: []byte{0, 0xff, ';', 0xc0, 0x80}, binary: true},
		{name: "60 KB binary", room: "hall", event: "file", body: everyByte, binary: true},
		{name: "binary with odd names", room: "a;b", event: "c;d", body: []byte{0xff}, binary: true},
	}
	eachClient(t, func(t *testing.T, s *server, dial dialFunc) {
		sender, receiver := dial(t, s, "sender"), dial(t, s, "receiver")
		from, to := sender.connect(t), receiver.connect(t)
		for i, test := range cases {
			sender.join(t, from, test.room)
			receiver.join(t, to, test.room)
			sent := from.Conn.Write(neffos.Message{
				Namespace: namespace, Room: test.room, Event: test.event, Body: test.body, SetBinary: test.binary,
			})
			if !sent {
				t.Fatalf("%s: Write was refused", test.name)
			}
			got := receiver.received(t, i+1)[i]
			want := message{namespace, test.room, test.event, string(test.body), test.binary}
			if got != want {
				t.Errorf("%s: received %.80q, want %.80q", test.name, fmt.Sprint(got), fmt.Sprint(want))
			}
		}
	})
}

func TestLeave(t *testing.T) {
	eachClient(t, func(t *testing.T, s *server, dial dialFunc) {
		sender, leaver := dial(t, s, "sender"), dial(t, s, "leaver")
		from, to := sender.connect(t, "porch", "yard"), leaver.connect(t, "porch", "yard")
		porch := to.Room("porch")
		leaver.socket.quiet(t)
		if err := porch.Leave(within(t)); err != nil {
			t.Fatalf("Leave: %v", err)
		}
		if porch.Emit("chat", []byte("from outside")) {
			t.Error("Emit into a room that was left reported success")
		}
		from.Room("porch").Emit("chat", []byte("not for the leaver"))
		from.Room("yard").Emit("chat", []byte("for both"))
		if got := leaver.received(t, 1)[0].body; got != "for both" {
			t.Errorf("received %q, want %q", got, "for both")
		}
	})
}

func TestLeaveAll(t *testing.T) {
	eachClient(t, func(t *testing.T, s *server, dial dialFunc) {
		sender, leaver := dial(t, s, "sender"), dial(t, s, "leaver")
		from, to := sender.connect(t, "north", "south", "east"), leaver.connect(t, "north")
		// One room: between the asks of LeaveAll no test can wait for the
		// reader.
		leaver.socket.quiet(t)
		if err := to.LeaveAll(within(t)); err != nil {
			t.Fatalf("LeaveAll: %v", err)
		}
		if len(to.Rooms()) != 0 {
			t.Errorf("in %d rooms after LeaveAll", len(to.Rooms()))
		}
		leaver.join(t, to, "east")
		from.Room("north").Emit("chat", []byte("not for the leaver"))
		from.Room("east").Emit("chat", []byte("for both"))
		if got := leaver.received(t, 1)[0].body; got != "for both" {
			t.Errorf("received %q, want %q", got, "for both")
		}
	})
}

func TestEmitIntoRoomNotJoinedIsDropped(t *testing.T) {
	eachClient(t, func(t *testing.T, s *server, dial dialFunc) {
		member, guest := dial(t, s, "member"), dial(t, s, "guest")
		member.connect(t, "vault", "lobby")
		ns := guest.connect(t, "lobby")
		// The client refuses such an emit, so the test writes the frame.
		frame := neffos.Message{Namespace: namespace, Room: "vault", Event: "chat", Body: []byte("through the wall")}
		if err := guest.socket.WriteText(frame.Serialize(), 0); err != nil {
			t.Fatalf("WriteText: %v", err)
		}
		ns.Room("lobby").Emit("chat", []byte("in the lobby"))
		if got := member.received(t, 1)[0].body; got != "in the lobby" {
			t.Errorf("received %q, want %q", got, "in the lobby")
		}
	})
}

func TestEmitWithoutARoomReachesTheNamespace(t *testing.T) {
	eachClient(t, func(t *testing.T, s *server, dial dialFunc) {
		sender, receiver := dial(t, s, "sender"), dial(t, s, "receiver")
		receiver.connect(t)
		ns := sender.connect(t)
		ns.Emit("news", []byte("for all"))
		want := message{namespace: namespace, event: "news", body: "for all"}
		if got := receiver.received(t, 1)[0]; got != want {
			t.Errorf("received %+v, want %+v", got, want)
		}
	})
}

func TestAskForUnhandledEvent(t *testing.T) {
	eachClient(t, func(t *testing.T, s *server, dial dialFunc) {
		p, witness := dial(t, s, "asker"), dial(t, s, "witness")
		ns := p.connect(t, "hall")
		witness.connect(t, "hall")
		for _, room := range []string{"", "hall"} {
			p.socket.quiet(t)
			_, err := ns.Conn.Ask(within(t), neffos.Message{
				Namespace: namespace, Room: room, Event: "unhandled", Body: []byte("a;b"),
			})
			if err == nil || err.Error() != "unhandled event" {
				t.Errorf("Ask in room %q: %v, want the error %q", room, err, "unhandled event")
			}
		}
		if !ns.Room("hall").Emit("chat", []byte("after the asks")) {
			t.Error("Emit after the asks was refused")
		}
		if got := witness.received(t, 1)[0].event; got != "chat" {
			t.Errorf("the witness received the event %q, want %q", got, "chat")
		}
	})
}

func TestLeaveARoomThatWasLeft(t *testing.T) {
	eachClient(t, func(t *testing.T, s *server, dial dialFunc) {
		p := dial(t, s, "leaves twice")
		room := p.connect(t, "hall").Room("hall")
		p.socket.quiet(t)
		if err := room.Leave(within(t)); err != nil {
			t.Fatalf("Leave: %v", err)
		}
		p.socket.quiet(t)
		if err := room.Leave(within(t)); !errors.Is(err, neffos.ErrBadRoom) {
			t.Errorf("second Leave: %v, want %v", err, neffos.ErrBadRoom)
		}
	})
}

func bodies(messages []message) []string {
	all := make([]string, len(messages))
	for i, m := range messages {
		all[i] = m.body
	}
	return all
}
