package node_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster/clustertest"
	"github.com/stoa-io/stoa/node"
)

// Two handlers of a namespace run at a time; the others are queued and have no
// goroutine.
func TestHandlersOfANamespace(t *testing.T) {
	const conns, limit = 100, 2
	var mu sync.Mutex
	var order []string
	var running, most atomic.Int32
	goOn := make(chan struct{})
	n := startHandling(t, nil, func(n *node.Node) {
		slow := n.Namespace("slow", node.NamespaceOptions{Relay: node.RelayRooms, MaxHandlers: limit})
		slow.OnAsk("wait", func(_ context.Context, r *node.AskRequest) error {
			if now := running.Add(1); now > most.Load() {
				most.Store(now)
			}
			mu.Lock()
			order = append(order, string(r.Body))
			mu.Unlock()
			<-goOn
			running.Add(-1)
			r.Reply(r.Body)
			return nil
		})
		slow.OnAsk("panic", func(context.Context, *node.AskRequest) error { panic("secret") })
		slow.OnAsk("goexit", func(context.Context, *node.AskRequest) error { runtime.Goexit(); return nil })
		n.Namespace("quick", node.NamespaceOptions{}).OnAsk("echo", echoBody)
	})
	peers := make([]*peer, conns)
	for i := range peers {
		peers[i] = join(t, n, "slow", "r")
	}
	quick, listener := join(t, n, "quick"), join(t, n, "slow", "r")
	before := runtime.NumGoroutine()
	for i, p := range peers {
		p.send(fmt.Sprintf("$1;slow;;wait;0;0;%d", i))
		if i < limit {
			eventually(t, "the first handlers run", func() bool { return running.Load() == int32(i)+1 })
		} else {
			eventually(t, "the connection is queued", func() bool { return node.Waiting(n, "slow") == i-limit+1 })
		}
	}
	if now := runtime.NumGoroutine(); now > before+limit {
		t.Errorf("%d goroutines more, want at most the %d that may run", now-before, limit)
	}
	quick.send("$1;quick;;echo;0;0;hi")
	quick.expect("$1;quick;;echo;0;0;hi")
	listener.send(";slow;r;relayed;0;0;hi") // no handler, so no limit
	peers[conns-1].expect(";slow;r;relayed;0;0;hi")
	_ = peers[conns-2].conn.Close() // a waiting connection may close
	for i := limit; i < conns; i++ {
		goOn <- struct{}{}
		eventually(t, "the next one runs", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(order) == i+1 && order[i] == fmt.Sprint(i)
		})
	}
	close(goOn)
	for i, p := range peers {
		switch i {
		case conns - 2:
		case conns - 1:
			p.expect(fmt.Sprintf("$1;slow;;wait;0;0;%d", i))
		default:
			p.expect(";slow;r;relayed;0;0;hi", fmt.Sprintf("$1;slow;;wait;0;0;%d", i))
		}
	}
	eventually(t, "no handler runs", func() bool { return running.Load() == 0 })
	if got := most.Load(); got != limit {
		t.Errorf("%d handlers have run at the same time, want %d", got, limit)
	}
	// A handler that panics releases its slot.
	for range 3 * limit {
		for _, event := range []string{"panic", "goexit"} {
			peers[0].send("$2;slow;;" + event + ";0;0;")
			peers[0].expect("$2;slow;;" + event + ";1;0;internal error")
		}
	}
	peers[0].send("$3;slow;;wait;0;0;last")
	peers[0].expect("$3;slow;;wait;0;0;last")
}

// With one handler at a time over many connections, every message is handled,
// and the messages of each connection in order.
func TestLimitedHandlersInOrder(t *testing.T) {
	const conns, count = 20, 50
	var running atomic.Int32
	var j journal
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("one", node.NamespaceOptions{MaxHandlers: 1})
		ns.OnAsk("q", func(_ context.Context, r *node.AskRequest) error {
			if running.Add(1) != 1 {
				j.add("together")
			}
			runtime.Gosched()
			running.Add(-1)
			r.Reply(r.Body)
			return nil
		})
	})
	peers := make([]*peer, conns)
	for i := range peers {
		peers[i] = join(t, n, "one")
	}
	for k := range count {
		for _, p := range peers {
			p.send(fmt.Sprintf("$%d;one;;q;0;0;%d", k, k))
		}
	}
	for _, p := range peers {
		for k := range count {
			p.expect(fmt.Sprintf("$%d;one;;q;0;0;%d", k, k))
		}
	}
	if lines := j.copy(); len(lines) > 0 {
		t.Errorf("%d handlers have run at the same time as another one", len(lines))
	}
}

