package node_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"testing"

	"github.com/stoa-io/stoa/node"
)

// Handler calls are counted by kind and result, even after the loops have
// ended.
func TestHandlerCounts(t *testing.T) {
	n := startHandling(t, nil, func(n *node.Node) {
		n.OnAccept(func(context.Context, *node.Accept) error { return nil })
		n.OnClosed(func(context.Context, *node.ClosedEvent) {})
		ns := n.Namespace("chat", node.NamespaceOptions{})
		ns.OnConnect(func(context.Context, *node.ConnectRequest) error { return nil })
		ns.OnAsk("echo", echoBody)
		ns.OnAsk("fail", func(context.Context, *node.AskRequest) error { return errors.New("no") })
		ns.OnAsk("panic", func(context.Context, *node.AskRequest) error { panic("secret") })
		ns.OnAsk("goexit", func(context.Context, *node.AskRequest) error { runtime.Goexit(); return nil })
	})
	p := join(t, n, "chat")
	for i, event := range []string{"echo", "echo", "fail", "panic", "goexit"} {
		p.send(fmt.Sprintf("$%d;chat;;%s;0;0;hi", i, event))
		p.next()
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	stats := n.Stats()
	for _, want := range []struct {
		kind   node.HandlerKind
		result node.HandlerResult
		count  uint64
	}{
		{node.HandlerAccept, node.HandlerOK, 1},
		{node.HandlerConnect, node.HandlerOK, 1},
		{node.HandlerAsk, node.HandlerOK, 2},
		{node.HandlerAsk, node.HandlerFailed, 1},
		{node.HandlerAsk, node.HandlerPanicked, 2},
		{node.HandlerEmit, node.HandlerOK, 0},
		{node.HandlerClosed, node.HandlerOK, 1},
	} {
		if got := stats.Handlers.Calls[want.kind][want.result]; got != want.count {
			t.Errorf("%v, %v: %d calls, want %d", want.kind, want.result, got, want.count)
		}
	}
	if h := &stats.Handlers; h.Running != 0 || h.Queued != 0 || h.Bytes != 0 {
		t.Errorf("after the end %d run, %d are queued, %d bytes wait; want none", h.Running, h.Queued, h.Bytes)
	}
	if got := stats.MessagesIn[0][node.MessageHandled]; got != 5 {
		t.Errorf("%d messages handled, want 5", got)
	}
}

// The statistics show running and queued handlers.
func TestHandlersRunningAndQueued(t *testing.T) {
	const conns, limit = 5, 2
	goOn := make(chan struct{})
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("slow", node.NamespaceOptions{MaxHandlers: limit})
		ns.OnAsk("wait", func(_ context.Context, r *node.AskRequest) error {
			<-goOn
			r.Reply(r.Body)
			return nil
		})
	})
	peers := make([]*peer, conns)
	for i := range peers {
		peers[i] = join(t, n, "slow")
		peers[i].send("$1;slow;;wait;0;0;hi")
	}
	eventually(t, "some run, the others are queued", func() bool {
		h := n.Stats().Handlers
		return h.Running == limit && h.Queued == conns-limit
	})
	if got, least := n.Stats().Handlers.Bytes, conns*len("hi"); got < least {
		t.Errorf("%d bytes, want at least %d", got, least)
	}
	close(goOn)
	for _, p := range peers {
		p.expect("$1;slow;;wait;0;0;hi")
	}
	eventually(t, "nothing runs any more", func() bool {
		h := n.Stats().Handlers
		return h.Running+h.Queued+h.Bytes == 0
	})
}

// Accept handlers are counted, too, and their refusals as failures.
func TestAcceptHandlerRunningAndRefusing(t *testing.T) {
	goOn := make(chan struct{})
	n := startHandling(t, nil, func(n *node.Node) {
		n.OnAccept(func(context.Context, *node.Accept) error {
			<-goOn
			return node.Refuse(http.StatusForbidden, "no")
		})
	})
	p := connectTCP(t, n)
	p.write(upgradeRequest("/ws"))
	eventually(t, "the accept handler runs", func() bool { return n.Stats().Handlers.Running == 1 })
	close(goOn)
	if got := p.response().StatusCode; got != http.StatusForbidden {
		t.Errorf("status %d, want 403", got)
	}
	stats := n.Stats()
	if got := stats.Handlers.Calls[node.HandlerAccept][node.HandlerFailed]; got != 1 {
		t.Errorf("%d accept handlers failed, want 1", got)
	}
	if got := stats.Handshakes[node.HandshakeRefused]; got != 1 {
		t.Errorf("%d handshakes refused, want 1", got)
	}
}
