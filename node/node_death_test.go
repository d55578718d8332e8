package node_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// patientAsks has a timeout that is longer than any test.
func patientAsks(cfg *node.Config) { cfg.Timeouts.Ask = time.Hour }

// TestNodeDiesWhileAsked: a node whose connections to Redis end, and that does
// not reconnect, has died. Its pending asks end with an error; others stay
// pending.
func TestNodeDiesWhileAsked(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	config := func(url string) redisbroker.Config {
		return redisbroker.Config{Servers: []string{url}, Lease: 2 * time.Second}
	}
	n, first := startMember(t, "n0", config(server.URL()), patientAsks)
	other, second := startMember(t, "n1", config(server.URL()), patientAsks)
	doomed, third := startMember(t, "n2", config(proxy.URL()), patientAsks)
	awaitNodes(t, 3, first, second, third)
	client := join(t, n, "default", "few")
	few, many := join(t, doomed, "default", "few"), join(t, doomed, "default", "many")
	survivor := join(t, other, "default", "many")
	in := func(room string) node.Message { return node.Message{Namespace: "default", Room: room, Event: "q"} }

	one := async(func() (node.Answer, error) { return n.Ask(within(t), few.id, in("few")) })
	token := few.request(";default;few;q;0;0;")
	client.send("$1;default;few;q;0;0;")
	few.request(";default;few;q;0;0;")
	all := async(func() (node.Answers, error) { return n.AskAll(within(t), in("many")) })
	many.request(";default;many;q;0;0;")
	survivor.send(survivor.request(";default;many;q;0;0;") + ";default;many;q;0;0;here")
	room := async(func() (node.Answer, error) { return n.AskRoom(within(t), in("many")) })
	many.request(";default;many;q;0;0;")
	answer := survivor.request(";default;many;q;0;0;")
	survivor.send(";default;many;e;0;0;goes on") // it is in order after the asks
	many.expect(";default;many;e;0;0;goes on")

	proxy.Cut()
	proxy.Break()
	if _, err := one(); !errors.Is(err, wire.ErrGone) {
		t.Errorf("the connection that was asked: %v, want %v", err, wire.ErrGone)
	}
	client.expect("$1;default;few;q;1;0;nobody there")
	if got, err := all(); err != nil || len(got.Answers) != 1 || string(got.Answers[0].Body) != "here" ||
		!slices.Equal(got.Missing, []string{"n2"}) {
		t.Errorf("all: %+v, %v; want one answer and n2 missing", got, err)
	}
	// n0 and n1 have been asked whether they still work on the call.
	if err := other.EmitTo(within(t), client.id, node.Message{Namespace: "default", Event: "e"}); err != nil {
		t.Fatalf("EmitTo: %v", err)
	}
	client.expect(";default;;e;0;0;")
	if got := n.Stats().PendingCalls; got != 1 {
		t.Errorf("%d pending calls, want the one that n1 works on", got)
	}
	survivor.send(answer + ";default;many;q;0;0;at last")
	if got, err := room(); err != nil || string(got.Body) != "at last" {
		t.Errorf("the room: %+v, %v; want the survivor's answer", got, err)
	}

	// The node returns.
	proxy.Heal()
	late := n.Stats().LateAnswers
	few.send(token + ";default;few;q;0;0;late")
	eventually(t, "the late answer is counted", func() bool { return n.Stats().LateAnswers > late })
	awaitNodes(t, 3, first, second, third)
	room = async(func() (node.Answer, error) { return n.AskRoom(within(t), in("few")) })
	few.send(few.request(";default;few;q;0;0;") + ";default;few;q;0;0;back")
	client.send(client.request(";default;few;q;0;0;") + ";default;few;q;1;0;unhandled event")
	if got, err := room(); err != nil || string(got.Body) != "back" {
		t.Errorf("the room: %+v, %v; want the answer of the node that is back", got, err)
	}
}

// TestAskingNodeIsCutOff: a node that is cut off cannot tell which nodes have
// died.
func TestAskingNodeIsCutOff(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	config := func(url string) redisbroker.Config {
		return redisbroker.Config{Servers: []string{url}, Lease: 4 * time.Second}
	}
	n, first := startMember(t, "n0", config(proxy.URL()), patientAsks)
	other, second := startMember(t, "n1", config(server.URL()), patientAsks)
	awaitNodes(t, 2, first, second)
	a := join(t, other, "default", "r")
	message := node.Message{Namespace: "default", Room: "r", Event: "q"}
	one := async(func() (node.Answer, error) { return n.Ask(within(t), a.id, message) })
	token := a.request(";default;r;q;0;0;")
	room := async(func() (node.Answer, error) { return n.AskRoom(within(t), message) })
	roomToken := a.request(";default;r;q;0;0;")
	proxy.Cut()
	defer proxy.Heal()
	// The lease of n0 at n1 has ended, and so would that of n1 at n0.
	awaitNodes(t, 1, second)
	awaitNodes(t, 2, first)
	if got := n.Stats().PendingCalls; got != 2 {
		t.Errorf("%d pending calls on the node that is cut off, want both", got)
	}
	proxy.Heal()
	awaitNodes(t, 2, first, second)
	a.send(token + ";default;r;q;0;0;one")
	a.send(roomToken + ";default;r;q;0;0;room")
	for want, wait := range map[string]func() (node.Answer, error){"one": one, "room": room} {
		if got, err := wait(); err != nil || string(got.Body) != want {
			t.Errorf("got %+v, %v; want the answer %q", got, err, want)
		}
	}
}

// TestNodeStopsWhileAsked: a node that stops tells the others.
func TestNodeStopsWhileAsked(t *testing.T) {
	server := redistest.Start(t)
	config := redisbroker.Config{Servers: []string{server.URL()}, Lease: time.Hour}
	n, first := startMember(t, "n0", config, patientAsks)
	stopping, second := startMember(t, "n1", config, patientAsks)
	awaitNodes(t, 2, first, second)
	a := join(t, stopping, "default", "r")
	message := node.Message{Namespace: "default", Room: "r", Event: "q"}
	one := async(func() (node.Answer, error) { return n.Ask(within(t), a.id, message) })
	a.request(";default;r;q;0;0;")
	room := async(func() (node.Answer, error) { return n.AskRoom(within(t), message) })
	a.request(";default;r;q;0;0;")
	stopped := async(nothing(func() error { return stopping.Shutdown(within(t)) }))
	a.expectClose(1001)
	_ = a.conn.Close()
	if _, err := one(); !errors.Is(err, wire.ErrGone) {
		t.Errorf("the connection: %v, want %v", err, wire.ErrGone)
	}
	if _, err := room(); !errors.Is(err, wire.ErrNobody) {
		t.Errorf("the room: %v, want %v", err, wire.ErrNobody)
	}
	if _, err := stopped(); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	awaitNodes(t, 1, first)
}
