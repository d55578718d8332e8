package node_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/node"
)

// memoryInUse is the memory of the heap and the stacks after a collection.
func memoryInUse() uint64 {
	runtime.GC()
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	return now.HeapInuse + now.StackInuse
}

// Handlers that block forever cost only their own connections: one goroutine
// and bounded memory each.
func TestBlockedHandlers(t *testing.T) {
	const conns, behind = 1000, 4
	const most = 16 << 10 // bytes for each, its goroutine's stack included
	goOn := make(chan struct{})
	var stuck, closed atomic.Int32
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("chat", node.NamespaceOptions{})
		ns.OnAsk("stuck", func(context.Context, *node.AskRequest) error {
			stuck.Add(1)
			<-goOn
			stuck.Add(-1)
			return nil
		})
		ns.OnAsk("echo", echoBody)
		n.OnClosed(func(context.Context, *node.ClosedEvent) { closed.Add(1) })
	})
	peers := make([]*peer, conns)
	for i := range peers {
		peers[i] = join(t, n, "chat")
	}
	others := []*peer{join(t, n, "chat"), join(t, n, "chat"), join(t, n, "chat"), join(t, n, "chat")}
	goroutines, memory := runtime.NumGoroutine(), memoryInUse()
	for _, p := range peers {
		p.send("$s;chat;;stuck;0;0;")
		for i := range behind {
			p.send(fmt.Sprintf("$%d;chat;;echo;0;0;%d", i, i))
		}
	}
	eventually(t, "all handlers are stuck", func() bool { return stuck.Load() == conns })
	for i := range 50 {
		for _, p := range others {
			p.send(fmt.Sprintf("$%d;chat;;echo;0;0;hi", i))
		}
		for _, p := range others {
			p.expect(fmt.Sprintf("$%d;chat;;echo;0;0;hi", i))
		}
	}
	eventually(t, "no more than one goroutine for each blocked connection", func() bool {
		return runtime.NumGoroutine() <= goroutines+conns
	})
	each := (int64(memoryInUse()) - int64(memory)) / conns
	t.Logf("%d bytes for each connection with a blocked handler and %d asks behind it", each, behind)
	if each > most {
		t.Errorf("%d bytes for each, want at most %d", each, most)
	}
	const gone = 10
	for _, p := range peers[:gone] { // their handlers stay blocked
		_ = p.conn.Close()
	}
	eventually(t, "the node has noticed the closed connections", func() bool { return n.Connections() == conns+len(others)-gone })
	close(goOn)
	for _, p := range peers[gone:] {
		p.expect("$s;chat;;stuck;0;0;")
		for i := range behind {
			p.expect(fmt.Sprintf("$%d;chat;;echo;0;0;%d", i, i))
		}
	}
	eventually(t, "the handlers of the closed connections have returned", func() bool { return closed.Load() == gone })
	// The goroutines of blocking transports have ended as well.
	eventually(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// An ask times out while its client is not read: the answer is queued behind
// messages that are not read.
func TestAskWhileTheReceiveQueueIsFull(t *testing.T) {
	n := startHandling(t, func(cfg *node.Config) {
		cfg.Limits.ReceiveQueue = 4 << 10
		cfg.Timeouts.Ask, cfg.Timeouts.Ping = 100*time.Millisecond, -1
	}, func(n *node.Node) {
		n.Namespace("chat", node.NamespaceOptions{}).OnAsk("back", func(ctx context.Context, r *node.AskRequest) error {
			// The context has no deadline of its own.
			answer, err := r.NSConn.Conn().Ask(context.WithoutCancel(ctx), node.Message{Namespace: "chat", Event: "q"})
			r.Reply(answer.Body)
			return err
		})
	})
	p := join(t, n, "chat")
	p.send("$1;chat;;back;0;0;")
	if got := string(p.next().Payload); got != "1;chat;;q;0;0;" {
		t.Fatalf("got %q, want the ask", got)
	}
	flood := strings.Repeat(frame(1, true, ";chat;;nobody;0;0;"+strings.Repeat("x", 1000)), 10)
	p.write(frame(1, true, "$2;chat;;_OnNamespaceDisconnect;0;0;"))
	p.write(flood)
	eventually(t, "the connection is not read any more", func() bool { return node.BacklogFull(n, p.id) })
	p.expect("$1;chat;;back;1;0;timeout", "$2;;;;;;")
	p.send("$3;chat;;_OnNamespaceConnect;0;0;")
	p.expect("$3;;;;;;")
}

// Shutdown waits for handlers.
func TestShutdownWaitsForHandlers(t *testing.T) {
	t.Parallel()
	var j journal
	started, goOn := make(chan struct{}), make(chan struct{})
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("chat", node.NamespaceOptions{})
		ns.OnEmit("e", func(ctx context.Context, e *node.EmitEvent) error {
			close(started)
			<-ctx.Done() // the connection is closed
			<-goOn
			j.add("emit, closed=%t", e.NSConn.Conn().IsClosed())
			return nil
		})
		ns.OnLeft(func(ctx context.Context, e *node.LeftEvent) {
			j.add("left forced=%t ctx=%v", e.Forced, ctx.Err())
		})
		ns.OnDisconnected(func(ctx context.Context, _ *node.DisconnectedEvent) { j.add("disconnected ctx=%v", ctx.Err()) })
		n.OnClosed(func(ctx context.Context, e *node.ClosedEvent) {
			j.add("closed %d ctx=%v", e.Code, ctx.Err())
		})
	})
	p := serveRequests(join(t, n, "chat", "r"))
	p.send(";chat;;e;0;0;")
	<-started
	down := async(func() (struct{}, error) { return struct{}{}, n.Shutdown(within(t)) })
	p.await(`close 1001 "node shuts down"`)
	eventually(t, "the connection has closed", func() bool { return n.Connections() == 0 })
	if lines := j.copy(); len(lines) > 0 {
		t.Errorf("%q before the handler has returned", lines)
	}
	close(goOn)
	if _, err := down(); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	j.expect(t, "emit, closed=true", "left forced=true ctx=<nil>", "disconnected ctx=<nil>", "closed 1001 ctx=<nil>")
}

