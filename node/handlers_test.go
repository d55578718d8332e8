package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
)

// journal holds the lines that handlers have written, in the order of their
// calls.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) copy() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

// expect waits for as many lines, compares them, and clears the journal.
func (j *journal) expect(tb testing.TB, want ...string) {
	tb.Helper()
	eventually(tb, fmt.Sprintf("%d lines of handlers", len(want)), func() bool { return len(j.copy()) >= len(want) })
	j.mu.Lock()
	defer j.mu.Unlock()
	if !slices.Equal(j.lines, want) {
		tb.Fatalf("handlers were called like this:\n%s\nwant:\n%s", strings.Join(j.lines, "\n"), strings.Join(want, "\n"))
	}
	j.lines = nil
}

// everyHandler writes every call into the journal. Rooms, events and bodies
// that begin with "no" are refused.
func everyHandler(j *journal) func(*node.Node) {
	no := func(what string) error {
		if strings.HasPrefix(what, "no") {
			return errors.New("refused " + what)
		}
		return nil
	}
	return func(n *node.Node) {
		n.OnOpened(func(context.Context, *node.OpenedEvent) { j.add("opened") })
		n.OnClosed(func(_ context.Context, e *node.ClosedEvent) {
			j.add("closed %d by %s, closed=%t", e.Code, e.By, e.Conn.IsClosed())
		})
		n.OnNative(func(_ context.Context, e *node.NativeEvent) error {
			j.add("native %q binary=%t", e.Payload, e.Binary)
			return errors.Join(no(string(e.Payload)), e.Conn.WriteNative(e.Payload, e.Binary))
		})
		n.Namespace("", node.NamespaceOptions{}) // of native messages
		ns := n.Namespace("chat", node.NamespaceOptions{})
		ns.OnConnect(func(_ context.Context, r *node.ConnectRequest) error {
			j.add("connect %q connected=%t", r.Body, r.Conn.Namespace("chat") != nil)
			return no(string(r.Body))
		})
		ns.OnConnected(func(_ context.Context, e *node.ConnectedEvent) { j.add("connected %t", e.NSConn.IsConnected()) })
		ns.OnDisconnected(func(_ context.Context, e *node.DisconnectedEvent) {
			j.add("disconnected forced=%t connected=%t", e.Forced, e.NSConn.IsConnected())
		})
		ns.OnJoin(func(_ context.Context, r *node.JoinRequest) error {
			j.add("join %s joined=%t", r.Room, r.NSConn.Room(r.Room) != nil)
			return no(r.Room)
		})
		ns.OnJoined(func(_ context.Context, e *node.JoinedEvent) {
			j.add("joined %s %t", e.Room.Name(), e.Room.NSConn().Room(e.Room.Name()) == e.Room)
		})
		ns.OnLeave(func(_ context.Context, r *node.LeaveRequest) error {
			j.add("leave %s", r.Room.Name())
			if r.Room.Name() == "sticky" {
				return errors.New("stay")
			}
			return nil
		})
		ns.OnLeft(func(_ context.Context, e *node.LeftEvent) {
			j.add("left %s forced=%t joined=%t", e.Room.Name(), e.Forced, e.Room.NSConn().Room(e.Room.Name()) != nil)
		})
		emit := func(what string) node.EmitHandler {
			return func(_ context.Context, e *node.EmitEvent) error {
				j.add("%s %s %s %s %q binary=%t", what, e.Namespace, e.Room, e.Event, e.Body, e.Binary)
				return no(string(e.Body))
			}
		}
		ask := func(what string) node.AskHandler {
			return func(_ context.Context, r *node.AskRequest) error {
				j.add("%s %s %s %s %q binary=%t", what, r.Namespace, r.Room, r.Event, r.Body, r.Binary)
				r.Reply(append([]byte("re: "), r.Body...))
				return no(string(r.Body))
			}
		}
		ns.OnEmit("news", emit("emit"))
		ns.OnAnyEmit(emit("any emit"))
		ns.OnAsk("question", ask("ask"))
		ns.OnAnyAsk(ask("any ask"))
	}
}

