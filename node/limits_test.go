package node_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// Malformed messages are ignored, as neffos clients expect, and counted.
func TestInvalidPayloads(t *testing.T) {
	n := startNode(t, nil)
	p := join(t, n, "default", "r")
	for _, payload := range []string{"x", "Mx", "A1", "H", ";;;;;", "$t;default;r;e;0;0", "\x00"} {
		p.send(payload)
		p.sendBinary(payload)
	}
	p.sendBinary("\xff\xfe")
	if got := p.sync("default"); len(got) != 0 {
		t.Errorf("got %q, want nothing", got)
	}
	in := n.Stats().MessagesIn
	if text, binary := in[0][node.MessageInvalid], in[1][node.MessageInvalid]; text != 7 || binary != 8 {
		t.Errorf("%d text and %d binary messages counted as invalid, want 7 and 8", text, binary)
	}
}

func TestInvalidFlood(t *testing.T) {
	t.Run("over the limit", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { c.Limits.InvalidPayloads = 5 })
		other := join(t, n, "default", "r")
		p := join(t, n, "default", "r")
		for range 5 {
			p.send("nonsense")
		}
		p.sync("default")
		p.send("nonsense")
		p.send(";default;r;e;0;0;after")
		p.expectClose(ws.StatusCode(wire.CodeInvalidFlood))
		p.write(frame(ws.OpClose, true, ""))
		p.expectEnd()
		expectCloses(t, n, wire.CodeInvalidFlood, node.ByServer, 1)
		expectMessages(t, n, node.MessageInvalid, 6)
		if got := other.sync("default"); len(got) != 0 {
			t.Errorf("another member received %q, want nothing", got)
		}
	})
	t.Run("by default", func(t *testing.T) {
		n := startNode(t, nil)
		p := dial(t, n)
		p.write(strings.Repeat(frame(ws.OpText, true, "nonsense"), 101))
		p.expectClose(ws.StatusCode(wire.CodeInvalidFlood))
		_ = p.conn.Close()
		expectCloses(t, n, wire.CodeInvalidFlood, node.ByServer, 1)
	})
	t.Run("no limit", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { c.Limits.InvalidPayloads = -1 })
		p := dial(t, n)
		p.write(strings.Repeat(frame(ws.OpText, true, "nonsense"), 500))
		p.sync("default")
		expectMessages(t, n, node.MessageInvalid, 500)
	})
	t.Run("names that are not UTF-8 belong to it", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { c.Limits.InvalidPayloads = 1 })
		p := join(t, n, "default")
		p.sendBinary("$t;default;\xff;_OnRoomJoin;0;0;")
		p.expect("$t;;;;1;0;invalid name")
		p.sendBinary("$t;default;\xff;_OnRoomJoin;0;0;")
		p.expect("$t;;;;1;0;invalid name")
		p.expectClose(ws.StatusCode(wire.CodeInvalidFlood))
		_ = p.conn.Close()
		expectMessages(t, n, node.MessageInvalid, 2)
	})
}

