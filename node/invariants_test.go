package node_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// ledger records the events of connections, and the violations of their order.
type ledger struct {
	mu        sync.Mutex
	conns     map[*node.Conn]*account
	ended     map[*node.Conn]bool
	opened    int
	connected int
	joined    int
	wrong     map[string]int
}

// account is one connection in the ledger.
type account struct {
	inside     bool // one of its handlers runs
	namespaces map[*node.NSConn]bool
	rooms      map[*node.Room]bool
}

func newLedger() *ledger {
	return &ledger{conns: make(map[*node.Conn]*account), ended: make(map[*node.Conn]bool), wrong: make(map[string]int)}
}

// want records a broken rule. The caller holds l.mu.
func (l *ledger) want(what string, good bool) {
	if !good {
		l.wrong[what]++
	}
}

// enter begins a handler call and records it.
func (l *ledger) enter(c *node.Conn, note func(*account)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.conns[c]
	if a == nil {
		l.want("a handler before opened or after closed", false)
		return
	}
	l.want("two handlers of a connection at the same time", !a.inside)
	a.inside = true
	note(a)
}

// leave ends a handler call.
func (l *ledger) leave(c *node.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.conns[c]; a != nil {
		a.inside = false
	}
}

func noNote(*account) {}

// declare registers all handlers of the ledger.
func (l *ledger) declare(n *node.Node) {
	n.OnOpened(func(_ context.Context, e *node.OpenedEvent) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.want("opened twice", l.conns[e.Conn] == nil)
		l.conns[e.Conn] = &account{namespaces: make(map[*node.NSConn]bool), rooms: make(map[*node.Room]bool)}
		l.opened++
	})
	n.OnClosed(func(_ context.Context, e *node.ClosedEvent) {
		l.mu.Lock()
		defer l.mu.Unlock()
		a := l.conns[e.Conn]
		l.want("closed twice", !l.ended[e.Conn])
		l.ended[e.Conn] = true
		if a == nil {
			return // closed before its hello
		}
		l.want("closed while a handler runs", !a.inside)
		l.want("closed and still in a namespace", len(a.namespaces) == 0)
		l.want("closed, and IsClosed says no", e.Conn.IsClosed() && len(e.Conn.Namespaces()) == 0)
		delete(l.conns, e.Conn)
	})
	l.declareNamespace(n.Namespace("a", node.NamespaceOptions{Relay: relayAll}))
	l.declareNamespace(n.Namespace("b", node.NamespaceOptions{MaxHandlers: 4}))
}

func (l *ledger) declareNamespace(ns *node.Namespace) {
	ns.OnConnect(func(_ context.Context, r *node.ConnectRequest) error {
		l.enter(r.Conn, noNote)
		defer l.leave(r.Conn)
		return sometimes(10, wire.ErrForbidden)
	})
	ns.OnConnected(func(_ context.Context, e *node.ConnectedEvent) {
		l.enter(e.NSConn.Conn(), func(a *account) {
			l.want("connected twice", !a.namespaces[e.NSConn])
			a.namespaces[e.NSConn] = true
			l.connected++
		})
		l.leave(e.NSConn.Conn())
	})
	ns.OnDisconnected(func(_ context.Context, e *node.DisconnectedEvent) {
		l.enter(e.NSConn.Conn(), func(a *account) {
			l.want("disconnected without connected", a.namespaces[e.NSConn])
			for r := range a.rooms {
				l.want("disconnected and still in a room", r.NSConn() != e.NSConn)
			}
			delete(a.namespaces, e.NSConn)
		})
		l.leave(e.NSConn.Conn())
	})
	ns.OnJoin(func(ctx context.Context, r *node.JoinRequest) error {
		l.enter(r.NSConn.Conn(), noNote)
		defer l.leave(r.NSConn.Conn())
		_ = sometimes(20, r.NSConn.Emit("greeting", nil))
		return sometimes(10, wire.ErrForbidden)
	})
	ns.OnJoined(func(_ context.Context, e *node.JoinedEvent) {
		l.enter(e.Room.NSConn().Conn(), func(a *account) {
			l.want("joined without connected", a.namespaces[e.Room.NSConn()])
			l.want("joined twice", !a.rooms[e.Room])
			a.rooms[e.Room] = true
			l.joined++
		})
		l.leave(e.Room.NSConn().Conn())
	})
	ns.OnLeave(func(_ context.Context, r *node.LeaveRequest) error {
		l.enter(r.Room.NSConn().Conn(), noNote)
		defer l.leave(r.Room.NSConn().Conn())
		return sometimes(5, wire.ErrForbidden)
	})
	ns.OnLeft(func(_ context.Context, e *node.LeftEvent) {
		l.enter(e.Room.NSConn().Conn(), func(a *account) {
			l.want("left without joined", a.rooms[e.Room])
			delete(a.rooms, e.Room)
		})
		l.leave(e.Room.NSConn().Conn())
	})
	handle := func(ctx context.Context, c *node.NSConn, m *node.Message) ([]byte, error) {
		l.enter(c.Conn(), noNote)
		defer l.leave(c.Conn())
		return l.handle(ctx, c, m)
	}
	for _, event := range []string{"echo", "back", "leave", "panic"} {
		ns.OnAsk(event, func(ctx context.Context, r *node.AskRequest) error {
			body, err := handle(ctx, r.NSConn, &r.Message)
			r.Reply(body)
			return err
		})
		ns.OnEmit(event, func(ctx context.Context, e *node.EmitEvent) error {
			_, err := handle(ctx, e.NSConn, &e.Message)
			return err
		})
	}
	ns.OnRelay("seen", func(_ context.Context, r *node.RelayRequest) error {
		l.enter(r.NSConn.Conn(), noNote)
		defer l.leave(r.NSConn.Conn())
		return sometimes(3, wire.ErrForbidden)
	})
}

