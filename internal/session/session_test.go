package session_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// probe is a driver that records its calls and follows the script of the test.
type probe struct {
	session session.Session
	calls   []string
	// decide handles requests; nil accepts them.
	decide func(r *session.Request)
	// onEvent and onHello, if not nil, are called too.
	onEvent func(e *session.Event)
	onHello func()
}

var _ session.Driver = (*probe)(nil)

// newProbe returns a session that has not been acknowledged.
func newProbe(role session.Role, change func(*session.Config)) *probe {
	config := session.Config{Role: role}
	if change != nil {
		change(&config)
	}
	config = config.WithDefaults()
	p := &probe{}
	p.session.Init(&config, p)
	return p
}

// newServer returns an acknowledged server.
func newServer(change func(*session.Config)) *probe {
	p := newProbe(session.Server, change)
	p.onHello = func() { p.session.Acknowledge("id") }
	p.session.Receive([]byte("M"), false)
	p.calls = nil
	return p
}

// newClient returns an acknowledged client.
func newClient() *probe {
	p := newProbe(session.Client, nil)
	p.session.Receive([]byte("Aid"), false)
	p.calls = nil
	return p
}

func (p *probe) note(format string, arguments ...any) {
	p.calls = append(p.calls, fmt.Sprintf(format, arguments...))
}

func (p *probe) receive(t *testing.T, text string, want session.Verdict) {
	t.Helper()
	if got := p.session.Receive([]byte(text), false); got != want {
		t.Errorf("Receive(%q) = %v, want %v", text, got, want)
	}
}

// expect compares the calls since the last time.
func (p *probe) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(p.calls, want) {
		t.Errorf("calls\n\t%s\nwant\n\t%s", strings.Join(p.calls, "\n\t"), strings.Join(want, "\n\t"))
	}
	p.calls = nil
}

func (p *probe) Send(bytes []byte, binary bool) { p.note("send %v", payload{bytes, binary}) }
func (p *probe) Hello() {
	p.note("hello")
	if p.onHello != nil {
		p.onHello()
	}
}
func (p *probe) Acknowledged(id string) { p.note("acknowledged %s", id) }
func (p *probe) Refused(text string)    { p.note("refused %s", text) }

func (p *probe) Request(r *session.Request) {
	p.note("request %v %s", r.Kind, r.Message.Token)
	if p.decide != nil {
		p.decide(r)
		return
	}
	p.accept(r)
}

func (p *probe) accept(r *session.Request) bool {
	switch r.Kind {
	case session.Connect:
		return p.session.AcceptConnect(r, &place{name: string(r.Message.Namespace)})
	case session.Disconnect:
		return p.session.AcceptDisconnect(r)
	case session.Join:
		return p.session.AcceptJoin(r, &place{name: string(r.Message.Room)})
	}
	return p.session.AcceptLeave(r)
}

func (p *probe) Connected(n session.Namespace, local bool) {
	p.note("connected %s local=%v", n.Name(), local)
}

func (p *probe) Disconnected(n session.Namespace, local, forced bool) {
	p.note("disconnected %s local=%v forced=%v", n.Name(), local, forced)
}

func (p *probe) Joined(n session.Namespace, r session.Room, local bool) {
	p.note("joined %s/%s local=%v", n.Name(), r.Name(), local)
}

func (p *probe) Left(n session.Namespace, r session.Room, local, forced bool) {
	p.note("left %s/%s local=%v forced=%v", n.Name(), r.Name(), local, forced)
}

func (p *probe) Event(e *session.Event) {
	p.note("event %s", e.Payload)
	if p.onEvent != nil {
		p.onEvent(e)
	}
}

func (p *probe) Answered(a *session.Answer) { p.note("answered %d %v: %v", a.ID, a.Kind, a.Err) }

func TestCallbackOrder(t *testing.T) {
	const (
		connect    = "1x;a;;_OnNamespaceConnect;0;0;"
		join       = "2x;a;r;_OnRoomJoin;0;0;"
		leave      = "3x;a;r;_OnRoomLeave;0;0;"
		disconnect = "4x;a;;_OnNamespaceDisconnect;0;0;"
	)
	tests := map[string]struct {
		new  func() *probe
		want []string
	}{
		"server": {func() *probe { return newServer(nil) }, []string{
			"request connect 1x", "send 1x;;;;;;", "connected a local=false",
			"request join 2x", "joined a/r local=false", "send 2x;;;;;;",
			"request leave 3x", "left a/r local=false forced=false", "send 3x;;;;;;",
			"request join 2x", "joined a/r local=false", "send 2x;;;;;;",
			"request disconnect 4x", "left a/r local=false forced=true", "disconnected a local=false forced=false", "send 4x;;;;;;",
		}},
		"client": {newClient, []string{
			"request connect 1x", "send 1x;;;;;;", "connected a local=false",
			"request join 2x", "joined a/r local=false", "send 2x;;;;;;",
			"request leave 3x", "send 3x;;;;;;", "left a/r local=false forced=false",
			"request join 2x", "joined a/r local=false", "send 2x;;;;;;",
			"request disconnect 4x", "left a/r local=false forced=true", "send 4x;;;;;;", "disconnected a local=false forced=false",
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := test.new()
			for _, request := range []string{connect, join, leave, join, disconnect} {
				p.receive(t, request, session.VerdictHandled)
			}
			p.expect(t, test.want...)
		})
	}
}

