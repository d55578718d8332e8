package node_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// rawHeader is a masked header with a length; no payload need follow.
func rawHeader(first byte, length uint64) string {
	header := binary.BigEndian.AppendUint64([]byte{first, 0xff}, length)
	return string(append(header, 1, 2, 3, 4))
}

// A connection that violates the protocol receives a close frame; its later
// data is ignored, and no other connection is affected.
func TestViolation(t *testing.T) {
	text := func(fin bool, payload string) string { return frame(ws.OpText, fin, payload) }
	more := func(fin bool, payload string) string { return frame(ws.OpContinuation, fin, payload) }
	for _, c := range []struct {
		name string
		data string
		code wire.Code
	}{
		{"unmasked text", "\x81\x05Hello", wire.CodeProtocolError},
		{"unmasked ping", "\x89\x00", wire.CodeProtocolError},
		{"unmasked, header only", "\x81\x7e\xff\xff", wire.CodeProtocolError},
		{"first reserved bit", "\xc1\x80\x01\x02\x03\x04", wire.CodeProtocolError},
		{"second reserved bit", "\xa1\x80\x01\x02\x03\x04", wire.CodeProtocolError},
		{"third reserved bit", "\x91\x80\x01\x02\x03\x04", wire.CodeProtocolError},
		{"reserved bit in a ping", "\xc9\x80\x01\x02\x03\x04", wire.CodeProtocolError},
		{"opcode 3", "\x83\x80\x01\x02\x03\x04", wire.CodeProtocolError},
		{"opcode 7", "\x87\x80\x01\x02\x03\x04", wire.CodeProtocolError},
		{"opcode 11", "\x8b\x80\x01\x02\x03\x04", wire.CodeProtocolError},
		{"opcode 15", "\x8f\x80\x01\x02\x03\x04", wire.CodeProtocolError},
		{"fragmented ping", frame(ws.OpPing, false, "p"), wire.CodeProtocolError},
		{"fragmented close", frame(ws.OpClose, false, ""), wire.CodeProtocolError},
		{"ping of 126 bytes", frame(ws.OpPing, true, strings.Repeat("p", 126)), wire.CodeProtocolError},
		{"pong of 200 bytes", frame(ws.OpPong, true, strings.Repeat("p", 200)), wire.CodeProtocolError},
		{"close of 126 bytes", frame(ws.OpClose, true, "\x03\xe8"+strings.Repeat("r", 124)), wire.CodeProtocolError},
		{"ping of 2^62 bytes", rawHeader(0x89, 1<<62), wire.CodeProtocolError},
		{"ping of 2^63 bytes", rawHeader(0x89, 1<<63), wire.CodeProtocolError},
		{"close of 2^64-1 bytes", rawHeader(0x88, 1<<64-1), wire.CodeProtocolError},
		{"continuation of nothing", more(true, "x"), wire.CodeProtocolError},
		{"continuation of a whole message", text(true, "x;") + more(true, "y"), wire.CodeProtocolError},
		{"text inside a fragmented message", text(false, "a") + text(true, "b"), wire.CodeProtocolError},
		{"binary inside a fragmented message", text(false, "a") + more(false, "b") + frame(ws.OpBinary, false, "c"), wire.CodeProtocolError},

		{"invalid UTF-8", text(true, "$t;default;;e;0;0;\xff"), wire.CodeInvalidData},
		{"surrogate", text(true, "$t;default;;e;0;0;\xed\xa0\x80"), wire.CodeInvalidData},
		{"overlong form", text(true, "$t;default;;e;0;0;\xc0\xaf"), wire.CodeInvalidData},
		{"above U+10FFFF", text(true, "$t;default;;e;0;0;\xf4\x90\x80\x80"), wire.CodeInvalidData},
		{"half a character at the end", text(true, "$t;default;;e;0;0;\xe2\x82"), wire.CodeInvalidData},
		{"invalid UTF-8 in the first fragment", text(false, "\xff") + more(true, "x"), wire.CodeInvalidData},
		{"invalid UTF-8 in the last fragment", text(false, "x") + more(false, "y") + more(true, "\x80"), wire.CodeInvalidData},
		{"half a character in the last fragment", text(false, "x") + more(true, "\xe2"), wire.CodeInvalidData},

		{"one byte over the limit", text(true, strings.Repeat("x", 65537)), wire.CodeTooBig},
		{"one byte over the limit, declared", rawHeader(0x81, 65537), wire.CodeTooBig},
		{"binary over the limit", rawHeader(0x82, 1<<20), wire.CodeTooBig},
		{"2^31 bytes", rawHeader(0x81, 1<<31), wire.CodeTooBig},
		{"2^63-1 bytes", rawHeader(0x81, 1<<63-1), wire.CodeTooBig},
		{"2^63 bytes", rawHeader(0x81, 1<<63), wire.CodeTooBig},
		{"2^64-1 bytes", rawHeader(0x82, 1<<64-1), wire.CodeTooBig},
		{"over the limit by fragments", text(false, strings.Repeat("x", 40_000)) + more(false, strings.Repeat("y", 25_536)) + more(true, "z"), wire.CodeTooBig},
		{"2^63 bytes in a fragment", text(false, "x") + rawHeader(0x80, 1<<63), wire.CodeTooBig},
		{"2^63-1 bytes in a fragment", text(false, "x") + rawHeader(0x80, 1<<63-1), wire.CodeTooBig},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := startNode(t, nil)
			other := join(t, n, "default", "r")
			p := join(t, n, "default", "r")
			p.write(c.data)
			for {
				// Messages before the violation are answered.
				if f := p.next(); f.Header.OpCode == ws.OpClose {
					if code, _ := ws.ParseCloseFrameData(f.Payload); wire.Code(code) != c.code {
						t.Errorf("got %s, want code %d", describe(f), c.code)
					}
					break
				}
			}
			// The sender is out of its room although its socket is still open;
			// its later data is ignored.
			eventually(t, "one member is left", func() bool { return n.Stats().Memberships == 1 })
			p.write(frame(ws.OpText, true, ";default;r;e;0;0;late"))
			p.expectEnd()
			if got := other.sync("default"); len(got) != 0 {
				t.Errorf("another member received %q, want nothing", got)
			}
			_ = p.conn.Close()
			expectCloses(t, n, c.code, node.ByServer, 1)
		})
	}
}

