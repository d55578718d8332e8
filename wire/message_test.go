package wire_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/stoa-io/stoa/wire"
)

// The case table drives both directions. The ruler:
//
//	token ; namespace ; room ; event ; error ; no-op ; body
var messages = map[string]struct {
	payload string
	message wire.Message
	// other is what Append writes if it is not the payload.
	other string
}{
	"emit": {
		payload: ";default;;chat;0;0;hello",
		message: wire.Message{Namespace: []byte("default"), Event: []byte("chat"), Body: []byte("hello"), Verbatim: true},
	},
	"room emit": {
		payload: ";default;lobby;chat;0;0;a;b;;",
		message: wire.Message{Namespace: []byte("default"), Room: []byte("lobby"), Event: []byte("chat"), Body: []byte("a;b;;"), Verbatim: true},
	},
	"ask": {
		payload: "$7;default;;echo;0;0;x",
		message: wire.Message{Token: []byte("$7"), Namespace: []byte("default"), Event: []byte("echo"), Body: []byte("x")},
	},
	"error": {
		payload: "$7;default;r;echo;1;0;bad room",
		message: wire.Message{Token: []byte("$7"), Namespace: []byte("default"), Room: []byte("r"), Event: []byte("echo"), Body: []byte("bad room"), Error: true},
	},
	"no-op": {
		payload: ";default;;echo;0;1;",
		message: wire.Message{Namespace: []byte("default"), Event: []byte("echo"), NoOp: true},
	},
	"flags other than 1 are false": {
		payload: "$2;default;;echo;2;x;a",
		message: wire.Message{Token: []byte("$2"), Namespace: []byte("default"), Event: []byte("echo"), Body: []byte("a")},
		other:   "$2;default;;echo;0;0;a",
	},
	"long flags are false": {
		payload: ";default;;echo;11;1 ;a",
		message: wire.Message{Namespace: []byte("default"), Event: []byte("echo"), Body: []byte("a")},
		other:   ";default;;echo;0;0;a",
	},
	"empty flags are not verbatim": {
		payload: ";default;;echo;;;b",
		message: wire.Message{Namespace: []byte("default"), Event: []byte("echo"), Body: []byte("b")},
		other:   ";default;;echo;0;0;b",
	},
	"empty reply": {
		payload: "$1;;;;;;",
		message: wire.Message{Token: []byte("$1")},
		other:   "$1;;;;0;0;",
	},
	"nothing": {
		payload: ";;;;;;",
		message: wire.Message{},
		other:   ";;;;0;0;",
	},
	"escaped names": {
		payload: "$1;n@%!semicolon@%!s;@%!semicolon@%!@%!semicolon@%!;e@%!semicolon@%!;0;0;@%!semicolon@%!",
		message: wire.Message{Token: []byte("$1"), Namespace: []byte("n;s"), Room: []byte(";;"), Event: []byte("e;"), Body: []byte("@%!semicolon@%!")},
	},
	"escaped names are verbatim": {
		payload: ";n@%!semicolon@%!s;;e;0;0;",
		message: wire.Message{Namespace: []byte("n;s"), Event: []byte("e"), Verbatim: true},
	},
	"half an escape": {
		payload: ";@%!semicolon;@%!;@%!semicolon@%;0;0;",
		message: wire.Message{Namespace: []byte("@%!semicolon"), Room: []byte("@%!"), Event: []byte("@%!semicolon@%"), Verbatim: true},
	},
	"overlapping escapes": {
		payload: ";@%!semicolon@%!semicolon@%!;;e;0;0;",
		message: wire.Message{Namespace: []byte(";semicolon@%!"), Event: []byte("e"), Verbatim: true},
	},
	"origin is no token": {
		payload: "neffos(0xdead(x0xc0));default;;echo;0;0;x",
		message: wire.Message{Namespace: []byte("default"), Event: []byte("echo"), Body: []byte("x")},
		other:   ";default;;echo;0;0;x",
	},
	"almost an origin": {
		payload: "neffos(0;default;;echo;0;0;x",
		message: wire.Message{Token: []byte("neffos(0"), Namespace: []byte("default"), Event: []byte("echo"), Body: []byte("x")},
	},
	"stack mark stays": {
		payload: "$!123;default;;echo;0;0;x",
		message: wire.Message{Token: []byte("$!123"), Namespace: []byte("default"), Event: []byte("echo"), Body: []byte("x")},
	},
	"bytes that are not UTF-8": {
		payload: ";default;\x00\xff;chat;0;0;\xfe\x00",
		message: wire.Message{Namespace: []byte("default"), Room: []byte("\x00\xff"), Event: []byte("chat"), Body: []byte("\xfe\x00"), Verbatim: true},
	},
}

