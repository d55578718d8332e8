package session_test

import (
	"testing"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// onlooker is a probe that wants to know the members of its rooms.
type onlooker struct{ historian }

var _ session.PresenceDriver = onlooker{}

func (o onlooker) PresenceChanged(n session.Namespace, r session.Room, body []byte) {
	o.note("presence of %s/%s: %s", n.Name(), r.Name(), body)
}

func newOnlooker(t *testing.T) onlooker {
	t.Helper()
	o := onlooker{historian{new(probe)}}
	config := session.Config{Role: session.Client, Features: wire.FeaturePresence}.WithDefaults()
	o.session.Init(&config, o)
	o.receive(t, "Aid", session.VerdictHandled)
	connected(t, o.probe)
	o.receive(t, "1;a;r;_OnRoomJoin;0;0;", session.VerdictHandled)
	o.calls = nil
	return o
}

func TestPresenceNotices(t *testing.T) {
	o := newOnlooker(t)
	o.receive(t, `;a;r;_OnPresence;0;0;{"count":1};`, session.VerdictHandled)
	o.expect(t, `presence of a/r: {"count":1};`)
	for _, payload := range []string{";a;s;_OnPresence;0;0;{}", ";b;r;_OnPresence;0;0;{}", ";a;r;_OnPresence;0;1;{}", ";a;r;_OnPresence;1;0;{}"} {
		o.receive(t, payload, session.VerdictIgnored)
	}
	// An ask of the server is none.
	o.receive(t, "7;a;r;_OnPresence;0;0;", session.VerdictIgnored)
	o.expect(t, "send 7;a;r;_OnPresence;1;0;unhandled event")

	for name, p := range map[string]*probe{"server": newServer(nil), "client without the interface": newClient()} {
		connected(t, p)
		p.receive(t, "5x;a;r;_OnRoomJoin;0;0;", session.VerdictHandled)
		p.calls = nil
		p.receive(t, ";a;r;_OnPresence;0;0;{}", session.VerdictIgnored)
		if len(p.calls) > 0 {
			t.Errorf("%s: calls %q for a notice, want none", name, p.calls)
		}
	}
}

func TestAskPresence(t *testing.T) {
	o := newOnlooker(t)
	namespace := o.session.Namespace([]byte("a"))
	if _, err := o.session.AskPresence(namespace, &place{name: "other"}, nil); err != wire.ErrBadRoom {
		t.Errorf("in a room that is not joined: %v, want %v", err, wire.ErrBadRoom)
	}
	must(t)(o.session.AskPresence(namespace, o.session.Room(namespace, []byte("r")), []byte(`{"limit":2}`)))
	o.receive(t, `$1;a;r;_OnPresence;0;0;{"count":3}`, session.VerdictAnswer)
	o.expect(t, `send $1;a;r;_OnPresence;0;0;{"limit":2}`, "answered 1 event: <nil>", `body "{\"count\":3}"`)
}

func TestPresenceIsAnAsk(t *testing.T) {
	h := newHistorian(t, session.Server, wire.FeaturePresence)
	h.receive(t, "$1;a;r;_OnRoomJoin;0;0;", session.VerdictHandled)
	h.calls = nil
	h.receive(t, `$2;a;r;_OnPresence;0;0;{"limit":3}`, session.VerdictEvent)
	h.expect(t, `event _OnPresence token="$2" position="" history=true`)
	h.receive(t, "$3;a;s;_OnPresence;0;0;", session.VerdictRefused)
	h.receive(t, ";a;r;_OnPresence;0;0;", session.VerdictIgnored)
	h.expect(t, "send $3;a;s;_OnPresence;1;0;bad room")
}
