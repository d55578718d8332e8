package node_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// startMember starts a node of a cluster over Redis.
func startMember(tb testing.TB, id string, config redisbroker.Config, change func(*node.Config)) (*node.Node, *redisbroker.Broker) {
	tb.Helper()
	config.NodeID = id
	broker, err := redisbroker.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	n := startNode(tb, func(cfg *node.Config) {
		cfg.ID, cfg.Broker = id, broker
		withAsks(cfg)
		if change != nil {
			change(cfg)
		}
	})
	return n, broker
}

// startCluster starts nodes that know each other, over one Redis server.
func startCluster(tb testing.TB, ids ...string) []*node.Node {
	tb.Helper()
	server := redistest.Start(tb)
	var nodes []*node.Node
	var brokers []*redisbroker.Broker
	for _, id := range ids {
		n, broker := startMember(tb, id, redisbroker.Config{Servers: []string{server.URL()}}, nil)
		nodes, brokers = append(nodes, n), append(brokers, broker)
	}
	awaitNodes(tb, len(ids), brokers...)
	return nodes
}

func awaitNodes(tb testing.TB, count int, brokers ...*redisbroker.Broker) {
	tb.Helper()
	for _, b := range brokers {
		eventually(tb, fmt.Sprintf("node %s knows %d nodes", b.NodeID(), count), func() bool { return len(b.Nodes()) == count })
	}
}

func TestClusterRelay(t *testing.T) {
	nodes := startCluster(t, "n0", "n1", "n2")
	var members []*peer
	for _, n := range nodes {
		members = append(members, join(t, n, "default", "r"), join(t, n, "default", "r"))
	}
	for i, from := range members {
		texts := []string{fmt.Sprintf(";default;r;e;0;0;to the room from %d", i), fmt.Sprintf(";default;;e;0;0;to all from %d", i)}
		for _, text := range texts {
			from.send(text)
			for k, p := range members {
				if k != i {
					p.expect(text)
				}
			}
		}
	}
	members[0].sendBinary(";default;r;e;0;0;\xff")
	for _, p := range members[1:] {
		if f := p.next(); f.Header.OpCode != ws.OpBinary || string(f.Payload) != ";default;r;e;0;0;\xff" {
			t.Errorf("got %s, want the binary message", describe(f))
		}
	}
}

func TestClusterEmit(t *testing.T) {
	nodes := startCluster(t, "n0", "n1")
	here, a, b := join(t, nodes[0], "default", "r"), join(t, nodes[1], "default", "r"), join(t, nodes[1], "default", "r")
	outside := join(t, nodes[1], "default")
	emit := func(m node.Message, except ...string) {
		t.Helper()
		send := nodes[0].Emit
		if m.Room == "" {
			send = nodes[0].EmitNamespace
		}
		if err := send(t.Context(), m, node.EmitOptions{Except: except}); err != nil {
			t.Fatalf("Emit: %v", err)
		}
	}
	emit(node.Message{Namespace: "default", Room: "r", Event: "e", Body: []byte("to the room")})
	emit(node.Message{Namespace: "default", Room: "r", Event: "e", Body: []byte("but a")}, a.id, "no-such-id")
	emit(node.Message{Namespace: "default", Room: "r", Event: "e", Body: []byte("but b and here")}, b.id, here.id)
	// Messages to a namespace and to a room have no order between them.
	here.expect(";default;r;e;0;0;to the room", ";default;r;e;0;0;but a")
	a.expect(";default;r;e;0;0;to the room", ";default;r;e;0;0;but b and here")
	b.expect(";default;r;e;0;0;to the room", ";default;r;e;0;0;but a")
	emit(node.Message{Namespace: "default", Event: "e", Body: []byte("to all but a")}, a.id)
	for _, p := range []*peer{here, b, outside} {
		p.expect(";default;;e;0;0;to all but a")
	}
	if got := a.sync("default"); len(got) > 0 {
		t.Errorf("a received %q, want nothing", got)
	}
}

