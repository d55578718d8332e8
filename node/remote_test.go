package node_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// within is a context with the deadline of a test.
func within(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	tb.Cleanup(cancel)
	return ctx
}

// async runs a call that blocks until the test's peer has answered.
func async[T any](call func() (T, error)) (wait func() (T, error)) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := call()
		done <- result{value, err}
	}()
	return func() (T, error) {
		r := <-done
		return r.value, r.err
	}
}

// nothing adapts a call with only an error for async.
func nothing(call func() error) func() (struct{}, error) {
	return func() (struct{}, error) { return struct{}{}, call() }
}

// request reads an ask or request of the server; its token is a decimal number.
func (p *peer) request(want string) (token string) {
	p.tb.Helper()
	token, rest, _ := strings.Cut(string(p.next().Payload), ";")
	if token == "" || strings.Trim(token, "0123456789") != "" || ";"+rest != want {
		p.tb.Fatalf("got %q with token %q, want %q with a number", ";"+rest, token, want)
	}
	return token
}

func TestEmitFromTheProgram(t *testing.T) {
	n := startNode(t, nil)
	a, b := join(t, n, "default", "r"), join(t, n, "default", "r")
	c := join(t, n, "default")
	emit := func(m node.Message, except ...string) {
		t.Helper()
		send := n.Emit
		if m.Room == "" {
			send = n.EmitNamespace
		}
		if err := send(t.Context(), m, node.EmitOptions{Except: except}); err != nil {
			t.Fatalf("Emit: %v", err)
		}
	}
	emit(node.Message{Namespace: "default", Room: "r", Event: "e", Body: []byte("to the room")})
	a.expect(";default;r;e;0;0;to the room")
	b.expect(";default;r;e;0;0;to the room")
	emit(node.Message{Namespace: "default", Room: "r", Event: "e", Body: []byte("but a")}, a.id, "no-such-id")
	b.expect(";default;r;e;0;0;but a")
	emit(node.Message{Namespace: "default", Event: "e;v", Body: []byte("to all")}, b.id, c.id)
	a.expect(";default;;e@%!semicolon@%!v;0;0;to all")
	emit(node.Message{Namespace: "default", Event: "bin", Body: []byte{0xff}, Binary: true})
	for name, p := range map[string]*peer{"a": a, "b": b, "c": c} {
		if f := p.next(); f.Header.OpCode != ws.OpBinary || string(f.Payload) != ";default;;bin;0;0;\xff" {
			t.Errorf("%s got %s, want the binary message to all", name, describe(f))
		}
	}
}

func TestEmitToOneConnection(t *testing.T) {
	n := startNode(t, nil)
	a, b := join(t, n, "default", "r"), join(t, n, "default", "r")
	if err := n.EmitTo(within(t), a.id, node.Message{Namespace: "default", Event: "e", Body: []byte("x")}); err != nil {
		t.Fatalf("EmitTo: %v", err)
	}
	a.expect(";default;;e;0;0;x")
	if got := b.sync("default"); len(got) > 0 {
		t.Errorf("the other one received %q, want nothing", got)
	}
	other := node.Message{Namespace: "rooms", Event: "e"}
	if err := n.EmitTo(within(t), a.id, other); !errors.Is(err, wire.ErrBadNamespace) {
		t.Errorf("a namespace that is not connected: %v, want %v", err, wire.ErrBadNamespace)
	}
	other = node.Message{Namespace: "default", Room: "other", Event: "e"}
	if err := n.EmitTo(within(t), a.id, other); !errors.Is(err, wire.ErrBadRoom) {
		t.Errorf("a room that is not joined: %v, want %v", err, wire.ErrBadRoom)
	}
}

