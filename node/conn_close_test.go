package node_test

import (
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// closeBody is the payload of a close frame.
func closeBody(code uint16, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, code)) + reason
}

// neffos row 24: close frames are answered. The answer to a close frame has its
// code, and the connection closes.
func TestPeerCloses(t *testing.T) {
	for _, c := range []struct {
		name    string
		payload string
		answer  string
		code    wire.Code
	}{
		{"normal", closeBody(1000, ""), closeBody(1000, ""), wire.CodeNormal},
		{"with a reason", closeBody(1001, "ϟ good bye"), closeBody(1001, ""), wire.CodeGoingAway},
		{"longest reason", closeBody(1000, strings.Repeat("r", 123)), closeBody(1000, ""), wire.CodeNormal},
		{"empty", "", "", wire.CodeNoStatus},
		{"registered later", closeBody(1012, ""), closeBody(1012, ""), wire.CodeServiceRestart},
		{"library's own", closeBody(3000, ""), closeBody(3000, ""), 3000},
		{"application's own", closeBody(4999, "x"), closeBody(4999, ""), 4999},
		{"one that stands for Stoa's own", closeBody(4000, ""), closeBody(4000, ""), wire.CodeSlowConsumer},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := startNode(t, nil)
			p := join(t, n, "default", "r")
			p.write(frame(ws.OpClose, true, c.payload) + frame(ws.OpPing, true, "late"))
			f := p.next()
			if f.Header.OpCode != ws.OpClose || string(f.Payload) != c.answer {
				t.Errorf("got %s, want a close frame with %q", describe(f), c.answer)
			}
			p.expectEnd()
			expectCloses(t, n, c.code, node.ByPeer, 1)
			if s := n.Stats(); s.Connections != 0 || s.Memberships != 0 || s.Rooms != 0 || s.QueueBytes != 0 {
				t.Errorf("%d connections, %d memberships, %d rooms, %d bytes queued, want none",
					s.Connections, s.Memberships, s.Rooms, s.QueueBytes)
			}
		})
	}
}

func TestPeerClosesBadly(t *testing.T) {
	for _, c := range []struct {
		name    string
		payload string
		code    wire.Code
	}{
		{"one byte", "\x03", wire.CodeProtocolError},
		{"code 0", closeBody(0, ""), wire.CodeProtocolError},
		{"code 999", closeBody(999, ""), wire.CodeProtocolError},
		{"code 1004", closeBody(1004, ""), wire.CodeProtocolError},
		{"code 1005", closeBody(1005, ""), wire.CodeProtocolError},
		{"code 1006", closeBody(1006, ""), wire.CodeProtocolError},
		{"code 1015", closeBody(1015, ""), wire.CodeProtocolError},
		{"code 1016", closeBody(1016, ""), wire.CodeProtocolError},
		{"code 2999", closeBody(2999, ""), wire.CodeProtocolError},
		{"code 5000", closeBody(5000, ""), wire.CodeProtocolError},
		{"code 65535", closeBody(65535, ""), wire.CodeProtocolError},
		{"invalid UTF-8 in the reason", closeBody(1000, "\xff"), wire.CodeInvalidData},
		{"half a character in the reason", closeBody(1000, "x\xe2\x82"), wire.CodeInvalidData},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := startNode(t, nil)
			p := dial(t, n)
			p.write(frame(ws.OpClose, true, c.payload))
			p.expectClose(ws.StatusCode(c.code))
			p.expectEnd()
			_ = p.conn.Close()
			expectCloses(t, n, c.code, node.ByServer, 1)
		})
	}
}

// The neffos clients for Go close the connection without a close frame.
func TestPeerDropsTheConnection(t *testing.T) {
	for name, drop := range map[string]func(*net.TCPConn){
		"closed":      func(c *net.TCPConn) { _ = c.Close() },
		"half-closed": func(c *net.TCPConn) { _ = c.CloseWrite() },
		"reset": func(c *net.TCPConn) {
			_ = c.SetLinger(0)
			_ = c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, nil)
			p := join(t, n, "default", "r")
			drop(p.conn.(*net.TCPConn))
			expectCloses(t, n, wire.CodeAbnormal, node.ByPeer, 1)
			if s := n.Stats(); s.Connections != 0 || s.Memberships != 0 {
				t.Errorf("%d connections, %d memberships, want none", s.Connections, s.Memberships)
			}
		})
	}
}

// Messages before a close frame are still relayed (protocol.md section 1, 14),
// and the answer reaches a peer that closes its side at once.
func TestCloseRightAfterMessages(t *testing.T) {
	n := startNode(t, nil)
	other := join(t, n, "default", "r")
	for range 20 {
		p := join(t, n, "default", "r")
		p.write(frame(ws.OpText, true, ";default;r;e;0;0;one") + frame(ws.OpText, true, ";default;r;e;0;0;two") +
			frame(ws.OpClose, true, closeBody(1000, "bye")))
		if err := p.conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		other.expect(";default;r;e;0;0;one", ";default;r;e;0;0;two")
		p.expectClose(ws.StatusNormalClosure)
		p.expectEnd()
	}
	expectCloses(t, n, wire.CodeNormal, node.ByPeer, 20)
}

// flooded makes the server begin a close handshake.
func flooded(tb testing.TB, n *node.Node) *peer {
	tb.Helper()
	p := join(tb, n, "default", "r")
	p.send("no message")
	p.send("no message")
	p.expectClose(ws.StatusCode(wire.CodeInvalidFlood))
	return p
}

