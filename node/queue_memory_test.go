package node_test

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
)

// Many clients do not read. None exceeds the limit of its own send queue, but
// together they exceed that of the node: those with the largest queues are
// closed. The others stay, and those that read receive every message.
func TestQueueMemory(t *testing.T) {
	const stuck = 3
	ballast := make([]byte, 8<<20) // the heap is above the limit, too
	defer runtime.KeepAlive(ballast)
	n := startNode(t, func(cfg *node.Config) {
		cfg.Limits.QueueMemory = 4 << 20
		cfg.Limits.SendQueue = 1 << 30
		cfg.Timeouts.Write, cfg.Timeouts.Close = patience, patience
	})
	publisher := join(t, n, "default", "few", "many")
	reader := join(t, n, "default", "few", "many")
	var few, many []*peer
	for range stuck {
		few, many = append(few, join(t, n, "default", "few")), append(many, join(t, n, "default", "many"))
	}
	sent := map[string]int{}
	publish := func(room string) {
		text := fmt.Sprintf(";default;%s;chat;0;0;%d %s", room, sent[room], strings.Repeat("x", 20_000))
		sent[room]++
		publisher.send(text)
		reader.expect(text)
	}
	eventually(t, "the queues of few hold something", func() bool {
		publish("few")
		return n.Stats().QueueBytes > stuck*64<<10
	})
	closed := node.CloseKey{Code: "slow_consumer", Initiator: node.ByServer}
	closing := func() int { return int(n.Stats().MemoryCloses) }
	eventually(t, "the members of many are closed", func() bool {
		publish("many")
		return closing() == stuck
	})
	for _, p := range many {
		for i := 0; ; i++ {
			f := p.next()
			if f.Header.OpCode == ws.OpClose {
				if code, reason := ws.ParseCloseFrameData(f.Payload); code != 4000 || !strings.Contains(reason, "queues of the node") {
					t.Errorf("closed with %s, want 4000 and the reason", describe(f))
				}
				break
			}
			if prefix := fmt.Sprintf(";default;many;chat;0;0;%d x", i); !strings.HasPrefix(string(f.Payload), prefix) {
				t.Fatalf("got %s, want %q", describe(f), prefix)
			}
		}
		p.write(frame(ws.OpClose, true, "\x0f\xa0"))
	}
	for _, p := range few {
		for i := range sent["few"] {
			if f := p.next(); !strings.HasPrefix(string(f.Payload), fmt.Sprintf(";default;few;chat;0;0;%d x", i)) {
				t.Fatalf("got %s, want message %d", describe(f), i)
			}
		}
	}
	eventually(t, "the closes are counted", func() bool { return n.Stats().Closes[closed] == stuck })
	if s := n.Stats(); s.QueueMemory > s.MemoryLimit || s.MemoryLimit != 4<<20 {
		t.Errorf("the queues hold %d bytes, the limit is %d", s.QueueMemory, s.MemoryLimit)
	}
	publish("few")
}

// The limit is a quarter of the memory of the process, and can be switched off.
func TestQueueMemoryDefault(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(64 << 20))
	for configured, want := range map[int]int{0: 16 << 20, 5000: 5000, -1: 0} {
		n := newNode(t, func(cfg *node.Config) { cfg.Limits.QueueMemory = configured })
		if got := n.Stats().MemoryLimit; got != want {
			t.Errorf("the limit is %d for %d, want %d", got, configured, want)
		}
		_ = n.Close()
	}
}

// The sum has the messages that wait for handlers, and those behind them.
func TestQueueMemoryOfReceivedMessages(t *testing.T) {
	release := make(chan struct{})
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("handled", node.NamespaceOptions{})
		ns.OnEmit("wait", func(context.Context, *node.EmitEvent) error { <-release; return nil })
	})
	p := join(t, n, "handled", "r")
	body := strings.Repeat("x", 1000)
	for range 5 {
		p.send(";handled;r;wait;0;0;" + body)
	}
	p.send("$l;handled;r;_OnRoomLeave;0;0;")
	p.send(";handled;r;wait;0;0;" + body)
	eventually(t, "the messages wait", func() bool { return n.Stats().QueueMemory > 6*len(body) })
	s := n.Stats()
	if queued := s.Handlers.Bytes + s.QueueBytes; s.Handlers.Bytes < 5*len(body) || s.QueueMemory < queued+len(body) {
		t.Errorf("%d bytes in all queues, want those of %d for handlers and a message behind them", s.QueueMemory, queued)
	}
	close(release)
	p.expect("$l;;;;;;")
	eventually(t, "the queues are empty", func() bool { return n.Stats().QueueMemory == 0 })
}

// Queued messages count no more when their connection has gone.
func TestQueueMemoryOfClosedConnection(t *testing.T) {
	release := make(chan struct{})
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("handled", node.NamespaceOptions{})
		ns.OnEmit("wait", func(context.Context, *node.EmitEvent) error { <-release; return nil })
	})
	p := join(t, n, "handled", "r")
	p.send(";handled;r;wait;0;0;")
	p.send("$l;handled;r;_OnRoomLeave;0;0;")
	p.send(";handled;r;wait;0;0;" + strings.Repeat("x", 30_000))
	eventually(t, "the messages wait", func() bool { return n.Stats().QueueMemory > 30_000 })
	_ = p.conn.Close()
	eventually(t, "the backlog is dropped", func() bool { return n.Stats().QueueMemory < 30_000 })
	close(release)
	eventually(t, "the queues are empty", func() bool { return n.Stats().QueueMemory == 0 })
}
