package client_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// journal records the calls of handlers.
type journal chan string

func newJournal() journal { return make(journal, 10000) }

func (j journal) expect(tb testing.TB, lines ...string) {
	tb.Helper()
	for _, want := range lines {
		if got := receive(tb, want, j); got != want {
			tb.Fatalf("heard %q, want %q", got, want)
		}
	}
}

// namespace returns a namespace whose handlers note everything.
func (j journal) namespace() *client.Namespace {
	ns := new(client.Namespace)
	ns.OnConnect(func(_ context.Context, r *client.ConnectRequest) error {
		j <- fmt.Sprintf("connect? %s", r.Body)
		return nil
	})
	ns.OnConnected(func(_ context.Context, e *client.ConnectedEvent) { j <- "connected " + e.NSConn.Namespace() })
	ns.OnDisconnected(func(ctx context.Context, e *client.DisconnectedEvent) {
		j <- fmt.Sprintf("disconnected %s %v %v %v", e.NSConn.Namespace(), e.Forced, e.Err, ctx.Err())
	})
	ns.OnJoin(func(_ context.Context, r *client.JoinRequest) error {
		j <- "join? " + r.Room
		if r.Room == "locked" {
			return errors.New("not me")
		}
		return nil
	})
	ns.OnJoined(func(_ context.Context, e *client.JoinedEvent) { j <- "joined " + e.Room.Name() })
	ns.OnLeft(func(_ context.Context, e *client.LeftEvent) {
		j <- fmt.Sprintf("left %s %v %v", e.Room.Name(), e.Forced, e.Err)
	})
	ns.OnAnyEmit(func(_ context.Context, e *client.EmitEvent) error {
		j <- fmt.Sprintf("emit %s %s", e.Event, e.Body)
		return nil
	})
	ns.OnAnyAsk(func(_ context.Context, r *client.AskRequest) error {
		r.Reply([]byte("re: " + string(r.Body)))
		return nil
	})
	return ns
}

func TestServerDoesItAll(t *testing.T) {
	n, _ := startNode(t, "", nil)
	heard := newJournal()
	conn := dial(t, urlOf(n), in("default", heard.namespace()))
	ctx := background(t)
	if err := n.Connect(ctx, conn.ID(), "default"); err != nil {
		t.Fatal(err)
	}
	ns, err := conn.WaitServerConnect(ctx, "default")
	if err != nil {
		t.Fatal(err)
	}
	heard.expect(t, "connect? ", "connected default")
	if err := n.Connect(ctx, conn.ID(), "second"); !errors.Is(err, wire.ErrBadNamespace) {
		t.Errorf("connecting the client to a namespace that it has not declared: %v, want %v", err, wire.ErrBadNamespace)
	}
	if err := n.Join(ctx, conn.ID(), "default", "lobby"); err != nil {
		t.Fatal(err)
	}
	heard.expect(t, "join? lobby", "joined lobby")
	if err := n.Join(ctx, conn.ID(), "default", "locked"); !errors.Is(err, wire.RemoteError("not me")) {
		t.Errorf("joining what the client refuses: %v", err)
	}
	heard.expect(t, "join? locked")
	if ns.Room("lobby") == nil || ns.Room("locked") != nil {
		t.Error("the rooms are not those that the server joined")
	}
	answer, err := n.Ask(ctx, conn.ID(), node.Message{Namespace: "default", Event: "q", Body: []byte("?")})
	if err != nil || string(answer.Body) != "re: ?" {
		t.Errorf("the server's ask: %q, %v", answer.Body, err)
	}
	if err := n.Leave(ctx, conn.ID(), "default", "lobby"); err != nil {
		t.Fatal(err)
	}
	heard.expect(t, "left lobby false <nil>")
	if err := n.Join(ctx, conn.ID(), "default", "bar"); err != nil {
		t.Fatal(err)
	}
	heard.expect(t, "join? bar", "joined bar")
	if err := n.Disconnect(ctx, conn.ID(), "default"); err != nil {
		t.Fatal(err)
	}
	heard.expect(t, "left bar true <nil>", "disconnected default false <nil> <nil>")
}