// All handlers of one connection run in the order of its client's messages.
func TestHandlers(t *testing.T) {
	var j journal
	n := startHandling(t, nil, everyHandler(&j))
	p := dial(t, n)
	j.expect(t, "opened")

	p.send("$1;chat;;_OnNamespaceConnect;0;0;no entry")
	p.expect("$1;chat;;_OnNamespaceConnect;1;0;refused no entry")
	p.send("$2;chat;;news;0;0;")
	p.expect("$2;chat;;news;1;0;bad namespace")
	p.send("$3;chat;;_OnNamespaceConnect;0;0;let me in")
	p.expect("$3;;;;;;")
	j.expect(t, `connect "no entry" connected=false`, `connect "let me in" connected=false`, "connected true")

	p.send("$4;chat;nothing;_OnRoomJoin;0;0;")
	p.expect("$4;chat;nothing;_OnRoomJoin;1;0;refused nothing")
	p.send("$5;chat;room;_OnRoomJoin;0;0;")
	p.expect("$5;;;;;;")
	p.send("$5;chat;room;_OnRoomJoin;0;0;") // joined already: no handler is called
	p.expect("$5;;;;;;")
	p.send("$6;chat;sticky;_OnRoomJoin;0;0;")
	p.expect("$6;;;;;;")
	j.expect(t, "join nothing joined=false", "join room joined=false", "joined room true", "join sticky joined=false", "joined sticky true")

	p.send(";chat;;news;0;0;1")
	p.send(";chat;room;news;0;0;2")
	p.sendBinary(";chat;room;news;0;0;\xff")
	p.send(";chat;;news;0;0;no")
	p.send(";chat;;other;0;0;3")
	p.send("$7;chat;;question;0;0;4")
	p.expect("$7;chat;;question;0;0;re: 4")
	p.send("$8;chat;room;question;0;0;no answer")
	p.expect("$8;chat;room;question;1;0;refused no answer")
	p.sendBinary("$9;chat;room;other;0;0;\xff")
	if f := p.next(); f.Header.OpCode != ws.OpBinary || string(f.Payload) != "$9;chat;room;other;0;0;re: \xff" {
		t.Errorf("got %s, want the answer in a binary frame", describe(f))
	}
	j.expect(t, `emit chat  news "1" binary=false`, `emit chat room news "2" binary=false`, `emit chat room news "\xff" binary=true`,
		`emit chat  news "no" binary=false`, `any emit chat  other "3" binary=false`, `ask chat  question "4" binary=false`,
		`ask chat room question "no answer" binary=false`, `any ask chat room other "\xff" binary=true`)

	p.send("$a;chat;sticky;_OnRoomLeave;0;0;")
	p.expect("$a;chat;sticky;_OnRoomLeave;1;0;stay")
	p.send("$b;chat;room;_OnRoomLeave;0;0;")
	p.expect("$b;;;;;;")
	p.send("$c;chat;;_OnNamespaceDisconnect;0;0;")
	p.expect("$c;;;;;;")
	j.expect(t, "leave sticky", "leave room", "left room forced=false joined=false",
		"left sticky forced=true joined=false", "disconnected forced=false connected=false")

	p.send("$d;chat;;_OnNamespaceConnect;0;0;")
	p.expect("$d;;;;;;")
	p.send("$e;chat;room;_OnRoomJoin;0;0;")
	p.expect("$e;;;;;;")
	j.expect(t, `connect "" connected=false`, "connected true", "join room joined=false", "joined room true")
	p.write(frame(ws.OpClose, true, "\x0f\xa0bye"))
	j.expect(t, "left room forced=true joined=false", "disconnected forced=true connected=false", "closed 4000 by peer, closed=true")
}

