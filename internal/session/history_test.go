package session_test

import (
	"testing"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// historian is a probe that knows of histories.
type historian struct{ *probe }

var _ session.HistoryDriver = historian{}

func (h historian) HistoryGap(n session.Namespace, r session.Room, position []byte) {
	h.note("gap in %s/%s at %q nil=%v", n.Name(), r.Name(), position, position == nil)
}

func (h historian) HistoryRemoved(n session.Namespace, r session.Room, position []byte) {
	h.note("%q removed from %s/%s nil=%v", position, n.Name(), r.Name(), position == nil)
}

func (h historian) Event(e *session.Event) {
	h.note("event %s token=%q position=%q history=%v", e.Message.Event, e.Message.Token, e.Position, e.Reads)
}

func (h historian) Answered(a *session.Answer) {
	h.probe.Answered(a)
	if a.Message != nil {
		h.note("body %q", a.Message.Body)
	}
	if a.Recovery != nil {
		h.note("recovery %+v", *a.Recovery)
	}
}

// newHistorian returns a session that knows of histories, in namespace "a". Its
// peer has named the features.
func newHistorian(t *testing.T, role session.Role, features wire.Features) historian {
	t.Helper()
	h := historian{new(probe)}
	config := session.Config{Role: role, Features: wire.FeaturePositions}.WithDefaults()
	h.session.Init(&config, h)
	if role == session.Client {
		h.receive(t, string(wire.AppendFeatures([]byte("Aid"), features)), session.VerdictHandled)
	} else {
		h.onHello = func() { h.session.Acknowledge("id") }
		h.receive(t, string(wire.AppendHello(nil, features)), session.VerdictHandled)
	}
	connected(t, h.probe)
	return h
}

func TestFeaturesOfBothEnds(t *testing.T) {
	for name, test := range map[string]struct {
		client, server wire.Features
		hello, answer  string
	}{
		"none":             {0, wire.FeaturePositions, "M", "Aid"},
		"only the client":  {wire.FeaturePositions, 0, "M positions", "Aid"},
		"both":             {wire.FeaturePositions, wire.FeaturePositions, "M positions", "Aid positions"},
		"the common ones":  {wire.FeatureExpiry | wire.FeaturePositions, wire.FeaturePositions, "M expiry positions", "Aid positions"},
		"other for server": {wire.FeatureExpiry, wire.FeaturePositions, "M expiry", "Aid"},
	} {
		t.Run(name, func(t *testing.T) {
			client := newProbe(session.Client, func(c *session.Config) { c.Features = test.client })
			server := newProbe(session.Server, func(c *session.Config) { c.Features = test.server })
			client.session.Hello()
			client.expect(t, "send "+test.hello)
			server.receive(t, test.hello, session.VerdictHandled)
			server.session.Acknowledge("id")
			server.expect(t, "hello", "send "+test.answer)
			client.receive(t, test.answer, session.VerdictHandled)
			client.expect(t, "acknowledged id")
			if got, want := client.session.Understands(wire.FeaturePositions), test.client&test.server != 0; got != want {
				t.Errorf("the client takes the server for one with positions: %v, want %v", got, want)
			}
		})
	}
	// An ID that ends like a feature is an ID for a client that has none.
	client := newProbe(session.Client, nil)
	client.receive(t, "Aid positions", session.VerdictHandled)
	client.expect(t, "acknowledged id positions")
}

func TestPositionsOfEmits(t *testing.T) {
	h := newHistorian(t, session.Client, wire.FeaturePositions)
	for payload, want := range map[string]string{
		"@Ab3-_;a;;chat;0;0;x": `event chat token="" position="Ab3-_" history=false`,
		"@;a;;chat;0;0;x":      `event chat token="" position="" history=false`,
		// A malformed position does not make it an ask.
		"@not one;a;;chat;0;0;x":                   `event chat token="" position="" history=false`,
		"@1234567890123456789012345;a;;chat;0;0;x": `event chat token="" position="" history=false`,
		"@123456789012345678901234;a;r;chat;0;0;x": `event chat token="" position="123456789012345678901234" history=false`,
		";a;;chat;0;0;x":                           `event chat token="" position="" history=false`,
		"1;a;;chat;0;0;x":                          `event chat token="1" position="" history=false`,
	} {
		h.receive(t, payload, session.VerdictEvent)
		h.expect(t, want)
	}
	// Nothing that begins so is ever answered.
	h.receive(t, "@p;b;;chat;0;0;x", session.VerdictRefused)
	h.receive(t, "@p;a;r;_OnRoomJoin;0;0;x", session.VerdictIgnored)
	h.receive(t, "@p;a;;chat;1;0;x", session.VerdictIgnored)
	h.expect(t)
}

// The mark of a volatile emit counts if both ends have named the feature, and
// is a token otherwise.
func TestVolatileEmits(t *testing.T) {
	const named, unnamed = `event chat volatile=true token=""`, `event chat volatile=false token="~"`
	for name, test := range map[string]struct {
		client, server wire.Features
		want           string
	}{
		"both":    {wire.FeatureVolatile | wire.FeaturePositions, wire.FeatureVolatile, named},
		"client":  {wire.FeatureVolatile, wire.FeaturePositions, unnamed},
		"server":  {wire.FeaturePositions, wire.FeatureVolatile, unnamed},
		"neither": {0, 0, unnamed},
	} {
		t.Run(name, func(t *testing.T) {
			p := volatileProbe{new(probe)}
			config := session.Config{Role: session.Server, Features: test.server}.WithDefaults()
			p.session.Init(&config, p)
			p.onHello = func() { p.session.Acknowledge("id") }
			p.receive(t, string(wire.AppendHello(nil, test.client)), session.VerdictHandled)
			connected(t, p.probe)
			p.receive(t, "~;a;;chat;0;0;x", session.VerdictEvent)
			p.expect(t, test.want)
			p.receive(t, ";a;;chat;0;0;x", session.VerdictEvent)
			p.expect(t, `event chat volatile=false token=""`)
			if test.want != named {
				return
			}
			// It is never answered, and no request.
			p.receive(t, "~;b;;chat;0;0;x", session.VerdictRefused)
			p.receive(t, "~;a;;_OnNamespaceDisconnect;0;0;x", session.VerdictIgnored)
			p.receive(t, "~;\x00;;_OnNamespaceDisconnect;0;0;", session.VerdictIgnored)
			p.receive(t, "~;a;;chat;1;0;x", session.VerdictIgnored)
			p.receive(t, "~~;a;;chat;0;0;x", session.VerdictEvent)
			p.expect(t, `event chat volatile=false token="~~"`)
			p.receive(t, "~;b;;chat;0;1;x", session.VerdictRefused)
			p.expect(t, "send ;b;;chat;1;1;bad namespace")
		})
	}
	// For a client it is a token of its server.
	h := newHistorian(t, session.Client, wire.FeatureVolatile|wire.FeaturePositions)
	h.receive(t, "~;a;;chat;0;0;x", session.VerdictEvent)
	h.expect(t, `event chat token="~" position="" history=false`)
}

// volatileProbe is a probe that notes which events are volatile.
type volatileProbe struct{ *probe }

func (p volatileProbe) Event(e *session.Event) {
	p.note("event %s volatile=%t token=%q", e.Message.Event, e.Volatile, e.Message.Token)
}

// For an end that has not named the feature it is a token.
func TestTokensLikePositions(t *testing.T) {
	server := newServer(nil)
	connected(t, server)
	server.onEvent = func(e *session.Event) {
		if e.Position != nil {
			t.Errorf("position %q from a client, want none", e.Position)
		}
		server.session.Reply(e.Message, []byte("y"))
	}
	server.receive(t, "@p;a;;ask;0;0;x", session.VerdictEvent)
	server.expect(t, "event @p;a;;ask;0;0;x", "send @p;a;;ask;0;0;y")
	client := newClient()
	connected(t, client)
	client.receive(t, "@p;b;;ask;0;0;x", session.VerdictRefused)
	client.expect(t, "send @p;b;;ask;1;0;bad namespace")
}

func TestJoinWithRecovery(t *testing.T) {
	h := newHistorian(t, session.Server, wire.FeaturePositions)
	h.decide = func(r *session.Request) {
		h.note("%s %q %+v", r.Message.Event, r.Message.Body, r.Recovery.RecoveryRequest)
		r.Recovery.Answer = wire.RecoveryAnswer{Recovered: true, Position: "p9", Count: 2}
		r.Reply = []byte("hello;")
		h.accept(r)
	}
	h.receive(t, "$1;a;r;_OnRoomRecover;0;0;p7,50,old-id;body;1", session.VerdictHandled)
	h.expect(t, "request join $1", `_OnRoomJoin "body;1" {Position:p7 Limit:50 ExceptID:old-id}`,
		"joined a/r local=false", "send $1;a;r;_OnRoomJoin;0;0;1,p9,2;hello;")
	h.receive(t, "$2;a;r;_OnRoomRecover;0;0;p7,,;", session.VerdictHandled)
	h.expect(t, "send $2;a;r;_OnRoomJoin;0;0;0,,0;")

	// Without an answer of the driver nothing follows.
	h.decide = func(r *session.Request) { h.accept(r) }
	h.receive(t, "$3;a;s;_OnRoomRecover;0;0;,,;", session.VerdictHandled)
	h.expect(t, "request join $3", "joined a/s local=false", "send $3;a;s;_OnRoomJoin;0;0;0,,0;")

	h.decide = func(r *session.Request) {
		if r.Recovery != nil {
			t.Errorf("a plain join has the recovery %+v, want none", r.Recovery)
		}
		h.accept(r)
	}
	h.receive(t, "$4;a;t;_OnRoomJoin;0;0;p7,50,old-id;body", session.VerdictHandled)
	h.receive(t, "$5;a;t;_OnRoomJoin;0;0;", session.VerdictHandled)
	h.expect(t, "request join $4", "joined a/t local=false", "send $4;;;;;;", "send $5;;;;;;")

	h.decide = func(r *session.Request) { h.session.Reject(r, "no") }
	h.receive(t, "$6;a;u;_OnRoomRecover;0;0;,1,;", session.VerdictHandled)
	h.expect(t, "request join $6", "send $6;a;u;_OnRoomJoin;1;0;no")
}

func TestMalformedRecovery(t *testing.T) {
	h := newHistorian(t, session.Server, wire.FeaturePositions)
	const refused = "invalid payload"
	for body, want := range map[string]string{
		"":                              refused,
		"p,1,id":                        refused,
		"p,1;":                          refused,
		"p,-1,;":                        refused,
		"p,+1,;":                        refused,
		"p,1234567890,;":                refused,
		"p p,1,;":                       refused,
		"1234567890123456789012345,1,;": refused,
	} {
		h.receive(t, "$1;a;r;_OnRoomRecover;0;0;"+body, session.VerdictRefused)
		h.expect(t, "send $1;a;r;_OnRoomRecover;1;0;"+want)
	}
	// The other rules are those of joins.
	h.receive(t, "$1;b;r;_OnRoomRecover;0;0;,,;", session.VerdictRefused)
	h.receive(t, ";a;r;_OnRoomRecover;0;0;,,;", session.VerdictIgnored)
	h.receive(t, "$1;a;r;_OnRoomRecover;0;1;,,;", session.VerdictIgnored)
	h.expect(t, "send $1;b;r;_OnRoomJoin;1;0;bad namespace")
}

func TestDeferredRecovery(t *testing.T) {
	h := newHistorian(t, session.Server, wire.FeaturePositions)
	var later []*session.Request
	h.decide = func(r *session.Request) { later = append(later, h.session.Defer(r)) }
	payload := []byte("$1;a;r;_OnRoomRecover;0;0;p7,50,old-id;body")
	h.session.Receive(payload, false)
	clear(payload)
	// Joins of both kinds wait for the one of the same room only.
	h.receive(t, "$2;a;r;_OnRoomRecover;0;0;,,;", session.VerdictBusy)
	h.receive(t, "$2;a;r;_OnRoomJoin;0;0;", session.VerdictBusy)
	h.receive(t, "$3;a;s;_OnRoomRecover;0;0;,,;", session.VerdictHandled)
	if got, want := later[0].Recovery.RecoveryRequest, (wire.RecoveryRequest{Position: "p7", Limit: 50, ExceptID: "old-id"}); got != want {
		t.Errorf("deferred recovery %+v, want %+v", got, want)
	}
	if got := string(later[0].Message.Body); got != "body" {
		t.Errorf("deferred body %q, want body", got)
	}
	h.calls = nil
	later[0].Recovery.Answer.Count = 3
	h.accept(later[0])
	h.expect(t, "joined a/r local=false", "send $1;a;r;_OnRoomJoin;0;0;0,,3;")
	// The room was joined in the meantime: nothing follows.
	must(t)(h.session.AskJoin(h.session.Namespace([]byte("a")), &place{name: "s"}, nil))
	h.receive(t, "1;;;;;;", session.VerdictAnswer)
	h.calls = nil
	later[1].Recovery.Answer = wire.RecoveryAnswer{Recovered: true, Position: "p", Count: 1}
	if h.accept(later[1]) {
		t.Error("a room was joined twice")
	}
	h.expect(t, "send $3;a;s;_OnRoomJoin;0;0;0,,0;")
}

func TestAskRecover(t *testing.T) {
	request := wire.RecoveryRequest{Position: "p7", Limit: 5, ExceptID: "old"}
	for name, test := range map[string]struct {
		features     wire.Features
		answer, sent string
		want         []string
	}{
		"recovered": {wire.FeaturePositions, "$1;a;r;_OnRoomJoin;0;0;1,p9,2;re;ply", "send $1;a;r;_OnRoomRecover;0;0;p7,5,old;b;ody",
			[]string{`body "re;ply"`, "recovery {Recovered:true Position:p9 Count:2}"}},
		"not recovered": {wire.FeaturePositions, "$1;a;r;_OnRoomJoin;0;0;0,,0;", "send $1;a;r;_OnRoomRecover;0;0;p7,5,old;b;ody",
			[]string{`body ""`, "recovery {Recovered:false Position: Count:0}"}},
		"no answer to that": {wire.FeaturePositions, "$1;;;;;;", "send $1;a;r;_OnRoomRecover;0;0;p7,5,old;b;ody",
			[]string{`body ""`}},
		"malformed": {wire.FeaturePositions, "$1;a;r;_OnRoomJoin;0;0;1,p9,-2;x", "send $1;a;r;_OnRoomRecover;0;0;p7,5,old;b;ody",
			[]string{`body "1,p9,-2;x"`}},
		"old server": {0, "$1;a;r;_OnRoomJoin;0;0;1,p9,2;reply", "send $1;a;r;_OnRoomJoin;0;0;b;ody",
			[]string{`body "1,p9,2;reply"`}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistorian(t, session.Client, test.features)
			must(t)(h.session.AskRecover(h.session.Namespace([]byte("a")), &place{name: "r"}, request, []byte("b;ody")))
			h.receive(t, test.answer, session.VerdictAnswer)
			h.expect(t, append([]string{test.sent, "joined a/r local=true", "answered 1 join: <nil>"}, test.want...)...)
		})
	}
	// A request of the server to the client is none.
	h := newHistorian(t, session.Client, wire.FeaturePositions)
	h.receive(t, "1;a;r;_OnRoomRecover;0;0;,,;", session.VerdictRefused)
	h.expect(t, "send 1;a;r;_OnRoomJoin;1;0;unhandled event")
}