func TestGone(t *testing.T) {
	n := startNode(t, nil)
	a := dial(t, n)
	_ = a.conn.Close()
	eventually(t, "the connection has closed", func() bool { return n.Stats().Connections == 0 })
	b := dial(t, n) // may have taken the slot
	guess := b.id[:len(b.id)-1] + string("AB"[strings.IndexByte("BA", b.id[len(b.id)-1])&1])
	for name, id := range map[string]string{
		"closed": a.id, "empty": "", "no ID": "x", "another node's": "other-" + strings.Repeat("A", 22),
		"guessed": guess, "with wildcards": "*-" + strings.Repeat("*", 22), "too many loops": n.ID() + "-" + "_" + strings.Repeat("A", 21),
	} {
		if id == b.id {
			continue
		}
		if _, err := n.Ask(within(t), id, node.Message{}); !errors.Is(err, wire.ErrGone) {
			t.Errorf("%s: %v, want %v", name, err, wire.ErrGone)
		}
	}
}

func TestAskOneConnection(t *testing.T) {
	n := startNode(t, nil)
	a := join(t, n, "default", "r")
	message := node.Message{Namespace: "default", Room: "r", Event: "q", Body: []byte("why?")}
	ask := func() (node.Answer, error) { return n.Ask(within(t), a.id, message) }

	wait := async(ask)
	token := a.request(";default;r;q;0;0;why?")
	a.send(token + ";default;r;q;0;0;because")
	if answer, err := wait(); err != nil || string(answer.Body) != "because" || answer.Conn != a.id || answer.Binary {
		t.Errorf("got %+v, %v, want because", answer, err)
	}

	wait = async(ask)
	token = a.request(";default;r;q;0;0;why?")
	a.sendBinary(token + ";default;r;q;0;0;\xfe")
	if answer, err := wait(); err != nil || string(answer.Body) != "\xfe" || !answer.Binary {
		t.Errorf("got %+v, %v, want a binary answer", answer, err)
	}

	wait = async(ask)
	token = a.request(";default;r;q;0;0;why?")
	a.send(token + ";default;r;q;1;0;do not ask")
	if _, err := wait(); err == nil || err.Error() != "do not ask" {
		t.Errorf("got %v, want the connection's own error", err)
	}

	wait = async(ask)
	a.request(";default;r;q;0;0;why?")
	_ = a.conn.Close()
	if _, err := wait(); !errors.Is(err, wire.ErrGone) {
		t.Errorf("got %v, want %v", err, wire.ErrGone)
	}
}

func TestAskThatIsNotAnswered(t *testing.T) {
	n := startNode(t, nil)
	a := join(t, n, "default")
	ctx, cancel := context.WithCancel(context.Background())
	wait := async(func() (node.Answer, error) {
		return n.Ask(ctx, a.id, node.Message{Namespace: "default", Event: "q"})
	})
	token := a.request(";default;;q;0;0;")
	cancel()
	if _, err := wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	// The late answer does no harm.
	a.send(token + ";default;;q;0;0;late")
	if got := a.sync("default"); len(got) != 0 {
		t.Errorf("received %q, want nothing", got)
	}
}