func TestParse(t *testing.T) {
	for name, test := range messages {
		t.Run(name, func(t *testing.T) {
			for _, binary := range []bool{false, true} {
				want := test.message
				want.Binary = binary
				got, err := wire.Parse([]byte(test.payload), binary)
				if err != nil {
					t.Fatalf("Parse(%q) failed: %v", test.payload, err)
				}
				if !equal(got, want) {
					t.Errorf("Parse(%q)\n got %+v\nwant %+v", test.payload, printable(got), printable(want))
				}
			}
		})
	}
}

func TestAppend(t *testing.T) {
	for name, test := range messages {
		t.Run(name, func(t *testing.T) {
			want := test.payload
			if test.other != "" {
				want = test.other
			}
			if got := wire.Append(nil, &test.message); string(got) != want {
				t.Errorf("Append wrote %q, want %q", got, want)
			}
			if got := wire.Append([]byte("before "), &test.message); string(got) != "before "+want {
				t.Errorf("Append to a filled slice gave %q, want %q", got, "before "+want)
			}
			if test.message.Verbatim && test.other != "" {
				t.Errorf("a verbatim message is written as %q, must be %q", test.other, test.payload)
			}
		})
	}
}

func TestParseRefusesShortPayloads(t *testing.T) {
	for _, payload := range []string{"", "M", "Aalice", ";;;;;", "$1;default;;echo;0;0", "no semicolon at all", "\x00\xff\x01"} {
		if _, err := wire.Parse([]byte(payload), false); err != wire.ErrInvalidPayload {
			t.Errorf("Parse(%q) gave error %v, want %v", payload, err, wire.ErrInvalidPayload)
		}
		if _, err := (wire.Limits{}).Parse([]byte(payload), true); err != wire.ErrInvalidPayload {
			t.Errorf("Limits.Parse(%q) gave error %v, want %v", payload, err, wire.ErrInvalidPayload)
		}
	}
}