func TestLimits(t *testing.T) {
	small := func(c *session.Config) {
		c.MaxNamespaces, c.MaxRooms = 1, 1
		c.Limits.Room, c.Limits.Token = 4, 8
	}
	tests := map[string]struct {
		payload string
		binary  bool
		want    session.Verdict
		answer  []string
	}{
		"namespaces":            {"$9;b;;_OnNamespaceConnect;0;0;", false, session.VerdictRefused, []string{"send $9;b;;_OnNamespaceConnect;1;0;too many namespaces"}},
		"rooms":                 {"$9;a;s;_OnRoomJoin;0;0;", false, session.VerdictRefused, []string{"send $9;a;s;_OnRoomJoin;1;0;too many rooms"}},
		"long room":             {"$9;a;rrrrr;_OnRoomJoin;0;0;", false, session.VerdictRefused, []string{"send $9;;;;1;0;name too long"}},
		"long room, no token":   {";a;rrrrr;e;0;0;", false, session.VerdictRefused, nil},
		"long token":            {"$99999999;a;;e;0;0;", false, session.VerdictRefused, []string{"send $99999999;;;;1;0;name too long"}},
		"invalid name":          {"$9;\xff;;e;0;0;", true, session.VerdictInvalid, []string{"send $9;;;;1;0;invalid name"}},
		"invalid token":         {"\xff;a;;e;0;0;", true, session.VerdictInvalid, nil},
		"long room in an error": {"$9;a;rrrrr;e;1;0;", false, session.VerdictRefused, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := newServer(small)
			p.receive(t, "$1;a;;_OnNamespaceConnect;0;0;", session.VerdictHandled)
			p.receive(t, "$2;a;r;_OnRoomJoin;0;0;", session.VerdictHandled)
			p.calls = nil
			if got := p.session.Receive([]byte(test.payload), test.binary); got != test.want {
				t.Errorf("verdict %v, want %v", got, test.want)
			}
			p.expect(t, test.answer...)
		})
	}
}

// Requests to end a state that does not exist succeed, but not against an ask
// of this side for the opposite: neffos.js would apply the answer after our
// ask.
func TestAbsent(t *testing.T) {
	p := newServer(nil)
	p.receive(t, "$1;a;;_OnNamespaceDisconnect;0;0;", session.VerdictHandled)
	p.expect(t, "send $1;;;;;;")
	if _, err := p.session.AskConnect(&place{name: "a"}, []byte("b;c")); err != nil {
		t.Fatal(err)
	}
	p.receive(t, "$2;a;;_OnNamespaceDisconnect;0;0;", session.VerdictRefused)
	p.receive(t, "1;;;;;;", session.VerdictAnswer)
	p.expect(t, "send 1;a;;_OnNamespaceConnect;0;0;b;c", "send $2;a;;_OnNamespaceDisconnect;1;0;bad namespace",
		"connected a local=true", "answered 1 connect: <nil>")

	p.receive(t, "$3;a;r;_OnRoomLeave;0;0;", session.VerdictHandled)
	if _, err := p.session.AskJoin(p.session.Namespace([]byte("a")), &place{name: "r"}, nil); err != nil {
		t.Fatal(err)
	}
	p.receive(t, "$4;a;r;_OnRoomLeave;0;0;", session.VerdictRefused)
	p.receive(t, "$5;a;s;_OnRoomLeave;0;0;", session.VerdictHandled)
	p.expect(t, "send $3;;;;;;", "send 2;a;r;_OnRoomJoin;0;0;", "send $4;a;r;_OnRoomLeave;1;0;bad room", "send $5;;;;;;")
}