func TestFragments(t *testing.T) {
	n := startNode(t, nil)
	p, other := join(t, n, "default", "r"), join(t, n, "default", "r")
	message := ";default;r;e;0;0;" + "ϟτοά € 🏛"
	t.Run("a byte each", func(t *testing.T) {
		// Splits every character.
		p.write(frame(ws.OpText, false, message[:1]))
		for i := 1; i < len(message)-1; i++ {
			p.write(frame(ws.OpContinuation, false, message[i:i+1]))
		}
		p.write(frame(ws.OpContinuation, true, message[len(message)-1:]))
		other.expect(message)
	})
	t.Run("empty ones", func(t *testing.T) {
		p.write(frame(ws.OpText, false, "") + frame(ws.OpContinuation, false, message) +
			frame(ws.OpContinuation, false, "") + frame(ws.OpContinuation, true, ""))
		other.expect(message)
	})
	t.Run("of a binary message", func(t *testing.T) {
		p.write(frame(ws.OpBinary, false, ";default;r;e;0;0;\xff") + frame(ws.OpContinuation, true, "\xfe"))
		if f := other.next(); f.Header.OpCode != ws.OpBinary || !f.Header.Fin || string(f.Payload) != ";default;r;e;0;0;\xff\xfe" {
			t.Errorf("got %s, want one binary frame", describe(f))
		}
	})
	t.Run("up to the limit", func(t *testing.T) {
		large := ";default;r;e;0;0;" + strings.Repeat("x", wire.DefaultMessageLimit-17)
		p.write(frame(ws.OpText, false, large[:60_000]) + frame(ws.OpContinuation, true, large[60_000:]))
		other.expect(large)
		p.write(frame(ws.OpText, true, large))
		other.expect(large)
	})
	t.Run("with pings between", func(t *testing.T) {
		p.write(frame(ws.OpText, false, message[:20]))
		for i := range 3 {
			payload := fmt.Sprintf("ping %d", i)
			p.write(frame(ws.OpPing, true, payload) + frame(ws.OpPong, true, "unasked"))
			if f := p.next(); f.Header.OpCode != ws.OpPong || string(f.Payload) != payload {
				t.Errorf("got %s, want a pong with %q", describe(f), payload)
			}
		}
		p.write(frame(ws.OpContinuation, true, message[20:]))
		other.expect(message)
	})
	t.Run("not finished", func(t *testing.T) {
		p.write(frame(ws.OpText, false, message))
		_ = p.conn.Close()
		eventually(t, "one member is left", func() bool { return n.Stats().Memberships == 1 })
		if got := other.sync("default"); len(got) != 0 {
			t.Errorf("got %q, want nothing", got)
		}
		expectCloses(t, n, wire.CodeAbnormal, node.ByPeer, 1)
	})
}