// An append to a field of a parsed message must not write into the payload,
// which may be shared by all receivers of a relay.
func TestViewsDoNotReachBeyondTheirField(t *testing.T) {
	const text = "$7;default;lobby;chat;0;0;hello"
	payload := []byte(text)
	m, err := wire.Parse(payload, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range [][]byte{m.Token, m.Namespace, m.Room, m.Event} {
		_ = append(field, "XXXX"...)
	}
	if string(payload) != text {
		t.Errorf("payload became %q, want it unchanged", payload)
	}
}

func TestClone(t *testing.T) {
	payload := []byte("$7;default;lobby;chat;1;1;hello")
	m, err := wire.Parse(payload, true)
	if err != nil {
		t.Fatal(err)
	}
	clone := m.Clone()
	if !equal(clone, m) {
		t.Errorf("clone is %+v, want %+v", printable(clone), printable(m))
	}
	for i := range payload {
		payload[i] = 'X'
	}
	_ = append(clone.Token, "XXXX"...)
	if got, want := string(wire.Append(nil, &clone)), "$7;default;lobby;chat;1;1;hello"; got != want {
		t.Errorf("after the payload changed the clone is %q, want %q", got, want)
	}
}

func TestAnswers(t *testing.T) {
	request := wire.Message{Token: []byte("$7"), Namespace: []byte("n;s"), Room: []byte("r"), Event: []byte("e"), Body: []byte("old body")}
	noOp := request
	noOp.NoOp = true
	tests := map[string]struct{ got, want string }{
		"empty reply":            {string(wire.AppendEmptyReply(nil, request.Token)), "$7;;;;;;"},
		"error":                  {string(wire.AppendError(nil, &request, "no; never")), "$7;n@%!semicolon@%!s;r;e;1;0;no; never"},
		"error keeps no-op":      {string(wire.AppendError(nil, &noOp, "no")), "$7;n@%!semicolon@%!s;r;e;1;1;no"},
		"error without a text":   {string(wire.AppendError(nil, &request, "")), "$7;n@%!semicolon@%!s;r;e;1;0;unspecified error"},
		"error not UTF-8":        {string(wire.AppendError(nil, &request, "a\xffb")), "$7;n@%!semicolon@%!s;r;e;1;0;a\uFFFDb"},
		"acknowledgement":        {string(wire.AppendAck(nil, "a;b;c")), "Aa;b;c"},
		"refusal":                {string(wire.AppendRefusal(nil, "go away; code=7")), "Hgo away; code=7"},
		"refusal without text":   {string(wire.AppendRefusal(nil, "")), "Hrefused"},
		"refusal not UTF-8":      {string(wire.AppendRefusal(nil, "\xff")), "H\uFFFD"},
		"everything is appended": {string(wire.AppendAck(wire.AppendEmptyReply([]byte("x"), []byte("1")), "id")), "x1;;;;;;Aid"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.got != test.want {
				t.Errorf("got %q, want %q", test.got, test.want)
			}
		})
	}
}

func TestAcknowledgementFrames(t *testing.T) {
	tests := map[string]struct {
		payload          string
		hello            bool
		id, refusal      string
		isAck, isRefusal bool
	}{
		"empty":                  {},
		"hello":                  {payload: wire.Hello, hello: true},
		"only the first byte":    {payload: "Mwhatever;1;2", hello: true},
		"lower case is no hello": {payload: "m"},
		"ack":                    {payload: "Aid;1", id: "id;1", isAck: true},
		"ack without ID":         {payload: "A", isAck: true},
		"refusal":                {payload: "Hno", refusal: "no", isRefusal: true},
		"refusal without text":   {payload: "H", isRefusal: true},
		"message":                {payload: ";;;;;;"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			payload := []byte(test.payload)
			if _, got := wire.ParseHello(payload); got != test.hello {
				t.Errorf("ParseHello(%q) is %t, want %t", payload, got, test.hello)
			}
			if id, ok := wire.ParseAck(payload); string(id) != test.id || ok != test.isAck {
				t.Errorf("ParseAck(%q) is %q, %t, want %q, %t", payload, id, ok, test.id, test.isAck)
			}
			if text, ok := wire.ParseRefusal(payload); string(text) != test.refusal || ok != test.isRefusal {
				t.Errorf("ParseRefusal(%q) is %q, %t, want %q, %t", payload, text, ok, test.refusal, test.isRefusal)
			}
		})
	}
}

// equal compares messages; nil and empty slices are the same field.
func equal(a, b wire.Message) bool {
	return bytes.Equal(a.Token, b.Token) && reflect.DeepEqual(printable(a), printable(b))
}

type text struct {
	Token, Namespace, Room, Event, Body string
	Error, NoOp, Binary, Verbatim       bool
}

func printable(m wire.Message) text {
	return text{
		string(m.Token), string(m.Namespace), string(m.Room), string(m.Event), string(m.Body),
		m.Error, m.NoOp, m.Binary, m.Verbatim,
	}
}