// serveHandling serves a node that the test shuts down.
func serveHandling(tb testing.TB, change func(*node.Config), declare func(*node.Node)) (n *node.Node, served chan error) {
	tb.Helper()
	n = newNode(tb, change)
	declare(n)
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	served = make(chan error, 1)
	go func() { served <- n.Serve() }()
	eventually(tb, "the node is ready", func() bool { return n.Ready(context.Background()) == nil })
	return n, served
}

// Shutdown gives up with its context and names the running handlers.
func TestShutdownLeavesHandlers(t *testing.T) {
	t.Parallel()
	for _, second := range []bool{false, true} {
		t.Run(fmt.Sprintf("cut short by another Shutdown %t", second), func(t *testing.T) {
			t.Parallel()
			var out logged
			started, ended, goOn := make(chan struct{}), make(chan error, 1), make(chan struct{})
			returned := make(chan struct{})
			n, served := serveHandling(t, out.into, func(n *node.Node) {
				n.Namespace("chat", node.NamespaceOptions{}).OnEmit("stubborn", func(context.Context, *node.EmitEvent) error {
					close(started)
					<-goOn
					return nil
				})
				n.OnClosed(func(ctx context.Context, _ *node.ClosedEvent) { ended <- ctx.Err(); close(returned) })
			})
			p := serveRequests(join(t, n, "chat"))
			p.send(";chat;;stubborn;0;0;")
			<-started
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			down := async(func() (struct{}, error) {
				if second {
					return struct{}{}, n.Shutdown(context.Background())
				}
				return struct{}{}, n.Shutdown(ctx)
			})
			eventually(t, "the connection has closed", func() bool { return n.Connections() == 0 })
			cancel()
			if second {
				if err := n.Shutdown(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("the second Shutdown: %v, want %v", err, context.Canceled)
				}
			}
			_, err := down()
			var left *node.HandlersRunningError
			if !errors.As(err, &left) || !errors.Is(err, context.Canceled) || len(left.Handlers) != 1 {
				t.Fatalf("Shutdown: %v, want a HandlersRunningError with one handler and the context's error", err)
			}
			one := left.Handlers[0]
			if one.Kind != node.HandlerEmit || one.Namespace != "chat" || one.Event != "stubborn" || one.Conn != p.id || one.Since.IsZero() {
				t.Errorf("left: %+v, want the stubborn one", one)
			}
			for _, want := range []string{"emit", `"chat"`, `"stubborn"`, p.id} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error %q does not name %s", err, want)
				}
			}
			if !strings.Contains(out.String(), "handlers are still running") {
				t.Error("nothing about it in the log")
			}
			if err := <-served; !errors.Is(err, node.ErrClosed) {
				t.Errorf("Serve: %v, want %v", err, node.ErrClosed)
			}
			close(goOn)
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("the context of a handler that runs after the end: %v, want %v", err, context.Canceled)
			}
			<-returned
		})
	}
}

