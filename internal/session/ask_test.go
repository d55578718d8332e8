package session_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

func connected(t *testing.T, p *probe) session.Namespace {
	t.Helper()
	p.receive(t, "x1;a;;_OnNamespaceConnect;0;0;", session.VerdictHandled)
	p.calls = nil
	return p.session.Namespace([]byte("a"))
}

// must returns the ID of an ask that was sent.
func must(t *testing.T) func(uint64, error) uint64 {
	return func(id uint64, err error) uint64 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
}

func TestAnswers(t *testing.T) {
	tests := map[string]struct {
		answer string
		binary bool
		want   string
	}{
		"reply":              {"%s;a;;q;0;0;body", false, "answered 1 event: <nil>"},
		"binary reply":       {"%s;a;;q;0;0;body", true, "answered 1 event: <nil>"},
		"empty reply":        {"%s;;;;;;", false, "answered 1 event: <nil>"},
		"C# reply":           {"%s;", false, "answered 1 event: <nil>"},
		"error":              {"%s;a;;q;1;0;boom", false, "answered 1 event: boom"},
		"error without text": {"%s;a;;q;1;0;", false, "answered 1 event: unspecified error"},
	}
	for _, role := range []session.Role{session.Server, session.Client} {
		for name, test := range tests {
			t.Run(role.String()+" "+name, func(t *testing.T) {
				p, token := newServer(nil), "1"
				if role == session.Client {
					p, token = newClient(), "$1"
				}
				a := connected(t, p)
				must(t)(p.session.Ask(a, nil, "q", []byte("?"), false))
				answer := fmt.Sprintf(test.answer, token)
				if got := p.session.Receive([]byte(answer), test.binary); got != session.VerdictAnswer {
					t.Errorf("verdict %v, want %v", got, session.VerdictAnswer)
				}
				p.expect(t, "send "+token+";a;;q;0;0;?", test.want)
				p.receive(t, answer, session.VerdictLateAnswer)
				p.expect(t)
			})
		}
	}
}

func TestAwaits(t *testing.T) {
	p := newServer(nil)
	a := connected(t, p)
	if p.session.Awaits([]byte("1;a;;q")) {
		t.Error("awaits an answer before the first ask")
	}
	must(t)(p.session.Ask(a, nil, "q", nil, false))
	for start, want := range map[string]bool{"1;a;;q;0;0;": true, "1;": true, "2;a;;q": false, "$1;a": false, ";a": false, "": false} {
		if got := p.session.Awaits([]byte(start)); got != want {
			t.Errorf("%q: %v, want %v", start, got, want)
		}
	}
	p.receive(t, "1;a;;q;0;0;", session.VerdictAnswer)
	if p.session.Awaits([]byte("1;a;;q;0;0;")) {
		t.Error("awaits a second answer")
	}
}

func TestTokenOwner(t *testing.T) {
	tests := map[string]struct {
		role  session.Role
		token string
		want  session.Verdict
	}{
		"server, its own":             {session.Server, "1", session.VerdictAnswer},
		"server, never given out":     {session.Server, "2", session.VerdictEvent},
		"server, zero":                {session.Server, "0", session.VerdictEvent},
		"server, the client's":        {session.Server, "$1", session.VerdictEvent},
		"server, more than digits":    {session.Server, "1a", session.VerdictEvent},
		"server, leading zero":        {session.Server, "01", session.VerdictEvent},
		"client, its own":             {session.Client, "$1", session.VerdictAnswer},
		"client, never given out":     {session.Client, "$2", session.VerdictEvent},
		"client, the server's":        {session.Client, "1", session.VerdictEvent},
		"client, another maker's own": {session.Client, "$1-1", session.VerdictEvent},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := newServer(nil)
			if test.role == session.Client {
				p = newClient()
			}
			must(t)(p.session.Ask(connected(t, p), nil, "q", nil, false))
			p.receive(t, test.token+";a;;q;0;0;", test.want)
		})
	}
}

func TestCancel(t *testing.T) {
	p := newServer(nil)
	a := connected(t, p)
	timeout := errors.New("took too long")
	id := must(t)(p.session.Ask(a, nil, "q", nil, false))
	if !p.session.Cancel(id, timeout) || p.session.Cancel(id, timeout) {
		t.Error("Cancel did not return true, then false")
	}
	p.expect(t, "send 1;a;;q;0;0;", "answered 1 event: took too long")
	p.receive(t, "1;a;;q;0;0;", session.VerdictLateAnswer)
	p.receive(t, "1;", session.VerdictLateAnswer)
	p.expect(t)
}

// A peer that never answers does not make the session grow.
func TestCancelledAsksAreForgotten(t *testing.T) {
	p := newServer(nil)
	a := connected(t, p)
	const asks = 100
	for range asks {
		p.session.Cancel(must(t)(p.session.AskJoin(a, &place{name: "r"}, nil)), wire.ErrTimeout)
	}
	if got := session.AsksInFlight(&p.session); got > 16 {
		t.Errorf("%d asks are remembered, want at most 16", got)
	}
	p.calls = nil
	p.receive(t, "1;;;;;;", session.VerdictLateAnswer)
	p.expect(t)
	p.receive(t, "100;;;;;;", session.VerdictLateAnswer)
}

func TestAnsweredWithoutAFrame(t *testing.T) {
	p := newServer(nil)
	a := connected(t, p)
	p.receive(t, "x2;a;r;_OnRoomJoin;0;0;", session.VerdictHandled)
	p.calls = nil
	must(t)(p.session.AskConnect(&place{name: "a"}, nil))
	must(t)(p.session.AskJoin(a, &place{name: "r"}, nil))
	p.expect(t, "answered 1 connect: <nil>", "answered 2 join: <nil>")
}

func TestAskErrors(t *testing.T) {
	stranger, room := &place{name: "b"}, &place{name: "r"}
	tests := map[string]struct {
		ask  func(s *session.Session, a session.Namespace) (uint64, error)
		want error
	}{
		"disconnect": {func(s *session.Session, _ session.Namespace) (uint64, error) { return s.AskDisconnect(stranger) }, wire.ErrBadNamespace},
		"join":       {func(s *session.Session, _ session.Namespace) (uint64, error) { return s.AskJoin(stranger, room, nil) }, wire.ErrBadNamespace},
		"leave":      {func(s *session.Session, _ session.Namespace) (uint64, error) { return s.AskLeave(stranger, room) }, wire.ErrBadNamespace},
		"leave room": {func(s *session.Session, a session.Namespace) (uint64, error) { return s.AskLeave(a, room) }, wire.ErrBadRoom},
		"ask": {func(s *session.Session, _ session.Namespace) (uint64, error) {
			return s.Ask(stranger, nil, "q", nil, false)
		}, wire.ErrBadNamespace},
		"ask room": {func(s *session.Session, a session.Namespace) (uint64, error) { return s.Ask(a, room, "q", nil, false) }, wire.ErrBadRoom},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := newServer(nil)
			if _, err := test.ask(&p.session, connected(t, p)); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			p.expect(t)
		})
	}
}
