package session_test

import (
	"testing"

	"github.com/stoa-io/stoa/internal/session"
)

// A node keeps one session for every idle connection.
const idleBudget = 200

func TestIdleFootprint(t *testing.T) {
	p := newServer(nil)
	p.receive(t, "$1;a;;_OnNamespaceConnect;0;0;", session.VerdictHandled)
	p.receive(t, "$2;a;r;_OnRoomJoin;0;0;", session.VerdictHandled)
	if got := session.Footprint(&p.session); got > idleBudget {
		t.Errorf("a session in one namespace and one room holds %d bytes, want at most %d", got, idleBudget)
	}
}

// A session releases the memory of every ask that has ended.
func TestNothingStaysInFlight(t *testing.T) {
	p := newProbe(session.Server, nil)
	p.receive(t, "$1;a;;_OnNamespaceConnect;0;0;", session.VerdictEarly)
	p.receive(t, "M", session.VerdictHandled)
	p.session.Acknowledge("id")
	must(t)(p.session.Ask(p.session.Namespace([]byte("a")), nil, "q", nil, false))
	p.receive(t, "1;", session.VerdictAnswer)
	var later *session.Request
	p.decide = func(r *session.Request) { later = p.session.Defer(r) }
	p.receive(t, "$2;a;r;_OnRoomJoin;0;0;", session.VerdictHandled)
	p.accept(later)
	if !session.Idle(&p.session) {
		t.Error("the session holds something for what is in flight, want nothing")
	}
}
