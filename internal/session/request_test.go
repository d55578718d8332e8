package session_test

import (
	"testing"

	"github.com/stoa-io/stoa/internal/session"
)

func TestDeferredRequests(t *testing.T) {
	p := newServer(nil)
	a := connected(t, p)
	must(t)(p.session.Ask(a, nil, "q", nil, false))
	var later []*session.Request
	p.decide = func(r *session.Request) { later = append(later, p.session.Defer(r)) }

	payload := []byte("x2;a;r;_OnRoomJoin;0;0;body")
	p.session.Receive(payload, false)
	clear(payload)
	p.receive(t, "x3;a;s;_OnRoomJoin;0;0;", session.VerdictHandled)
	p.receive(t, "x4;a;r;_OnRoomJoin;0;0;", session.VerdictBusy)
	p.receive(t, "x5;a;s;_OnRoomLeave;0;0;", session.VerdictBusy)
	p.receive(t, ";a;;e;0;0;", session.VerdictBusy)
	p.receive(t, "x6;b;;_OnNamespaceConnect;0;0;", session.VerdictBusy)
	p.receive(t, "1;a;;q;0;0;", session.VerdictAnswer)
	p.receive(t, "nonsense", session.VerdictInvalid)
	p.expect(t, "send 1;a;;q;0;0;", "request join x2", "request join x3", "answered 1 event: <nil>")

	if got := string(later[0].Message.Body); got != "body" {
		t.Errorf("body of the deferred request %q, want it to own its bytes", got)
	}
	if !p.accept(later[1]) || p.accept(later[1]) {
		t.Error("accepting did not return true, then false")
	}
	if !p.session.Busy() {
		t.Error("not busy, want busy behind the other join")
	}
	p.session.Reject(later[0], "")
	p.session.Reject(later[0], "again")
	p.expect(t, "joined a/s local=false", "send x3;;;;;;", "send x2;a;r;_OnRoomJoin;1;0;unspecified error")
	if p.session.Busy() {
		t.Error("busy, want all requests decided")
	}
	p.receive(t, ";a;;e;0;0;", session.VerdictEvent)
}

func TestProbeIsAnsweredAtOnce(t *testing.T) {
	const probe = "x9;\x00;;_OnNamespaceDisconnect;0;0;"
	p := newServer(nil)
	connected(t, p)
	p.decide = func(r *session.Request) { p.session.Defer(r) }
	p.receive(t, "x2;b;;_OnNamespaceConnect;0;0;", session.VerdictHandled)
	p.expect(t, "request connect x2")
	for name, receive := range map[string]func([]byte, bool) session.Verdict{
		"Receive": p.session.Receive, "ReceiveEvent": p.session.ReceiveEvent, "ReceiveAnswer": p.session.ReceiveAnswer,
	} {
		if v := receive([]byte(probe), false); v != session.VerdictHandled {
			t.Errorf("%s: %v behind a deferred request, want it handled", name, v)
		}
		p.expect(t, "send x9;;;;;;")
	}
	p.receive(t, "x3;c;;_OnNamespaceDisconnect;0;0;", session.VerdictBusy)
}

func TestNamespaceWithTheNameOfAProbe(t *testing.T) {
	const request = "x9;\x00;;_OnNamespaceDisconnect;0;0;"
	p := newServer(nil)
	connected(t, p)
	p.receive(t, "x1;\x00;;_OnNamespaceConnect;0;0;", session.VerdictHandled)
	p.decide = func(r *session.Request) { p.session.Defer(r) }
	p.receive(t, "x2;b;;_OnNamespaceConnect;0;0;", session.VerdictHandled)
	for name, receive := range map[string]func([]byte, bool) session.Verdict{
		"Receive": p.session.Receive, "ReceiveEvent": p.session.ReceiveEvent, "ReceiveAnswer": p.session.ReceiveAnswer,
	} {
		if v := receive([]byte(request), false); v != session.VerdictBusy {
			t.Errorf("%s: %v for a namespace that is connected, want it to wait", name, v)
		}
	}
}

func TestDeferredConnectBlocksJoins(t *testing.T) {
	p := newServer(nil)
	connected(t, p)
	p.decide = func(r *session.Request) { p.session.Defer(r) }
	p.receive(t, "x2;b;;_OnNamespaceConnect;0;0;", session.VerdictHandled)
	p.receive(t, "x3;a;r;_OnRoomJoin;0;0;", session.VerdictBusy)
}