func TestEmit(t *testing.T) {
	a, r := &place{name: "a"}, &place{name: "r;s"}
	p := newProbe(session.Server, nil)
	if err := p.session.Emit(a, nil, "e", nil, false); !errors.Is(err, session.ErrNotAcknowledged) {
		t.Errorf("before the acknowledgement: %v, want %v", err, session.ErrNotAcknowledged)
	}
	p = newServer(nil)
	p.decide = func(q *session.Request) {
		if q.Kind == session.Connect {
			p.session.AcceptConnect(q, a)
		} else {
			p.session.AcceptJoin(q, r)
		}
	}
	if err := p.session.Emit(a, nil, "e", nil, false); !errors.Is(err, wire.ErrBadNamespace) {
		t.Errorf("not connected: %v, want %v", err, wire.ErrBadNamespace)
	}
	p.receive(t, "$1;a;;_OnNamespaceConnect;0;0;", session.VerdictHandled)
	if err := p.session.Emit(a, r, "e", nil, false); !errors.Is(err, wire.ErrBadRoom) {
		t.Errorf("not joined: %v, want %v", err, wire.ErrBadRoom)
	}
	if err := p.session.Emit(&place{name: "a"}, nil, "e", nil, false); !errors.Is(err, wire.ErrBadNamespace) {
		t.Errorf("another value of the same name: %v, want %v", err, wire.ErrBadNamespace)
	}
	if err := p.session.Emit(a, nil, wire.EventRoomJoined, nil, false); !errors.Is(err, wire.ErrInvalidName) {
		t.Errorf("system event: %v, want %v", err, wire.ErrInvalidName)
	}
	p.receive(t, "$2;a;r@%!semicolon@%!s;_OnRoomJoin;0;0;", session.VerdictHandled)
	p.calls = nil
	if err := p.session.Emit(a, r, "e", []byte("b;c"), true); err != nil {
		t.Error(err)
	}
	p.expect(t, "send binary ;a;r@%!semicolon@%!s;e;0;0;b;c")
	p.session.Close()
	if err := p.session.Emit(a, nil, "e", nil, false); !errors.Is(err, wire.ErrClosed) {
		t.Errorf("after Close: %v, want %v", err, wire.ErrClosed)
	}
}

func TestClose(t *testing.T) {
	p := newServer(nil)
	p.receive(t, "$1;a;;_OnNamespaceConnect;0;0;", session.VerdictHandled)
	p.receive(t, "$2;a;r;_OnRoomJoin;0;0;", session.VerdictHandled)
	var later *session.Request
	p.decide = func(r *session.Request) { later = p.session.Defer(r) }
	if _, err := p.session.Ask(p.session.Namespace([]byte("a")), nil, "q", nil, false); err != nil {
		t.Fatal(err)
	}
	p.receive(t, "$3;a;s;_OnRoomJoin;0;0;", session.VerdictHandled)
	p.calls = nil
	p.session.Close()
	p.session.Close()
	p.expect(t, "left a/r local=true forced=true", "disconnected a local=true forced=true", "answered 1 event: write closed")
	if p.accept(later) {
		t.Error("a request was accepted after Close, want false")
	}
	p.session.Reject(later, "no")
	p.receive(t, ";a;;e;0;0;", session.VerdictIgnored)
	p.expect(t)
}

// A session may be closed from inside any callback.
func TestCloseInsideCallbacks(t *testing.T) {
	p := newServer(nil)
	p.receive(t, "$1;a;;_OnNamespaceConnect;0;0;", session.VerdictHandled)
	p.onEvent = func(e *session.Event) {
		p.session.Close()
		p.session.Reply(e.Message, nil)
	}
	p.calls = nil
	p.receive(t, "$2;a;;e;0;0;", session.VerdictEvent)
	p.expect(t, "event $2;a;;e;0;0;", "disconnected a local=true forced=true")
}

func TestManyRooms(t *testing.T) {
	p := newServer(func(c *session.Config) { c.MaxRooms = -1 })
	p.receive(t, "$1;a;;_OnNamespaceConnect;0;0;", session.VerdictHandled)
	a := p.session.Namespace([]byte("a"))
	const rooms = 100
	for round := range 2 {
		for i := range rooms {
			p.receive(t, fmt.Sprintf("$2;a;r%d;_OnRoomJoin;0;0;", i), session.VerdictHandled)
		}
		if got := p.session.RoomCount(); got != rooms {
			t.Fatalf("round %d: %d rooms, want %d", round, got, rooms)
		}
		for i := range rooms {
			// From both ends and the middle, so that rooms change places.
			name := fmt.Sprintf("r%d", i*37%rooms)
			if room := p.session.Room(a, []byte(name)); room == nil || room.Name() != name {
				t.Fatalf("round %d: room %s is %v", round, name, room)
			}
			p.receive(t, fmt.Sprintf("$3;a;%s;_OnRoomLeave;0;0;", name), session.VerdictHandled)
			if p.session.Room(a, []byte(name)) != nil {
				t.Fatalf("round %d: room %s is still there", round, name)
			}
			if got, want := len(slices.Collect(p.session.Rooms(a))), rooms-1-i; got != want {
				t.Fatalf("round %d: %d rooms after %d leaves, want %d", round, got, i+1, want)
			}
		}
	}
}

func TestVerdictNames(t *testing.T) {
	seen := make(map[string]bool)
	for v := session.VerdictHandled; v <= session.VerdictEarlyOverflow; v++ {
		if name := v.String(); name == "" || name == "unknown" || seen[name] {
			t.Errorf("verdict %d has the name %q, want one of its own", v, name)
		}
		seen[v.String()] = true
	}
	if got := session.Verdict(0).String(); got != "unknown" {
		t.Errorf("the zero verdict is %q, want unknown", got)
	}
}
