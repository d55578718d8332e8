package node_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// ending is a way in which a connection closes.
type ending struct {
	name   string
	hello  bool                                                // the client sends it and is acknowledged
	change func(*node.Config)                                  // nil: nothing
	opened func(*node.Conn)                                    // called by OnOpened; nil: nothing
	end    func(t *testing.T, f *front, p *peer, c *node.Conn) // nil: the node closes it
	want   closing
}

func endings() []ending {
	quick := func(c *node.Config) { c.Timeouts.Close = 100 * time.Millisecond }
	says := func(bytes string) func(*testing.T, *front, *peer, *node.Conn) {
		return func(_ *testing.T, _ *front, p *peer, _ *node.Conn) { p.write(bytes) }
	}
	return []ending{
		{name: "the peer closes", hello: true, end: says(frame(ws.OpClose, true, "\x03\xe8")),
			want: closing{wire.CodeNormal, node.ByPeer}},
		{name: "the peer closes with a code of its own", hello: true, end: says(frame(ws.OpClose, true, "\x0f\xa5bye")),
			want: closing{4005, node.ByPeer}},
		{name: "the peer closes without a code", hello: true, end: says(frame(ws.OpClose, true, "")),
			want: closing{wire.CodeNoStatus, node.ByPeer}},
		{name: "the peer closes before its hello", end: says(frame(ws.OpClose, true, "\x03\xe8")),
			want: closing{wire.CodeNormal, node.ByPeer}},
		{name: "the peer leaves", hello: true,
			end:  func(_ *testing.T, _ *front, p *peer, _ *node.Conn) { _ = p.conn.Close() },
			want: closing{wire.CodeAbnormal, node.ByPeer}},
		{name: "the peer leaves before its hello",
			end:  func(_ *testing.T, _ *front, p *peer, _ *node.Conn) { _ = p.conn.Close() },
			want: closing{wire.CodeAbnormal, node.ByPeer}},
		{name: "the peer resets", hello: true,
			end:  func(_ *testing.T, _ *front, p *peer, _ *node.Conn) { p.reset(); _ = p.conn.Close() },
			want: closing{wire.CodeAbnormal, node.ByPeer}},
		{name: "the application closes in OnOpened", hello: true, opened: func(c *node.Conn) { c.Close(4321, "not now") },
			end:  func(t *testing.T, _ *front, p *peer, _ *node.Conn) { expectClosedWith(t, p, 4321) },
			want: closing{4321, node.ByServer}},
		{name: "the application closes twice, and the peer does not answer", hello: true, change: quick,
			end:  func(_ *testing.T, _ *front, _ *peer, c *node.Conn) { c.Close(4321, ""); c.Close(4322, "") },
			want: closing{4321, node.ByServer}},
		{name: "the application and the peer close at once", hello: true,
			end: func(t *testing.T, _ *front, p *peer, c *node.Conn) {
				c.Close(4321, "")
				expectClosedWith(t, p, 4321)
				_ = p.conn.Close()
			},
			want: closing{4321, node.ByServer}},
		{name: "slow consumer", hello: true,
			change: func(c *node.Config) { quick(c); c.Limits.SendQueue = 64 << 10 },
			end: func(t *testing.T, _ *front, _ *peer, c *node.Conn) {
				payload := []byte(strings.Repeat("x", 60_000))
				eventually(t, "the connection is closed", func() bool { return c.WriteNative(payload, false) != nil })
			},
			want: closing{wire.CodeSlowConsumer, node.ByServer}},
		{name: "no answer to a ping", hello: true,
			change: func(c *node.Config) {
				quick(c)
				c.Timeouts.Ping, c.Timeouts.Pong = 50*time.Millisecond, 50*time.Millisecond
			},
			want: closing{wire.CodePingTimeout, node.ByServer}},
		{name: "no hello",
			change: func(c *node.Config) { quick(c); c.Timeouts.Handshake = 2 * time.Second },
			want:   closing{wire.CodeAckTimeout, node.ByServer}},
		{name: "too much before the hello", change: quick, end: says(strings.Repeat(frame(ws.OpText, true, "$1;default;;e;0;0;"+strings.Repeat("x", 60_000)), 4)),
			want: closing{wire.CodePolicy, node.ByServer}},
		{name: "protocol error", hello: true, change: quick, end: says("\x81\x01a"),
			want: closing{wire.CodeProtocolError, node.ByServer}},
		{name: "protocol error before the hello", change: quick, end: says("\x81\x01a"),
			want: closing{wire.CodeProtocolError, node.ByServer}},
		{name: "no UTF-8", hello: true, change: quick, end: says(frame(ws.OpText, true, "\xff")),
			want: closing{wire.CodeInvalidData, node.ByServer}},
		{name: "too big", hello: true, change: quick, end: says(frame(ws.OpText, true, strings.Repeat("x", 70_000))),
			want: closing{wire.CodeTooBig, node.ByServer}},
		{name: "many messages that do not parse", hello: true, change: quick, end: says(strings.Repeat(frame(ws.OpText, true, "nonsense"), 101)),
			want: closing{wire.CodeInvalidFlood, node.ByServer}},
		{name: "shutdown", hello: true, end: func(t *testing.T, f *front, p *peer, _ *node.Conn) {
			shutdown := make(chan error, 1)
			go func() { shutdown <- f.Shutdown(context.Background()) }()
			expectClosedWith(t, p, 1001)
			if err := <-shutdown; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		}, want: closing{wire.CodeGoingAway, node.ByServer}},
		{name: "shutdown before the hello", change: quick, end: func(t *testing.T, f *front, _ *peer, _ *node.Conn) {
			if err := f.Shutdown(context.Background()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		}, want: closing{wire.CodeGoingAway, node.ByServer}},
		{name: "the node is closed", hello: true, end: func(t *testing.T, f *front, _ *peer, _ *node.Conn) {
			if err := f.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}, want: closing{wire.CodeGoingAway, node.ByServer}},
	}
}

// expectClosedWith reads up to a close frame and answers it.
func expectClosedWith(tb testing.TB, p *peer, code ws.StatusCode) {
	tb.Helper()
	if got := answerClose(p); got != code {
		tb.Errorf("closed with %d, want %d", got, code)
	}
}

// OnClosed is called exactly once for every connection, after OnOpened, with
// the code and the side that closed it (neffos#41, row 13 of the lessons).
func TestEveryConnectionEndsOnce(t *testing.T) {
	for _, e := range endings() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			var closed *ends
			var conns chan *node.Conn
			eachFront(t, e.change, func(n *node.Node) {
				closed, conns = recordEnds(n), make(chan *node.Conn, 10)
				n.OnAccept(func(context.Context, *node.Accept) error { return nil })
				n.OnOpened(func(_ context.Context, event *node.OpenedEvent) {
					if e.opened != nil {
						e.opened(event.Conn)
					}
					conns <- event.Conn
				})
			}, func(t *testing.T, f *front) {
				p := f.connect(t)
				p.write(upgradeRequest("/ws"))
				p.expectSwitch()
				var c *node.Conn
				if e.hello {
					p.hello()
					c = <-conns
				}
				if e.end != nil {
					e.end(t, f, p, c)
				}
				closed.expect(t, e.want)
				if c != nil && (!c.IsClosed() || c.Context().Err() == nil || c.WriteNative(nil, false) == nil) {
					t.Error("the connection can still be used")
				}
				go func() { _, _ = io.Copy(io.Discard, p.conn) }()
				eventually(t, "the connection has closed", func() bool { return f.Connections() == 0 })
				closed.expectNoMore(t, f.Node)
				if len(conns) != 0 {
					t.Error("OnOpened was called once more")
				}
			})
		})
	}
}
