package hub

import (
	"testing"

	"github.com/stoa-io/stoa/internal/rpc"
	"github.com/stoa-io/stoa/wire"
)

// neffos row 21: the pause before a connect that the server starts counts from
// the acknowledgement, not from when the connection was accepted.
func TestPauseCountsFromTheAcknowledgement(t *testing.T) {
	for name, decides := range map[string]bool{"accepted by the application": true, "accepted by the engine": false} {
		t.Run(name, func(t *testing.T) {
			s := startShard(t, decides, nil)
			c, _ := s.dial(t)
			s.awaitPause(t) // the client takes its time to say hello
			request := &requestTask{request: &rpc.Request{Op: rpc.OpConnect}}
			s.onLoop(func() {
				request.ref = c.ref()
				c.Message([]byte(wire.Hello), false)
				if !c.tooEarly(request) {
					t.Error("a connect right after the acknowledgement is not put off")
				}
			})
			s.awaitPause(t)
			s.onLoop(func() {
				if c.tooEarly(request) {
					t.Error("a connect after the pause is put off")
				}
			})
		})
	}
}

// awaitPause waits until the loop's clock has advanced by the pause.
func (s testShard) awaitPause(t *testing.T) {
	t.Helper()
	var start uint32
	s.onLoop(func() { start = s.loop.Now() })
	s.eventually(t, "the loop's clock advances", func() bool { return s.loop.Now()-start >= connectPause })
}
