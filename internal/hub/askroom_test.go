package hub

import (
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/rpc"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/wire"
)

// openApp has every namespace.
type openApp struct{ handlingApp }

func (openApp) Namespace(name string) any { return name }

// An ask to a room reaches also the members on a loop that has no time before
// the ask has ended, and does not wait for them.
func TestEndedAskReachesEveryMember(t *testing.T) {
	s := startShard(t, false, func(cfg *Config) {
		cfg.Engine.Loops, cfg.Engine.Blocking = 2, true // which take turns
		cfg.App = openApp{}
	})
	h := s.hub
	s.dial(t)
	busy := testShard{h.shards[1], s.address}
	c, conn := busy.dial(t)
	busy.onLoop(func() {
		for _, message := range []string{wire.Hello, "1;chat;;_OnNamespaceConnect;0;0;", "2;chat;r;_OnRoomJoin;0;0;"} {
			c.Message([]byte(message), false)
		}
	})

	const ask = ";chat;r;q;0;0;"
	release := make(chan struct{})
	busy.Post(func() { <-release })
	id := h.peer.Open(func(rpc.Answer, error) {})
	h.peer.Forward(id, &rpc.RoomMessage{Namespace: "chat", Room: "r", Payload: []byte(ask)}, "", uint32(patience.Milliseconds()), nil)
	h.peer.Abandon(id)
	s.onLoop(func() {}) // the end of the ask has been published
	close(release)

	_ = conn.SetReadDeadline(time.Now().Add(patience))
	for {
		frame, err := testkit.ReadFrame(conn)
		if err != nil {
			t.Fatalf("waiting for the ask: %v", err)
		}
		if m, err := wire.Parse(frame.Payload, false); err == nil && string(m.Event) == "q" {
			break
		}
	}
	busy.eventually(t, "the ask ends", func() bool { return h.OpenAsks() == 0 })
}