// A canceled join with recovery is undone like any other.
func TestLateRecovery(t *testing.T) {
	h := newHistorian(t, session.Client, wire.FeaturePositions)
	id := must(t)(h.session.AskRecover(h.session.Namespace([]byte("a")), &place{name: "r"}, wire.RecoveryRequest{}, nil))
	h.session.Cancel(id, wire.ErrTimeout)
	h.receive(t, "$1;a;r;_OnRoomJoin;0;0;0,p,0;", session.VerdictLateAnswer)
	h.expect(t, "send $1;a;r;_OnRoomRecover;0;0;,0,;", "answered 1 join: timeout", "send $2;a;r;_OnRoomLeave;0;0;")
}

func TestHistoryIsAnAsk(t *testing.T) {
	h := newHistorian(t, session.Server, 0)
	h.receive(t, "$1;a;r;_OnRoomJoin;0;0;", session.VerdictHandled)
	h.calls = nil
	read := `$2;a;r;_OnHistory;0;0;{"limit":3}`
	h.receive(t, read, session.VerdictEvent)
	if got := h.session.ReceiveEvent([]byte(read), false); got != session.VerdictEvent {
		t.Errorf("ReceiveEvent: %v, want an event, as it changes nothing", got)
	}
	const want = `event _OnHistory token="$2" position="" history=true`
	h.expect(t, want, want)
	h.receive(t, "$3;a;s;_OnHistory;0;0;", session.VerdictRefused)
	h.receive(t, "$4;a;;_OnHistory;0;0;", session.VerdictRefused)
	h.receive(t, "$5;b;r;_OnHistory;0;0;", session.VerdictRefused)
	h.receive(t, ";a;r;_OnHistory;0;0;", session.VerdictIgnored)
	h.expect(t, "send $3;a;s;_OnHistory;1;0;bad room", "send $4;a;;_OnHistory;1;0;bad room", "send $5;b;r;_OnHistory;1;0;bad namespace")

	client := newClient()
	connected(t, client)
	client.receive(t, "1;a;r;_OnHistory;0;0;", session.VerdictIgnored)
	client.expect(t, "send 1;a;r;_OnHistory;1;0;unhandled event")
}