func TestServerCloses(t *testing.T) {
	one := func(c *node.Config) { c.Limits.InvalidPayloads = 1 }
	t.Run("it waits for the answer", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { one(c); c.Timeouts.Close = time.Hour })
		p := flooded(t, n)
		// The connection is still open but in no namespace any more.
		p.write(frame(ws.OpText, true, "$a;default;;e;0;0;") + frame(ws.OpPing, true, "p") + frame(ws.OpText, false, "half"))
		if s := n.Stats(); s.Connections != 1 || s.Memberships != 0 {
			t.Errorf("%d connections, %d memberships, want 1 and 0", s.Connections, s.Memberships)
		}
		p.write(frame(ws.OpClose, true, closeBody(uint16(wire.CodeInvalidFlood), "")))
		p.expectEnd()
		expectCloses(t, n, wire.CodeInvalidFlood, node.ByServer, 1)
	})
	t.Run("any answer will do", func(t *testing.T) {
		for _, payload := range []string{"", "\x01", closeBody(1000, ""), closeBody(1006, "\xff")} {
			n := startNode(t, func(c *node.Config) { one(c); c.Timeouts.Close = time.Hour })
			p := flooded(t, n)
			p.write(frame(ws.OpClose, true, payload))
			p.expectEnd()
			expectCloses(t, n, wire.CodeInvalidFlood, node.ByServer, 1)
		}
	})
	t.Run("not longer than the deadline", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { one(c); c.Timeouts.Close = 30 * time.Millisecond })
		p := flooded(t, n)
		p.expectEnd()
		expectCloses(t, n, wire.CodeInvalidFlood, node.ByServer, 1)
	})
	t.Run("pings do not extend the deadline", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { one(c); c.Timeouts.Close = 50 * time.Millisecond })
		p := flooded(t, n)
		eventually(t, "the connection ends", func() bool {
			_, _ = p.conn.Write([]byte(frame(ws.OpPing, true, "still here")))
			return n.Stats().Connections == 0
		})
		expectCloses(t, n, wire.CodeInvalidFlood, node.ByServer, 1)
	})
	t.Run("a violation instead of the answer", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { one(c); c.Timeouts.Close = 100 * time.Millisecond })
		p := flooded(t, n)
		p.write("\x81\x01a")
		p.expectEnd()
		_ = p.conn.Close()
		// The flood has closed it.
		expectCloses(t, n, wire.CodeInvalidFlood, node.ByServer, 1)
	})
	t.Run("the peer drops the connection instead", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { one(c); c.Timeouts.Close = time.Hour })
		p := flooded(t, n)
		_ = p.conn.Close()
		expectCloses(t, n, wire.CodeInvalidFlood, node.ByServer, 1)
	})
	t.Run("after a violation too", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { c.Timeouts.Close = 30 * time.Millisecond })
		p := dial(t, n)
		p.write("\x81\x01a")
		p.expectClose(ws.StatusProtocolError)
		// The peer keeps its side open and sends nothing.
		expectCloses(t, n, wire.CodeProtocolError, node.ByServer, 1)
	})
	t.Run("a refused request too", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { c.Timeouts.Close = 30 * time.Millisecond })
		p := connectTCP(t, n)
		p.write(withoutLine("/ws", "Sec-WebSocket-Key"))
		p.expectRefusal(400)
		eventually(t, "nothing is pending", func() bool { return n.Stats().Pending == 0 })
	})
}

// neffos row 14: an idle peer is pinged.
func TestPing(t *testing.T) {
	t.Run("an idle peer that answers stays", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { c.Timeouts.Ping, c.Timeouts.Pong = 20*time.Millisecond, 10*time.Second })
		p := dial(t, n)
		for range 3 {
			p.deadline()
			f, err := testkit.ReadFrame(p.in)
			if err != nil || f.Header.OpCode != ws.OpPing {
				t.Fatalf("got %s, %v, want a ping", describe(f), err)
			}
			p.write(frame(ws.OpPong, true, string(f.Payload)))
		}
		if s := n.Stats(); s.PingsSent < 3 || s.Connections != 1 {
			t.Errorf("%d pings sent, %d connections, want at least 3, and 1", s.PingsSent, s.Connections)
		}
	})
	t.Run("one that says nothing is given up", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) {
			c.Timeouts.Ping, c.Timeouts.Pong = 20*time.Millisecond, 20*time.Millisecond
			c.Timeouts.Close = 20 * time.Millisecond
		})
		p := join(t, n, "default", "r")
		p.expectClose(ws.StatusCode(wire.CodePingTimeout))
		p.expectEnd()
		expectCloses(t, n, wire.CodePingTimeout, node.ByServer, 1)
		if got := n.Stats().PingsSent; got != 1 {
			t.Errorf("%d pings sent, want 1", got)
		}
	})
	t.Run("switched off", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) {
			c.Timeouts.Ping, c.Timeouts.Pong = -1, time.Millisecond
			c.Timeouts.Handshake = 20 * time.Millisecond
		})
		p := dial(t, n)
		// By the time the other is closed several sweeps have passed.
		upgrade(t, n).expectClose(ws.StatusCode(wire.CodeAckTimeout))
		p.sync("default")
		if got := n.Stats().PingsSent; got != 0 {
			t.Errorf("%d pings sent, want none", got)
		}
	})
}
