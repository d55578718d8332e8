package node_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// The tests of this file and of neffos_traffic_test.go are rows of the table in
// docs/migrating-from-neffos.md, "Known faults of neffos servers, and the tests
// against them". Each comment begins with its row; internal/archtest compares
// both.

// endlessAsks lets asks wait longer than any test.
func endlessAsks(c *node.Config) { c.Timeouts.Ask = time.Hour }

// neffos row 2: a blocked handler delays its own connection only, even on the
// same loop.
func TestBlockedHandlerDelaysNoOtherConnection(t *testing.T) {
	release, entered := make(chan struct{}), make(chan struct{})
	n := startHandling(t, func(c *node.Config) { c.Loops = 1 }, func(n *node.Node) {
		ns := n.Namespace("chat", node.NamespaceOptions{})
		ns.OnEmit("block", func(context.Context, *node.EmitEvent) error {
			close(entered)
			<-release
			return nil
		})
		ns.OnAsk("echo", echoBody)
	})
	a, b := join(t, n, "chat"), join(t, n, "chat")
	a.send(";chat;;block;0;0;")
	<-entered
	a.send("$1;chat;;echo;0;0;behind it")
	b.send("$1;chat;;echo;0;0;beside it")
	b.expect("$1;chat;;echo;0;0;beside it")
	dial(t, n)
	close(release)
	a.expect("$1;chat;;echo;0;0;behind it")
}

// neffos row 3: an ask with a late answer returns in time. The late answer is
// counted and dropped, and the connection goes on, over Redis, too.
func TestLateAnswerIsDropped(t *testing.T) {
	nodes := startCluster(t, "n0", "n1")
	for where, from := range map[string]*node.Node{"on its own node": nodes[1], "from another node": nodes[0]} {
		t.Run(where, func(t *testing.T) {
			a := join(t, nodes[1], "default")
			ctx, cancel := context.WithCancel(t.Context())
			message := node.Message{Namespace: "default", Event: "q"}
			wait := async(func() (node.Answer, error) { return from.Ask(ctx, a.id, message) })
			late := a.request(";default;;q;0;0;")
			cancel()
			if _, err := wait(); !errors.Is(err, context.Canceled) {
				t.Errorf("Ask: %v, want %v", err, context.Canceled)
			}
			lateAnswers := func() uint64 {
				dropped := from.Stats().LateAnswers
				for _, n := range nodes {
					dropped += n.Stats().MessagesIn[0][node.MessageLateAnswer]
				}
				return dropped
			}
			before := lateAnswers()
			a.send(late + ";default;;q;0;0;late")
			eventually(t, "the late answer is counted", func() bool { return lateAnswers() > before })
			wait = async(func() (node.Answer, error) { return from.Ask(within(t), a.id, message) })
			a.send(a.request(";default;;q;0;0;") + ";default;;q;0;0;in time")
			if answer, err := wait(); err != nil || string(answer.Body) != "in time" {
				t.Errorf("the next ask is answered %q, %v; want %q", answer.Body, err, "in time")
			}
		})
	}
}

// neffos row 4: an ask in a handler takes only its own answer, and none of the
// client's other messages is lost.
func TestAskInsideAHandler(t *testing.T) {
	n := startHandling(t, endlessAsks, func(n *node.Node) {
		ns := n.Namespace("chat", node.NamespaceOptions{})
		ns.OnAsk("ask me", func(ctx context.Context, r *node.AskRequest) error {
			answer, err := r.NSConn.Ask(ctx, "q", r.Body)
			r.Reply(append([]byte("you said "), answer.Body...))
			return err
		})
		ns.OnAsk("echo", echoBody)
		ns.OnEmit("say", func(_ context.Context, e *node.EmitEvent) error {
			return e.NSConn.Emit("said", e.Body)
		})
	})
	p := join(t, n, "chat")
	p.send("$1;chat;;ask me;0;0;who?")
	token := p.request(";chat;;q;0;0;who?")
	p.send(";chat;;say;0;0;one")
	p.send("$2;chat;;echo;0;0;two")
	p.send("$3;chat;;q;0;0;an ask with the same event")
	p.send("999;chat;;q;0;0;an unknown token")
	p.send("$j;chat;r;_OnRoomJoin;0;0;")
	p.send(token + ";chat;;q;0;0;me")
	// An ask without a handler is answered without waiting for the running
	// handler; other messages are handled in order.
	var inOrder, atOnce []string
	for range 6 {
		text := string(p.next().Payload)
		if strings.HasSuffix(text, "unhandled event") {
			atOnce = append(atOnce, text)
		} else {
			inOrder = append(inOrder, text)
		}
	}
	want := []string{"$1;chat;;ask me;0;0;you said me", ";chat;;said;0;0;one", "$2;chat;;echo;0;0;two", "$j;;;;;;"}
	if !slices.Equal(inOrder, want) {
		t.Errorf("got %q, want %q", inOrder, want)
	}
	want = []string{"$3;chat;;q;1;0;unhandled event", "999;chat;;q;1;0;unhandled event"}
	if !slices.Equal(atOnce, want) {
		t.Errorf("got %q, want %q", atOnce, want)
	}
}