func TestJoinAndLeaveFromTheProgram(t *testing.T) {
	n := startNode(t, nil)
	a, b := dial(t, n), join(t, n, "rooms", "r")
	steps := []struct {
		name    string
		call    func() error
		request string
	}{
		{"connect", func() error { return n.Connect(within(t), a.id, "rooms") }, ";rooms;;_OnNamespaceConnect;0;0;"},
		{"join", func() error { return n.Join(within(t), a.id, "rooms", "r") }, ";rooms;r;_OnRoomJoin;0;0;"},
		{"join an empty room", func() error { return n.Join(within(t), a.id, "rooms", "s") }, ";rooms;s;_OnRoomJoin;0;0;"},
		{"leave", func() error { return n.Leave(within(t), a.id, "rooms", "s") }, ";rooms;s;_OnRoomLeave;0;0;"},
	}
	for _, step := range steps {
		wait := async(nothing(step.call))
		a.send(a.request(step.request) + ";;;;;;")
		if _, err := wait(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
	}
	b.send(";rooms;r;e;0;0;hello")
	a.expect(";rooms;r;e;0;0;hello")
	a.send(";rooms;r;e;0;0;hello yourself")
	b.expect(";rooms;r;e;0;0;hello yourself")
	if err := n.Join(within(t), a.id, "rooms", "r"); err != nil {
		t.Errorf("joining again: %v, want nil without a frame", err)
	}
	wait := async(nothing(func() error { return n.Disconnect(within(t), a.id, "rooms") }))
	a.send(a.request(";rooms;;_OnNamespaceDisconnect;0;0;") + ";;;;;;")
	if _, err := wait(); err != nil {
		t.Fatalf("disconnect: %v", err)
	}
	b.send(";rooms;r;e;0;0;anybody?")
	if got := a.sync("default"); len(got) != 0 {
		t.Errorf("after disconnecting it received %q, want nothing", got)
	}
	if s := n.Stats(); s.Rooms != 1 || s.Memberships != 1 {
		t.Errorf("%d rooms, %d memberships, want 1 and 1", s.Rooms, s.Memberships)
	}
	for name, call := range map[string]func() error{
		"join without the namespace":   func() error { return n.Join(within(t), a.id, "rooms", "r") },
		"leave without the namespace":  func() error { return n.Leave(within(t), a.id, "rooms", "r") },
		"disconnect again":             func() error { return n.Disconnect(within(t), a.id, "rooms") },
		"connect to what is not there": func() error { return n.Connect(within(t), a.id, "nowhere") },
	} {
		if err := call(); !errors.Is(err, wire.ErrBadNamespace) {
			t.Errorf("%s: %v, want %v", name, err, wire.ErrBadNamespace)
		}
	}
}

// A client may refuse to join; nothing of the room stays behind.
func TestJoinRefusedByTheClient(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	a := join(t, n, "rooms")
	wait := async(nothing(func() error { return n.Join(within(t), a.id, "rooms", "r") }))
	a.send(a.request(";rooms;r;_OnRoomJoin;0;0;") + ";rooms;r;_OnRoomJoin;1;0;not me")
	if _, err := wait(); err == nil || err.Error() != "not me" {
		t.Errorf("got %v, want the client's error", err)
	}
	if s := n.Stats(); s.Rooms != 0 {
		t.Errorf("%d rooms, want none", s.Rooms)
	}
	eventually(t, "the node has unsubscribed", func() bool { return n.Stats().Subscriptions == 1 })
}

func TestCloseFromTheProgram(t *testing.T) {
	n := startNode(t, nil)
	a := dial(t, n)
	if err := n.CloseConn(within(t), a.id, 4321, "enough"); err != nil {
		t.Fatalf("CloseConn: %v", err)
	}
	a.expectClose(4321)
	if err := n.CloseConn(within(t), a.id, 4321, "enough"); !errors.Is(err, wire.ErrGone) {
		t.Errorf("again: %v, want %v", err, wire.ErrGone)
	}
}

func TestAskRoom(t *testing.T) {
	n := startNode(t, nil)
	message := node.Message{Namespace: "default", Room: "r", Event: "q"}
	ask := func() (node.Answer, error) { return n.AskRoom(within(t), message) }
	if _, err := ask(); !errors.Is(err, wire.ErrNobody) {
		t.Errorf("an empty room: %v, want %v", err, wire.ErrNobody)
	}
	members := []*peer{join(t, n, "default", "r"), join(t, n, "default", "r"), join(t, n, "default", "r")}
	wait := async(ask)
	tokens := make([]string, len(members))
	for i, p := range members {
		tokens[i] = p.request(";default;r;q;0;0;")
	}
	members[0].send(tokens[0] + ";default;r;q;1;0;unhandled event")
	members[0].sync("default")
	members[2].send(tokens[2] + ";default;r;q;0;0;me")
	if answer, err := wait(); err != nil || string(answer.Body) != "me" || answer.Conn != members[2].id {
		t.Errorf("got %+v, %v, want the third member's answer", answer, err)
	}
	members[1].send(tokens[1] + ";default;r;q;0;0;too late")
	members[1].sync("default")

	wait = async(ask)
	for _, p := range members {
		p.send(p.request(";default;r;q;0;0;") + ";default;r;q;1;0;unhandled event")
	}
	if _, err := wait(); !errors.Is(err, wire.ErrUnhandled) {
		t.Errorf("no handler: %v, want %v", err, wire.ErrUnhandled)
	}

	wait = async(ask)
	for _, p := range members {
		p.request(";default;r;q;0;0;")
		_ = p.conn.Close()
	}
	if _, err := wait(); !errors.Is(err, wire.ErrNobody) {
		t.Errorf("all members leave: %v, want %v", err, wire.ErrNobody)
	}
}

func TestAskAll(t *testing.T) {
	n := startNode(t, nil)
	members := []*peer{join(t, n, "default", "r"), join(t, n, "default", "r"), join(t, n, "default", "r")}
	wait := async(func() (node.Answers, error) {
		return n.AskAll(within(t), node.Message{Namespace: "default", Room: "r", Event: "q"})
	})
	for i, p := range members {
		flag := string("010"[i])
		p.send(p.request(";default;r;q;0;0;") + ";default;r;q;" + flag + ";0;" + p.id)
	}
	all, err := wait()
	if err != nil || len(all.Answers) != 3 || len(all.Missing) != 0 {
		t.Fatalf("got %+v, %v, want three answers and no missing node", all, err)
	}
	for _, answer := range all.Answers {
		if wrong := answer.Conn == members[1].id; wrong != (answer.Err != nil) || !wrong && string(answer.Body) != answer.Conn {
			t.Errorf("got %+v, want the ID as body, and an error of the second member only", answer)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	wait = async(func() (node.Answers, error) {
		return n.AskAll(ctx, node.Message{Namespace: "default", Room: "r", Event: "q"})
	})
	for i, p := range members {
		token := p.request(";default;r;q;0;0;")
		if i == 0 {
			p.send(token + ";default;r;q;0;0;only me")
			p.sync("default")
		}
	}
	cancel()
	all, err = wait()
	if err != nil || len(all.Answers) > 1 || !slices.Equal(all.Missing, []string{n.ID()}) {
		t.Errorf("got %+v, %v, want at most one answer and the node as missing", all, err)
	}
}

// System events and reserved close codes cannot be sent.
func TestUnsendableMessages(t *testing.T) {
	n := startNode(t, nil)
	p := join(t, n, "default", "r")
	ctx := t.Context()
	m := node.Message{Namespace: "default", Room: "r", Event: wire.EventRoomLeft}
	for what, err := range map[string]error{"Emit": n.Emit(ctx, m, node.EmitOptions{}), "EmitTo": n.EmitTo(ctx, p.id, m)} {
		if !errors.Is(err, wire.ErrInvalidName) {
			t.Errorf("%s of a system event: %v, want %v", what, err, wire.ErrInvalidName)
		}
	}
	if _, err := n.Ask(ctx, p.id, m); !errors.Is(err, wire.ErrInvalidName) {
		t.Errorf("Ask of a system event: %v, want %v", err, wire.ErrInvalidName)
	}
	for _, code := range []wire.Code{0, 999, wire.CodeNoStatus, wire.CodeAbnormal, 5000} {
		if err := n.CloseConn(ctx, p.id, code, ""); !errors.Is(err, node.ErrCloseCode) {
			t.Errorf("CloseConn with %d: %v, want %v", code, err, node.ErrCloseCode)
		}
		if err := n.Conn(p.id).Close(code, ""); !errors.Is(err, node.ErrCloseCode) {
			t.Errorf("Close with %d: %v, want %v", code, err, node.ErrCloseCode)
		}
	}
	if err := n.CloseConn(ctx, p.id, wire.CodeNormal, "\xff"); !errors.Is(err, node.ErrNotText) {
		t.Errorf("CloseConn with a reason that is not text: %v, want %v", err, node.ErrNotText)
	}
	if got := p.sync("default"); len(got) > 0 {
		t.Errorf("the client received %q, want nothing", got)
	}
}
