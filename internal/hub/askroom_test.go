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

// An ask counts the members that it asks in the budget of the turn, and its end
// reaches only the loops that have members.
func TestAskCountsItsMembers(t *testing.T) {
	s := startShard(t, false, func(cfg *Config) {
		cfg.Engine.Loops, cfg.Engine.Blocking = 2, true
		cfg.App = openApp{}
	})
	c, _ := s.dial(t)
	s.onLoop(func() {
		for _, message := range []string{wire.Hello, "1;chat;;_OnNamespaceConnect;0;0;", "2;chat;r;_OnRoomJoin;0;0;"} {
			c.Message([]byte(message), false)
		}
	})
	reached, release := make(chan struct{}), make(chan struct{})
	s.Post(func() { close(reached); <-release })
	<-reached // so that one turn takes the rest
	var before, after int
	s.Post(func() { before = s.budget })
	id := s.hub.peer.Open(func(rpc.Answer, error) {})
	s.hub.peer.Forward(id, &rpc.RoomMessage{Namespace: "chat", Room: "r", Payload: []byte(";chat;r;q;0;0;")}, "", 1000, nil)
	s.Post(func() { after = s.budget })
	close(release)
	s.onLoop(func() {})
	const tasks = 2 // of the same turn
	if got := before - after - tasks; got != askCost {
		t.Errorf("an ask of one member takes %d of the budget, want %d", got, askCost)
	}

	other := s.hub.shards[1]
	asked := &memberAsk{opened: make([][]openedAsk, 2), loops: 1}
	blocked, block := make(chan struct{}), make(chan struct{})
	other.Post(func() { close(blocked); <-block })
	<-blocked
	s.hub.endRoom(&rpc.RoomCall{Local: asked})
	other.inbox.mu.Lock()
	waiting := len(other.inbox.entries)
	other.inbox.mu.Unlock()
	close(block)
	if waiting > 0 {
		t.Error("the end of an ask is posted to a loop that was not asked")
	}
	s.hub.peer.Abandon(id)
}