// A request beyond a limit is answered if it has a token, always counted, and
// changes nothing.
func TestRefusedRequests(t *testing.T) {
	limits := func(c *node.Config) {
		c.Limits.Rooms, c.Limits.Namespaces = 2, 2
		c.Limits.Names = wire.Limits{Token: 20, Namespace: 10, Room: 10, Event: 20}
	}
	long := strings.Repeat("n", 21)
	for _, c := range []struct {
		name   string
		send   string
		answer string // empty: none
		result node.MessageResult
	}{
		{"third room", "$t;default;c;_OnRoomJoin;0;0;", "$t;default;c;_OnRoomJoin;1;0;too many rooms", node.MessageRefused},
		{"third room in another namespace", "$t;rooms;c;_OnRoomJoin;0;0;", "$t;rooms;c;_OnRoomJoin;1;0;too many rooms", node.MessageRefused},
		{"third room without a token", ";default;c;_OnRoomJoin;0;0;", "", node.MessageIgnored},
		{"third namespace", "$t;closed;;_OnNamespaceConnect;0;0;", "$t;closed;;_OnNamespaceConnect;1;0;too many namespaces", node.MessageRefused},
		{"third namespace without a token", ";closed;;_OnNamespaceConnect;0;0;", "", node.MessageIgnored},
		{"unknown namespace", "$t;closed;;e;0;0;", "$t;closed;;e;1;0;bad namespace", node.MessageRefused},
		{"unknown namespace without a token", ";closed;;e;0;0;", "", node.MessageRefused},
		{"join in an unknown namespace", "$t;closed;a;_OnRoomJoin;0;0;", "$t;closed;a;_OnRoomJoin;1;0;bad namespace", node.MessageRefused},
		{"room not joined", "$t;default;c;e;0;0;", "$t;default;c;e;1;0;bad room", node.MessageRefused},
		{"room not joined, without a token", ";default;c;e;0;0;", "", node.MessageRefused},
		{"long namespace", "$t;" + long + ";;_OnNamespaceConnect;0;0;", "$t;;;;1;0;name too long", node.MessageRefused},
		{"long room", "$t;default;" + long + ";_OnRoomJoin;0;0;", "$t;;;;1;0;name too long", node.MessageRefused},
		{"long event", "$t;default;a;" + long + ";0;0;", "$t;;;;1;0;name too long", node.MessageRefused},
		{"long event without a token", ";default;a;" + long + ";0;0;", "", node.MessageRefused},
		{"long token", long + ";default;a;e;0;0;", long + ";;;;1;0;name too long", node.MessageRefused},
		{"broadcast where it is not allowed", ";rooms;;e;0;0;x", "", node.MessageRefused},
		{"error that answers nothing", "$t;default;;e;1;0;x", "", node.MessageIgnored},
		{"event without a handler", "$t;default;a;e;0;0;x", "$t;default;a;e;1;0;unhandled event", node.MessageUnhandled},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := startNode(t, limits)
			p := join(t, n, "default", "a", "b")
			p.send("$c;rooms;;_OnNamespaceConnect;0;0;")
			p.expect("$c;;;;;;")
			other := dial(t, n)
			other.send("$c;rooms;;_OnNamespaceConnect;0;0;")
			other.expect("$c;;;;;;")
			before := n.Stats()
			p.send(c.send)
			if c.answer != "" {
				p.expect(c.answer)
			}
			expectMessages(t, n, c.result, before.MessagesIn[0][c.result]+1)
			expectLimits(t, n, limitIn(c.send, c.answer))
			if got := p.sync("default"); len(got) != 0 {
				t.Errorf("got %q in addition, want nothing", got)
			}
			if got := other.sync("rooms"); len(got) != 0 {
				t.Errorf("another connection received %q, want nothing", got)
			}
			if s := n.Stats(); s.Memberships != 2 || s.Rooms != 2 || s.Subscriptions != before.Subscriptions {
				t.Errorf("%d memberships in %d rooms, %d subscriptions, want 2 in 2, %d",
					s.Memberships, s.Rooms, s.Subscriptions, before.Subscriptions)
			}
		})
	}
}

// limitIn is the limit that a message of TestRefusedRequests exceeds, if any.
func limitIn(send, answer string) map[node.LimitKind]uint64 {
	switch {
	case strings.Contains(send, strings.Repeat("n", 21)):
		return map[node.LimitKind]uint64{node.LimitNames: 1}
	case strings.HasSuffix(answer, "too many rooms"):
		return map[node.LimitKind]uint64{node.LimitRooms: 1}
	case strings.HasSuffix(answer, "too many namespaces"):
		return map[node.LimitKind]uint64{node.LimitNamespaces: 1}
	}
	return nil
}

// expectLimits compares Stats.LimitsExceeded, where those that are not named
// are 0.
func expectLimits(t *testing.T, n *node.Node, want map[node.LimitKind]uint64) {
	t.Helper()
	got := n.Stats().LimitsExceeded
	for _, kind := range node.LimitKinds() {
		if got[kind] != want[kind] {
			t.Errorf("limit %s was exceeded %d times, want %d", kind, got[kind], want[kind])
		}
	}
}

