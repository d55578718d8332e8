package wire_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/wire"
)

func TestPositionTexts(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "AZaz09-_": true, strings.Repeat("x", 24): true,
		strings.Repeat("x", 25): false, "a b": false, "a;b": false, "a,b": false, "@a": false, "\xff": false, "ä": false, "a\n": false,
	} {
		if got := wire.IsPosition(text); got != want {
			t.Errorf("IsPosition(%q) is %v, want %v", text, got, want)
		}
	}
	if wire.MaxPosition != cluster.MaxPositionText {
		t.Errorf("a client may send positions of %d bytes, those of brokers have up to %d", wire.MaxPosition, cluster.MaxPositionText)
	}
	longest := cluster.Position{Incarnation: 1<<64 - 1, Number: 1<<64 - 1}.String()
	if !wire.IsPosition(longest) {
		t.Errorf("IsPosition(%q) is false, want true for any of a broker", longest)
	}
}

func TestPositionTokens(t *testing.T) {
	message := wire.AppendPosition(nil, "p1")
	message = wire.Append(message, &wire.Message{Namespace: []byte("a"), Room: []byte("r"), Event: []byte("e"), Body: []byte("b")})
	if got := string(message); got != "@p1;a;r;e;0;0;b" {
		t.Errorf("an emit with a position is %q", got)
	}
	for token, want := range map[string]struct {
		position string
		ok       bool
	}{
		"@p1": {"p1", true}, "@": {"", true}, "@not one": {"", true}, "": {"", false}, "$1": {"", false}, "x@p": {"", false},
	} {
		position, ok := wire.ParsePosition([]byte(token))
		if string(position) != want.position || ok != want.ok || (position == nil) != (want.position == "") {
			t.Errorf("ParsePosition(%q) is %q, %t, want %q, %t", token, position, ok, want.position, want.ok)
		}
	}
}

func TestRecoveryRequests(t *testing.T) {
	long := strings.Repeat("i", wire.MaxRecoveryID)
	for body, want := range map[string]wire.RecoveryRequest{
		",,;":                {},
		"p,,;":               {Position: "p"},
		",007,;":             {Limit: 7},
		"p,999999999,a,b c;": {Position: "p", Limit: wire.MaxRecoveryLimit, ExceptID: "a,b c"},
		",0," + long + ";":   {ExceptID: long},
	} {
		got, rest, ok := wire.ParseRecoveryRequest([]byte(body + "x;y"))
		if !ok || got != want || string(rest) != "x;y" {
			t.Errorf("ParseRecoveryRequest(%q) is %+v, %q, %t, want %+v", body, got, rest, ok, want)
		}
	}
	for _, body := range []string{"", ";", ",;", "p,1,id", "p,1", "1,x,;", "p,-1,;", "p, 1,;", "p,1234567890,;", "p p,,;", ",0," + long + "i;", ",0,ä;", ",0,\xff;"} {
		if got, rest, ok := wire.ParseRecoveryRequest([]byte(body)); ok || got != (wire.RecoveryRequest{}) || rest != nil {
			t.Errorf("ParseRecoveryRequest(%q) is %+v, %q, %t, want none", body, got, rest, ok)
		}
	}
	for _, id := range []string{long + "i", "a;b", "ä", "a\x00"} {
		if got := string(wire.AppendRecoveryRequest(nil, &wire.RecoveryRequest{Limit: 1 << 40, ExceptID: id})); got != ",999999999,;" {
			t.Errorf("with the ID %q the request is %q, want it without the ID", id, got)
		}
	}
}

func TestRecoveryAnswers(t *testing.T) {
	for body, want := range map[string]wire.RecoveryAnswer{
		"0,,0;":       {},
		"0,,;":        {},
		"1,p9,12;":    {Recovered: true, Position: "p9", Count: 12},
		"0,p9,00012;": {Position: "p9", Count: 12},
	} {
		got, rest, ok := wire.ParseRecoveryAnswer([]byte(body + "x;y"))
		if !ok || got != want || string(rest) != "x;y" {
			t.Errorf("ParseRecoveryAnswer(%q) is %+v, %q, %t, want %+v", body, got, rest, ok, want)
		}
	}
	for _, body := range []string{"", ";", "1,p,1", "2,p,1;", ",p,1;", "1,p;", "1,p p,1;", "1,p,-1;", "1,p,1,1;", "1,p,1234567890;"} {
		if got, rest, ok := wire.ParseRecoveryAnswer([]byte(body)); ok || got != (wire.RecoveryAnswer{}) || rest != nil {
			t.Errorf("ParseRecoveryAnswer(%q) is %+v, %q, %t, want none", body, got, rest, ok)
		}
	}
}

