package node_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
)

// withAsks lets clients ask each other in the namespace "default".
func withAsks(cfg *node.Config) {
	cfg.Namespaces["default"] = node.NamespaceOptions{Relay: relayAll}
}

func TestClientAsksRoom(t *testing.T) {
	n := startNode(t, withAsks)
	a, service := join(t, n, "default", "r"), join(t, n, "default", "r")

	a.send("$1;default;r;sum;0;0;1+1")
	service.send(service.request(";default;r;sum;0;0;1+1") + ";default;r;sum;0;0;2")
	a.expect("$1;default;r;sum;0;0;2")

	a.send("$2;default;r;sum;0;0;1/0")
	service.send(service.request(";default;r;sum;0;0;1/0") + ";default;r;sum;1;0;divided by zero")
	a.expect("$2;default;r;sum;1;0;divided by zero")

	a.send("$3;default;r;sum;0;0;")
	service.sendBinary(service.request(";default;r;sum;0;0;") + ";default;r;sum;0;0;\xff")
	if f := a.next(); f.Header.OpCode != ws.OpBinary || string(f.Payload) != "$3;default;r;sum;0;0;\xff" {
		t.Errorf("got %s, want the binary answer", describe(f))
	}

	// An ask without a room is not relayed.
	a.send("$4;default;;sum;0;0;")
	a.expect("$4;default;;sum;1;0;unhandled event")
}

func TestClientAsksEmptyRoom(t *testing.T) {
	n := startNode(t, withAsks)
	a := join(t, n, "default", "r")
	a.send("$1;default;r;q;0;0;")
	a.expect("$1;default;r;q;1;0;nobody there")
	a.send("$2;default;elsewhere;q;0;0;")
	a.expect("$2;default;elsewhere;q;1;0;bad room")

	b := join(t, n, "default", "r")
	a.send("$3;default;r;q;0;0;")
	b.request(";default;r;q;0;0;")
	_ = b.conn.Close()
	a.expect("$3;default;r;q;1;0;nobody there")
}

func TestRelayOfAsksIsOff(t *testing.T) {
	n := startNode(t, nil)
	a, b := join(t, n, "default", "r"), join(t, n, "default", "r")
	a.send("$1;default;r;q;0;0;")
	a.expect("$1;default;r;q;1;0;unhandled event")
	if got := b.sync("default"); len(got) != 0 {
		t.Errorf("the other one received %q, want nothing", got)
	}
}

func TestRelayedAskTimesOut(t *testing.T) {
	n := startNode(t, func(cfg *node.Config) {
		withAsks(cfg)
		cfg.Timeouts.Ask = 50 * time.Millisecond
		cfg.Timeouts.Close = 50 * time.Millisecond // the sweep follows the shortest
	})
	a, b := join(t, n, "default", "r"), join(t, n, "default", "r")
	a.send("$1;default;r;q;0;0;")
	token := b.request(";default;r;q;0;0;")
	a.expect("$1;default;r;q;1;0;timeout")
	b.send(token + ";default;r;q;0;0;late")
	if got := a.sync("default"); len(got) != 0 {
		t.Errorf("received %q after the end of the ask, want nothing", got)
	}
	expectLimits(t, n, map[node.LimitKind]uint64{node.LimitAskTime: 1})
}

// A member that has too many unanswered asks is there, and unavailable.
func TestAskOfBusyMember(t *testing.T) {
	n := startNode(t, func(cfg *node.Config) { withAsks(cfg); cfg.Limits.AsksToClient = 1 })
	a, b := join(t, n, "default", "r"), join(t, n, "default", "r")
	a.send("$1;default;r;q;0;0;")
	token := b.request(";default;r;q;0;0;")
	a.send("$2;default;r;q;0;0;")
	a.expect("$2;default;r;q;1;0;unavailable")
	b.send(token + ";default;r;q;0;0;x")
	a.expect("$1;default;r;q;0;0;x")
}

func TestClientAsksTooMuch(t *testing.T) {
	n := startNode(t, func(cfg *node.Config) { withAsks(cfg); cfg.Limits.Asks = 2 })
	a, b := join(t, n, "default", "r"), join(t, n, "default", "r")
	for i := range 3 {
		a.send(fmt.Sprintf("$%d;default;r;q;0;0;", i))
	}
	a.expect("$2;default;r;q;1;0;too many asks")
	expectLimits(t, n, map[node.LimitKind]uint64{node.LimitAsks: 1})
	for i := range 2 {
		b.send(b.request(";default;r;q;0;0;") + ";default;r;q;0;0;x")
		a.expect(fmt.Sprintf("$%d;default;r;q;0;0;x", i))
	}
	a.send("$4;default;r;q;0;0;")
	b.send(b.request(";default;r;q;0;0;") + ";default;r;q;0;0;y")
	a.expect("$4;default;r;q;0;0;y")
}

// The asking client may close before the answer arrives.
func TestAskingClientCloses(t *testing.T) {
	n := startNode(t, withAsks)
	a, b := join(t, n, "default", "r"), join(t, n, "default", "r")
	a.send("$1;default;r;q;0;0;")
	token := b.request(";default;r;q;0;0;")
	_ = a.conn.Close()
	eventually(t, "the asking client has closed", func() bool { return n.Stats().Connections == 1 })
	b.send(token + ";default;r;q;0;0;x")
	if got := b.sync("default"); len(got) != 0 {
		t.Errorf("received %q, want nothing", got)
	}
}
