package node_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster/clustertest"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// slowNode starts a node whose broker confirms subscriptions when the test says
// so. Connect its clients to their namespace before blockSubscriptions.
func slowNode(tb testing.TB, change func(*node.Config)) (*node.Node, *clustertest.Faulty) {
	tb.Helper()
	faulty := clustertest.NewFaulty(newMemory())
	n := startNode(tb, func(cfg *node.Config) {
		cfg.Broker = faulty
		cfg.Timeouts.Join = time.Minute
		if change != nil {
			change(cfg)
		}
	})
	return n, faulty
}

// blockSubscriptions blocks subscriptions until release is called. The test's
// cleanup calls it, too, before the shutdown.
func blockSubscriptions(tb testing.TB, faulty *clustertest.Faulty) (release func()) {
	block := make(chan struct{})
	released := false
	faulty.Set(clustertest.Faults{Hold: block})
	release = func() {
		if !released {
			released = true
			faulty.Set(clustertest.Faults{})
			close(block)
		}
	}
	tb.Cleanup(release)
	return release
}

// asked counts the calls that subscribe to a channel.
func asked(faulty *clustertest.Faulty, channel string) int {
	count := 0
	for _, call := range faulty.Calls() {
		if call.Operation == clustertest.OperationSubscribe && slices.Contains(call.Channels, channel) {
			count++
		}
	}
	return count
}

func awaitAsked(tb testing.TB, faulty *clustertest.Faulty, channel string) {
	tb.Helper()
	eventually(tb, "the broker is asked for "+channel, func() bool { return asked(faulty, channel) > 0 })
}

// expectPong checks that nothing was sent before the pong: pings are answered
// while messages are queued.
func (p *peer) expectPong() {
	p.tb.Helper()
	p.write(frame(ws.OpPing, true, "?"))
	if f := p.next(); f.Header.OpCode != ws.OpPong {
		p.tb.Fatalf("got %s, want nothing but a pong", describe(f))
	}
}

func joinMessage(token, room string) string {
	return token + ";default;" + room + ";_OnRoomJoin;0;0;"
}

func TestJoinAnswerWaitsForSubscription(t *testing.T) {
	n, faulty := slowNode(t, nil)
	a, other := join(t, n, "default"), join(t, n, "default", "elsewhere")
	release := blockSubscriptions(t, faulty)
	a.send(joinMessage("$1", "r"))
	awaitAsked(t, faulty, "r:default:r")
	for i := range 20 {
		a.send(fmt.Sprintf("$ask%d;default;r;who;0;0;", i))
	}
	a.expectPong()
	other.send("$other;default;elsewhere;who;0;0;")
	other.expect("$other;default;elsewhere;who;1;0;unhandled event")
	a.expectPong()

	release()
	a.expect("$1;;;;;;")
	for i := range 20 {
		a.expect(fmt.Sprintf("$ask%d;default;r;who;1;0;unhandled event", i))
	}
	other.send(joinMessage("$2", "r"))
	other.expect("$2;;;;;;")
	other.send(";default;r;chat;0;0;hello")
	a.expect(";default;r;chat;0;0;hello")
}

// Messages behind a join keep their order, including a join that alone would
// not have to wait.
func TestReceiveQueueKeepsOrder(t *testing.T) {
	n, faulty := slowNode(t, nil)
	a, b := join(t, n, "default", "old"), join(t, n, "default", "old")
	release := blockSubscriptions(t, faulty)
	a.send(joinMessage("$1", "new"))
	awaitAsked(t, faulty, "r:default:new")
	a.send("$2;default;old;_OnRoomLeave;0;0;")
	a.send(joinMessage("$3", "old"))
	a.send(";default;old;chat;0;0;I am back")
	a.expectPong()
	release()
	a.expect("$1;;;;;;", "$2;;;;;;", "$3;;;;;;")
	b.expect(";default;old;chat;0;0;I am back")
	b.send(";default;old;chat;0;0;welcome")
	a.expect(";default;old;chat;0;0;welcome")
}

