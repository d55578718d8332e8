package node

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stoa-io/stoa/wire"
)

// neffos row 21: the pause before a connect that the server starts counts from the
// acknowledgement, not from when the connection was accepted.
func TestPauseCountsFromTheAcknowledgement(t *testing.T) {
	for _, accepted := range []bool{false, true} {
		l := idleLoop(t, Timeouts{})
		l.node.OnOpened(nothingOpened)
		c := l.newConn()
		var a *Accept
		if accepted {
			a = acceptOf(t)
		}
		c.opened(a)
		l.now += 5000 // the client takes its time to say hello
		c.session.Receive([]byte(wire.Hello), false)
		cmd := &command{kind: commandConnect}
		if !c.tooEarly(cmd, c.place(), c.secret) {
			t.Errorf("with an accept handler: %v: a connect right behind the acknowledgement is not put off", accepted)
		}
		l.now += connectPause
		if c.tooEarly(cmd, c.place(), c.secret) {
			t.Errorf("with an accept handler: %v: a connect after the pause is put off", accepted)
		}
	}
}

func nothingOpened(context.Context, *Conn) {}

// acceptOf is what an accept handler has let pass.
func acceptOf(tb testing.TB) *Accept {
	tb.Helper()
	return &Accept{Request: httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/ws", nil)}
}