// Native messages of a client that also speaks the protocol.
func TestNativeHandler(t *testing.T) {
	var j journal
	n := startHandling(t, nil, everyHandler(&j))
	p := dial(t, n)
	p.send("before") // not connected to the namespace ""
	p.send("$1;;;_OnNamespaceConnect;0;0;")
	p.expect("$1;;;;;;")
	p.send("native")
	p.expect("native")
	p.sendBinary("nothing")
	if f := p.next(); f.Header.OpCode != ws.OpBinary || string(f.Payload) != "nothing" {
		t.Errorf("got %s, want a binary echo", describe(f))
	}
	p.send("$2;chat;;_OnNamespaceConnect;0;0;")
	p.expect("$2;;;;;;")
	j.expect(t, "opened", `native "native" binary=false`, `native "nothing" binary=true`, `connect "" connected=false`, "connected true")
}

func TestNativeOnly(t *testing.T) {
	var j journal
	n := startHandling(t, func(cfg *node.Config) { cfg.NativeOnly = true }, everyHandler(&j))
	p := upgrade(t, n)
	j.expect(t, "opened")
	for _, text := range []string{"M", "$1;chat;;_OnNamespaceConnect;0;0;", "text"} {
		p.send(text)
		p.expect(text)
	}
	p.sendBinary("\xff")
	if f := p.next(); f.Header.OpCode != ws.OpBinary || string(f.Payload) != "\xff" {
		t.Errorf("got %s, want a binary echo", describe(f))
	}
	_ = p.conn.Close()
	j.expect(t, `native "M" binary=false`, `native "$1;chat;;_OnNamespaceConnect;0;0;" binary=false`, `native "text" binary=false`,
		`native "\xff" binary=true`, "closed 1006 by peer, closed=true")
}

// Messages before the hello are handled after OnOpened, in order: a request
// waits for the handlers of earlier messages.
func TestEarlyMessagesAreHandledInOrder(t *testing.T) {
	var j journal
	goOn := make(chan struct{})
	n := startHandling(t, nil, func(n *node.Node) {
		n.OnOpened(func(context.Context, *node.OpenedEvent) { j.add("opened") })
		ns := n.Namespace("chat", node.NamespaceOptions{})
		ns.OnEmit("slow", func(_ context.Context, e *node.EmitEvent) error {
			<-goOn
			j.add("slow room=%t", e.NSConn.Room("room") != nil)
			return e.NSConn.Emit("answer", e.Body)
		})
		ns.OnLeft(func(context.Context, *node.LeftEvent) { j.add("left") })
		ns.OnDisconnected(func(context.Context, *node.DisconnectedEvent) { j.add("disconnected") })
	})
	p := upgrade(t, n)
	p.send("$1;chat;;_OnNamespaceConnect;0;0;")
	p.send("$2;chat;room;_OnRoomJoin;0;0;")
	p.send(";chat;;slow;0;0;1")
	p.send("$3;chat;room;_OnRoomLeave;0;0;")
	p.send("M")
	if f := p.next(); f.Payload[0] != 'A' {
		t.Fatalf("got %s, want an acknowledgement first", describe(f))
	}
	p.expect("$1;;;;;;", "$2;;;;;;")
	p.send("$4;chat;;_OnNamespaceDisconnect;0;0;")
	close(goOn)
	p.expect(";chat;;answer;0;0;1", "$3;;;;;;", "$4;;;;;;")
	j.expect(t, "opened", "slow room=true", "left", "disconnected")
}

// logged is a logger that tests can read.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) into(cfg *node.Config) {
	cfg.Logger = slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// brokenError panics in Error.
type brokenError struct{ text *string }

func (e *brokenError) Error() string { return *e.text }

// fallOver panics or exits the goroutine, as a handler may.
func fallOver(how string) {
	switch how {
	case "panic":
		panic("secret")
	case "nil panic":
		panic(nil)
	case "runtime error":
		_ = how[len(how)]
	case "goexit":
		runtime.Goexit()
	}
}