func TestPingPayloads(t *testing.T) {
	n := startNode(t, nil)
	p := dial(t, n)
	for _, payload := range []string{"", "x", "\xff\x00\xfe", strings.Repeat("p", 125)} {
		p.write(frame(ws.OpPing, true, payload))
		if f := p.next(); f.Header.OpCode != ws.OpPong || string(f.Payload) != payload || f.Header.Masked {
			t.Errorf("got %s, want a pong with %q", describe(f), payload)
		}
	}
}

func TestPingBeforeHello(t *testing.T) {
	n := startNode(t, nil)
	p := upgrade(t, n)
	p.write(frame(ws.OpPing, true, "early"))
	if f := p.next(); f.Header.OpCode != ws.OpPong || string(f.Payload) != "early" {
		t.Errorf("got %s, want a pong", describe(f))
	}
	p.hello()
}

// The limit bounds the size of a message, and a header alone allocates nothing.
func TestDeclaredLengthCostsNothing(t *testing.T) {
	n := startNode(t, func(c *node.Config) { c.Limits.Message = -1 })
	peers := make([]*peer, 100)
	for i := range peers {
		peers[i] = dial(t, n)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, p := range peers {
		p.write(rawHeader(0x81, 1<<30) + "0123456789")
		p.write("0123456789")
	}
	read := n.Stats().BytesIn
	for _, p := range peers {
		p.write("x")
	}
	eventually(t, "everything was read", func() bool { return n.Stats().BytesIn >= read+uint64(len(peers)) })
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("%d MB allocated for 100 declared gigabytes", grown>>20)
	}
	dial(t, n)
}

func TestMessageLimit(t *testing.T) {
	t.Run("configured", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { c.Limits.Message = 100 })
		p := join(t, n, "default")
		p.send("$a;default;;e;0;0;" + strings.Repeat("x", 82))
		p.expect("$a;default;;e;1;0;unhandled event")
		p.send("$a;default;;e;0;0;" + strings.Repeat("x", 83))
		p.expectClose(ws.StatusMessageTooBig)
		_ = p.conn.Close()
		expectCloses(t, n, wire.CodeTooBig, node.ByServer, 1)
	})
	t.Run("none", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { c.Limits.Message = -1 })
		p, other := join(t, n, "default"), join(t, n, "default")
		large := ";default;;e;0;0;" + strings.Repeat("x", 500_000)
		p.write(frame(ws.OpText, false, large[:300_000]) + frame(ws.OpContinuation, true, large[300_000:]))
		other.expect(large)
	})
}

// Many frames of any size in one segment are handled in order.
func TestManyFramesPerSegment(t *testing.T) {
	n := startNode(t, nil)
	p, other := join(t, n, "default", "r"), join(t, n, "default", "r")
	var all strings.Builder
	var want []string
	for i := range 500 {
		message := fmt.Sprintf(";default;r;e;0;0;%d %s", i, strings.Repeat("x", i*7%900))
		all.WriteString(frame(ws.OpText, true, message))
		want = append(want, message)
	}
	p.write(all.String())
	other.expect(want...)
	if got := n.Stats().MessagesIn[0][node.MessageRelayed]; got != 500 {
		t.Errorf("%d messages counted as relayed, want 500", got)
	}
}

// Data that a peer sent before it closed its side is still handled.
func TestMessagesBeforeTheEnd(t *testing.T) {
	n := startNode(t, nil)
	other := join(t, n, "default", "r")
	for range 20 {
		p := join(t, n, "default", "r")
		p.send(";default;r;e;0;0;last words")
		if err := p.conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		other.expect(";default;r;e;0;0;last words")
		p.expectEnd()
	}
	expectCloses(t, n, wire.CodeAbnormal, node.ByPeer, 20)
}
