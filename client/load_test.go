package client_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/node"
)

func TestManyGoroutinesUseOneConn(t *testing.T) {
	n, _ := startNode(t, "", echo)
	next := make(map[string]int) // by sender; the handlers run one at a time
	var count atomic.Int32
	const goroutines, emits = 100, 20
	listener := join(t, urlOf(n), in("default", declare(func(ns *client.Namespace) {
		ns.OnAnyEmit(func(_ context.Context, e *client.EmitEvent) error {
			sender, number, _ := strings.Cut(string(e.Body), " ")
			if number != strconv.Itoa(next[sender]) {
				t.Errorf("%s sent number %s, want %d", sender, number, next[sender])
			}
			next[sender]++
			count.Add(1)
			return nil
		})
	})), "default", "lobby")
	room := join(t, urlOf(n), client.Options{}, "default", "lobby")
	ns := room.NSConn()
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			name := strconv.Itoa(g)
			own, err := ns.JoinRoom(background(t), name)
			if err != nil {
				t.Errorf("JoinRoom: %v", err)
				return
			}
			for i := range emits {
				body := fmt.Sprint(name, " ", i)
				if err := room.Emit("e", []byte(body)); err != nil {
					t.Errorf("Emit: %v", err)
				}
				if answer, err := ns.Ask(background(t), "echo", []byte(body)); err != nil || string(answer.Body) != body {
					t.Errorf("Ask: %q, %v, want %q", answer.Body, err, body)
				}
			}
			if err := own.Leave(background(t)); err != nil {
				t.Errorf("Leave: %v", err)
			}
		})
	}
	all.Wait()
	eventually(t, "everything emitted has arrived", func() bool { return count.Load() == goroutines*emits })
	if rooms := listener.NSConn().Rooms(); len(rooms) != 1 {
		t.Errorf("%d rooms, want 1", len(rooms))
	}
}

// Clients of a node that is killed and restarted while they emit return to
// their rooms, and no message arrives twice.
func TestRestartsUnderLoad(t *testing.T) {
	n, stop := startNode(t, "", nil)
	address, url := n.Addr().String(), urlOf(n)
	const clients, restarts = 20, 5
	var mu sync.Mutex
	seen := make(map[string]bool) // receiver and body
	rooms := make([]*client.Room, clients)
	for i := range rooms {
		name := strconv.Itoa(i)
		rooms[i] = join(t, url, in("default", declare(func(ns *client.Namespace) {
			ns.OnAnyEmit(func(_ context.Context, e *client.EmitEvent) error {
				mu.Lock()
				defer mu.Unlock()
				key := name + " " + string(e.Body)
				if seen[key] {
					t.Errorf("twice: %s", key)
				}
				seen[key] = true
				return nil
			})
		})), "default", "lobby")
	}
	quit := make(chan struct{})
	var talking sync.WaitGroup
	for i, room := range rooms {
		talking.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-quit:
					return
				default:
				}
				if err := room.Emit("e", []byte(fmt.Sprint(i, "-", k))); err != nil && !errors.Is(err, client.ErrBufferFull) {
					t.Errorf("Emit: %v", err)
					return
				}
				if _, err := room.NSConn().Ask(background(t), "unanswered", nil); err == nil {
					t.Error("an ask without an answer has no error")
				}
			}
		})
	}
	for range restarts {
		stop()
		n, stop = startNode(t, address, nil)
		for i, room := range rooms {
			eventually(t, fmt.Sprint("client ", i, " is back in its room"), func() bool {
				conn := n.Conn(room.NSConn().Conn().ID())
				if conn == nil || room.NSConn().Conn().State() != client.StateConnected {
					return false
				}
				ns := conn.Namespace("default")
				return ns != nil && ns.Room("lobby") != nil
			})
		}
	}
	close(quit)
	talking.Wait()
	if err := n.Emit(background(t), node.Message{Namespace: "default", Room: "lobby", Event: "e", Body: []byte("last")}, node.EmitOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all clients receive the last message", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for i := range rooms {
			if !seen[strconv.Itoa(i)+" last"] {
				return false
			}
		}
		return true
	})
}

// At most one message above the limit is read while handlers are slow.
func TestFullReceiveQueuePausesReading(t *testing.T) {
	const limit, messages = 10_000, 5_000
	url := startServer(t, func(_ int, p *peer) {
		if !p.hello("id") {
			return
		}
		p.send("1;ns;;_OnNamespaceConnect;0;0;")
		p.text()
		for range messages {
			p.send(";ns;;e;0;0;" + strings.Repeat("x", 1000))
		}
		p.send(";ns;;end;0;0;")
		p.drain()
	})
	ended := make(chan struct{})
	most := 0 // the handlers run one at a time
	o := in("ns", declare(func(ns *client.Namespace) {
		ns.OnEmit("e", func(_ context.Context, e *client.EmitEvent) error {
			most = max(most, client.Waiting(e.NSConn.Conn()))
			return nil
		})
		ns.OnEmit("end", func(context.Context, *client.EmitEvent) error { close(ended); return nil })
	}))
	o.ReceiveQueue = limit
	dial(t, url, o)
	receive(t, "the last of many messages", ended)
	if most > limit+2000 {
		t.Errorf("up to %d bytes waited for handlers, want about %d", most, limit)
	}
}
