package node_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// burst is a rate that lets so many through in the time of a test.
func burst(n int) node.Rate { return node.Rate{PerSecond: 0.001, Burst: n} }

// numbered returns emits to room r, and all of them as frames.
func numbered(count int) (texts []string, frames string) {
	for i := range count {
		texts = append(texts, fmt.Sprintf(";default;r;e;0;0;%03d", i))
		frames += frame(ws.OpText, true, texts[i])
	}
	return texts, frames
}

// expectOverRate waits until so many connections are not read because of one
// rate.
func expectOverRate(t *testing.T, n *node.Node, kind node.RateKind, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d connections are over their rate of %s", want, kind), func() bool {
		s := n.Stats()
		return s.OverRate == want && (want == 0 || s.RatesExceeded[kind] >= uint64(want))
	})
}

// A connection above its rate is not read. The others are.
func TestRateOfConnection(t *testing.T) {
	t.Parallel()
	texts, frames := numbered(20)
	visit := len(frame(ws.OpText, true, "M")) + len(frame(ws.OpText, true, "$c;default;;_OnNamespaceConnect;0;0;")) +
		len(frame(ws.OpText, true, "$j0;default;r;_OnRoomJoin;0;0;"))
	for kind, limit := range map[node.RateKind]func(*node.Limits){
		node.RateMessages: func(l *node.Limits) { l.Messages = burst(3 + 7) },
		node.RateBytes:    func(l *node.Limits) { l.Bytes = burst(visit + 8*len(frames)/len(texts) - 1) },
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			n := startNode(t, func(c *node.Config) { limit(&c.Limits) })
			sender, listener := join(t, n, "default", "r"), join(t, n, "default", "r")
			sender.write(frames)
			listener.expect(texts[:7]...)
			expectOverRate(t, n, kind, 1)
			listener.send(";default;r;e;0;0;back")
			sender.expect(";default;r;e;0;0;back")
			expectMessages(t, n, node.MessageRelayed, 8)
		})
	}
}

// Nothing is lost or out of order when a connection is slowed down.
func TestRateLosesNothing(t *testing.T) {
	n := startNode(t, func(c *node.Config) { c.Limits.Messages = node.Rate{PerSecond: 200, Burst: 5} })
	sender, listener := join(t, n, "default", "r"), join(t, n, "default", "r")
	texts, frames := numbered(60)
	sender.write(frames)
	listener.expect(texts...)
	sender.sync("default")
	if got := n.Stats().RatesExceeded[node.RateMessages]; got == 0 {
		t.Error("the sender was never slowed down")
	}
	expectOverRate(t, n, node.RateMessages, 0)
}

// All connections of a user have one rate, whichever loops they are on. To
// connect again does not bring the burst back.
func TestRateOfUser(t *testing.T) {
	t.Parallel()
	for kind, limit := range map[node.RateKind]func(*node.Limits){
		node.RateUserMessages: func(l *node.Limits) { l.UserMessages = burst(20) },
		node.RateUserBytes:    func(l *node.Limits) { l.UserBytes = burst(600) },
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			n := startHandling(t, func(c *node.Config) { limit(&c.Limits) }, func(n *node.Node) {
				n.OnAccept(func(_ context.Context, a *node.Accept) error {
					a.Identity.User = a.Request.URL.Query().Get("user")
					return nil
				})
			})
			as := func(user string) *peer {
				p := connectTCP(t, n)
				p.write(upgradeRequest("/ws?user="+user) + frame(ws.OpText, true, "M"))
				p.expectSwitch()
				if f := p.next(); f.Payload[0] != 'A' {
					t.Fatalf("got %s, want an acknowledgement", describe(f))
				}
				return p
			}
			enter := func(p *peer) *peer {
				p.send("$c;default;;_OnNamespaceConnect;0;0;")
				p.send("$j;default;r;_OnRoomJoin;0;0;")
				p.expect("$c;;;;;;", "$j;;;;;;")
				return p
			}
			listener := enter(as("")) // has no user, and no limit
			first, second := enter(as("ann")), enter(as("ann"))
			texts, frames := numbered(20)
			half := len(frames) / 2
			first.write(frames[:half])
			listener.expect(texts[:10]...)
			second.write(frames)
			expectOverRate(t, n, kind, 1)
			before := n.Stats().MessagesIn[0][node.MessageRelayed]
			if before < 11 || before >= 25 {
				t.Errorf("%d messages relayed, want more than 10 and fewer than 25", before)
			}
			_ = first.conn.Close()
			_ = second.conn.Close()
			again := as("bob")
			enter(again).write(frames[:half])
			expectMessages(t, n, node.MessageRelayed, before+10)
			again = connectTCP(t, n)
			again.write(upgradeRequest("/ws?user=ann") + strings.Repeat(frame(ws.OpText, true, "M"), 20))
			eventually(t, "the new connection is over the rate, too", func() bool { return n.Stats().RatesExceeded[kind] == 2 })
		})
	}
}

