package node_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
)

// neffos row 20: every ask is answered at once: in a namespace that is not
// connected, for an event without a handler, and by a handler that does not
// reply, fails or panics.
func TestAllWaitersAreAnswered(t *testing.T) {
	n := startHandling(t, endlessAsks, func(n *node.Node) {
		ns := n.Namespace("chat", node.NamespaceOptions{})
		ns.OnAsk("nothing", func(context.Context, *node.AskRequest) error { return nil })
		ns.OnAsk("fail", func(context.Context, *node.AskRequest) error {
			return errors.New("not today; sorry")
		})
		ns.OnAsk("panic", func(context.Context, *node.AskRequest) error { panic("secret") })
		ns.OnEmit("emit only", func(context.Context, *node.EmitEvent) error { return nil })
		n.Namespace("refused", node.NamespaceOptions{}).OnConnect(func(context.Context, *node.ConnectRequest) error { return errors.New("members only") })
	})
	p := join(t, n, "chat")
	for _, c := range []struct{ name, sent, answer string }{
		{"an ask without the namespace", "$1;default;;q;0;0;x", "$1;default;;q;1;0;bad namespace"},
		{"a join without the namespace", "$2;default;r;_OnRoomJoin;0;0;", "$2;default;r;_OnRoomJoin;1;0;bad namespace"},
		{"a leave without the namespace", "$3;default;r;_OnRoomLeave;0;0;", "$3;default;r;_OnRoomLeave;1;0;bad namespace"},
		{"a connect to an unknown namespace", "$4;nowhere;;_OnNamespaceConnect;0;0;", "$4;nowhere;;_OnNamespaceConnect;1;0;bad namespace"},
		{"a connect that is refused", "$5;refused;;_OnNamespaceConnect;0;0;", "$5;refused;;_OnNamespaceConnect;1;0;members only"},
		{"an event without a handler", "$6;chat;;q;0;0;x", "$6;chat;;q;1;0;unhandled event"},
		{"an event with a handler for emits only", "$7;chat;;emit only;0;0;x", "$7;chat;;emit only;1;0;unhandled event"},
		{"a room that was not joined", "$8;chat;r;nothing;0;0;x", "$8;chat;r;nothing;1;0;bad room"},
		{"a handler without a body", "$9;chat;;nothing;0;0;x", "$9;chat;;nothing;0;0;"},
		{"a handler that fails", "$10;chat;;fail;0;0;x", "$10;chat;;fail;1;0;not today; sorry"},
		{"a handler that panics", "$11;chat;;panic;0;0;x", "$11;chat;;panic;1;0;internal error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.send(c.sent)
			p.expect(c.answer)
		})
	}
}

// neffos row 21: the acknowledgement is the first frame, and a connect of the
// server follows it, whether the client has sent early messages or not.
func TestServerConnectsWhileItOpens(t *testing.T) {
	connected := make(chan error, 8)
	n := startHandling(t, endlessAsks, func(n *node.Node) {
		n.OnOpened(func(ctx context.Context, e *node.OpenedEvent) {
			ns, err := e.Conn.Connect(ctx, "chat")
			if err == nil {
				err = ns.Emit("welcome", nil)
			}
			connected <- err
		})
		n.Namespace("chat", node.NamespaceOptions{}).OnAsk("echo", echoBody)
	})
	start := func(t *testing.T, early ...string) *peer {
		t.Helper()
		p := upgrade(t, n)
		var all strings.Builder
		for _, text := range append([]string{"M"}, early...) {
			all.WriteString(frame(ws.OpText, true, text))
		}
		p.write(all.String())
		if f := p.next(); f.Header.OpCode != ws.OpText || f.Payload[0] != 'A' {
			t.Fatalf("got %s, want the acknowledgement first", describe(f))
		}
		return p
	}
	answer := func(p *peer) {
		p.send(p.request(";chat;;_OnNamespaceConnect;0;0;") + ";;;;;;")
		p.expect(";chat;;welcome;0;0;")
	}
	t.Run("nothing early", func(t *testing.T) {
		p := start(t)
		answer(p)
		p.send("$1;chat;;echo;0;0;x")
		p.expect("$1;chat;;echo;0;0;x")
	})
	t.Run("an early event", func(t *testing.T) {
		p := start(t, ";chat;;e;0;0;early")
		answer(p)
	})
	t.Run("an early ask", func(t *testing.T) {
		p := start(t, "$1;chat;;echo;0;0;early")
		p.expect("$1;chat;;echo;1;0;bad namespace")
		answer(p)
	})
	t.Run("an early connect", func(t *testing.T) {
		p := start(t, "$c;chat;;_OnNamespaceConnect;0;0;", "$1;chat;;echo;0;0;early")
		// The client's own request waits for the handler, so the server's comes
		// first.
		p.send(p.request(";chat;;_OnNamespaceConnect;0;0;") + ";;;;;;")
		rest := map[string]bool{}
		for range 3 {
			rest[string(p.next().Payload)] = true
		}
		if !rest["$c;;;;;;"] || !rest["$1;chat;;echo;0;0;early"] || !rest[";chat;;welcome;0;0;"] {
			t.Errorf("got %v, want the answers to the connect and to the ask, and the welcome", rest)
		}
	})
	for range 4 {
		if err := <-connected; err != nil {
			t.Errorf("Connect inside the handler: %v", err)
		}
	}
}

// neffos row 22: leaveAll of neffos.js sends a leave, which calls the handlers
// and is answered.
func TestLeaveAllOfNeffosJS(t *testing.T) {
	left := make(chan string, 4)
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("chat", node.NamespaceOptions{})
		ns.OnLeave(func(_ context.Context, r *node.LeaveRequest) error {
			if r.Room.Name() == "locked" {
				return errors.New("stay here")
			}
			return nil
		})
		ns.OnLeft(func(_ context.Context, e *node.LeftEvent) {
			if !e.Forced { // the other rooms are left with the close
				left <- e.Room.Name()
			}
		})
	})
	p := join(t, n, "chat", "one", "locked", "two")
	p.send("$1;chat;one;_OnRoomLeft;0;0;")
	p.send("$2;chat;locked;_OnRoomLeft;0;0;")
	p.send("$3;chat;two;_OnRoomLeft;0;0;")
	p.expect("$1;;;;;;")
	if f := p.next(); !strings.HasPrefix(string(f.Payload), "$2;chat;locked;") || !strings.HasSuffix(string(f.Payload), ";1;0;stay here") {
		t.Errorf("got %s, want the refusal", describe(f))
	}
	p.expect("$3;;;;;;")
	if one, two := <-left, <-left; one != "one" || two != "two" {
		t.Errorf("left %s and %s, want one and two", one, two)
	}
	if got := n.Stats().Memberships; got != 1 {
		t.Errorf("%d memberships, want 1", got)
	}
}