// A handler that panics or exits its goroutine fails one message only.
func TestPanickingHandlers(t *testing.T) {
	var out logged
	var j journal
	n := startHandling(t, out.into, func(n *node.Node) {
		ns := n.Namespace("chat", node.NamespaceOptions{})
		ns.OnConnect(func(_ context.Context, r *node.ConnectRequest) error { fallOver(string(r.Body)); return nil })
		ns.OnConnected(func(context.Context, *node.ConnectedEvent) { fallOver("panic") })
		ns.OnJoin(func(_ context.Context, r *node.JoinRequest) error { fallOver(r.Room); return nil })
		ns.OnLeave(func(_ context.Context, r *node.LeaveRequest) error {
			if r.Room.Name() == "keep" {
				fallOver("goexit")
			}
			return nil
		})
		ns.OnLeft(func(context.Context, *node.LeftEvent) { fallOver("goexit") })
		ns.OnDisconnected(func(context.Context, *node.DisconnectedEvent) { j.add("disconnected"); fallOver("panic") })
		ns.OnEmit("e", func(_ context.Context, e *node.EmitEvent) error { fallOver(string(e.Body)); return nil })
		ns.OnAsk("q", func(_ context.Context, r *node.AskRequest) error {
			if string(r.Body) == "broken error" {
				return new(brokenError)
			}
			fallOver(string(r.Body))
			r.Reply([]byte("well"))
			return nil
		})
		n.OnClosed(func(context.Context, *node.ClosedEvent) { j.add("closed"); fallOver("panic") })
	})
	p := dial(t, n)
	ways := []string{"panic", "nil panic", "runtime error", "goexit"}
	for _, how := range ways {
		p.send("$c;chat;;_OnNamespaceConnect;0;0;" + how)
		p.expect("$c;chat;;_OnNamespaceConnect;1;0;internal error")
	}
	p.send("$c;chat;;_OnNamespaceConnect;0;0;")
	p.expect("$c;;;;;;")
	for _, how := range append(ways, "broken error") {
		p.send(";chat;;e;0;0;" + how)
		p.send("$q;chat;;q;0;0;" + how)
		p.expect("$q;chat;;q;1;0;internal error")
	}
	for _, how := range ways {
		p.send("$j;chat;" + how + ";_OnRoomJoin;0;0;")
		p.expect("$j;chat;" + how + ";_OnRoomJoin;1;0;internal error")
	}
	for _, room := range []string{"keep", "leave"} {
		p.send("$j;chat;" + room + ";_OnRoomJoin;0;0;")
		p.expect("$j;;;;;;")
	}
	p.send("$l;chat;keep;_OnRoomLeave;0;0;")
	p.expect("$l;chat;keep;_OnRoomLeave;1;0;internal error")
	p.send("$l;chat;leave;_OnRoomLeave;0;0;")
	p.expect("$l;;;;;;")
	p.send("$q;chat;;q;0;0;")
	p.expect("$q;chat;;q;0;0;well")
	_ = p.conn.Close()
	j.expect(t, "disconnected", "closed")
	for kind, want := range map[node.HandlerKind]uint64{
		node.HandlerConnect: 4, node.HandlerConnected: 1, node.HandlerEmit: 4, node.HandlerAsk: 5, node.HandlerJoin: 4,
		node.HandlerLeave: 1, node.HandlerLeft: 2, node.HandlerDisconnected: 1, node.HandlerClosed: 1,
	} {
		eventually(t, fmt.Sprintf("%d panics of %s are counted", want, kind), func() bool {
			return node.HandlerCount(n, kind, node.HandlerPanicked) == want
		})
	}
	for _, want := range []string{"handler panicked", "reason=secret", "stack=", "handlers_test.go", "handler=leave", "namespace=chat", "event=q"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log does not contain %q", want)
		}
	}
}
