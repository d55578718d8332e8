package node_test

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/clustertest"
	"github.com/stoa-io/stoa/node"
)

// An accept handler that ends its goroutine has not accepted the client.
func TestGoexitInAnAcceptHandlerRefuses(t *testing.T) {
	n := startHandling(t, nil, func(n *node.Node) {
		n.OnAccept(func(context.Context, *node.Accept) error {
			runtime.Goexit()
			return nil
		})
	})
	p := connectTCP(t, n)
	p.write(upgradeRequest("/ws"))
	if got := p.response().StatusCode; got != http.StatusInternalServerError {
		t.Errorf("status %d, want 500", got)
	}
}

// A join whose namespace was disconnected while its handler ran leaves no
// subscription behind.
func TestJoinOfADisconnectedNamespaceSubscribesNothing(t *testing.T) {
	t.Parallel()
	n := startHandling(t, nil, func(n *node.Node) {
		n.LookupNamespace("default").OnJoin(func(ctx context.Context, r *node.JoinRequest) error {
			return r.NSConn.Disconnect(ctx)
		})
	})
	p := join(t, n, "default")
	p.send("$j;default;room;_OnRoomJoin;0;0;")
	disconnect := string(p.next().Payload)
	token, _, _ := strings.Cut(disconnect, ";")
	p.send(token + ";;;;;;")
	if got := string(p.next().Payload); !strings.HasPrefix(got, "$j;") {
		t.Fatalf("got %q, want the answer to the join", got)
	}
	_ = p.conn.Close()
	eventually(t, "nothing is subscribed", func() bool {
		s := n.Stats()
		return s.Connections == 0 && s.Subscriptions == 0
	})
}

// A handler may use the memory of its reply for the next one.
func TestRepliesOfJoinsAreCopied(t *testing.T) {
	faulty := clustertest.NewFaulty(newMemory())
	faulty.Set(clustertest.Faults{Delay: 30 * time.Millisecond}) // both joins wait for it
	buffer := []byte("a")
	n := startHandling(t, func(c *node.Config) { c.Broker = faulty }, func(n *node.Node) {
		n.LookupNamespace("default").OnJoin(func(_ context.Context, r *node.JoinRequest) error {
			buffer[0]++
			r.Reply(buffer)
			return nil
		})
	})
	p := join(t, n, "default")
	p.send("$1;default;r1;_OnRoomJoin;0;0;")
	p.send("$2;default;r2;_OnRoomJoin;0;0;")
	got := map[string]bool{string(p.next().Payload): true, string(p.next().Payload): true}
	for _, want := range []string{"$1;default;r1;_OnRoomJoin;0;0;b", "$2;default;r2;_OnRoomJoin;0;0;c"} {
		if !got[want] {
			t.Errorf("the answers are %v, want %q among them", got, want)
		}
	}
}
