package node_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

func TestClusterAsk(t *testing.T) {
	nodes := startCluster(t, "n0", "n1")
	a := join(t, nodes[1], "default", "r")
	message := node.Message{Namespace: "default", Room: "r", Event: "q", Body: []byte("why?")}
	ask := func() (node.Answer, error) { return nodes[0].Ask(within(t), a.id, message) }

	wait := async(ask)
	a.send(a.request(";default;r;q;0;0;why?") + ";default;r;q;0;0;because")
	if answer, err := wait(); err != nil || string(answer.Body) != "because" || answer.Conn != a.id {
		t.Errorf("got %+v, %v, want because", answer, err)
	}
	wait = async(ask)
	a.sendBinary(a.request(";default;r;q;0;0;why?") + ";default;r;q;0;0;\xfe")
	if answer, err := wait(); err != nil || string(answer.Body) != "\xfe" || !answer.Binary {
		t.Errorf("got %+v, %v, want a binary answer", answer, err)
	}
	wait = async(ask)
	a.send(a.request(";default;r;q;0;0;why?") + ";default;r;q;1;0;do not ask")
	if _, err := wait(); err == nil || err.Error() != "do not ask" {
		t.Errorf("got %v, want the connection's own error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	wait = async(func() (node.Answer, error) { return nodes[0].Ask(ctx, a.id, message) })
	a.request(";default;r;q;0;0;why?")
	cancel()
	if _, err := wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	wait = async(ask)
	a.request(";default;r;q;0;0;why?")
	_ = a.conn.Close()
	if _, err := wait(); !errors.Is(err, wire.ErrGone) {
		t.Errorf("the connection closes: %v, want %v", err, wire.ErrGone)
	}
}

// TestClusterAsksAtOnce asks many connections from every node at the same time;
// each answers with its ID.
func TestClusterAsksAtOnce(t *testing.T) {
	nodes := startCluster(t, "n0", "n1", "n2")
	var members []*peer
	var serving sync.WaitGroup
	for i := range 12 {
		p := join(t, nodes[i%3], "default", "r")
		members = append(members, p)
		serving.Go(func() {
			for f, err := p.tryNext(); err == nil; f, err = p.tryNext() {
				token, _, _ := strings.Cut(string(f.Payload), ";")
				if _, err := p.conn.Write([]byte(frame(ws.OpText, true, token+";default;r;q;0;0;"+p.id))); err != nil {
					return
				}
			}
		})
	}
	var callers sync.WaitGroup
	message := node.Message{Namespace: "default", Room: "r", Event: "q"}
	for _, n := range nodes {
		for _, p := range members {
			callers.Go(func() {
				for range 20 {
					answer, err := n.Ask(within(t), p.id, message)
					if err != nil || string(answer.Body) != p.id || answer.Conn != p.id {
						t.Errorf("node %s asked %s: got %+v, %v; want its ID", n.ID(), p.id, answer, err)
					}
				}
			})
		}
		callers.Go(func() {
			for range 20 {
				all, err := n.AskAll(within(t), message)
				if err != nil || len(all.Answers) != len(members) || len(all.Missing) > 0 {
					t.Errorf("node %s asked all: %d answers, missing %q, %v; want %d", n.ID(), len(all.Answers), all.Missing, err, len(members))
				}
				if answer, err := n.AskRoom(within(t), message); err != nil || string(answer.Body) != answer.Conn {
					t.Errorf("node %s asked the room: %+v, %v; want an ID", n.ID(), answer, err)
				}
			}
		})
	}
	callers.Wait()
	for _, p := range members {
		_ = p.conn.Close()
	}
	serving.Wait()
}

func TestClusterAskRoom(t *testing.T) {
	nodes := startCluster(t, "n0", "n1", "n2")
	message := node.Message{Namespace: "default", Room: "r", Event: "q"}
	ask := func() (node.Answer, error) { return nodes[0].AskRoom(within(t), message) }
	if _, err := ask(); !errors.Is(err, wire.ErrNobody) {
		t.Errorf("an empty room: %v, want %v", err, wire.ErrNobody)
	}
	members := []*peer{join(t, nodes[1], "default", "r"), join(t, nodes[1], "default", "r"), join(t, nodes[2], "default", "r")}
	askAll := func() (wait func() (node.Answer, error), tokens []string) {
		wait = async(ask)
		for _, p := range members {
			tokens = append(tokens, p.request(";default;r;q;0;0;"))
		}
		return wait, tokens
	}
	wait, tokens := askAll()
	members[0].send(tokens[0] + ";default;r;q;1;0;unhandled event")
	members[2].send(tokens[2] + ";default;r;q;0;0;me")
	if answer, err := wait(); err != nil || string(answer.Body) != "me" || answer.Conn != members[2].id {
		t.Errorf("got %+v, %v, want the third member's answer", answer, err)
	}
	members[1].send(tokens[1] + ";default;r;q;0;0;too late")
	members[1].sync("default")

	wait, tokens = askAll()
	for i, p := range members {
		p.send(tokens[i] + ";default;r;q;1;0;unhandled event")
	}
	if _, err := wait(); !errors.Is(err, wire.ErrUnhandled) {
		t.Errorf("no handler: %v, want %v", err, wire.ErrUnhandled)
	}

	wait, _ = askAll()
	for _, p := range members {
		_ = p.conn.Close()
	}
	if _, err := wait(); !errors.Is(err, wire.ErrNobody) {
		t.Errorf("all members leave: %v, want %v", err, wire.ErrNobody)
	}
}

// TestClusterMissingNode asks a room that has members on a node that is cut off
// from Redis.
func TestClusterMissingNode(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	n, first := startMember(t, "n0", redisbroker.Config{Servers: []string{server.URL()}}, nil)
	other, second := startMember(t, "n1", redisbroker.Config{Servers: []string{server.URL()}}, nil)
	cut, third := startMember(t, "n2", redisbroker.Config{Servers: []string{proxy.URL()}}, nil)
	awaitNodes(t, 3, first, second, third)
	answering, silent := join(t, other, "default", "r"), join(t, cut, "default", "r")
	proxy.Cut()
	defer proxy.Heal()
	// The node stays known for its lease.
	ctx, cancel := context.WithCancel(t.Context())
	wait := async(func() (node.Answers, error) {
		return n.AskAll(ctx, node.Message{Namespace: "default", Room: "r", Event: "q"})
	})
	answering.send(answering.request(";default;r;q;0;0;") + ";default;r;q;0;0;here")
	answering.sync("default")
	// n0 receives this message after the answer.
	if err := other.EmitTo(within(t), join(t, n, "default").id, node.Message{Namespace: "default", Event: "e"}); err != nil {
		t.Fatalf("EmitTo: %v", err)
	}
	cancel()
	all, err := wait()
	if err != nil || len(all.Answers) != 1 || string(all.Answers[0].Body) != "here" || !slices.Equal(all.Missing, []string{"n2"}) {
		t.Errorf("got %+v, %v; want one answer and n2 missing", all, err)
	}
	proxy.Heal()
	// The ask reaches the node late, and so does its answer.
	silent.send(silent.request(";default;r;q;0;0;") + ";default;r;q;0;0;late")
	silent.sync("default")
	eventually(t, "the node is ready again", func() bool { return cut.Ready(within(t)) == nil })
	wait = async(func() (node.Answers, error) {
		return n.AskAll(within(t), node.Message{Namespace: "default", Room: "r", Event: "q"})
	})
	for _, p := range []*peer{answering, silent} {
		p.send(p.request(";default;r;q;0;0;") + ";default;r;q;0;0;" + p.id)
	}
	if all, err := wait(); err != nil || len(all.Answers) != 2 || len(all.Missing) != 0 {
		t.Errorf("got %+v, %v; want two answers and no missing node", all, err)
	}
}
