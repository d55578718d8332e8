package node_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/clustertest"
	"github.com/stoa-io/stoa/node"
)

func TestRoomRelay(t *testing.T) {
	n := startNode(t, nil)
	a, b, c := join(t, n, "default", "r1"), join(t, n, "default", "r1"), join(t, n, "default", "r2")
	a.send(";default;r1;chat;0;0;hello;all")
	b.expect(";default;r1;chat;0;0;hello;all")
	b.send(";default;r1;chat;0;0;hello, a")
	a.expect(";default;r1;chat;0;0;hello, a")
	if got := c.sync("default"); len(got) != 0 {
		t.Errorf("another room's member received %q, want nothing", got)
	}
}

func TestRelayOfBodies(t *testing.T) {
	n := startNode(t, nil)
	a, b := join(t, n, "default", "r"), join(t, n, "default", "r")
	for name, body := range map[string]string{
		"empty":      "",
		"semicolons": ";;a;b;",
		"newlines":   "one\ntwo\r\n",
		"Unicode":    "ϟτοά 🏛",
		"60 KB":      strings.Repeat("0123456789", 6000),
	} {
		t.Run(name, func(t *testing.T) {
			a.send(";default;r;chat;0;0;" + body)
			b.expect(";default;r;chat;0;0;" + body)
		})
	}
	t.Run("binary", func(t *testing.T) {
		a.sendBinary(";default;r;chat;0;0;\x00\xff;\xfe")
		b.expectBinary(";default;r;chat;0;0;\x00\xff;\xfe")
	})
}

// expectBinary reads a binary frame and compares it with this message.
func (p *peer) expectBinary(want string) {
	p.tb.Helper()
	if f := p.next(); f.Header.OpCode != ws.OpBinary || string(f.Payload) != want {
		p.tb.Fatalf("got %s, want binary %q", describe(f), want)
	}
}

// Relayed messages carry neither flags nor tokens of the sender.
func TestRelayNormalises(t *testing.T) {
	const relayed = ";default;r;chat;0;0;x"
	for _, c := range []struct{ name, sent string }{
		{"as it is", relayed},
		{"no-op flag", ";default;r;chat;0;1;x"},
		{"no-op flag of another spelling", ";default;r;chat;0;7;x"},
		{"mark of a neffos server", "neffos(0xc000123456);default;r;chat;0;0;x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := startNode(t, nil)
			a, b := join(t, n, "default", "r"), join(t, n, "default", "r")
			a.send(c.sent)
			b.expect(relayed)
			a.sendBinary(c.sent)
			b.expectBinary(relayed)
		})
	}
}

// A member of room r sends every line. The expected answers must arrive, and no
// other client may receive anything.
func TestNotRelayed(t *testing.T) {
	for _, c := range []struct {
		name   string
		sent   string
		answer string
		result node.MessageResult
	}{
		{"room that was not joined", ";default;other;chat;0;0;x", "", node.MessageRefused},
		{"ask in a room that was not joined", "t1;default;other;chat;0;0;x",
			"t1;default;other;chat;1;0;bad room", node.MessageRefused},
		{"namespace that is not connected", ";rooms;r;chat;0;0;x", "", node.MessageRefused},
		{"ask in a namespace that is not connected", "t2;rooms;;chat;0;0;x",
			"t2;rooms;;chat;1;0;bad namespace", node.MessageRefused},
		{"ask in an undeclared namespace", "t3;nowhere;;chat;0;0;x",
			"t3;nowhere;;chat;1;0;bad namespace", node.MessageRefused},
		{"error flag", ";default;r;chat;1;0;x", "", node.MessageIgnored},
		{"error flag without a room", ";default;;chat;1;0;x", "", node.MessageIgnored},
		{"answer to nothing", "t4;default;r;chat;1;0;x", "", node.MessageIgnored},
		{"ask in the room", "t5;default;r;chat;0;0;x",
			"t5;default;r;chat;1;0;unhandled event", node.MessageUnhandled},
		{"ask in the namespace", "t6;default;;chat;0;0;x",
			"t6;default;;chat;1;0;unhandled event", node.MessageUnhandled},
		{"ask with the no-op flag", "t7;default;;chat;0;1;x",
			"t7;default;;chat;1;1;unhandled event", node.MessageUnhandled},
		{"system event without a token", ";default;r;_OnRoomLeave;0;0;", "", node.MessageIgnored},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := startNode(t, nil)
			a, b := join(t, n, "default", "r"), join(t, n, "default", "r", "other")
			before := n.Stats()
			a.send(c.sent)
			if c.answer != "" {
				a.expect(c.answer)
			}
			a.send(";default;r;marker;0;0;")
			b.expect(";default;r;marker;0;0;")
			after := n.Stats()
			if got := after.MessagesIn[0][c.result] - before.MessagesIn[0][c.result]; got != 1 {
				t.Errorf("counted %d messages as %s, want 1", got, c.result)
			}
			if got := after.MessagesIn[0][node.MessageRelayed] - before.MessagesIn[0][node.MessageRelayed]; got != 1 {
				t.Errorf("%d messages relayed, want the marker only", got)
			}
		})
	}
}

func TestNamespaceRelay(t *testing.T) {
	n := startNode(t, nil)
	a, b, c := join(t, n, "default"), join(t, n, "default", "r"), join(t, n, "rooms")
	a.send(";default;;news;0;0;for all")
	b.expect(";default;;news;0;0;for all")
	b.sendBinary(";default;;news;0;0;\xff")
	a.expectBinary(";default;;news;0;0;\xff")
	if got := c.sync("rooms"); len(got) != 0 {
		t.Errorf("another namespace's connection received %q, want nothing", got)
	}
}