func TestDeferredJoinsCountAsRooms(t *testing.T) {
	p := newServer(func(c *session.Config) { c.MaxRooms = 2 })
	connected(t, p)
	p.decide = func(r *session.Request) { p.session.Defer(r) }
	p.receive(t, "x2;a;r;_OnRoomJoin;0;0;", session.VerdictHandled)
	p.receive(t, "x3;a;s;_OnRoomJoin;0;0;", session.VerdictHandled)
	p.receive(t, "x4;a;t;_OnRoomJoin;0;0;", session.VerdictRefused)
}

// What a deferred request is about can change while it waits.
func TestDeferredTooLong(t *testing.T) {
	p := newServer(nil)
	a := connected(t, p)
	var later *session.Request
	p.decide = func(r *session.Request) { later = p.session.Defer(r) }
	p.receive(t, "x2;a;r;_OnRoomJoin;0;0;", session.VerdictHandled)
	must(t)(p.session.AskDisconnect(a))
	p.receive(t, "1;;;;;;", session.VerdictAnswer)
	p.calls = nil
	if p.accept(later) {
		t.Error("a join was accepted without its namespace, want false")
	}
	p.expect(t, "send x2;a;r;_OnRoomJoin;1;0;bad namespace")
}

func TestAnswersWithABody(t *testing.T) {
	p := newServer(nil)
	p.decide = func(r *session.Request) {
		r.Reply = []byte("re: " + string(r.Message.Body))
		p.accept(r)
	}
	p.receive(t, "x1;a;;_OnNamespaceConnect;0;0;one", session.VerdictHandled)
	p.receive(t, "x2;a;r;_OnRoomJoin;0;0;two", session.VerdictHandled)
	p.receive(t, "x3;a;r;_OnRoomJoin;0;0;joined already", session.VerdictHandled)
	p.receive(t, "x4;a;r;_OnRoomLeave;0;0;three", session.VerdictHandled)
	p.receive(t, "x5;a;;_OnNamespaceDisconnect;0;0;four", session.VerdictHandled)
	p.expect(t,
		"request connect x1", "send x1;a;;_OnNamespaceConnect;0;0;re: one", "connected a local=false",
		"request join x2", "joined a/r local=false", "send x2;a;r;_OnRoomJoin;0;0;re: two",
		"send x3;;;;;;",
		"request leave x4", "left a/r local=false forced=false", "send x4;a;r;_OnRoomLeave;0;0;re: three",
		"request disconnect x5", "disconnected a local=false forced=false", "send x5;a;;_OnNamespaceDisconnect;0;0;re: four")
}

func TestUndecidedRequestIsRejected(t *testing.T) {
	p := newServer(nil)
	var kept *session.Request
	p.decide = func(r *session.Request) { kept = r }
	p.receive(t, "x1;a;;_OnNamespaceConnect;0;0;", session.VerdictHandled)
	p.expect(t, "request connect x1", "send x1;a;;_OnNamespaceConnect;1;0;unhandled event")
	if p.session.Defer(kept) != nil || p.accept(kept) {
		t.Error("a request was used after its call, want nil and false")
	}
}

func TestRejectInsideRequest(t *testing.T) {
	p := newServer(nil)
	p.decide = func(r *session.Request) { p.session.Reject(r, "not you") }
	p.receive(t, "x1;a;;_OnNamespaceConnect;0;0;", session.VerdictHandled)
	p.expect(t, "request connect x1", "send x1;a;;_OnNamespaceConnect;1;0;not you")
	if p.session.NamespaceCount() != 0 {
		t.Error("the namespace is connected, want it refused")
	}
}

// An accepting driver must name the kind that was asked for.
func TestAcceptOfAnotherKind(t *testing.T) {
	p := newServer(nil)
	p.decide = func(r *session.Request) {
		if p.session.AcceptJoin(r, &place{name: "r"}) || p.session.AcceptLeave(r) || p.session.AcceptDisconnect(r) {
			t.Error("a connect was accepted as something else")
		}
		p.accept(r)
	}
	p.receive(t, "x1;a;;_OnNamespaceConnect;0;0;", session.VerdictHandled)
	p.expect(t, "request connect x1", "send x1;;;;;;", "connected a local=false")
}