// Messages before the acknowledgement count as those after it.
func TestLimitsOfEarlyMessages(t *testing.T) {
	n := startNode(t, func(c *node.Config) { c.Limits.Namespaces = 1 })
	p := upgrade(t, n)
	for _, payload := range []string{"$1;default;;_OnNamespaceConnect;0;0;", "$2;rooms;;_OnNamespaceConnect;0;0;", "M"} {
		p.send(payload)
	}
	p.expectAck()
	p.expect("$1;;;;;;", "$2;rooms;;_OnNamespaceConnect;1;0;too many namespaces")
	expectLimits(t, n, map[node.LimitKind]uint64{node.LimitNamespaces: 1})
}

func TestRoomLimitCountsJoins(t *testing.T) {
	n := startNode(t, func(c *node.Config) { c.Limits.Rooms = 2 })
	p := join(t, n, "default", "a", "b")
	p.send("$1;default;c;_OnRoomJoin;0;0;")
	p.expect("$1;default;c;_OnRoomJoin;1;0;too many rooms")
	p.send("$2;default;a;_OnRoomJoin;0;0;") // joined already
	p.send("$3;default;a;_OnRoomLeave;0;0;")
	p.send("$4;default;c;_OnRoomJoin;0;0;")
	p.expect("$2;;;;;;", "$3;;;;;;", "$4;;;;;;")
}

// A client that reconnects joins all its rooms at once.
func TestRoomLimitInABurst(t *testing.T) {
	n := startNode(t, func(c *node.Config) { c.Limits.Rooms = 10 })
	p := join(t, n, "default")
	var burst strings.Builder
	for i := range 30 {
		burst.WriteString(frame(ws.OpText, true, fmt.Sprintf("$%d;default;room%d;_OnRoomJoin;0;0;", i, i)))
	}
	p.write(burst.String())
	joined, refused := 0, 0
	for range 30 {
		if strings.HasSuffix(string(p.next().Payload), "too many rooms") {
			refused++
		} else {
			joined++
		}
	}
	if joined != 10 || refused != 20 || n.Stats().Memberships != 10 {
		t.Errorf("%d joined, %d refused, %d memberships, want 10, 20, 10", joined, refused, n.Stats().Memberships)
	}
}

// smallWindow keeps the kernel from buffering much for a peer that never reads.
func smallWindow(tb testing.TB, p *peer) {
	tb.Helper()
	if err := p.conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		tb.Fatal(err)
	}
}