func TestHistoryQueries(t *testing.T) {
	for body, want := range map[string]wire.HistoryQuery{
		"":                            {},
		"{}":                          {},
		`{"limit":50,"new":[1]}`:      {Limit: 50},
		`{"before":"b","after":""}`:   {Before: "b"},
		`{"after":"a","oldest":true}`: {After: "a", Oldest: true},
	} {
		if got, err := wire.ParseHistoryQuery([]byte(body)); got != want || err != nil {
			t.Errorf("ParseHistoryQuery(%q) is %+v, %v, want %+v", body, got, err, want)
		}
	}
	for _, body := range []string{"null", "[]", "5", " {}", "{", `{"limit":-1}`, `{"limit":1.5}`, `{"limit":"5"}`, `{"before":"no position"}`, `{"after":1}`, `{"after":"` + strings.Repeat("x", 10000) + `"}`} {
		if got, err := wire.ParseHistoryQuery([]byte(body)); got != (wire.HistoryQuery{}) || !errors.Is(err, wire.ErrInvalidPayload) {
			t.Errorf("ParseHistoryQuery(%.40q) is %+v, %v, want %v", body, got, err, wire.ErrInvalidPayload)
		}
	}
}

// The form of an entry says whether its frame was binary, even if it is empty.
func TestHistoryEntries(t *testing.T) {
	for want, entry := range map[string]wire.HistoryEntry{
		`{"position":"p","time":1,"event":"e"}`:                       {Position: "p", Time: 1, Event: "e"},
		`{"position":"p","time":1,"event":"e","body":"b","user":"u"}`: {Position: "p", Time: 1, Event: "e", Body: "b", User: "u"},
		`{"position":"p","time":1,"event":"e","binary":""}`:           {Position: "p", Time: 1, Event: "e", Binary: []byte{}},
		`{"position":"p","time":1,"event":"e","binary":"AP8="}`:       {Position: "p", Time: 1, Event: "e", Binary: []byte{0, 255}},
	} {
		text, err := json.Marshal(entry)
		if err != nil || string(text) != want {
			t.Errorf("%+v is %s, %v, want %s", entry, text, err, want)
		}
		var again wire.HistoryEntry
		if err := json.Unmarshal(text, &again); err != nil || (again.Binary == nil) != (entry.Binary == nil) || again.Body != entry.Body {
			t.Errorf("%s is read as %+v, %v, want %+v", text, again, err, entry)
		}
	}
}

// FuzzRecovery: any bytes either are parameters or are refused, and parameters
// are read again as they are written.
func FuzzRecovery(f *testing.F) {
	for _, body := range []string{"p,50,id;body", ",,;", "1,p,3;", "0,,0;x;y", "1,p,3", ";", "", `{"limit":-1,"after":"ua"}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if request, rest, ok := wire.ParseRecoveryRequest(body); ok {
			written := append(wire.AppendRecoveryRequest(nil, &request), rest...)
			again, sameRest, ok := wire.ParseRecoveryRequest(written)
			if !ok || again != request || string(sameRest) != string(rest) {
				t.Errorf("the request %+v is written as %q, and read as %+v", request, written, again)
			}
			if !wire.IsPosition(request.Position) || request.Limit < 0 || request.Limit > wire.MaxRecoveryLimit || len(request.ExceptID) > wire.MaxRecoveryID {
				t.Errorf("%q is the request %+v, which is out of bounds", body, request)
			}
		}
		if answer, rest, ok := wire.ParseRecoveryAnswer(body); ok {
			written := append(wire.AppendRecoveryAnswer(nil, &answer), rest...)
			again, sameRest, ok := wire.ParseRecoveryAnswer(written)
			if !ok || again != answer || string(sameRest) != string(rest) {
				t.Errorf("the answer %+v is written as %q, and read as %+v", answer, written, again)
			}
			if !wire.IsPosition(answer.Position) || answer.Count < 0 || answer.Count > wire.MaxRecoveryLimit {
				t.Errorf("%q is the answer %+v, which is out of bounds", body, answer)
			}
		}
		if query, err := wire.ParseHistoryQuery(body); err == nil && (query.Limit < 0 || !wire.IsPosition(query.Before) || !wire.IsPosition(query.After)) {
			t.Errorf("%q is the query %+v, which is out of bounds", body, query)
		}
		if query, err := wire.ParsePresenceQuery(body); err == nil {
			written, _ := json.Marshal(query)
			if again, err := wire.ParsePresenceQuery(written); err != nil || again != query {
				t.Errorf("the query %+v is written as %q, and read as %+v, %v", query, written, again, err)
			}
		}
		if position, ok := wire.ParsePosition(body); ok && (position != nil) != (len(position) > 0 && wire.IsPosition(position)) {
			t.Errorf("the token %q has the position %q", body, position)
		}
	})
}
