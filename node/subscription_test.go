package node_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/clustertest"
	"github.com/stoa-io/stoa/node"
)

func TestSubscribeFails(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults clustertest.Faults
		join   time.Duration
		text   string
	}{
		{"error", clustertest.Faults{Subscribe: errors.New("no")}, time.Minute, "unavailable"},
		{"timeout", clustertest.Faults{Hold: make(chan struct{})}, 20 * time.Millisecond, "timeout"},
		{"lost answer", clustertest.Faults{LoseAnswer: true}, 20 * time.Millisecond, "timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n, faulty := slowNode(t, func(cfg *node.Config) { cfg.Timeouts.Join = c.join })
			a := join(t, n, "default", "before")
			faulty.Set(c.faults)
			a.send(joinMessage("$1", "r"))
			a.send(";default;r;chat;0;0;not a member")
			a.send("$2;default;before;who;0;0;")
			a.expect("$1;default;r;_OnRoomJoin;1;0;"+c.text, "$2;default;before;who;1;0;unhandled event")
			fresh := dial(t, n)
			fresh.send("$3;rooms;;_OnNamespaceConnect;0;0;")
			fresh.expect("$3;rooms;;_OnNamespaceConnect;1;0;" + c.text)
			late := map[node.LimitKind]uint64{}
			if c.text == "timeout" {
				late[node.LimitJoinTime] = 2
			}
			expectLimits(t, n, late)

			faulty.Set(clustertest.Faults{})
			a.send(joinMessage("$4", "r"))
			a.expect("$4;;;;;;")
			b := join(t, n, "default", "r")
			b.send(";default;r;chat;0;0;hello")
			a.expect(";default;r;chat;0;0;hello")
			_, _ = a.conn.Close(), b.conn.Close()
			eventually(t, "the subscriptions have ended", func() bool { return n.Stats().Subscriptions == 0 })
		})
	}
}

// A connection that closes while its join waits leaves no subscription behind
// and is counted once.
func TestCloseWhileJoinWaits(t *testing.T) {
	t.Parallel()
	n, faulty := slowNode(t, nil)
	a := join(t, n, "default")
	fresh := dial(t, n)
	release := blockSubscriptions(t, faulty)
	a.send(joinMessage("$1", "r"))
	a.send(";default;r;chat;0;0;waits")
	awaitAsked(t, faulty, "r:default:r")
	fresh.send("$2;rooms;;_OnNamespaceConnect;0;0;")
	fresh.expectPong()
	_, _ = a.conn.Close(), fresh.conn.Close()
	eventually(t, "the connections have closed", func() bool { return n.Stats().Connections == 0 })
	release()
	eventually(t, "the subscriptions have ended", func() bool {
		return n.Stats().Subscriptions == 0 && unsubscribed(faulty, "r:default:r") && unsubscribed(faulty, "n:rooms")
	})
	if s := n.Stats(); s.Rooms != 0 || s.Memberships != 0 {
		t.Errorf("%d rooms and %d memberships, want none", s.Rooms, s.Memberships)
	}
	again := join(t, n, "default", "r")
	again.send("$3;default;r;who;0;0;")
	again.expect("$3;default;r;who;1;0;unhandled event")
}

func unsubscribed(faulty *clustertest.Faulty, channel string) bool {
	for _, call := range faulty.Calls() {
		if call.Operation == clustertest.OperationUnsubscribe && slices.Contains(call.Channels, channel) {
			return true
		}
	}
	return false
}

func TestDisconnectWhileJoinWaits(t *testing.T) {
	n, faulty := slowNode(t, nil)
	a := join(t, n, "default")
	release := blockSubscriptions(t, faulty)
	a.send(joinMessage("$1", "r"))
	awaitAsked(t, faulty, "r:default:r")
	a.send("$2;default;;_OnNamespaceDisconnect;0;0;")
	a.send(joinMessage("$3", "r"))
	a.expectPong()
	release()
	a.expect("$1;;;;;;", "$2;;;;;;", "$3;default;r;_OnRoomJoin;1;0;bad namespace")
	if s := n.Stats(); s.Rooms != 0 || s.Memberships != 0 {
		t.Errorf("%d rooms and %d memberships, want none", s.Rooms, s.Memberships)
	}
}