// neffos row 5: an ask without a deadline ends when the connection closes.
func TestAskEndsWithTheConnection(t *testing.T) {
	inside := make(chan error, 1)
	n := startHandling(t, endlessAsks, func(n *node.Node) {
		n.Namespace("chat", node.NamespaceOptions{}).OnEmit("start", func(_ context.Context, e *node.EmitEvent) error {
			_, err := e.NSConn.Ask(context.Background(), "q", nil)
			inside <- err
			return nil
		})
	})
	p := join(t, n, "chat")
	wait := async(func() (node.Answer, error) {
		return n.Ask(context.Background(), p.id, node.Message{Namespace: "chat", Event: "from outside"})
	})
	p.request(";chat;;from outside;0;0;")
	p.send(";chat;;start;0;0;")
	p.request(";chat;;q;0;0;")
	_ = p.conn.Close()
	if _, err := wait(); !errors.Is(err, wire.ErrGone) {
		t.Errorf("Ask: %v, want %v", err, wire.ErrGone)
	}
	if err := <-inside; !errors.Is(err, wire.ErrGone) {
		t.Errorf("Ask inside a handler: %v, want %v", err, wire.ErrGone)
	}
}

// neffos row 6: any handler may call any method, including the handler of the
// close.
func TestEveryMethodInsideDisconnected(t *testing.T) {
	for _, end := range []string{"disconnect", "close"} {
		t.Run(end, func(t *testing.T) {
			heard := make(chan error, 1)
			n := startHandling(t, nil, func(n *node.Node) {
				n.Namespace("chat", node.NamespaceOptions{}).OnDisconnected(func(ctx context.Context, e *node.DisconnectedEvent) {
					heard <- afterDisconnect(ctx, n, e.NSConn, end == "close" && e.Forced)
				})
			})
			p := join(t, n, "chat", "r")
			if end == "close" {
				_ = p.conn.Close()
			} else {
				p.send("$d;chat;;_OnNamespaceDisconnect;0;0;")
				p.expect("$d;;;;;;")
			}
			if err := <-heard; err != nil {
				t.Error(err)
			}
			_ = p.conn.Close()
			eventually(t, "the connection has closed", func() bool { return n.Stats().Connections == 0 })
		})
	}
}

// afterDisconnect uses a connection that has left the namespace and may have
// closed.
func afterDisconnect(ctx context.Context, n *node.Node, c *node.NSConn, ended bool) error {
	want, asked := wire.ErrBadNamespace, wire.ErrBadNamespace
	if ended {
		want, asked = wire.ErrClosed, wire.ErrGone
	}
	conn := c.Conn()
	if conn.Namespace("chat") != nil || c.Room("r") != nil || len(c.Rooms()) != 0 || c.IsConnected() || conn.IsClosed() != ended {
		return fmt.Errorf("it is still there: namespace %v, rooms %v, connected %v, closed %v",
			conn.Namespace("chat"), c.Rooms(), c.IsConnected(), conn.IsClosed())
	}
	if err := c.Emit("e", nil); !errors.Is(err, want) {
		return fmt.Errorf("Emit: %v, want %v", err, want)
	}
	if _, err := c.Ask(ctx, "e", nil); !errors.Is(err, asked) {
		return fmt.Errorf("Ask: %v, want %v", err, asked)
	}
	if _, err := c.JoinRoom(ctx, "r"); !errors.Is(err, asked) {
		return fmt.Errorf("JoinRoom: %v, want %v", err, asked)
	}
	for other := range n.Conns() {
		if ended && other == conn {
			return errors.New("Conns has a connection that has ended")
		}
	}
	n.Stats()
	return n.EmitNamespace(ctx, node.Message{Namespace: "chat", Event: "bye"}, node.EmitOptions{})
}

// neffos row 12: iterating over the connections is safe while they open and
// close.
func TestConnsWhileTheyComeAndGo(t *testing.T) {
	n := startHandling(t, nil, func(n *node.Node) {
		n.Namespace("chat", node.NamespaceOptions{}).OnConnected(func(context.Context, *node.ConnectedEvent) {})
	})
	staying := map[string]bool{}
	for range 20 {
		staying[join(t, n, "chat", "r").id] = true
	}
	var coming sync.WaitGroup
	var over atomic.Bool
	for range 4 {
		coming.Go(func() {
			for range 50 {
				_ = join(t, n, "chat", "r").conn.Close()
			}
		})
	}
	go func() { coming.Wait(); over.Store(true) }()
	for round := 0; !over.Load() || round == 0; round++ {
		seen := map[string]int{}
		for c := range n.Conns() {
			seen[c.ID()]++
			for _, ns := range c.Namespaces() {
				_ = ns.Rooms()
			}
			if staying[c.ID()] {
				_ = c.Write(node.Message{Namespace: "chat", Event: "hello"})
			}
		}
		for id := range staying {
			if seen[id] != 1 {
				t.Fatalf("a connection that stays was seen %d times, want once", seen[id])
			}
		}
	}
}