// handle is the body of all message handlers.
func (l *ledger) handle(ctx context.Context, c *node.NSConn, m *node.Message) ([]byte, error) {
	switch m.Event {
	case "back":
		answer, err := c.Ask(ctx, "question", m.Body)
		return answer.Body, err
	case "leave":
		return nil, sometimes(2, c.LeaveAll(ctx))
	case "panic":
		if rand.IntN(2) == 0 {
			runtime.Goexit()
		}
		panic("secret")
	}
	runtime.Gosched()
	return m.Body, nil
}

func sometimes(oneIn int, err error) error {
	if rand.IntN(oneIn) == 0 {
		return err
	}
	return nil
}

// interfere acts on connections as an application does outside of handlers.
func (l *ledger) interfere(n *node.Node, asked, answered *atomic.Int64) {
	for c := range n.Conns() {
		if rand.IntN(3) > 0 {
			continue
		}
		timeout := time.Second
		if rand.IntN(5) == 0 {
			timeout = time.Millisecond
		}
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		asked.Add(1)
		ns := c.Namespace([]string{"a", "b"}[rand.IntN(2)])
		switch kind := rand.IntN(12); {
		case kind < 2 || ns == nil:
			_, _ = c.Connect(ctx, []string{"a", "b"}[rand.IntN(2)])
		case kind < 4:
			if r, err := ns.JoinRoom(ctx, fmt.Sprint("r", rand.IntN(3))); err == nil {
				_ = r.EmitToClient("e", nil)
				_ = r.Leave(ctx)
			}
		case kind < 5:
			_ = ns.LeaveAll(ctx)
		case kind < 6:
			_ = ns.Disconnect(ctx)
		case kind < 9:
			_, _ = ns.Ask(ctx, "question", []byte("?"))
		case kind < 10:
			_ = n.Emit(ctx, node.Message{Namespace: "a", Room: "r1", Event: "e"}, node.EmitOptions{})
			_, _ = n.AskRoom(ctx, node.Message{Namespace: "a", Room: "r1", Event: "q"})
		case kind < 11:
			_, _ = n.Find(ctx, c.ID())
			_ = c.DisconnectAll(ctx)
		case rand.IntN(4) == 0:
			c.Close(wire.CodeGoingAway, "wild")
		}
		answered.Add(1)
		cancel()
	}
}

// Clients, handlers and the application act at random until Shutdown. Every
// start must have its end, exactly once.
func TestInvariants(t *testing.T) {
	const clients, actors = 48, 8
	duration := 10 * time.Second
	if text := os.Getenv("STOA_RACE_SECONDS"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("STOA_RACE_SECONDS=%q: want a number", text)
		}
		duration = time.Duration(seconds) * time.Second
	}
	before := testkit.CountResources()
	l := newLedger()
	n, served := serveHandling(t, func(cfg *node.Config) {
		cfg.Limits.ReceiveQueue, cfg.Limits.SendQueue = 8<<10, 256<<10
		cfg.Timeouts.Ask, cfg.Timeouts.Close, cfg.Timeouts.Ping = 200*time.Millisecond, 400*time.Millisecond, time.Second
	}, l.declare)
	var asks, asked, answered, runs atomic.Int64
	down := make(chan struct{})
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for l.run(n.Addr().String(), &asks) == nil {
				runs.Add(1)
			}
		})
	}
	for range actors {
		all.Go(func() {
			for {
				select {
				case <-down:
					return
				default:
					l.interfere(n, &asked, &answered)
				}
			}
		})
	}
	<-time.After(duration)
	if err := n.Shutdown(within(t)); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	close(down)
	<-served
	all.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Logf("%d connections, %d of them opened, %d times connected, %d times joined, %d asks of clients, %d acts of the program",
		runs.Load(), l.opened, l.connected, l.joined, asks.Load(), asked.Load())
	for what, times := range l.wrong {
		t.Errorf("%d times: %s", times, what)
	}
	if len(l.conns) > 0 {
		t.Errorf("%d connections were opened and not closed", len(l.conns))
	}
	if asked.Load() != answered.Load() {
		t.Errorf("%d acts of the program have begun, and %d have ended", asked.Load(), answered.Load())
	}
	if l.opened == 0 || l.connected == 0 || l.joined == 0 || asks.Load() == 0 {
		t.Error("nothing has happened")
	}
	if s := n.Stats(); s.Connections+s.Pending+s.Rooms+s.Memberships+s.PendingCalls+s.QueueBytes+s.Paused+n.Connections() != 0 {
		t.Errorf("left behind: %+v", s)
	}
	if err := before.AwaitAtMost(); err != nil {
		t.Error(err)
	}
}
