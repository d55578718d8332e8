package node_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// TestClusterClientAsksRoom: a client in a room serves clients of other nodes.
func TestClusterClientAsksRoom(t *testing.T) {
	nodes := startCluster(t, "n0", "n1", "n2")
	a, service := join(t, nodes[0], "default", "r"), join(t, nodes[1], "default", "r")

	a.send("$1;default;r;sum;0;0;1+1")
	service.send(service.request(";default;r;sum;0;0;1+1") + ";default;r;sum;0;0;2")
	a.expect("$1;default;r;sum;0;0;2")

	a.send("$2;default;r;sum;0;0;")
	service.sendBinary(service.request(";default;r;sum;0;0;") + ";default;r;sum;0;0;\xff")
	if f := a.next(); f.Header.OpCode != ws.OpBinary || string(f.Payload) != "$2;default;r;sum;0;0;\xff" {
		t.Errorf("got %s, want the binary answer", describe(f))
	}

	// Two more members on two nodes; one of them does not handle the event.
	second, third := join(t, nodes[1], "default", "r"), join(t, nodes[2], "default", "r")
	a.send("$3;default;r;sum;0;0;2+2")
	tokens := []string{service.request(";default;r;sum;0;0;2+2"), second.request(";default;r;sum;0;0;2+2"), third.request(";default;r;sum;0;0;2+2")}
	second.send(tokens[1] + ";default;r;sum;1;0;unhandled event")
	second.sync("default")
	third.send(tokens[2] + ";default;r;sum;0;0;4")
	a.expect("$3;default;r;sum;0;0;4")
	service.send(tokens[0] + ";default;r;sum;0;0;5")
	service.sync("default")
	if got := a.sync("default"); len(got) != 0 {
		t.Errorf("received %q after the first answer, want nothing", got)
	}
}

// TestClusterClientAsksEmptyRoom: an ask to an empty room is answered at once.
func TestClusterClientAsksEmptyRoom(t *testing.T) {
	server := redistest.Start(t)
	config := redisbroker.Config{Servers: []string{server.URL()}}
	patient := func(cfg *node.Config) { cfg.Timeouts.Ask = time.Hour }
	n, broker := startMember(t, "n0", config, patient)
	other, _ := startMember(t, "n1", config, patient)
	awaitNodes(t, 2, broker)
	a := join(t, n, "default", "r")
	a.send("$1;default;r;q;0;0;")
	a.expect("$1;default;r;q;1;0;nobody there")

	// The other node may or may not have unsubscribed from the room yet.
	b := join(t, other, "default", "r")
	_ = b.conn.Close()
	eventually(t, "the member has left", func() bool { return other.Stats().Connections == 0 })
	a.send("$2;default;r;q;0;0;")
	a.expect("$2;default;r;q;1;0;nobody there")

	b = join(t, other, "default", "r")
	a.send("$3;default;r;q;0;0;")
	b.request(";default;r;q;0;0;")
	_ = b.conn.Close()
	a.expect("$3;default;r;q;1;0;nobody there")

	b = join(t, other, "default", "r")
	a.send("$4;default;r;q;0;0;")
	b.send(b.request(";default;r;q;0;0;") + ";default;r;q;1;0;unhandled event")
	a.expect("$4;default;r;q;1;0;unhandled event")
}

// TestClusterInboxes: a message for a node reaches no other node with a similar
// ID.
func TestClusterInboxes(t *testing.T) {
	nodes := startCluster(t, "a", "A", "ab", "a_b", "_", "a-b", "a.b-c")
	peers := make([]*peer, len(nodes))
	for i, n := range nodes {
		peers[i] = join(t, n, "default")
	}
	for i, n := range nodes {
		for k, p := range peers {
			m := node.Message{Namespace: "default", Event: "from", Body: []byte(n.ID())}
			if err := n.EmitTo(within(t), p.id, m); err != nil {
				t.Errorf("EmitTo from %s to %s: %v", n.ID(), nodes[k].ID(), err)
				continue
			}
			p.expect(";default;;from;0;0;" + nodes[i].ID())
		}
	}
	for i, p := range peers {
		if got := p.sync("default"); len(got) != 0 {
			t.Errorf("the connection on %s received %q, want nothing", nodes[i].ID(), got)
		}
	}
	for _, n := range nodes {
		// The same nonce under another node's name is no connection.
		rest := strings.TrimPrefix(peers[0].id, "a-")
		if id := n.ID() + "-" + rest; id != peers[0].id {
			if err := nodes[0].EmitTo(within(t), id, node.Message{Namespace: "default", Event: "e"}); !errors.Is(err, wire.ErrGone) {
				t.Errorf("EmitTo %s: %v, want %v", id, err, wire.ErrGone)
			}
		}
	}
}

// TestClusterNamesDoNotMix: two clusters share a Redis server and even the IDs
// of their nodes.
func TestClusterNamesDoNotMix(t *testing.T) {
	server := redistest.Start(t)
	type half struct {
		nodes   [2]*node.Node
		brokers [2]*redisbroker.Broker
		peers   [2]*peer
	}
	halves := make(map[string]*half)
	for _, name := range []string{"one", "one.two"} {
		h := &half{}
		for i, id := range []string{"n0", "n1"} {
			h.nodes[i], h.brokers[i] = startMember(t, id, redisbroker.Config{Servers: []string{server.URL()}, Cluster: name}, nil)
			h.peers[i] = join(t, h.nodes[i], "default", "r")
		}
		halves[name] = h
	}
	one, two := halves["one"], halves["one.two"]
	awaitNodes(t, 2, one.brokers[0], one.brokers[1], two.brokers[0], two.brokers[1])
	if err := one.nodes[0].EmitTo(within(t), two.peers[1].id, node.Message{Namespace: "default", Event: "e"}); !errors.Is(err, wire.ErrGone) {
		t.Errorf("EmitTo a connection of the other cluster: %v, want %v", err, wire.ErrGone)
	}
	one.peers[0].send(";default;r;e;0;0;to the room")
	one.peers[1].expect(";default;r;e;0;0;to the room")
	one.peers[0].send(";default;;e;0;0;to all")
	one.peers[1].expect(";default;;e;0;0;to all")
	one.peers[0].send("$q;default;r;q;0;0;")
	one.peers[1].send(one.peers[1].request(";default;r;q;0;0;") + ";default;r;q;0;0;a")
	one.peers[0].expect("$q;default;r;q;0;0;a")
	// All messages that were on their way to the other cluster would arrive
	// first.
	two.peers[0].send(";default;r;e;0;0;ours")
	two.peers[1].expect(";default;r;e;0;0;ours")
	if got := two.peers[0].sync("default"); len(got) != 0 {
		t.Errorf("the other cluster received %q, want nothing", got)
	}
}
