package hub

import (
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/wire"
)

// expectCloses waits until one connection, and no other, was closed with the
// code by this server.
func (s testShard) expectCloses(t *testing.T, code wire.Code) {
	t.Helper()
	var closes map[CloseKey]uint64
	s.eventually(t, "the connection is gone", func() bool {
		stats := s.Stats()
		closes = stats.Closes
		return stats.Engine.Connections == 0
	})
	if len(closes) != 1 || closes[CloseKey{code.Label(), engine.ByServer}] != 1 {
		t.Errorf("closes %v, want one with %d", closes, code)
	}
}

func TestHelloDeadline(t *testing.T) {
	s := startShard(t, false, func(cfg *Config) {
		cfg.Engine.Timeouts.Handshake = 100 * time.Millisecond
	})
	_, conn := s.dial(t)
	expectClose(t, conn, wire.CodeAckTimeout)
	_ = conn.Close()
	s.expectCloses(t, wire.CodeAckTimeout)
}

func TestNoDeadlineAfterHello(t *testing.T) {
	s := startShard(t, false, func(cfg *Config) {
		cfg.Engine.Timeouts.Close = time.Millisecond // the loop looks at deadlines as often as it can
	})
	c, _ := s.dial(t)
	var start uint32
	s.onLoop(func() {
		c.SetDeadline(1)
		c.Message([]byte(wire.Hello), false)
		start = s.loop.Now()
	})
	s.eventually(t, "the deadline passes", func() bool { return s.loop.Now()-start >= 100 })
	s.onLoop(func() {
		if !c.IsOpen() {
			t.Error("a deadline outlived the hello")
		}
	})
}

func TestSlowConsumer(t *testing.T) {
	s := startShard(t, false, func(cfg *Config) {
		cfg.Engine.Limits.SendQueue = 1 << 10
	})
	c, conn := s.dial(t)
	s.onLoop(func() {
		for range 3 {
			c.Send(make([]byte, 600), true)
		}
		if c.IsOpen() {
			t.Error("the connection is open, want it closed as a slow consumer")
		}
	})
	expectClose(t, conn, wire.CodeSlowConsumer) // without the frames of the queue
	_ = conn.Close()
	s.expectCloses(t, wire.CodeSlowConsumer)
}