// A connection with a blocked handler is read until its receive queue is full,
// and again when the handler returns.
func TestReceiveQueueIsBounded(t *testing.T) {
	const limit, size, count = 16 << 10, 1000, 2000
	for name, test := range map[string]struct{ behind, answer string }{
		"asks":     {"$%d;chat;;echo;0;0;%s", "$%d;chat;;echo;0;0;%s"},
		"requests": {"$%d;chat;%.10s;_OnRoomLeave;0;0;%[2]s", "$%d;;;;;;%.0s"}, // of rooms that it is not in
	} {
		t.Run(name, func(t *testing.T) {
			goOn, started := make(chan struct{}), make(chan struct{})
			n := startHandling(t, func(cfg *node.Config) { cfg.Limits.ReceiveQueue = limit }, func(n *node.Node) {
				ns := n.Namespace("chat", node.NamespaceOptions{})
				ns.OnAsk("stuck", func(context.Context, *node.AskRequest) error {
					close(started)
					<-goOn
					return nil
				})
				ns.OnAsk("echo", echoBody)
			})
			p, other := join(t, n, "chat"), join(t, n, "chat")
			p.send("$s;chat;;stuck;0;0;")
			<-started
			body := strings.Repeat("x", size)
			before := n.Stats().BytesIn
			go func() {
				for i := range count {
					if _, err := p.conn.Write([]byte(frame(ws.OpText, true, fmt.Sprintf(test.behind, i, body)))); err != nil {
						return
					}
				}
			}()
			eventually(t, "the connection is not read any more", func() bool { return node.BacklogFull(n, p.id) })
			for i := range 10 {
				other.send(fmt.Sprintf("$%d;chat;;echo;0;0;hi", i))
				other.expect(fmt.Sprintf("$%d;chat;;echo;0;0;hi", i))
			}
			// One turn may read more than the limit.
			if read := n.Stats().BytesIn - before; read > limit+2*64<<10+1000 {
				t.Errorf("%d bytes are read, want not many more than the %d that may wait", read, limit)
			}
			close(goOn)
			p.expect("$s;chat;;stuck;0;0;")
			for i := range count {
				p.expect(fmt.Sprintf(test.answer, i, body))
			}
			if node.BacklogFull(n, p.id) {
				t.Error("the connection is said to be full, although nothing waits")
			}
		})
	}
}

// Joins do not wait for each other's subscriptions, even with a join handler.
func TestJoinsRunConcurrently(t *testing.T) {
	var j journal
	faulty := clustertest.NewFaulty(newMemory())
	n := startHandling(t, func(cfg *node.Config) { cfg.Broker, cfg.Timeouts.Join = faulty, patience }, func(n *node.Node) {
		n.Namespace("chat", node.NamespaceOptions{}).OnJoin(func(_ context.Context, r *node.JoinRequest) error {
			j.add("join %s", r.Room)
			if r.Room == "no" {
				return errors.New("no")
			}
			return nil
		})
	})
	p := join(t, n, "chat")
	release := blockSubscriptions(t, faulty)
	for _, room := range []string{"a", "no", "b"} {
		p.send("$" + room + ";chat;" + room + ";_OnRoomJoin;0;0;")
	}
	p.send("$q;chat;a;e;0;0;") // after all joins
	j.expect(t, "join a", "join no", "join b")
	p.expect("$no;chat;no;_OnRoomJoin;1;0;no")
	release()
	got := []string{string(p.next().Payload), string(p.next().Payload)}
	if slices.Sort(got); !slices.Equal(got, []string{"$a;;;;;;", "$b;;;;;;"}) {
		t.Errorf("got %q, want the answers to both joins", got)
	}
	p.expect("$q;chat;a;e;1;0;unhandled event")
}
