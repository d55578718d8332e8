package node_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/node"
)

func TestPendingCallsAreCounted(t *testing.T) {
	n := startNode(t, nil)
	a := join(t, n, "default", "r")
	ctx, cancel := context.WithCancel(context.Background())
	wait := async(func() (node.Answer, error) {
		return n.AskRoom(ctx, node.Message{Namespace: "default", Room: "r", Event: "q"})
	})
	token := a.request(";default;r;q;0;0;")
	if got := n.Stats().PendingCalls; got != 1 {
		t.Errorf("%d pending calls, want 1", got)
	}
	if got := n.Connections(); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
	cancel()
	if _, err := wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if got := n.Stats().PendingCalls; got != 0 {
		t.Errorf("%d pending calls, want 0", got)
	}
	a.send(token + ";default;r;q;0;0;late")
	// It is late for the connection if the node has already told it that the
	// call has ended, else for the call.
	eventually(t, "the late answer is counted", func() bool {
		stats := n.Stats()
		return stats.LateAnswers+stats.MessagesIn[0][node.MessageLateAnswer] == 1
	})
}

func TestBadRequestsAreCounted(t *testing.T) {
	broker := cluster.NewMemory(cluster.MemoryConfig{})
	n := startNode(t, func(cfg *node.Config) { cfg.Broker = broker })
	env := &cluster.Envelope{Kind: cluster.EnvelopeControl, Payload: []byte("\xff of a later version")}
	if err := broker.Publish(cluster.NodeChannel(n.ID()), env); err != nil {
		t.Fatal(err)
	}
	if got := n.Stats().BadRequests; got != 1 {
		t.Errorf("%d bad commands, want 1", got)
	}
}