// The error of a deadline that passes matches context.DeadlineExceeded.
func TestShutdownDeadline(t *testing.T) {
	started, goOn := make(chan struct{}), make(chan struct{})
	n, served := serveHandling(t, nil, func(n *node.Node) {
		n.Namespace("chat", node.NamespaceOptions{}).OnAsk("stubborn", func(context.Context, *node.AskRequest) error {
			close(started)
			<-goOn
			return nil
		})
	})
	p := serveRequests(join(t, n, "chat"))
	p.send("$1;chat;;stubborn;0;0;")
	<-started
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	var left *node.HandlersRunningError
	if err := n.Shutdown(ctx); !errors.As(err, &left) || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(left, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v, want a HandlersRunningError and %v", err, context.DeadlineExceeded)
	}
	<-served
	close(goOn)
}

// Handlers that report a close can still emit, on this node and to others, even
// after the loops have ended.
func TestHandlersOfTheEndEmit(t *testing.T) {
	server := redistest.Start(t)
	config := redisbroker.Config{Servers: []string{server.URL()}}
	witness, first := startMember(t, "n0", config, nil)
	config.NodeID = "n1"
	second, err := redisbroker.New(config)
	if err != nil {
		t.Fatal(err)
	}
	n, served := serveHandling(t, func(cfg *node.Config) { cfg.ID, cfg.Broker = "n1", second }, func(n *node.Node) {
		ns := n.LookupNamespace("default")
		say := func(ctx context.Context, what string) {
			m := node.Message{Namespace: "default", Room: "r", Event: "bye", Body: []byte(what)}
			if err := n.Emit(ctx, m, node.EmitOptions{}); err != nil {
				t.Errorf("Emit in %s: %v", what, err)
			}
		}
		ns.OnLeft(func(ctx context.Context, _ *node.LeftEvent) { say(ctx, "left") })
		ns.OnDisconnected(func(ctx context.Context, _ *node.DisconnectedEvent) {
			eventually(t, "the loops have ended", func() bool { return n.CloseConn(ctx, "n1-x", 1000, "") == node.ErrClosed })
			say(ctx, "disconnected")
		})
		n.OnClosed(func(ctx context.Context, _ *node.ClosedEvent) { say(ctx, "closed") })
	})
	awaitNodes(t, 2, first, second)
	listener := join(t, witness, "default", "r")
	serveRequests(join(t, n, "default", "r"))
	if err := n.Shutdown(within(t)); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	<-served
	listener.expect(";default;r;bye;0;0;left", ";default;r;bye;0;0;disconnected", ";default;r;bye;0;0;closed")
	if err := n.EmitNamespace(within(t), node.Message{Namespace: "default", Event: "e"}, node.EmitOptions{}); !errors.Is(err, node.ErrClosed) {
		t.Errorf("Emit after the end: %v, want %v", err, node.ErrClosed)
	}
}

// A handler's context is canceled when the peer closes, even if the connection
// is not read because of its full receive queue.
func TestHangupAfterAFullReceiveQueue(t *testing.T) {
	if testTransport(t) == node.TransportBlocking {
		t.Log("a blocking transport learns of the end when it reads")
		return
	}
	waiting, ended := make(chan struct{}), make(chan struct{})
	n := startHandling(t, func(cfg *node.Config) { cfg.Limits.ReceiveQueue = 2000 }, func(n *node.Node) {
		n.Namespace("chat", node.NamespaceOptions{}).OnEmit("wait", func(ctx context.Context, e *node.EmitEvent) error {
			if string(e.Body) == "first" {
				close(waiting)
				<-ctx.Done()
				close(ended)
			}
			return nil
		})
	})
	p := dial(t, n)
	p.send("$1;chat;;_OnNamespaceConnect;0;0;")
	p.expect("$1;;;;;;")
	p.send(";chat;;wait;0;0;first")
	<-waiting
	for range 100 {
		p.send(";chat;;wait;0;0;" + strings.Repeat("x", 100))
	}
	eventually(t, "the receive queue is full", func() bool { return n.Stats().Handlers.Bytes > 2000 })
	_ = p.conn.Close()
	<-ended
}