func TestHistoryNotices(t *testing.T) {
	h := newHistorian(t, session.Client, wire.FeaturePositions)
	h.receive(t, "1;a;r;_OnRoomJoin;0;0;", session.VerdictHandled)
	h.calls = nil
	h.receive(t, ";a;r;_OnHistoryGap;0;0;p9", session.VerdictHandled)
	h.receive(t, ";a;r;_OnHistoryGap;0;0;", session.VerdictHandled)
	h.receive(t, ";a;r;_OnHistoryRemoved;0;0;p9", session.VerdictHandled)
	h.receive(t, ";a;r;_OnHistoryRemoved;0;0;", session.VerdictHandled)
	h.expect(t, `gap in a/r at "p9" nil=false`, `gap in a/r at "" nil=true`, `"p9" removed from a/r nil=false`, `"" removed from a/r nil=true`)
	for _, payload := range []string{
		";a;r;_OnHistoryRemoved;0;0;no position", ";a;s;_OnHistoryGap;0;0;", ";b;r;_OnHistoryGap;0;0;",
		";a;r;_OnHistoryGap;0;1;", ";a;r;_OnRoomRecover;0;0;",
	} {
		h.receive(t, payload, session.VerdictIgnored)
	}
	h.expect(t)

	for name, p := range map[string]*probe{"server": newServer(nil), "client without the interface": newClient()} {
		connected(t, p)
		p.receive(t, "5x;a;r;_OnRoomJoin;0;0;", session.VerdictHandled)
		p.calls = nil
		p.receive(t, ";a;r;_OnHistoryGap;0;0;", session.VerdictIgnored)
		if len(p.calls) > 0 {
			t.Errorf("%s: calls %q for a notice, want none", name, p.calls)
		}
	}
}

func TestAskHistory(t *testing.T) {
	h := newHistorian(t, session.Client, 0)
	a := h.session.Namespace([]byte("a"))
	if _, err := h.session.AskHistory(a, &place{name: "r"}, nil); err != wire.ErrBadRoom {
		t.Errorf("in a room that is not joined: %v, want %v", err, wire.ErrBadRoom)
	}
	h.receive(t, "1;a;r;_OnRoomJoin;0;0;", session.VerdictHandled)
	h.calls = nil
	must(t)(h.session.AskHistory(a, h.session.Room(a, []byte("r")), []byte("{}")))
	h.receive(t, `$1;a;r;_OnHistory;0;0;{"entries":[]}`, session.VerdictAnswer)
	h.expect(t, "send $1;a;r;_OnHistory;0;0;{}", "answered 1 event: <nil>", `body "{\"entries\":[]}"`)
}
