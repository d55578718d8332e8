package connect

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/wire"
)

func TestTextLine(t *testing.T) {
	rooms := []membership{{"default", []string{"lobby", "a b"}}, {"chat", []string{}}}
	cases := []struct {
		name string
		r    record
		want string
	}{
		{"message", record{Type: recordMessage, Namespace: "default", Room: "lobby", Event: "said", body: []byte("hi")}, "default/lobby said hi"},
		{"message without a room", record{Type: recordMessage, Namespace: "default", Event: "said"}, "default said"},
		{"names in quotes", record{Type: recordMessage, Namespace: "", Room: "a b", Event: "\a", body: []byte("hi")}, `""/"a b" "\a" hi`},
		{"binary", record{Type: recordMessage, Namespace: "default", Event: "said", body: []byte{0, 1}, Binary: true}, `default said binary "\x00\x01"`},
		{"question", record{Type: recordAsk, Namespace: "default", Event: "who", Error: "unhandled event"}, "default who (an ask; answered with: unhandled event)"},
		{"native", record{Type: recordNative, body: []byte("hi")}, "native hi"},
		{"answer", record{Type: recordAnswer, body: []byte("noon"), Took: 1.5}, "answer after 1.50 ms: noon"},
		{"left", record{Type: recordLeft, Namespace: "default", Room: "lobby", Error: "bad room"}, "* left default/lobby: bad room"},
		{"rooms", record{Type: recordRooms, Namespaces: rooms}, `default: lobby "a b"; chat: no room`},
		{"no rooms", record{Type: recordRooms}, "no namespace"},
		{"status", record{Type: recordStatus, State: "connected", ID: "x1", Namespaces: rooms[1:]}, "connected, ID x1; chat: no room"},
		{"error", record{Type: recordError, Error: "ask: \x1b[2J"}, `ask: \x1b[2J`},
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.r.Time = at
			if got, want := string(textFormat{}.format(c.r)), "03:04:05.006 "+c.want+"\n"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestTextColors(t *testing.T) {
	r := record{Type: recordMessage, Namespace: "default", Event: "said", body: []byte("hi")}
	want := "\x1b[2m00:00:00.000\x1b[0m \x1b[36mdefault\x1b[0m \x1b[1;32msaid\x1b[0m hi\n"
	if got := string(textFormat{color: true}.format(r)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Every state change has a line of text and one of JSON.
func TestStates(t *testing.T) {
	lost := &client.CloseError{Code: wire.CodeServiceRestart, Reason: "a\nb"}
	cases := []struct {
		name   string
		change client.StateEvent
		text   string // empty: it is not shown
		json   string
	}{
		{
			"connected", client.StateEvent{From: client.StateConnecting, To: client.StateConnected, ID: "x1", Attempt: 1},
			"* connected, ID x1", `"type":"state","state":"connected","id":"x1","attempt":1}`,
		},
		{
			"lost", client.StateEvent{
				From: client.StateConnected, To: client.StateReconnecting, Err: lost, Code: lost.Code, Reason: lost.Reason,
				Attempt: 1, Delay: 120 * time.Millisecond,
			},
			`* connection lost: closed by the server: 1012 service restart "a\nb"; attempt 1 in 120ms`,
			`"type":"state","state":"reconnecting","attempt":1,"delay_ms":120,"code":1012,"reason":"a\nb",` +
				`"error":"closed by the server: 1012 service restart \"a\\nb\""}`,
		},
		{
			"failed again", client.StateEvent{From: client.StateReconnecting, To: client.StateReconnecting, Err: errors.New("client: dial: refused"), Attempt: 2},
			"* not connected: refused; attempt 2 in 0s", `"type":"state","state":"reconnecting","attempt":2,"delay_ms":0,"error":"refused"}`,
		},
		{
			"reconnected", client.StateEvent{Conn: new(client.Conn), From: client.StateReconnecting, To: client.StateConnected, ID: "x2", Attempt: 3},
			"* reconnected, ID x2", `"type":"state","state":"connected","id":"x2","attempt":3}`,
		},
		{
			"closed by the user", client.StateEvent{From: client.StateConnected, To: client.StateClosed, Err: client.ErrClosed},
			"* closed", `"type":"state","state":"closed"}`,
		},
		{
			"closed", client.StateEvent{From: client.StateReconnecting, To: client.StateClosed, Err: client.ErrGaveUp},
			"* closed: gave up connecting", `"type":"state","state":"closed","error":"gave up connecting"}`,
		},
		{"first attempt failed", client.StateEvent{From: client.StateConnecting, To: client.StateConnecting, Err: lost}, "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var text, jsonLines strings.Builder
			newConversation(newPrinter(&text, textFormat{}.format), time.Second).onState(context.Background(), &c.change)
			newConversation(newPrinter(&jsonLines, formatJSON), time.Second).onState(context.Background(), &c.change)
			if got := strings.TrimSuffix(text.String(), "\n"); !strings.HasSuffix(got, c.text) || (got == "") != (c.text == "") {
				t.Errorf("text: %q, want %q", got, c.text)
			}
			if got := strings.TrimSuffix(jsonLines.String(), "\n"); !strings.HasSuffix(got, c.json) || (got == "") != (c.json == "") {
				t.Errorf("JSON: %s, want %s", got, c.json)
			}
		})
	}
}

func TestPrinterStopsAtTheFirstError(t *testing.T) {
	p := newPrinter(brokenWriter{}, formatJSON)
	p.show(record{Type: recordMessage})
	p.show(record{Type: recordMessage})
	select {
	case <-p.broken:
	default:
		t.Error("broken is not closed after a failed write")
	}
	if err := p.failure(); !errors.Is(err, errBroken) {
		t.Errorf("failure: got %v, want %v", err, errBroken)
	}
}

var errBroken = errors.New("broken")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }
