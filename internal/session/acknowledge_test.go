package session_test

import (
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/session"
)

func TestEarlyMessages(t *testing.T) {
	p := newProbe(session.Server, nil)
	p.receive(t, "", session.VerdictEmpty)
	p.receive(t, "$1;a;;_OnNamespaceConnect;0;0;", session.VerdictEarly)
	p.receive(t, "Aspoofed", session.VerdictIgnored)
	p.receive(t, "Hspoofed", session.VerdictIgnored)
	p.receive(t, "Many bytes", session.VerdictHandled)
	p.receive(t, "$2;a;;e;0;0;b", session.VerdictEarly)
	p.receive(t, "M", session.VerdictEarly)
	p.session.Receive([]byte("$3;a;;e;0;0;c"), true)
	p.onEvent = func(e *session.Event) { p.session.Reply(e.Message, e.Message.Body) }
	p.expect(t, "hello")
	p.session.Acknowledge("a;b")
	p.session.Acknowledge("again")
	p.session.Refuse("too late")
	p.expect(t, "send Aa;b",
		"request connect $1", "send $1;;;;;;", "connected a local=false",
		"event $2;a;;e;0;0;b", "send $2;a;;e;0;0;b",
		"event $3;a;;e;0;0;c", "send binary $3;a;;e;0;0;c")
}

// Held-back messages keep their order after a deferred request.
func TestEarlyMessagesWait(t *testing.T) {
	p := newProbe(session.Server, nil)
	var later *session.Request
	p.decide = func(r *session.Request) { later = p.session.Defer(r) }
	p.receive(t, "$1;a;;_OnNamespaceConnect;0;0;", session.VerdictEarly)
	p.receive(t, ";a;;e;0;0;1", session.VerdictEarly)
	p.receive(t, "M", session.VerdictHandled)
	p.session.Acknowledge("id")
	if !p.session.Busy() {
		t.Error("not busy, want busy while a request is deferred")
	}
	p.receive(t, ";a;;e;0;0;2", session.VerdictBusy)
	p.expect(t, "hello", "send Aid", "request connect $1")
	p.accept(later)
	if p.session.Busy() {
		t.Error("busy, want everything handled")
	}
	p.receive(t, ";a;;e;0;0;2", session.VerdictEvent)
	p.expect(t, "send $1;;;;;;", "connected a local=false", "event ;a;;e;0;0;1", "event ;a;;e;0;0;2")
}

// patient is a driver that lets requests wait.
type patient struct {
	*probe
	busy bool
}

func (p *patient) Busy() bool { return p.busy }

// Held-back requests wait for a driver that says so, answers and events do not,
// and no message overtakes another.
func TestEarlyRequestsWaitForTheDriver(t *testing.T) {
	config := session.Config{Role: session.Server}.WithDefaults()
	p := &patient{probe: new(probe)}
	p.session.Init(&config, p)
	p.receive(t, "$1;a;;_OnNamespaceConnect;0;0;", session.VerdictEarly)
	p.receive(t, ";a;;e;0;0;1", session.VerdictEarly)
	p.receive(t, "$2;a;;_OnNamespaceDisconnect;0;0;", session.VerdictEarly)
	p.receive(t, "$3;a;;e;0;0;2", session.VerdictEarly)
	p.receive(t, "M", session.VerdictHandled)
	p.onEvent = func(*session.Event) { p.busy = true }
	p.session.Acknowledge("id")
	p.session.Resume()
	p.expect(t, "hello", "send Aid", "request connect $1", "send $1;;;;;;", "connected a local=false", "event ;a;;e;0;0;1")
	if !p.session.Busy() {
		t.Error("not busy, want busy while something is held back")
	}
	p.receive(t, ";a;;e;0;0;3", session.VerdictBusy)
	p.busy = false
	p.session.Resume()
	p.expect(t, "request disconnect $2", "disconnected a local=false forced=false", "send $2;;;;;;",
		"send $3;a;;e;1;0;bad namespace")
	if p.session.Busy() {
		t.Error("busy, want everything handled")
	}
}

func TestNativeMessagesWait(t *testing.T) {
	p := newProbe(session.Server, func(c *session.Config) { c.Native = true })
	var later *session.Request
	p.decide = func(r *session.Request) {
		if later = p.session.Defer(r); len(r.Message.Namespace) == 0 {
			p.accept(later)
		}
	}
	p.receive(t, "$1;;;_OnNamespaceConnect;0;0;", session.VerdictEarly)
	p.receive(t, "$2;a;;_OnNamespaceConnect;0;0;", session.VerdictEarly)
	p.receive(t, "native", session.VerdictEarly)
	p.receive(t, "M", session.VerdictHandled)
	p.session.Acknowledge("id")
	p.receive(t, "another", session.VerdictBusy)
	p.expect(t, "hello", "send Aid", "request connect $1", "send $1;;;;;;", "connected  local=false", "request connect $2")
	p.accept(later)
	p.receive(t, "another", session.VerdictNative)
	p.expect(t, "send $2;;;;;;", "connected a local=false", "event native", "event another")
}

func TestEarlyOverflow(t *testing.T) {
	tests := map[string]struct {
		limit  int
		length int
		want   session.Verdict
	}{
		"default, fits":       {0, session.DefaultMaxEarly - 4, session.VerdictEarly},
		"default, too much":   {0, session.DefaultMaxEarly - 3, session.VerdictEarlyOverflow},
		"small":               {10, 7, session.VerdictEarlyOverflow},
		"no limit":            {-1, 1 << 20, session.VerdictEarly},
		"overhead counts too": {10, 6, session.VerdictEarly},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := newProbe(session.Server, func(c *session.Config) { c.MaxEarly = test.limit })
			p.receive(t, strings.Repeat(";", test.length), test.want)
		})
	}
}

func TestRefuse(t *testing.T) {
	p := newProbe(session.Server, nil)
	p.onHello = func() { p.session.Refuse("") }
	p.receive(t, "M", session.VerdictHandled)
	p.receive(t, "M", session.VerdictIgnored)
	p.session.Acknowledge("id")
	if !p.session.Closed() {
		t.Error("not closed, want a refused session closed")
	}
	p.expect(t, "hello", "send Hrefused")
}

func TestClientAcknowledgement(t *testing.T) {
	p := newProbe(session.Client, nil)
	p.session.Hello()
	p.receive(t, "5;a;;_OnNamespaceConnect;0;0;", session.VerdictEarly)
	p.receive(t, "Ax;y", session.VerdictHandled)
	p.receive(t, "Again", session.VerdictInvalid)
	p.expect(t, "send M", "acknowledged x;y", "request connect 5", "send 5;;;;;;", "connected a local=false")

	p = newProbe(session.Client, nil)
	p.receive(t, "Hgo away", session.VerdictHandled)
	p.expect(t, "refused go away")
	if !p.session.Closed() {
		t.Error("not closed, want a refused session closed")
	}
}
