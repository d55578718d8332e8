package compat_test

import (
	"strings"
	"testing"

	"github.com/kataras/neffos"
)

// say returns a handler that answers every ask with the same words.
func say(words string) neffos.MessageHandlerFunc {
	return func(*neffos.NSConn, neffos.Message) error { return neffos.Reply([]byte(words)) }
}

func TestExampleWorkday(t *testing.T) {
	program := runBinary(t, buildExample(t, "workday"))
	cases := []struct {
		name, event, body string
		// second is the answer to "which day"; empty for no answer.
		second      string
		want, error string
	}{
		{name: "a Tuesday", event: "workday", body: "2026-07-14", want: "2026-07-14 is a Tuesday: there is work to do"},
		{name: "a Sunday", event: "workday", body: "2026-07-19", want: "2026-07-19 is a Sunday: sleep in"},
		{name: "asked back", event: "workday", body: "tomorrow", second: "2026-07-18", want: "2026-07-18 is a Saturday: sleep in"},
		{name: "asked back in vain", event: "workday", body: "tomorrow", second: "soon", error: "that is no date either"},
		{name: "days", event: "days", body: `{"from":"2026-07-13","to":"2026-07-19"}`, want: `{"work":5,"off":2}`},
		{name: "too many days", event: "days", body: `{"from":"2026-07-13","to":"2036-07-19"}`, error: "at most a year"},
		{name: "no JSON", event: "days", body: "this week", error: `bad body of "days"`},
		{name: "JSON without dates", event: "days", body: `{"from":"Monday"}`, error: `bad body of "days"`},
		{name: "not an event of the example", event: "holiday", error: "unhandled event"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			events := neffos.Events{}
			if c.second != "" {
				events["which day"] = say(c.second)
			}
			p, ns := enter(t, "worker", program.url(""), namespace, nil, events)
			p.socket.quiet(t)
			answer, err := ns.Ask(within(t), c.event, []byte(c.body))
			switch {
			case c.error == "" && (err != nil || string(answer.Body) != c.want):
				t.Errorf("got %q, %v; want %q", answer.Body, err, c.want)
			case c.error != "" && (err == nil || !strings.Contains(err.Error(), c.error)):
				t.Errorf("got %q, %v; want an error with %q", answer.Body, err, c.error)
			}
		})
	}

	t.Run("hello", func(t *testing.T) {
		p, ns := enter(t, "worker", program.url(""), namespace, nil, neffos.Events{"name": say("Ada; στοά")})
		ns.Emit("hello", nil)
		want := message{namespace: namespace, event: "welcome", body: "Welcome, Ada; στοά!"}
		if got := p.received(t, 1)[0]; got != want {
			t.Errorf("received %+v, want %+v", got, want)
		}
	})
}

// A handler that asks a silent client returns when the client disconnects.
func TestExampleWorkdayOfClosingClient(t *testing.T) {
	program := runBinary(t, buildExample(t, "workday"))
	asked := make(chan struct{})
	p, ns := enter(t, "worker", program.url(""), namespace, nil, neffos.Events{
		"which day": func(*neffos.NSConn, neffos.Message) error {
			close(asked)
			return nil // no reply
		},
	})
	go func() { _, _ = ns.Ask(within(t), "workday", []byte("someday")) }()
	<-asked
	p.Close()
	// runBinary checks that SIGTERM ends the program without an error, so no
	// handler is left.
}
