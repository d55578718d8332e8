package session_test

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/stoa-io/stoa/internal/golden"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// separator stands between the payloads of a fuzz input; no recording has it
// in a payload.
const separator = '\x1e'

// FuzzReceive plays any sequence of payloads to a session. Nothing may panic,
// every text frame must be valid UTF-8, and connected namespaces and asks in
// flight must end with Close.
func FuzzReceive(f *testing.F) {
	for _, conversation := range golden.Load(f) {
		var inputs [2][]byte
		for _, frame := range conversation.Frames {
			i := 0
			if frame.From == golden.Server {
				i = 1
			}
			if len(frame.Payload) > 1024 {
				continue
			}
			inputs[i] = append(append(inputs[i], frame.Payload...), separator)
		}
		f.Add(byte(0), inputs[0])
		f.Add(byte(1), inputs[1])
	}
	const connect = ";default;;_OnNamespaceConnect;0;0;\x1e"
	f.Add(byte(16), []byte("M positions\x1e$1"+connect+"$2;default;r1;_OnRoomRecover;0;0;p,5,id;b\x1e$3;default;r1;_OnHistory;0;0;{}"))
	f.Add(byte(17), []byte("Aid positions\x1e1"+connect+"$2;default;r1;_OnRoomJoin;0;0;1,p,2;\x1e@p;default;r1;e;0;0;\x1e;default;r1;_OnHistoryGap;0;0;p"))
	f.Add(byte(17), []byte("Aid\x1e1"+connect+"2;default;r1;_OnRoomJoin;0;0;\x1e;default;r1;_OnPresence;0;0;{}"))
	f.Add(byte(16), []byte("M presence\x1e$1"+connect+"$2;default;r1;_OnRoomJoin;0;0;\x1e$3;default;r1;_OnPresence;0;0;{}"))
	f.Add(byte(16), []byte("M\x1e$1"+connect+"$2;default;r1;_OnRoomJoin;0;0;\x1e$3;default;r1;_OnRoomPublish;0;0;i,e;b"))
	f.Fuzz(func(t *testing.T, mode byte, input []byte) {
		config := session.Config{
			Role: session.Server, MaxNamespaces: 3, MaxRooms: 20,
			Native: mode&2 != 0, NativeOnly: mode&6 == 6,
		}
		if mode&16 != 0 {
			config.Features = wire.FeaturePositions
		}
		if mode&1 != 0 {
			config.Role = session.Client
		}
		config = config.WithDefaults()
		d := &fuzzed{t: t, mode: mode}
		d.session.Init(&config, d)
		for payload := range bytes.SplitSeq(input, []byte{separator}) {
			d.feed(payload)
		}
		d.session.Close()
		if d.connected != 0 || d.joined != 0 || d.asks != 0 {
			t.Errorf("%d namespaces, %d rooms and %d asks left after Close, want none", d.connected, d.joined, d.asks)
		}
	})
}

// fuzzed is a driver whose program does something of everything.
type fuzzed struct {
	t        *testing.T
	mode     byte
	session  session.Session
	deferred []*session.Request
	turn     int

	connected, joined, asks int
}

func (d *fuzzed) feed(payload []byte) {
	binary := !utf8.Valid(payload)
	verdict := d.session.Receive(payload, binary)
	for verdict == session.VerdictBusy {
		if len(d.deferred) == 0 {
			d.t.Fatalf("%q: %v with nothing deferred", payload, verdict)
		}
		d.decide()
		verdict = d.session.Receive(payload, binary)
	}
	if verdict.String() == "unknown" {
		d.t.Errorf("%q: verdict %d", payload, verdict)
	}
	d.turn++
	if d.turn%3 == 0 {
		d.ask()
	}
}

func (d *fuzzed) decide() {
	r := d.deferred[0]
	d.deferred = d.deferred[1:]
	d.accept(r)
}

func (d *fuzzed) ask() {
	namespace := d.session.Namespace([]byte("default"))
	var err error
	d.asks++
	switch {
	case namespace == nil:
		_, err = d.session.AskConnect(&place{name: "default"}, nil)
	case d.turn%2 == 0:
		_, err = d.session.AskRecover(namespace, &place{name: "r1"}, wire.RecoveryRequest{Position: "p"}, nil)
	default:
		_, err = d.session.Ask(namespace, nil, "q", nil, false)
	}
	if err != nil {
		d.asks--
	}
}

func (d *fuzzed) Send(payload []byte, binary bool) {
	if !binary && !utf8.Valid(payload) {
		d.t.Errorf("sent %q as text", payload)
	}
	if _, err := wire.Parse(payload, binary); err != nil && d.session.Acknowledged() && payload[0] != 'A' {
		d.t.Errorf("sent %q: %v", payload, err)
	}
}

func (d *fuzzed) Hello()              { d.session.Acknowledge("id") }
func (d *fuzzed) Acknowledged(string) {}
func (d *fuzzed) Refused(string)      {}

func (d *fuzzed) Request(r *session.Request) {
	switch d.turn % 5 {
	case 3:
		d.deferred = append(d.deferred, d.session.Defer(r))
	case 4:
		d.session.Reject(r, "")
	default:
		d.accept(r)
	}
}

func (d *fuzzed) accept(r *session.Request) {
	switch r.Kind {
	case session.Connect:
		d.session.AcceptConnect(r, &place{name: string(r.Message.Namespace)})
	case session.Disconnect:
		d.session.AcceptDisconnect(r)
	case session.Join:
		d.session.AcceptJoin(r, &place{name: string(r.Message.Room)})
	case session.Leave:
		d.session.AcceptLeave(r)
	}
}

func (d *fuzzed) Connected(session.Namespace, bool)                { d.connected++ }
func (d *fuzzed) Disconnected(session.Namespace, bool, bool)       { d.connected-- }
func (d *fuzzed) Joined(session.Namespace, session.Room, bool)     { d.joined++ }
func (d *fuzzed) Left(session.Namespace, session.Room, bool, bool) { d.joined-- }
func (d *fuzzed) Answered(*session.Answer)                         { d.asks-- }

func (d *fuzzed) HistoryGap(_ session.Namespace, _ session.Room, position []byte) {
	if len(position) == 0 && position != nil || !wire.IsPosition(position) {
		d.t.Errorf("position %q of a gap", position)
	}
}

func (d *fuzzed) HistoryRemoved(n session.Namespace, r session.Room, position []byte) {
	d.HistoryGap(n, r, position)
}

func (d *fuzzed) Event(e *session.Event) {
	if d.mode&8 != 0 {
		d.session.ReplyError(e.Message, "boom")
		return
	}
	d.session.Reply(e.Message, e.Message.Body)
}