// neffos row 13: every accepted connection is reported closed exactly once,
// including one that is closed while it opens and one without a hello.
func TestOneEndForEachConnection(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ends := map[string][]closing{}
	opened := map[string]bool{}
	n := startHandling(t, nil, func(n *node.Node) {
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			if a.Request.URL.Query().Has("no") {
				return node.Refuse(http.StatusForbidden, "no")
			}
			a.Set("name", a.Request.URL.RawQuery)
			return nil
		})
		n.OnOpened(func(_ context.Context, e *node.OpenedEvent) {
			mu.Lock()
			defer mu.Unlock()
			opened[e.Conn.Value("name").(string)] = true
			if e.Conn.Value("name") == "closed" {
				e.Conn.Close(wire.CodePolicy, "not you")
			}
		})
		n.OnClosed(func(_ context.Context, e *node.ClosedEvent) {
			mu.Lock()
			defer mu.Unlock()
			name := e.Conn.Value("name").(string)
			ends[name] = append(ends[name], closing{e.Code, e.By})
		})
	})
	open := func(name string, status int) *peer {
		p := connectTCP(t, n)
		p.write(upgradeRequest("/ws?" + name))
		if got := p.response().StatusCode; got != status {
			t.Fatalf("%s: answered %d, want %d", name, got, status)
		}
		return p
	}
	open("no", http.StatusForbidden)
	_ = open("silent", http.StatusSwitchingProtocols).conn.Close()
	closed := open("closed", http.StatusSwitchingProtocols)
	closed.send("M")
	if f := closed.next(); f.Header.OpCode != ws.OpText || f.Payload[0] != 'A' {
		t.Errorf("got %s, want the acknowledgement", describe(f))
	}
	closed.expectClose(ws.StatusPolicyViolation)
	_ = closed.conn.Close()
	eventually(t, "both have closed", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(ends) == 2
	})
	if err := n.Shutdown(within(t)); err != nil { // no handler runs after it
		t.Fatalf("Shutdown: %v", err)
	}
	want := closing{wire.CodePolicy, node.ByServer}
	if len(ends["silent"]) != 1 || len(ends["closed"]) != 1 || ends["closed"][0] != want {
		t.Errorf("the ends are %v, want one for each, that of the closed one %v", ends, want)
	}
	if len(opened) != 1 || !opened["closed"] {
		t.Errorf("opened: %v, want only the one that said hello", opened)
	}
}

// neffos row 18: each ask of many goroutines has its own token and gets its own
// answer.
func TestTokensAreUnique(t *testing.T) {
	const asks = 300
	n := startNode(t, endlessAsks)
	p := join(t, n, "default")
	var askers sync.WaitGroup
	for i := range asks {
		askers.Go(func() {
			body := fmt.Sprint(i)
			answer, err := n.Ask(context.Background(), p.id, node.Message{Namespace: "default", Event: "q", Body: []byte(body)})
			if err != nil || string(answer.Body) != body {
				t.Errorf("ask %s is answered %q, %v", body, answer.Body, err)
			}
		})
	}
	tokens := map[string]bool{}
	var answers []string
	for range asks {
		text := string(p.next().Payload)
		token, _, _ := strings.Cut(text, ";")
		if tokens[token] {
			t.Fatalf("the token %q came twice", token)
		}
		tokens[token] = true
		answers = append(answers, text)
	}
	for i := range answers { // the last one first
		p.send(answers[len(answers)-1-i])
	}
	askers.Wait()
}

// neffos row 19: a client that acknowledges itself is ignored, with any ID,
// and one that the accept handler refuses has no connection at all.
func TestClientsDoNotChooseTheirID(t *testing.T) {
	var opened atomic.Int32
	n := startHandling(t, nil, func(n *node.Node) {
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			if a.Request.Header.Get("Authorization") == "" {
				return node.Refuse(http.StatusUnauthorized, "who are you?")
			}
			return nil
		})
		n.OnOpened(func(context.Context, *node.OpenedEvent) { opened.Add(1) })
	})
	refused := connectTCP(t, n)
	refused.write(upgradeRequest("/ws") + frame(ws.OpText, true, "Amallory"))
	if got := refused.response().StatusCode; got != http.StatusUnauthorized {
		t.Errorf("answered %d, want 401", got)
	}
	refused.expectEOF()

	p := connectTCP(t, n)
	p.write(upgradeRequest("/ws", "Authorization: yes"))
	p.response()
	p.send("Amallory")
	p.send("$c;default;;_OnNamespaceConnect;0;0;")
	p.send("M")
	if f := p.next(); !strings.HasPrefix(string(f.Payload), "A"+n.ID()+"-") {
		t.Errorf("got %s, want an ID of the node, and first of all", describe(f))
	}
	p.expect("$c;;;;;;")
	if got := opened.Load(); got != 1 {
		t.Errorf("%d connections were opened, want 1", got)
	}
}