func TestConnectWaitsForSubscription(t *testing.T) {
	n, faulty := slowNode(t, nil)
	a := dial(t, n)
	release := blockSubscriptions(t, faulty)
	a.send("$1;default;;_OnNamespaceConnect;0;0;")
	a.send(joinMessage("$2", "r"))
	a.send("$3;default;r;who;0;0;")
	a.send("$4;default;;_OnNamespaceDisconnect;0;0;")
	a.send("$5;default;r;who;0;0;")
	awaitAsked(t, faulty, "n:default")
	a.expectPong()
	release()
	a.expect("$1;;;;;;", "$2;;;;;;", "$3;default;r;who;1;0;unhandled event", "$4;;;;;;",
		"$5;default;r;who;1;0;bad namespace")
	if s := n.Stats(); s.Rooms != 0 || s.Memberships != 0 {
		t.Errorf("%d rooms and %d memberships, want none", s.Rooms, s.Memberships)
	}
}

// Joins do not wait for each other: a client that reconnects joins all its
// rooms at once.
func TestJoinsArePipelined(t *testing.T) {
	const rooms = 100
	n, faulty := slowNode(t, nil)
	a := join(t, n, "default")
	before := len(faulty.Calls())
	release := blockSubscriptions(t, faulty)
	for i := range rooms {
		a.send(joinMessage(fmt.Sprintf("$%d", i), fmt.Sprintf("r%d", i)))
	}
	a.send("$last;default;r99;who;0;0;")
	a.expectPong()
	release()
	var answers []string
	for range rooms {
		answers = append(answers, string(a.next().Payload))
	}
	a.expect("$last;default;r99;who;1;0;unhandled event")
	slices.Sort(answers)
	if answers = slices.Compact(answers); len(answers) != rooms {
		t.Errorf("%d different answers, want %d", len(answers), rooms)
	}
	for i := range rooms {
		if answer := fmt.Sprintf("$%d;;;;;;", i); !slices.Contains(answers, answer) {
			t.Errorf("no answer %q", answer)
		}
	}
	if s := n.Stats(); s.Memberships != rooms {
		t.Errorf("%d memberships, want %d", s.Memberships, rooms)
	}
	if calls := len(faulty.Calls()) - before; calls > 3 {
		t.Errorf("the broker was called %d times for joins that came together, want batches", calls)
	}
}

// A full receive queue pauses only its own connection, which continues later
// without losses.
func TestReceiveQueueLimit(t *testing.T) {
	const (
		messages = 400
		size     = 50_000
	)
	n, faulty := slowNode(t, func(cfg *node.Config) { cfg.Limits.ReceiveQueue = 1000 })
	a, other := join(t, n, "default"), join(t, n, "default", "elsewhere")
	release := blockSubscriptions(t, faulty)
	a.send(joinMessage("$join", "r"))
	awaitAsked(t, faulty, "r:default:r")
	before := n.Stats().BytesIn
	sent := make(chan error, 1)
	go func() {
		body := strings.Repeat("x", size)
		var failed error
		for i := range messages {
			_, err := a.conn.Write([]byte(frame(ws.OpText, true, fmt.Sprintf("$%d;default;r;who;0;0;%s", i, body))))
			failed = errors.Join(failed, err)
		}
		sent <- failed
	}()
	for range 200 {
		other.sync("default")
	}
	if got := n.Stats().BytesIn - before; got > 1<<20 {
		t.Errorf("%d bytes read behind a join that waits, want little more than the receive queue holds", got)
	}
	release()
	a.expect("$join;;;;;;")
	for i := range messages {
		a.expect(fmt.Sprintf("$%d;default;r;who;1;0;unhandled event", i))
	}
	if err := <-sent; err != nil {
		t.Errorf("write: %v", err)
	}
}

// The close frame of a peer is read although its receive queue is full. Else
// the node would wait an hour for it.
func TestCloseAfterAFullReceiveQueue(t *testing.T) {
	n, faulty := slowNode(t, func(cfg *node.Config) {
		cfg.Limits.ReceiveQueue = 100
		cfg.Timeouts.Close = time.Hour
	})
	a := join(t, n, "default")
	release := blockSubscriptions(t, faulty)
	a.send(joinMessage("$join", "r"))
	for range 10 {
		a.send(";default;r;chat;0;0;" + strings.Repeat("x", 1000))
	}
	awaitAsked(t, faulty, "r:default:r")
	if err := n.CloseConn(t.Context(), a.id, wire.CodePolicy, "over"); err != nil {
		t.Errorf("CloseConn: %v", err)
	}
	a.expectClose(ws.StatusCode(wire.CodePolicy))
	a.write(frame(ws.OpClose, true, "\x03\xe9"))
	a.expectEnd()
	release()
}