// The answers of a client that has used up its rate arrive.
func TestRateLetsAnswersThrough(t *testing.T) {
	t.Parallel()
	n := startNode(t, func(c *node.Config) { c.Limits.Messages = burst(3) })
	p := serveRequests(join(t, n, "default", "r"))
	for i := range 5 {
		answer, err := n.Ask(t.Context(), p.id, node.Message{Namespace: "default", Event: "q", Body: fmt.Append(nil, i)})
		if err != nil || string(answer.Body) != fmt.Sprint(i) {
			t.Fatalf("ask %d: %v, %v", i, answer, err)
		}
	}
	p.send(";default;r;e;0;0;")
	expectOverRate(t, n, node.RateMessages, 1)
}

// With the policy, a client that does not slow down is closed.
func TestCloseOverRate(t *testing.T) {
	n := startNode(t, func(c *node.Config) {
		c.Limits.Messages = node.Rate{PerSecond: 100, Burst: 5}
		c.Limits.OverRate = node.OverRateClose
		c.Timeouts.OverRate = 200 * time.Millisecond
	})
	sender, listener := join(t, n, "default", "r"), join(t, n, "default", "r")
	texts, frames := numbered(1000)
	sender.write(frames)
	listener.expect(texts[:10]...)
	sender.expectClose(ws.StatusCode(wire.CodeRateExceeded))
	_ = sender.conn.Close()
	expectCloses(t, n, wire.CodeRateExceeded, node.ByServer, 1)
	expectOverRate(t, n, node.RateMessages, 0)
}

// A client that is gone does not keep its connection for as long as its
// messages last.
func TestGoneOverRate(t *testing.T) {
	n := startNode(t, func(c *node.Config) {
		c.Limits.Messages = node.Rate{PerSecond: 50, Burst: 1}
		c.Timeouts.Ping = 20 * time.Millisecond
	})
	p := dial(t, n)
	_, frames := numbered(1000)
	p.write(frames)
	expectOverRate(t, n, node.RateMessages, 1)
	_ = p.conn.Close()
	eventually(t, "the connection has ended", func() bool { return n.Connections() == 0 })
	expectOverRate(t, n, node.RateMessages, 0)
}

// Joins and leaves above their rate wait, in order, with the messages after
// them.
func TestRateOfJoins(t *testing.T) {
	t.Run("wait", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { c.Limits.Joins = burst(3) })
		listener := join(t, n, "default", "r")
		p := join(t, n, "default", "r", "s")
		p.send(";default;r;e;0;0;before")
		p.send("$1;default;t;_OnRoomJoin;0;0;")
		p.send("$2;default;s;_OnRoomLeave;0;0;")
		p.send(";default;r;e;0;0;after")
		listener.expect(";default;r;e;0;0;before")
		eventually(t, "the join waits", func() bool { return n.Stats().RatesExceeded[node.RateJoins] == 1 })
		if got := listener.sync("default"); len(got) != 0 || n.Stats().Memberships != 3 {
			t.Errorf("received %q, %d memberships, want none and 3", got, n.Stats().Memberships)
		}
	})
	t.Run("in order", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { c.Limits.Joins = node.Rate{PerSecond: 200, Burst: 2} })
		listener := join(t, n, "default", "r")
		p := join(t, n, "default", "r")
		var frames string
		var want, emits []string
		for i := range 20 {
			change := [...]string{"_OnRoomJoin", "_OnRoomLeave"}[i%2]
			frames += frame(ws.OpText, true, fmt.Sprintf("$%d;default;x;%s;0;0;", i, change))
			emits = append(emits, fmt.Sprintf(";default;r;e;0;0;%d", i))
			frames += frame(ws.OpText, true, emits[i])
			want = append(want, fmt.Sprintf("$%d;;;;;;", i))
		}
		p.write(frames)
		p.expect(want...)
		listener.expect(emits...)
	})
}