func TestClusterEmitTo(t *testing.T) {
	nodes := startCluster(t, "n0", "n1")
	a, b := join(t, nodes[1], "default", "r"), join(t, nodes[1], "default", "r")
	for i := range 20 {
		m := node.Message{Namespace: "default", Room: "r", Event: "e", Body: fmt.Append(nil, i)}
		if err := nodes[0].EmitTo(within(t), a.id, m); err != nil {
			t.Fatalf("EmitTo: %v", err)
		}
		a.expect(fmt.Sprintf(";default;r;e;0;0;%d", i))
	}
	if got := b.sync("default"); len(got) > 0 {
		t.Errorf("the other one received %q, want nothing", got)
	}
	for _, c := range []struct {
		name    string
		message node.Message
		want    error
	}{
		{"a namespace that is not connected", node.Message{Namespace: "rooms", Event: "e"}, wire.ErrBadNamespace},
		{"a room that is not joined", node.Message{Namespace: "default", Room: "other", Event: "e"}, wire.ErrBadRoom},
	} {
		if err := nodes[0].EmitTo(within(t), a.id, c.message); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestClusterJoinAndLeave(t *testing.T) {
	nodes := startCluster(t, "n0", "n1")
	a, b := dial(t, nodes[1]), join(t, nodes[0], "rooms", "r")
	n := nodes[0]
	do := func(name string, call func() error, request string) {
		t.Helper()
		wait := async(nothing(call))
		a.send(a.request(request) + ";;;;;;")
		if _, err := wait(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	do("connect", func() error { return n.Connect(within(t), a.id, "rooms") }, ";rooms;;_OnNamespaceConnect;0;0;")
	for i := range 10 {
		room := fmt.Sprint("room ", i)
		do("join", func() error { return n.Join(within(t), a.id, "rooms", room) }, ";rooms;"+room+";_OnRoomJoin;0;0;")
		if err := n.Emit(t.Context(), node.Message{Namespace: "rooms", Room: room, Event: "e", Body: []byte("welcome")}, node.EmitOptions{}); err != nil {
			t.Fatalf("Emit: %v", err)
		}
		a.expect(";rooms;" + room + ";e;0;0;welcome")
		do("leave", func() error { return n.Leave(within(t), a.id, "rooms", room) }, ";rooms;"+room+";_OnRoomLeave;0;0;")
	}
	do("join", func() error { return n.Join(within(t), a.id, "rooms", "r") }, ";rooms;r;_OnRoomJoin;0;0;")
	b.send(";rooms;r;e;0;0;hello")
	a.expect(";rooms;r;e;0;0;hello")
	do("disconnect", func() error { return n.Disconnect(within(t), a.id, "rooms") }, ";rooms;;_OnNamespaceDisconnect;0;0;")
	b.send(";rooms;r;e;0;0;anybody?")
	b.sync("rooms")
	if got := a.sync("default"); len(got) != 0 {
		t.Errorf("after disconnecting it received %q, want nothing", got)
	}
	for name, call := range map[string]func() error{
		"join without the namespace":   func() error { return n.Join(within(t), a.id, "rooms", "r") },
		"leave without the namespace":  func() error { return n.Leave(within(t), a.id, "rooms", "r") },
		"disconnect again":             func() error { return n.Disconnect(within(t), a.id, "rooms") },
		"connect to what is not there": func() error { return n.Connect(within(t), a.id, "nowhere") },
	} {
		if err := call(); !errors.Is(err, wire.ErrBadNamespace) {
			t.Errorf("%s: %v, want %v", name, err, wire.ErrBadNamespace)
		}
	}
}

func TestClusterCloseConn(t *testing.T) {
	nodes := startCluster(t, "n0", "n1")
	a, b := dial(t, nodes[1]), dial(t, nodes[1])
	if err := nodes[0].CloseConn(within(t), a.id, 4321, "enough"); err != nil {
		t.Fatalf("CloseConn: %v", err)
	}
	a.expectClose(4321)
	b.sync("default")
	if err := nodes[0].CloseConn(within(t), a.id, 4321, "enough"); !errors.Is(err, wire.ErrGone) {
		t.Errorf("again: %v, want %v", err, wire.ErrGone)
	}
}

// TestClusterGone: an unreachable connection is reported at once, with
// any timeout of asks.
func TestClusterGone(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	config := redisbroker.Config{Servers: []string{server.URL()}}
	patient := func(cfg *node.Config) { cfg.Timeouts.Ask = time.Hour }
	n, broker := startMember(t, "n0", config, patient)
	second, _ := startMember(t, "n1", config, patient)
	third, _ := startMember(t, "n2", config, patient)
	awaitNodes(t, 3, broker)
	closed, away := dial(t, second), dial(t, third)
	_ = closed.conn.Close()
	eventually(t, "the connection has closed", func() bool { return second.Stats().Connections == 0 })
	if err := third.Shutdown(within(t)); err != nil {
		t.Fatalf("Shutdown: %v", err)
	}
	awaitNodes(t, 2, broker)
	eventually(t, "Redis has noticed that the node has left", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		return errors.Is(n.EmitTo(ctx, away.id, node.Message{Event: "e"}), wire.ErrGone)
	})
	for name, id := range map[string]string{
		"closed":               closed.id,
		"of a node that ended": away.id,
		"guessed":              "n1-" + strings.Repeat("A", 22),
		"of no node":           "other-" + strings.Repeat("A", 22),
		"with a pattern":       "n*-" + strings.Repeat("A", 22),
		"too short":            "n1-A",
	} {
		calls := map[string]func() error{
			"EmitTo":     func() error { return n.EmitTo(t.Context(), id, node.Message{Event: "e"}) },
			"Ask":        func() error { _, err := n.Ask(t.Context(), id, node.Message{Event: "e"}); return err },
			"Connect":    func() error { return n.Connect(t.Context(), id, "default") },
			"Join":       func() error { return n.Join(t.Context(), id, "default", "r") },
			"Leave":      func() error { return n.Leave(t.Context(), id, "default", "r") },
			"Disconnect": func() error { return n.Disconnect(t.Context(), id, "default") },
			"CloseConn":  func() error { return n.CloseConn(t.Context(), id, 4321, "") },
		}
		for call, do := range calls {
			if err := do(); !errors.Is(err, wire.ErrGone) {
				t.Errorf("%s of a connection that is %s: %v, want %v", call, name, err, wire.ErrGone)
			}
		}
	}
}