func TestNamespaceWithoutRelay(t *testing.T) {
	for _, c := range []struct {
		name, namespace, room string
		result                node.MessageResult
	}{
		{"broadcast where only rooms are relayed", "rooms", "", node.MessageRefused},
		{"broadcast where nothing is relayed", "closed", "", node.MessageUnhandled},
		{"room where nothing is relayed", "closed", "r", node.MessageUnhandled},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := startNode(t, nil)
			a, b := join(t, n, c.namespace, "r"), join(t, n, c.namespace, "r")
			a.send(";" + c.namespace + ";" + c.room + ";chat;0;0;x")
			if got := a.sync(c.namespace); len(got) != 0 {
				t.Errorf("the sender received %q, want nothing", got)
			}
			if got := b.sync(c.namespace); len(got) != 0 {
				t.Errorf("the other one received %q, want nothing", got)
			}
			s := n.Stats()
			if s.MessagesIn[0][c.result] == 0 || s.MessagesIn[0][node.MessageRelayed] != 0 || s.Deliveries != 0 {
				t.Errorf("counted as %s: %d, relayed: %d, delivered: %d; want at least 1, 0, 0",
					c.result, s.MessagesIn[0][c.result], s.MessagesIn[0][node.MessageRelayed], s.Deliveries)
			}
		})
	}
}

func TestUndeclaredNamespace(t *testing.T) {
	n := startNode(t, nil)
	p := dial(t, n)
	p.send("$1;nowhere;;_OnNamespaceConnect;0;0;")
	p.expect("$1;nowhere;;_OnNamespaceConnect;1;0;bad namespace")
	p.send("$2;nowhere;r;_OnRoomJoin;0;0;")
	p.expect("$2;nowhere;r;_OnRoomJoin;1;0;bad namespace")
	p.send("$3;default;;_OnNamespaceConnect;0;0;")
	p.expect("$3;;;;;;")
}

// A member that closes leaves nothing behind, on any loop.
func TestMembersGo(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(p *peer)
		room  bool // is a member of the namespace afterwards
	}{
		{"leave", func(p *peer) {
			p.send("$l;default;r;_OnRoomLeave;0;0;")
			p.expect("$l;;;;;;")
		}, true},
		{"leave as neffos.js' leaveAll does", func(p *peer) {
			p.send("$l;default;r;_OnRoomLeft;0;0;")
			p.expect("$l;;;;;;")
		}, true},
		{"disconnect", func(p *peer) {
			p.send("$d;default;;_OnNamespaceDisconnect;0;0;")
			p.expect("$d;;;;;;")
		}, false},
		{"close", func(p *peer) {
			p.write(frame(ws.OpClose, true, "\x03\xe8"))
			p.expectClose(1000)
			p.expectEnd()
		}, false},
		{"loss of the socket", func(p *peer) { _ = p.conn.Close() }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, nil)
			stays := join(t, n, "default", "r")
			var goes []*peer
			for range 8 {
				goes = append(goes, join(t, n, "default", "r"))
			}
			if s := n.Stats(); s.Memberships != 9 {
				t.Fatalf("%d memberships, want 9", s.Memberships)
			}
			for _, p := range goes {
				c.leave(p)
			}
			eventually(t, "one membership is left", func() bool { return n.Stats().Memberships == 1 })
			stays.send(";default;r;chat;0;0;anybody?")
			if c.room {
				stays.send(";default;;news;0;0;still in the namespace")
				for _, p := range goes {
					p.expect(";default;;news;0;0;still in the namespace")
				}
			}
			stays.send("$l;default;r;_OnRoomLeave;0;0;")
			stays.expect("$l;;;;;;")
			if s := n.Stats(); s.Rooms != 0 || s.Memberships != 0 {
				t.Errorf("%d rooms and %d memberships, want none", s.Rooms, s.Memberships)
			}
			_ = stays.conn.Close()
			for _, p := range goes {
				_ = p.conn.Close()
			}
			eventually(t, "no connections and subscriptions are left", func() bool {
				s := n.Stats()
				return s.Connections == 0 && s.Subscriptions == 0
			})
		})
	}
}

// A subscription of the broker belongs to the room, not to one member.
func TestSubscriptionsFollowRooms(t *testing.T) {
	t.Parallel()
	faulty := clustertest.NewFaulty(newMemory())
	n := startNode(t, func(cfg *node.Config) { cfg.Broker = faulty })
	for range 3 {
		p := join(t, n, "default", "r", "s")
		_ = p.conn.Close()
		eventually(t, "the connection has closed", func() bool { return n.Stats().Connections == 0 })
	}
	eventually(t, "the subscriptions have ended", func() bool { return n.Stats().Subscriptions == 0 })
	count := make(map[string]int)
	for _, call := range faulty.Calls() {
		for _, channel := range call.Channels {
			if call.Operation == clustertest.OperationSubscribe {
				count[channel]++
			} else {
				count[channel]--
			}
		}
	}
	// The node stays subscribed to its own channel and to that of all nodes.
	own, all := cluster.NodeChannel(n.ID()), cluster.ClusterChannel()
	if want := map[string]int{own: 1, all: 1, "n:default": 0, "r:default:r": 0, "r:default:s": 0}; !maps.Equal(count, want) {
		t.Errorf("subscriptions less ends by channel: %v, want %v", count, want)
	}
}
