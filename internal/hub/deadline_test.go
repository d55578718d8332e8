package hub

import (
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/testkit"
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
		// A burst is not slowness: the kernel takes some megabytes.
		for sent := 0; !c.IsPaused(engine.PauseSlow); sent++ {
			if !c.IsOpen() || sent == 2000 {
				t.Errorf("open: %t, after %d frames, want it open and not read", c.IsOpen(), sent)
				return
			}
			c.Send(make([]byte, 60_000), true)
		}
		if !c.IsOpen() {
			t.Error("closed before its socket had time to take anything")
		}
		// Frames that no other connection shares have a limit of their own.
		c.Send(make([]byte, 2<<10), true)
		if c.IsOpen() {
			t.Error("the connection is open, want it closed as a slow consumer")
		}
	})
	for frame := ws.OpBinary; frame == ws.OpBinary; {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		f, err := testkit.ReadFrame(conn)
		if err != nil {
			t.Fatal(err)
		}
		if frame = f.Header.OpCode; frame == ws.OpClose {
			if got, _ := ws.ParseCloseFrameData(f.Payload); got != ws.StatusCode(wire.CodeSlowConsumer) {
				t.Errorf("closed with %d, want %d", got, wire.CodeSlowConsumer)
			}
		}
	}
	_ = conn.Close()
	s.expectCloses(t, wire.CodeSlowConsumer)
}