// One subscription answers all waiting joins of a room. A waiting connection
// that closes does not affect the others.
func TestSeveralWaitForOneSubscription(t *testing.T) {
	for _, loops := range []int{1, 3} {
		t.Run(fmt.Sprintf("loops=%d", loops), func(t *testing.T) {
			n, faulty := slowNode(t, func(cfg *node.Config) { cfg.Loops = loops })
			members := joinOnLoops(t, n, loops, "default")
			members = append(members, joinOnLoops(t, n, loops, "default")...)
			goes := joinOnLoops(t, n, loops, "default")
			release := blockSubscriptions(t, faulty)
			for _, p := range append(slices.Clone(goes), members...) {
				p.send(joinMessage("$1", "r"))
				p.expectPong()
			}
			before := n.Stats().Connections
			for _, p := range goes {
				_ = p.conn.Close()
			}
			eventually(t, "some have closed", func() bool { return n.Stats().Connections == before-loops })
			release()
			for _, p := range members {
				p.expect("$1;;;;;;")
			}
			if got := asked(faulty, "r:default:r"); got != 1 {
				t.Errorf("subscribed %d times, want once", got)
			}
			members[0].send(";default;r;chat;0;0;hello")
			for _, p := range members[1:] {
				p.expect(";default;r;chat;0;0;hello")
			}
			if s := n.Stats(); s.Memberships != len(members) {
				t.Errorf("%d memberships, want %d", s.Memberships, len(members))
			}
		})
	}
}

// The first of the waiting connections leaves at once when its subscription is
// confirmed: the next one still joins the room.
func TestFirstWaiterLeavesAtOnce(t *testing.T) {
	n, faulty := slowNode(t, func(cfg *node.Config) { cfg.Loops = 1 })
	a, b, c := dial(t, n), join(t, n, "default"), join(t, n, "default")
	release := blockSubscriptions(t, faulty)
	b.send(joinMessage("$1", "r"))
	b.send("$2;default;r;_OnRoomLeave;0;0;")
	b.expectPong()
	c.send(joinMessage("$1", "r"))
	c.expectPong()
	release()
	b.expect("$1;;;;;;", "$2;;;;;;")
	c.expect("$1;;;;;;")
	a.send("$0;default;;_OnNamespaceConnect;0;0;")
	a.expect("$0;;;;;;")
	a.send(joinMessage("$1", "r"))
	a.expect("$1;;;;;;")
	a.send(";default;r;chat;0;0;hello")
	c.expect(";default;r;chat;0;0;hello")
}

// The session keeps messages before the hello. A join among them may wait for
// the broker, and so do the messages after it.
func TestEarlyMessagesWaitForJoin(t *testing.T) {
	n, faulty := slowNode(t, nil)
	p := upgrade(t, n)
	release := blockSubscriptions(t, faulty)
	p.send("$1;default;;_OnNamespaceConnect;0;0;")
	p.send(joinMessage("$2", "r"))
	p.send("$3;default;r;_OnRoomLeave;0;0;")
	p.send(joinMessage("$4", "r"))
	p.send("M")
	if f := p.next(); !strings.HasPrefix(string(f.Payload), "A") {
		t.Fatalf("got %s, want the acknowledgement", describe(f))
	}
	p.send("$5;default;r;who;0;0;")
	awaitAsked(t, faulty, "n:default")
	p.expectPong()
	release()
	p.expect("$1;;;;;;", "$2;;;;;;", "$3;;;;;;", "$4;;;;;;", "$5;default;r;who;1;0;unhandled event")
	q := join(t, n, "default", "r")
	q.send(";default;r;chat;0;0;hello")
	p.expect(";default;r;chat;0;0;hello")
}