func TestHandlersRunInOrder(t *testing.T) {
	n, _ := startNode(t, "", nil)
	heard := newJournal()
	states := newStates()
	var running atomic.Int32
	o := in("default", heard.namespace())
	o.OnState = states.hear
	o.Namespaces["default"].OnEmit("n", func(_ context.Context, e *client.EmitEvent) error {
		if running.Add(1) > 1 {
			t.Error("two handlers run at the same time")
		}
		defer running.Add(-1)
		heard <- fmt.Sprintf("emit %s %s", e.Event, e.Body)
		return nil
	})
	room := join(t, urlOf(n), o, "default", "lobby")
	heard.expect(t, "connected default", "joined lobby")
	sender := join(t, urlOf(n), client.Options{}, "default", "lobby")
	const count = 1000
	for i := range count {
		if err := sender.Emit("n", []byte(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range count {
		heard.expect(t, "emit n "+strconv.Itoa(i))
	}
	if err := room.NSConn().Conn().Close(); err != nil {
		t.Fatal(err)
	}
	heard.expect(t, "left lobby true client: closed", "disconnected default true client: closed <nil>")
	states.await(t, client.StateClosed)
}

func TestAskingAndClosingInsideHandlers(t *testing.T) {
	n, _ := startNode(t, "", func(n *node.Node) {
		ns := n.LookupNamespace("default")
		ns.OnAsk("next", func(_ context.Context, r *node.AskRequest) error {
			r.Reply(append(r.Body, '+'))
			return nil
		})
	})
	heard := newJournal()
	closed := make(chan error, 1)
	o := in("default", declare(func(ns *client.Namespace) {
		ns.OnEmit("go", func(ctx context.Context, e *client.EmitEvent) error {
			answer, err := e.NSConn.Ask(ctx, "next", e.Body)
			if err != nil {
				return err
			}
			room, err := e.NSConn.JoinRoom(ctx, string(e.Body))
			if err != nil {
				return err
			}
			if err := room.Leave(ctx); err != nil {
				return err
			}
			heard <- string(answer.Body)
			return nil
		})
		ns.OnAsk("back", func(ctx context.Context, r *client.AskRequest) error {
			answer, err := r.NSConn.Ask(ctx, "next", r.Body)
			r.Reply(answer.Body)
			return err
		})
		ns.OnAsk("close", func(_ context.Context, r *client.AskRequest) error {
			closed <- r.NSConn.Conn().Close()
			return nil
		})
	}))
	o.ReceiveQueue = 4000
	conn := dial(t, urlOf(n), o)
	ctx := background(t)
	if _, err := conn.Connect(ctx, "default"); err != nil {
		t.Fatal(err)
	}
	const count = 200 // more than the receive queue holds, but not 16 times as much
	for i := range count {
		if err := n.EmitTo(ctx, conn.ID(), node.Message{Namespace: "default", Event: "go", Body: []byte(strconv.Itoa(i))}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range count {
		heard.expect(t, strconv.Itoa(i)+"+")
	}
	answer, err := n.Ask(ctx, conn.ID(), node.Message{Namespace: "default", Event: "back", Body: []byte("b")})
	if err != nil || string(answer.Body) != "b+" {
		t.Errorf("an ask that is answered with the help of another: %q, %v", answer.Body, err)
	}
	if _, err := n.Ask(ctx, conn.ID(), node.Message{Namespace: "default", Event: "close"}); err == nil {
		t.Error("an ask was answered by a client that closed instead")
	}
	if err := receive(t, "Close inside a handler", closed); err != nil {
		t.Errorf("Close inside a handler: %v", err)
	}
}

func TestHandlersThatFail(t *testing.T) {
	n, _ := startNode(t, "", nil)
	conn := dial(t, urlOf(n), in("default", declare(func(ns *client.Namespace) {
		ns.OnAsk("error", func(context.Context, *client.AskRequest) error { return errors.New("no ink") })
		ns.OnAsk("panic", func(context.Context, *client.AskRequest) error { panic("secret") })
		ns.OnAsk("exit", func(context.Context, *client.AskRequest) error {
			runtime.Goexit()
			return nil
		})
		ns.OnAsk("bytes", func(_ context.Context, r *client.AskRequest) error {
			r.Reply([]byte{0xff})
			return nil
		})
		ns.OnAsk("good", func(_ context.Context, r *client.AskRequest) error {
			r.Reply([]byte("not this"))
			r.Reply([]byte("fine"))
			return nil
		})
		ns.OnAsk("empty", func(context.Context, *client.AskRequest) error { return nil })
	})))
	if _, err := conn.Connect(background(t), "default"); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ event, body, err string }{
		{"error", "", "no ink"},
		{"panic", "", "remote: internal error"},
		{"exit", "", "remote: internal error"},
		{"bytes", "", client.ErrNotText.Error()},
		{"unknown", "", wire.ErrUnhandled.Error()},
		{"good", "fine", ""},
		{"empty", "", ""},
	}
	for _, test := range tests {
		answer, err := n.Ask(background(t), conn.ID(), node.Message{Namespace: "default", Event: test.event})
		text := ""
		if err != nil {
			text = err.Error()
		} else if answer.Err != nil {
			text = answer.Err.Error()
		}
		if string(answer.Body) != test.body || text != test.err {
			t.Errorf("%s: %q, error %q, want %q, %q", test.event, answer.Body, text, test.body, test.err)
		}
	}
}

func TestNativeMessages(t *testing.T) {
	n, err := node.New(node.Config{NativeOnly: true, Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	n.OnNative(func(_ context.Context, e *node.NativeEvent) error {
		return e.Conn.WriteNative(append([]byte("re: "), e.Payload...), e.Binary)
	})
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	t.Cleanup(func() { _ = n.Close(); <-served })
	heard := newJournal()
	conn := dial(t, urlOf(n), client.Options{NativeOnly: true, OnNative: func(_ context.Context, e *client.NativeEvent) error {
		heard <- fmt.Sprintf("%s %v", e.Payload, e.Binary)
		return nil
	}})
	_ = conn.WriteNative([]byte("one"), false)
	_ = conn.WriteNative([]byte("two"), true)
	heard.expect(t, "re: one false", "re: two true")
}

// Messages after a request wait for the decision and keep their order.
func TestMessagesWaitForADecision(t *testing.T) {
	url := startServer(t, func(_ int, p *peer) {
		if !p.hello("id") {
			return
		}
		for _, text := range []string{
			"1;ns;;_OnNamespaceConnect;0;0;", ";ns;;e;0;0;1", "2;ns;room;_OnRoomJoin;0;0;", ";ns;room;e;0;0;2",
			"3;ns;locked;_OnRoomJoin;0;0;", "4;ns;room;_OnRoomLeave;0;0;", ";ns;;e;0;0;3",
		} {
			p.send(text)
		}
		for _, want := range []string{"1;;;;;;", "2;;;;;;", "3;ns;locked;_OnRoomJoin;1;0;not me", "4;;;;;;"} {
			if got := p.text(); got != want {
				t.Errorf("the client answered %q, want %q", got, want)
			}
		}
		p.drain()
	})
	heard := newJournal()
	dial(t, url, in("ns", heard.namespace()))
	heard.expect(t, "connect? ", "connected ns", "emit e 1", "join? room", "joined room", "emit e 2", "join? locked",
		"left room false <nil>", "emit e 3")
}
