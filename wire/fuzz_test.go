package wire_test

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/stoa-io/stoa/internal/golden"
	"github.com/stoa-io/stoa/wire"
)

// FuzzParse: any bytes either parse or are refused, and what parses is stable
// under writing and parsing again.
func FuzzParse(f *testing.F) {
	for _, conversation := range golden.Load(f) {
		for _, frame := range conversation.Frames {
			if len(frame.Payload) < 1024 {
				f.Add(frame.Payload, frame.Op == golden.Binary)
			}
		}
	}
	for _, test := range messages {
		f.Add([]byte(test.payload), true)
	}
	f.Fuzz(func(t *testing.T, payload []byte, binary bool) {
		original := bytes.Clone(payload)
		m, err := wire.Parse(payload, binary)
		if isShort := bytes.Count(payload, []byte{';'}) < 6; (err != nil) != isShort {
			t.Fatalf("error %v, but the payload is short: %t", err, isShort)
		}
		checkLimits(t, payload, binary, m, err)
		if err != nil {
			return
		}
		written := wire.Append(nil, &m)
		if m.Verbatim && !bytes.Equal(written, payload) {
			t.Fatalf("verbatim message is written as %q", written)
		}
		again, err := wire.Parse(written, binary)
		if err != nil {
			t.Fatalf("what Append wrote does not parse: %q", written)
		}
		if twice := wire.Append(nil, &again); !bytes.Equal(twice, written) {
			t.Fatalf("first written as %q, then as %q", written, twice)
		}
		again.Verbatim = m.Verbatim
		if !equal(again, m) {
			t.Fatalf("after a round trip %+v, want %+v", printable(again), printable(m))
		}
		clone := m.Clone()
		if !equal(clone, m) {
			t.Fatalf("clone %+v, want %+v", printable(clone), printable(m))
		}
		if !bytes.Equal(payload, original) {
			t.Fatalf("the payload was changed to %q", payload)
		}
	})
}

// checkLimits compares Limits.Parse with Parse and Check one after the other.
func checkLimits(t *testing.T, payload []byte, binary bool, m wire.Message, parseError error) {
	t.Helper()
	limits := wire.Limits{Token: 8, Namespace: 8, Room: 8, Event: 8}
	want := parseError
	if want == nil {
		want = limits.Check(&m)
	}
	limited, err := limits.Parse(payload, binary)
	if err != want {
		t.Fatalf("Limits.Parse gave %v, Parse and Check %v", err, want)
	}
	if err == nil && !equal(limited, m) {
		t.Fatalf("Limits.Parse gave %+v, Parse %+v", printable(limited), printable(m))
	}
}

// FuzzAppend: for every message of a program the peer gets seven fields, and
// for an error an answer that is an error.
func FuzzAppend(f *testing.F) {
	f.Add("$7", "default", "lobby", "chat", "a;b", true, false)
	f.Add("", "n;s", "@%!semicolon;", "@%!semicolon@%!", "", false, true)
	f.Fuzz(func(t *testing.T, token, namespace, room, event, body string, isError, noOp bool) {
		if bytes.ContainsRune([]byte(token), ';') || bytes.HasPrefix([]byte(token), []byte("neffos(0x")) {
			return
		}
		m := wire.Message{
			Token: []byte(token), Namespace: []byte(namespace), Room: []byte(room), Event: []byte(event),
			Body: []byte(body), Error: isError, NoOp: noOp,
		}
		written := wire.Append(nil, &m)
		parsed, err := wire.Parse(written, false)
		if err != nil {
			t.Fatalf("%q does not parse", written)
		}
		if string(parsed.Token) != token || string(parsed.Body) != body || parsed.Error != isError || parsed.NoOp != noOp {
			t.Fatalf("%q was parsed as %+v", written, printable(parsed))
		}
		if again := wire.Append(nil, &parsed); !bytes.Equal(again, written) {
			t.Fatalf("first written as %q, then as %q", written, again)
		}
		answer, err := wire.Parse(wire.AppendError(nil, &m, body), false)
		if err != nil || !answer.Error || len(answer.Body) == 0 || !utf8.Valid(answer.Body) {
			t.Fatalf("error answer %+v, %v: want an error with a text", printable(answer), err)
		}
	})
}

// FuzzTokens: a token that parses is exactly the one that its counter makes.
func FuzzTokens(f *testing.F) {
	for _, token := range []string{"", "$", "$1", "1", "007", "18446744073709551615", "18446744073709551616", "$!123"} {
		f.Add([]byte(token))
	}
	f.Fuzz(func(t *testing.T, token []byte) {
		if counter, ok := wire.ParseServerToken(token); ok && !bytes.Equal(wire.AppendServerToken(nil, counter), token) {
			t.Errorf("server token %q parsed as %d", token, counter)
		}
		if counter, ok := wire.ParseClientToken(token); ok && !bytes.Equal(wire.AppendClientToken(nil, counter), token) {
			t.Errorf("client token %q parsed as %d", token, counter)
		}
	})
}

// FuzzHello: the features of any hello are known ones, and are read again from
// the hello that names them.
func FuzzHello(f *testing.F) {
	for _, hello := range []string{"M", "M expiry", "M x expiry", "Mexpiry ", "A", ""} {
		f.Add([]byte(hello))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		features, ok := wire.ParseHello(payload)
		if want := len(payload) > 0 && payload[0] == 'M'; ok != want || !ok && features != 0 {
			t.Fatalf("features %d, %t, want a hello: %t", features, ok, want)
		}
		written := wire.AppendHello(nil, features)
		if again, _ := wire.ParseHello(written); again != features {
			t.Fatalf("features %d are written as %q, which has %d", features, written, again)
		}
	})
}

// FuzzPublishRequest: a request that can be read is one that a client may send,
// and survives being written and read again.
func FuzzPublishRequest(f *testing.F) {
	for _, body := range []string{"1,chat;Hello", "i,a@%!semicolon@%!b;x;y", "i,_OnRoomJoin;", "a b,;", ",;", "i,e", "", "@%!semicolon@%!,e;"} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, ok := wire.ParsePublishRequest(body)
		if !ok {
			return
		}
		if !wire.IsPublishID(r.ID) || wire.CheckOutgoing("", "", string(r.Event)) != nil {
			t.Fatalf("%q was read as the ID %q and the event %q", body, r.ID, r.Event)
		}
		written := wire.AppendPublishRequest(nil, &r)
		again, ok := wire.ParsePublishRequest(written)
		if !ok || !bytes.Equal(again.ID, r.ID) || !bytes.Equal(again.Event, r.Event) || !bytes.Equal(again.Body, r.Body) {
			t.Fatalf("%q was read as %q, written as %q, and read as %q, %t", body, r, written, again, ok)
		}
	})
}
