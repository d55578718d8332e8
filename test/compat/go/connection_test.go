package compat_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kataras/neffos"

	"github.com/stoa-io/stoa/node"
)

func TestDialGivesAnID(t *testing.T) {
	eachClient(t, func(t *testing.T, s *server, dial dialFunc) {
		first, second := dial(t, s, "first"), dial(t, s, "second")
		for _, p := range []*person{first, second} {
			prefix, rest, ok := strings.Cut(p.ID, "-")
			if !ok || prefix != s.id() || len(rest) != 22 {
				t.Errorf("%s: ID %q, want %q, a dash and 22 characters", p.name, p.ID, s.id())
			}
		}
		if first.ID == second.ID {
			t.Errorf("both connections have the ID %q", first.ID)
		}
	})
}

func TestConnectAndDisconnect(t *testing.T) {
	eachClient(t, func(t *testing.T, s *server, dial dialFunc) {
		p, other := dial(t, s, "comes and goes"), dial(t, s, "stays")
		ns := p.connect(t, "hall")
		if again := p.connect(t); again != ns {
			t.Error("the second Connect did not return the same NSConn")
		}
		rooms := other.connect(t, "hall", "yard")

		p.socket.quiet(t)
		if err := ns.Disconnect(within(t)); err != nil {
			t.Fatalf("Disconnect: %v", err)
		}
		if ns.Emit("chat", []byte("without a namespace")) {
			t.Error("Emit after Disconnect reported success")
		}

		ns = p.connect(t, "yard")
		if len(ns.Rooms()) != 1 {
			t.Errorf("in %d rooms after the return, want 1", len(ns.Rooms()))
		}
		rooms.Room("hall").Emit("chat", []byte("into a room of earlier"))
		rooms.Room("yard").Emit("chat", []byte("after the return"))
		if got := p.received(t, 1)[0].body; got != "after the return" {
			t.Errorf("first message is %q, want %q", got, "after the return")
		}
	})
}

func TestConnectToANamespaceThatDoesNotExist(t *testing.T) {
	eachClient(t, func(t *testing.T, s *server, dial dialFunc) {
		p := dial(t, s, "stranger")
		p.socket.quiet(t)
		if _, err := p.Connect(within(t), "nowhere"); !errors.Is(err, neffos.ErrBadNamespace) {
			t.Fatalf("Connect: %v, want %v", err, neffos.ErrBadNamespace)
		}
		p.connect(t, "still good")
	})
}

func TestNamespaceNamesMayHoldSemicolons(t *testing.T) {
	eachClient(t, func(t *testing.T, s *server, dial dialFunc) {
		var rooms []*neffos.Room
		people := []*person{dial(t, s, "one"), dial(t, s, "two")}
		for _, p := range people {
			p.socket.quiet(t)
			ns, err := p.Connect(within(t), oddName)
			if err != nil {
				t.Fatalf("Connect(%q): %v", oddName, err)
			}
			rooms = append(rooms, p.join(t, ns, "a;b"))
		}
		rooms[0].Emit("c;d", []byte("e;f"))
		want := message{namespace: oddName, room: "a;b", event: "c;d", body: "e;f"}
		if got := people[1].received(t, 1)[0]; got != want {
			t.Errorf("received %+v, want %+v", got, want)
		}
	})
}

func TestCloseReachesNoOtherClient(t *testing.T) {
	eachClient(t, func(t *testing.T, s *server, dial dialFunc) {
		leaving, staying, third := dial(t, s, "leaving"), dial(t, s, "staying"), dial(t, s, "third")
		door := leaving.connect(t, "door").Room("door")
		other := staying.connect(t, "door").Room("door")
		third.connect(t, "door")

		door.Emit("chat", []byte("goodbye"))
		third.received(t, 1)
		leaving.Close()
		if door.Emit("chat", []byte("after the end")) {
			t.Error("Emit after Close reported success")
		}
		want := []string{"_OnRoomLeave door", "_OnRoomLeft door", "_OnNamespaceDisconnect "}
		if got := leaving.lifecycle(); !slices.Equal(got[len(got)-3:], want) {
			t.Errorf("the last system events are %q, want %q", got, want)
		}

		other.Emit("chat", []byte("still here"))
		if got := third.received(t, 2)[1].body; got != "still here" {
			t.Errorf("second message is %q, want %q", got, "still here")
		}
		waitConnections(t, s, 2)
	})
}

func TestServerShutdownReachesTheClient(t *testing.T) {
	eachClient(t, func(t *testing.T, s *server, dial dialFunc) {
		p := dial(t, s, "left alone")
		p.connect(t, "hall")
		s.shutdown(t)
		p.waitClosed(t)
	})
}

// The Go client does not reconnect automatically. Dialing again works with a node
// that was restarted on the same port.
func TestDialAgainAfterTheServerWasRestarted(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport node.Transport) {
		for name, dialer := range dialers {
			t.Run(name, func(t *testing.T) {
				s := startServer(t, transport, "127.0.0.1:0")
				address, before := s.address(), dial(t, dialer, s, "before")
				before.connect(t, "hall")
				s.close(t)
				before.waitClosed(t)

				s = startServer(t, transport, address)
				one, two := dial(t, dialer, s, "one"), dial(t, dialer, s, "two")
				if one.ID == before.ID {
					t.Errorf("the ID %q was given out twice", one.ID)
				}
				hall := one.connect(t, "hall").Room("hall")
				two.connect(t, "hall")
				hall.Emit("chat", []byte("back"))
				if got := two.received(t, 1)[0].body; got != "back" {
					t.Errorf("received %q, want %q", got, "back")
				}
			})
		}
	})
}

func (p *person) waitClosed(t testing.TB) {
	t.Helper()
	select {
	case <-p.NotifyClose:
	case <-time.After(deadline):
		t.Fatalf("%s: the connection is still open", p.name)
	}
}

// waitConnections waits until the node counts so many connections.
func waitConnections(t testing.TB, s *server, want int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(deadline)
	for {
		have := s.connections()
		if have == want {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("the node counts %d connections, want %d", have, want)
		}
	}
}