// A client that stops reading is closed; the others miss nothing.
func TestSlowReader(t *testing.T) {
	for _, where := range []string{"first", "in the middle", "last"} {
		t.Run(where, func(t *testing.T) {
			n := startNode(t, func(c *node.Config) {
				c.Loops = 1
				c.Limits.SendQueue = 128 << 10
				c.Timeouts.Close = time.Hour
			})
			sender := join(t, n, "default", "r")
			var slow *peer
			var readers []*peer
			for i := range 5 {
				p := join(t, n, "default", "r")
				if where == "first" && i == 0 || where == "in the middle" && i == 2 || where == "last" && i == 4 {
					slow = p
					continue
				}
				readers = append(readers, p)
			}
			message := ";default;r;e;0;0;" + strings.Repeat("x", 60_000)
			sent := 0
			for ; n.Stats().Memberships == 6; sent++ {
				if sent == 2000 {
					t.Fatal("the slow reader was not found within 120 MB")
				}
				sender.send(message)
				for _, p := range readers {
					p.expect(message)
				}
			}
			// It is out of the room, and the other members go on.
			for i, p := range readers {
				text := fmt.Sprintf(";default;r;e;0;0;%d", i)
				p.send(text)
				sender.expect(text)
			}
			if s := n.Stats(); s.DroppedFrames == 0 || s.Connections != 6 {
				t.Errorf("%d frames dropped, %d connections, want some, and 6: the close handshake is not over", s.DroppedFrames, s.Connections)
			}
			// When it reads again, it receives the reason after the kernel's
			// buffered data.
			received := 0
			for {
				f := slow.next()
				if f.Header.OpCode == ws.OpClose {
					if code, _ := ws.ParseCloseFrameData(f.Payload); wire.Code(code) != wire.CodeSlowConsumer {
						t.Errorf("got %s, want code %d", describe(f), wire.CodeSlowConsumer)
					}
					break
				}
				if string(f.Payload) != message {
					t.Fatalf("got %s, want the messages as they were sent", describe(f))
				}
				received++
			}
			if got := received + int(n.Stats().DroppedFrames); got != sent && got != sent-1 {
				t.Errorf("%d received, %d received or dropped of %d messages", received, got, sent)
			}
			slow.write(frame(ws.OpClose, true, closeBody(uint16(wire.CodeSlowConsumer), "")))
			slow.expectEnd()
			expectCloses(t, n, wire.CodeSlowConsumer, node.ByServer, 1)
			if got := n.Stats().QueueBytes; got != 0 {
				t.Errorf("%d bytes queued, want none", got)
			}
		})
	}
	t.Run("that never reads again", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) {
			c.Limits.SendQueue = 128 << 10
			c.Timeouts.Close = 30 * time.Millisecond
		})
		sender, slow := join(t, n, "default", "r"), join(t, n, "default", "r")
		smallWindow(t, slow)
		message := ";default;r;e;0;0;" + strings.Repeat("x", 60_000)
		for sent := 0; n.Stats().Connections == 2; sent++ {
			if sent == 2000 {
				t.Fatal("the slow reader was not found within 120 MB")
			}
			sender.send(message)
			sender.sync("default")
		}
		expectCloses(t, n, wire.CodeSlowConsumer, node.ByServer, 1)
	})
	t.Run("of its own answers", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) {
			c.Limits.SendQueue = 128 << 10
			c.Timeouts.Close = 30 * time.Millisecond
		})
		// Not with a small window: a peer whose receive buffer overflows also
		// drops the acknowledgements of its own data, and TCP stalls.
		p := join(t, n, "default")
		pings := strings.Repeat(frame(ws.OpPing, true, strings.Repeat("p", 125)), 1000)
		eventually(t, "the connection is closed", func() bool {
			_ = p.conn.SetWriteDeadline(time.Now().Add(patience))
			_, _ = p.conn.Write([]byte(pings))
			return n.Stats().Connections == 0
		})
		expectCloses(t, n, wire.CodeSlowConsumer, node.ByServer, 1)
	})
}

// A socket that takes no data is closed although the queue is not full.
func TestWriteStall(t *testing.T) {
	n := startNode(t, func(c *node.Config) {
		c.Limits.SendQueue = -1
		c.Timeouts.Write = 50 * time.Millisecond
	})
	sender, slow, reader := join(t, n, "default", "r"), join(t, n, "default", "r"), join(t, n, "default", "r")
	smallWindow(t, slow)
	message := ";default;r;e;0;0;" + strings.Repeat("x", 60_000)
	for sent := 0; n.Stats().QueueBytes < 1<<20 && n.Stats().Connections == 3; sent++ {
		if sent == 2000 {
			t.Fatal("nothing was queued within 120 MB")
		}
		sender.send(message)
		reader.expect(message)
	}
	expectCloses(t, n, wire.CodeSlowConsumer, node.ByServer, 1)
	sender.send(";default;r;e;0;0;after")
	reader.expect(";default;r;e;0;0;after")
	s := n.Stats()
	if s.DroppedFrames == 0 || s.QueueBytes != 0 || s.Memberships != 2 {
		t.Errorf("%d frames dropped, %d bytes queued, %d memberships, want some, 0, 2", s.DroppedFrames, s.QueueBytes, s.Memberships)
	}
}
