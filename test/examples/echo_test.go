package examples_test

import (
	"bytes"
	order "encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

const (
	stillOpen ws.StatusCode = 1
	noCode    ws.StatusCode = 0
)

// conversation is the data that a peer sends at once, the expected answer, and
// the end: with a close frame of this code, or not at all.
type conversation struct {
	name  string
	send  []ws.Frame
	want  []ws.Frame
	close ws.StatusCode
}

func (c *conversation) run(t *testing.T, address string) {
	t.Helper()
	p := dial(t, address)
	p.send(c.send...)
	p.expect(c.want...)
	if c.close != stillOpen {
		p.expectClose(c.close)
		return
	}
	p.send(text("still open"))
	p.expect(text("still open"))
	p.send(closing(1000, "bye"))
	p.expectClose(1000)
}

func runAll(t *testing.T, conversations []conversation) {
	eachTransport(t, func(t *testing.T, address string) {
		for _, c := range conversations {
			t.Run(c.name, func(t *testing.T) { c.run(t, address) })
		}
	})
}

func frames(all ...ws.Frame) []ws.Frame { return all }

func TestEchoMessages(t *testing.T) {
	everyByte := make([]byte, 256)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	all := []conversation{
		{"text", frames(text("Γειά σου; 柱廊 🏛️")), frames(text("Γειά σου; 柱廊 🏛️")), stillOpen},
		{"binary", frames(binary(everyByte)), frames(binary(everyByte)), stillOpen},
		{"what looks like a message of the protocol", frames(text("$1;chat;;_OnNamespaceConnect;0;0;")), frames(text("$1;chat;;_OnNamespaceConnect;0;0;")), stillOpen},
		{"a hello", frames(text("M")), frames(text("M")), stillOpen},
		{"NUL and the last code points", frames(text("\x00\ufffe\uffff\U0010ffff")), frames(text("\x00\ufffe\uffff\U0010ffff")), stillOpen},
		{"fragments", frames(part("a"), rest(""), rest("b"), last("c")), frames(text("abc")), stillOpen},
		{"empty fragments", frames(part(""), rest(""), last("")), frames(text("")), stillOpen},
		{"a character in two fragments", frames(part("\xce"), last("\xba")), frames(text("κ")), stillOpen},
		{"a character in many fragments", frames(part("a\xf0"), rest("\x9f"), rest(""), rest("\x8f"), last("\x9b")), frames(text("a🏛")), stillOpen},
		{"control frames between fragments", frames(part("a"), ping("1"), rest("b"), pong("x"), ping("2"), last("c")), frames(pong("1"), pong("2"), text("abc")), stillOpen},
		{"two fragmented messages", frames(part("a"), last("b"), ws.NewFrame(ws.OpBinary, false, []byte{1}), last("\xff")), frames(text("ab"), binary([]byte{1, 0xff})), stillOpen},
	}
	for _, length := range []int{0, 1, 125, 126, 127, 128, 65535, 65536, 1 << 20} {
		body := bytes.Repeat([]byte{'*'}, length)
		all = append(all,
			conversation{fmt.Sprintf("text of %d", length), frames(text(string(body))), frames(text(string(body))), stillOpen},
			conversation{fmt.Sprintf("binary of %d", length), frames(binary(body)), frames(binary(body)), stillOpen})
	}
	runAll(t, all)
}

func TestEchoPings(t *testing.T) {
	full := strings.Repeat("p", 125)
	many := make([]ws.Frame, 20)
	pongs := make([]ws.Frame, len(many))
	for i := range many {
		many[i], pongs[i] = ping(fmt.Sprint(i)), pong(fmt.Sprint(i))
	}
	runAll(t, []conversation{
		{"without a payload", frames(ping("")), frames(pong("")), stillOpen},
		{"any bytes", frames(ping("\x00\xff\xfe")), frames(pong("\x00\xff\xfe")), stillOpen},
		{"125 bytes", frames(ping(full)), frames(pong(full)), stillOpen},
		{"126 bytes", frames(ping(full + "p")), nil, 1002},
		{"many", many, pongs, stillOpen},
		{"unsolicited pongs", frames(pong(""), pong("x")), nil, stillOpen},
		{"in fragments", frames(with(ping("x"), func(h *ws.Header) { h.Fin = false })), nil, 1002},
	})
}

func TestEchoViolations(t *testing.T) {
	all := []conversation{
		{"a continuation of nothing", frames(last("x")), nil, 1002},
		{"a continuation of nothing, with more to come", frames(rest("x")), nil, 1002},
		{"a continuation of a complete message", frames(part("a"), last("b"), last("c")), frames(text("ab")), 1002},
		{"a new message inside another", frames(part("a"), text("b")), nil, 1002},
		{"a new fragment inside another", frames(part("a"), part("b")), nil, 1002},
		{"invalid UTF-8", frames(text("\xce\xba\xe1\xbd\xb9\xed\xa0\x80")), nil, 1007},
		{"a character that is cut off", frames(text("abc\xce")), nil, 1007},
		{"invalid UTF-8 in a fragment", frames(part("a\xff"), last("b")), nil, 1007},
		{"invalid UTF-8 before the last fragment has come", frames(part("κόσμε"), rest("\xf4\x90")), nil, 1007},
		{"invalid UTF-8 across fragments", frames(part("κόσμε\xed"), rest("\xa0")), nil, 1007},
		{"fragments that end inside a character", frames(part("κόσμε\xf0"), rest("\x9f"), last("\x8f")), nil, 1007},
		{"a message before invalid UTF-8", frames(text("a"), text("\xff")), frames(text("a")), 1007},
	}
	for rsv := byte(1); rsv < 8; rsv++ {
		reserved := func(h *ws.Header) { h.Rsv = rsv }
		all = append(all,
			conversation{fmt.Sprintf("reserved bits %03b", rsv), frames(text("a"), with(text("b"), reserved), ping("")), frames(text("a")), 1002},
			conversation{fmt.Sprintf("reserved bits %03b of a ping", rsv), frames(with(ping(""), reserved)), nil, 1002},
			conversation{fmt.Sprintf("reserved bits %03b of a close", rsv), frames(with(closing(1000, ""), reserved)), nil, 1002})
	}
	for _, op := range []ws.OpCode{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		all = append(all, conversation{fmt.Sprintf("reserved opcode %d", op), frames(text("a"), raw(op, 'x'), ping("")), frames(text("a")), 1002})
	}
	runAll(t, all)

	eachTransport(t, func(t *testing.T, address string) {
		t.Run("a frame without a mask", func(t *testing.T) {
			p := dial(t, address)
			p.write(ws.MustCompileFrame(text("x")))
			p.expectClose(1002)
		})
	})
}

func TestEchoCloses(t *testing.T) {
	all := []conversation{
		{"without a code", frames(ws.NewCloseFrame(nil)), nil, noCode},
		{"one byte", frames(raw(ws.OpClose, 3)), nil, 1002},
		{"with a reason of 123 bytes", frames(closing(1000, strings.Repeat("r", 123))), nil, 1000},
		{"with one of 124", frames(raw(ws.OpClose, []byte("\x03\xe8"+strings.Repeat("r", 124))...)), nil, 1002},
		{"with a reason that is no UTF-8", frames(closing(1000, "\xce\xba\xed\xa0\x80")), nil, 1007},
		{"with a message before", frames(text("a"), closing(1000, "")), frames(text("a")), 1000},
		{"with many messages before", frames(text("a"), binary([]byte("b")), text("c"), text("d"), closing(1000, "")), frames(text("a"), binary([]byte("b")), text("c"), text("d")), 1000},
		{"with a message behind", frames(closing(1000, ""), text("a")), nil, 1000},
		{"with a ping behind", frames(closing(1000, ""), ping("a")), nil, 1000},
		{"twice", frames(closing(1000, ""), closing(1001, "")), nil, 1000},
		{"inside a message", frames(part("a"), closing(1000, ""), last("b")), nil, 1000},
	}
	for _, code := range []ws.StatusCode{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		all = append(all, conversation{fmt.Sprintf("code %d", code), frames(closing(code, "")), nil, code})
	}
	for _, code := range []ws.StatusCode{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		all = append(all, conversation{fmt.Sprintf("code %d", code), frames(closing(code, "")), nil, 1002})
	}
	runAll(t, all)
}

func TestEchoLargeMessages(t *testing.T) {
	const limit = 16 << 20
	body := make([]byte, limit+1)
	for i := 0; i < len(body)-8; i += 8 {
		order.LittleEndian.PutUint64(body[i:], rand.Uint64())
	}
	letters := strings.Repeat("0123456789abcde柱", limit/18)
	eachTransport(t, func(t *testing.T, address string) {
		t.Run("binary of 16 MiB", func(t *testing.T) {
			p := dial(t, address)
			go func() { _, _ = p.conn.Write(encode(binary(body[:limit]))) }()
			p.expect(binary(body[:limit]))
		})
		t.Run("text of 16 MiB in fragments", func(t *testing.T) {
			p := dial(t, address)
			parts := []ws.Frame{part("")}
			for rest := letters; rest != ""; {
				size := min(len(rest), 64<<10-1)
				parts = append(parts, ws.NewFrame(ws.OpContinuation, size == len(rest), []byte(rest[:size])))
				rest = rest[size:]
			}
			go func() { _, _ = p.conn.Write(encode(parts...)) }()
			p.expect(text(letters))
		})
		t.Run("three of 16 MiB before the first echo is read", func(t *testing.T) {
			p := dial(t, address)
			p.send(binary(body[:limit]), binary(body[1:]), binary(body[:limit]), ping("x"))
			p.expect(binary(body[:limit]))
			for got := p.receive(); got.Header.OpCode != ws.OpBinary || !bytes.Equal(got.Payload, body[1:]); got = p.receive() {
				if got.Header.OpCode != ws.OpPong {
					t.Fatalf("received %s, want the second message", describe(got))
				}
			}
		})
		t.Run("one byte more", func(t *testing.T) {
			p := dial(t, address)
			p.write(encode(binary(body))[:14])
			p.expectClose(1009)
		})
		t.Run("one byte more, in fragments", func(t *testing.T) {
			p := dial(t, address)
			go func() {
				_, _ = p.conn.Write(encode(ws.NewFrame(ws.OpBinary, false, body[:limit]), last("x")))
			}()
			p.expectClose(1009)
		})
		t.Run("a length that cannot be", func(t *testing.T) {
			p := dial(t, address)
			p.write([]byte{0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4})
			p.expectClose(1009)
		})
	})
}

func TestEchoByteByByte(t *testing.T) {
	eachTransport(t, func(t *testing.T, address string) {
		p := dial(t, address)
		for _, one := range encode(part("frag"), ping("between"), last("ment στοά"), binary(make([]byte, 200))) {
			p.write([]byte{one})
		}
		p.expect(pong("between"), text("fragment στοά"), binary(make([]byte, 200)))
	})
}

// TestEchoKeepsTheOrder sends a burst on several connections at once, in writes
// that ignore the ends of frames.
func TestEchoKeepsTheOrder(t *testing.T) {
	const connections, messages = 4, 3000
	var all []ws.Frame
	for i := range messages {
		body := strings.Repeat(fmt.Sprintf("%d ", i), 1+rand.IntN(60))
		if i%3 == 0 {
			all = append(all, binary([]byte(body)))
		} else {
			all = append(all, text(body))
		}
	}
	eachTransport(t, func(t *testing.T, address string) {
		for number := range connections {
			t.Run(fmt.Sprint("connection ", number), func(t *testing.T) {
				t.Parallel()
				p := dial(t, address)
				go func() {
					for data := encode(all...); len(data) > 0; {
						size := min(len(data), 1+rand.IntN(40_000))
						_, _ = p.conn.Write(data[:size])
						data = data[size:]
					}
				}()
				p.expect(all...)
			})
		}
	})
}
