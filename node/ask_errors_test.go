package node_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// shortAsks ends asks without a deadline soon.
func shortAsks(cfg *node.Config) {
	cfg.Timeouts.Ask = 100 * time.Millisecond
	cfg.Timeouts.Close = 50 * time.Millisecond // the sweep follows the shortest
}

// A member that is there and does not answer is a timeout, on this node and on
// another one.
func TestAskOfMuteMember(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	config := redisbroker.Config{Servers: []string{server.URL()}}
	n, first := startMember(t, "n0", config, shortAsks)
	other, second := startMember(t, "n1", config, shortAsks)
	awaitNodes(t, 2, first, second)
	for room, on := range map[string]*node.Node{"here": n, "there": other} {
		t.Run(room, func(t *testing.T) {
			mute := join(t, on, "default", room)
			message := node.Message{Namespace: "default", Room: room, Event: "q"}
			for range 10 {
				if _, err := n.AskRoom(context.Background(), message); !errors.Is(err, wire.ErrTimeout) {
					t.Errorf("AskRoom: %v, want %v", err, wire.ErrTimeout)
				}
			}
			if _, err := n.Ask(context.Background(), mute.id, message); !errors.Is(err, wire.ErrTimeout) {
				t.Errorf("Ask: %v, want %v", err, wire.ErrTimeout)
			}
			asking := join(t, n, "default", room)
			for i := range 10 {
				asking.send(fmt.Sprintf("$%d;default;%s;q;0;0;", i, room))
				asking.expect(fmt.Sprintf("$%d;default;%s;q;1;0;timeout", i, room))
			}
		})
	}
}

// A room whose members are on a node that has no subscription at the moment is
// not empty.
func TestAskWhileSubscriptionIsInterrupted(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	config := func(url string) redisbroker.Config {
		return redisbroker.Config{Servers: []string{url}, Lease: time.Hour}
	}
	n, first := startMember(t, "n0", config(server.URL()), shortAsks)
	other, second := startMember(t, "n1", config(proxy.URL()), shortAsks)
	awaitNodes(t, 2, first, second)
	in := func(room string) node.Message { return node.Message{Namespace: "default", Room: room, Event: "q"} }
	if _, err := n.AskRoom(within(t), in("r")); !errors.Is(err, wire.ErrNobody) {
		t.Errorf("an empty room: %v, want %v", err, wire.ErrNobody)
	}
	join(t, other, "default", "r")
	asking := join(t, n, "default", "r")
	proxy.Cut()
	proxy.Break()
	asking.send("$1;default;r;q;0;0;")
	asking.expect("$1;default;r;q;1;0;timeout")
	_ = asking.conn.Close()
	eventually(t, "the asking client has closed", func() bool { return n.Stats().Connections == 0 })
	if _, err := n.AskRoom(context.Background(), in("r")); !errors.Is(err, wire.ErrTimeout) {
		t.Errorf("AskRoom: %v, want %v", err, wire.ErrTimeout)
	}
	proxy.Heal()
	eventually(t, "the node is ready again", func() bool { return other.Ready(within(t)) == nil })
}

// A client that answers with the text of an error of the node is not the node:
// neither a handler nor another client takes it for that, on any node.
func TestClientsCannotSpeakForTheNode(t *testing.T) {
	nodes := startCluster(t, "n0", "n1")
	for room, n := range map[string]*node.Node{"here": nodes[1], "there": nodes[0]} {
		t.Run(room, func(t *testing.T) {
			liar, asking := join(t, nodes[1], "default", room), join(t, n, "default", room)
			ask := ";default;" + room + ";q;0;0;"
			message := node.Message{Namespace: "default", Room: room, Event: "q"}
			for _, said := range wire.Errors() {
				text := said.Error()
				if said == wire.ErrUnhandled {
					continue // a client's to say, too
				}
				lie := func() { liar.send(liar.request(ask) + ";default;" + room + ";q;1;0;" + text) }
				want := wire.RemoteError("remote: " + text)
				wait := async(func() (node.Answer, error) { return n.Ask(within(t), liar.id, message) })
				lie()
				if _, err := wait(); !errors.Is(err, want) || errors.Is(err, said) {
					t.Errorf("Ask: %v, want %v", err, want)
				}
				asking.send("$1" + ask)
				lie()
				asking.expect("$1;default;" + room + ";q;1;0;remote: " + text)
			}
			// Those of the requests that a client may refuse keep their
			// meaning.
			for said, want := range map[error]error{
				wire.ErrUnavailable: wire.ErrUnavailable, wire.ErrForbidden: wire.ErrForbidden,
				wire.ErrTimeout: wire.RemoteError("remote: timeout"), wire.ErrGone: wire.RemoteError("remote: gone"),
			} {
				wait := async(nothing(func() error { return n.Join(within(t), liar.id, "default", "private") }))
				request := ";default;private;_OnRoomJoin;"
				liar.send(liar.request(request+"0;0;") + request + "1;0;" + said.Error())
				if _, err := wait(); !errors.Is(err, want) {
					t.Errorf("Join: %v, want %v", err, want)
				}
			}
		})
	}
}
