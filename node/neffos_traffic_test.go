package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// neffos row 1: a burst of 5,000 messages of the application arrives whole and
// in order.
func TestBurstOfTheProgram(t *testing.T) {
	const burst = 5000
	n := startNode(t, nil)
	members := []*peer{join(t, n, "default", "r"), join(t, n, "default", "r"), join(t, n, "default", "r")}
	wait := async(nothing(func() error {
		for i := range burst {
			m := node.Message{Namespace: "default", Room: "r", Event: "e", Body: fmt.Append(nil, i)}
			if err := n.Emit(context.Background(), m, node.EmitOptions{}); err != nil {
				return err
			}
		}
		return nil
	}))
	for i := range burst {
		for _, p := range members {
			p.expect(fmt.Sprint(";default;r;e;0;0;", i))
		}
	}
	if _, err := wait(); err != nil {
		t.Errorf("Emit: %v", err)
	}
}

// neffos row 7: pongs and large messages to one connection are not mixed up.
func TestPongsBetweenMessages(t *testing.T) {
	const rounds = 150
	n := startNode(t, func(c *node.Config) { c.Limits.SendQueue = 64 << 20 })
	p := join(t, n, "default", "r")
	body := bytes.Repeat([]byte("0123456789abcdef"), 3000)
	wait := async(nothing(func() error {
		for range rounds {
			if err := n.Emit(context.Background(), node.Message{Namespace: "default", Room: "r", Event: "e", Body: body}, node.EmitOptions{}); err != nil {
				return err
			}
		}
		return nil
	}))
	pings := async(nothing(func() error {
		for i := range rounds {
			if _, err := io.WriteString(p.conn, frame(ws.OpPing, true, fmt.Sprint("ping ", i))); err != nil {
				return err
			}
		}
		return nil
	}))
	want := ";default;r;e;0;0;" + string(body)
	for messages, pongs := 0, 0; messages < rounds || pongs < rounds; {
		switch f := p.next(); f.Header.OpCode {
		case ws.OpText:
			if string(f.Payload) != want {
				t.Fatalf("message %d is %s, want it as it was sent", messages, describe(f))
			}
			messages++
		case ws.OpPong:
			if string(f.Payload) != fmt.Sprint("ping ", pongs) {
				t.Fatalf("pong %d is %s", pongs, describe(f))
			}
			pongs++
		default:
			t.Fatalf("got %s, want a message or a pong", describe(f))
		}
	}
	for _, done := range []func() (struct{}, error){wait, pings} {
		if _, err := done(); err != nil {
			t.Error(err)
		}
	}
}

// neffos row 8: relayed messages, emits, asks and answers stay binary on their
// way through Redis.
func TestBinaryAcrossRedis(t *testing.T) {
	nodes := startCluster(t, "n0", "n1")
	a, b := join(t, nodes[0], "default", "r"), join(t, nodes[1], "default", "r")
	a.sendBinary(";default;r;e;0;0;\xff\x00;\xfe")
	b.expectBinary(";default;r;e;0;0;\xff\x00;\xfe")
	m := node.Message{Namespace: "default", Room: "r", Event: "e", Body: []byte{0xff, ';'}, Binary: true}
	if err := nodes[0].EmitTo(within(t), b.id, m); err != nil {
		t.Fatalf("EmitTo: %v", err)
	}
	b.expectBinary(";default;r;e;0;0;\xff;")
	wait := async(func() (node.Answer, error) { return nodes[0].Ask(within(t), b.id, m) })
	asked := b.next()
	token, rest, _ := strings.Cut(string(asked.Payload), ";")
	if asked.Header.OpCode != ws.OpBinary || rest != "default;r;e;0;0;\xff;" {
		t.Errorf("got %s, want the ask in a binary frame", describe(asked))
	}
	b.sendBinary(token + ";default;r;e;0;0;\xfe\xff")
	if answer, err := wait(); err != nil || !answer.Binary || string(answer.Body) != "\xfe\xff" {
		t.Errorf("the answer is %q, binary: %v, %v; want the bytes as they were sent", answer.Body, answer.Binary, err)
	}
}

// neffos row 11: each of several messages in a row reaches its own receivers,
// whether the one before had any or not.
func TestEachMessageOnItsOwn(t *testing.T) {
	n := startNode(t, nil)
	a, b := join(t, n, "default", "r"), join(t, n, "default", "r")
	to := func(id, body string) {
		t.Helper()
		m := node.Message{Namespace: "default", Event: "e", Body: []byte(body)}
		if err := n.EmitTo(within(t), id, m); err != nil && id != "nobody" {
			t.Fatalf("EmitTo: %v", err)
		}
	}
	but := func(id, body string) {
		t.Helper()
		if err := n.Emit(within(t), node.Message{Namespace: "default", Room: "r", Event: "e", Body: []byte(body)}, node.EmitOptions{Except: []string{id}}); err != nil {
			t.Fatalf("Emit: %v", err)
		}
	}
	to("nobody", "x")
	to(a.id, "for a")
	to(b.id, "for b")
	a.expect(";default;;e;0;0;for a")
	b.expect(";default;;e;0;0;for b")
	but(a.id, "all but a")
	but(b.id, "all but b")
	a.expect(";default;r;e;0;0;all but b")
	b.expect(";default;r;e;0;0;all but a")
}

// neffos row 15: a client reaches only rooms that it has joined, also with
// handlers, and the size of its messages is limited.
func TestMembershipAndSizeAreChecked(t *testing.T) {
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("chat", node.NamespaceOptions{Relay: node.RelayRooms | node.RelayAsks})
		ns.OnEmit("handled", func(_ context.Context, e *node.EmitEvent) error {
			t.Errorf("the handler was given a message to the room %q", e.Room)
			return nil
		})
		ns.OnAsk("asked", func(_ context.Context, r *node.AskRequest) error {
			t.Errorf("the handler was given an ask to the room %q", r.Room)
			return nil
		})
		ns.OnAnyRelay(func(_ context.Context, r *node.RelayRequest) error {
			if r.Room != "lobby" {
				t.Errorf("the handler was given a message to the room %q", r.Room)
			}
			return nil
		})
	})
	guest, insider := join(t, n, "chat", "lobby"), join(t, n, "chat", "vault", "lobby")
	guest.send(";chat;vault;handled;0;0;x")
	guest.send(";chat;vault;relayed;0;0;x")
	guest.send("$1;chat;vault;asked;0;0;x")
	guest.expect("$1;chat;vault;asked;1;0;bad room")
	guest.send("$2;chat;vault;relayed;0;0;x")
	guest.expect("$2;chat;vault;relayed;1;0;bad room")
	guest.send(";chat;lobby;marker;0;0;")
	insider.expect(";chat;lobby;marker;0;0;")
	guest.send(";chat;lobby;relayed;0;0;" + strings.Repeat("x", 64<<10))
	guest.expectClose(ws.StatusMessageTooBig)
}

// neffos row 23: text that is not valid UTF-8 closes its sender and reaches
// neither the room nor a handler.
func TestInvalidTextIsNotRelayed(t *testing.T) {
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("chat", node.NamespaceOptions{Relay: node.RelayRooms})
		ns.OnEmit("handled", func(_ context.Context, e *node.EmitEvent) error {
			t.Errorf("the handler was given %q", e.Body)
			return nil
		})
	})
	listener := join(t, n, "chat", "r")
	for _, event := range []string{"relayed", "handled"} {
		sender := join(t, n, "chat", "r")
		sender.send(";chat;r;" + event + ";0;0;\xff\xfe")
		sender.expectClose(ws.StatusInvalidFramePayloadData)
	}
	if got := listener.sync("chat"); len(got) != 0 {
		t.Errorf("the room received %q, want nothing", got)
	}
}

// neffos row 23: the application cannot send a binary body as text either.
func TestProgramSendsNoInvalidText(t *testing.T) {
	const bad = "\xff\xfe"
	failed := make(chan error, 10)
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("chat", node.NamespaceOptions{Relay: node.RelayRooms})
		ns.OnAsk("echo", func(_ context.Context, r *node.AskRequest) error { r.Reply([]byte(bad)); return nil })
		ns.OnRelay("changed", func(_ context.Context, r *node.RelayRequest) error {
			r.Body = []byte(bad)
			return nil
		})
		ns.OnEmit("pass on", func(ctx context.Context, e *node.EmitEvent) error {
			text := node.Message{Namespace: "chat", Room: "r", Event: "e", Body: e.Body}
			_, asked := n.Ask(ctx, e.NSConn.Conn().ID(), text)
			_, askedRoom := n.AskRoom(ctx, text)
			_, askedAll := n.AskAll(ctx, text)
			for _, err := range []error{
				n.Emit(ctx, text, node.EmitOptions{}), n.EmitTo(ctx, e.NSConn.Conn().ID(), text), e.NSConn.Conn().Write(text), e.NSConn.Emit("e", e.Body),
				e.NSConn.Room("r").EmitToClient("e", e.Body), e.NSConn.Room("r").EmitToOthers(ctx, "e", e.Body), e.NSConn.Conn().WriteNative(e.Body, false),
				asked, askedRoom, askedAll,
			} {
				failed <- err
			}
			text.Body, text.Event = nil, bad
			if err := n.Emit(ctx, text, node.EmitOptions{}); !errors.Is(err, wire.ErrInvalidName) {
				t.Errorf("Emit of an event that is no text: %v, want %v", err, wire.ErrInvalidName)
			}
			return e.NSConn.EmitBinary("e", e.Body)
		})
	})
	sender, listener := join(t, n, "chat", "r"), join(t, n, "chat", "r")
	sender.sendBinary(";chat;r;pass on;0;0;" + bad)
	for i := range cap(failed) {
		if err := <-failed; !errors.Is(err, node.ErrNotText) {
			t.Errorf("call %d: %v, want %v", i+1, err, node.ErrNotText)
		}
	}
	sender.expectBinary(";chat;;e;0;0;" + bad)
	sender.send("$1;chat;;echo;0;0;")
	sender.expect("$1;chat;;echo;1;0;" + wire.ErrInternal.Error())
	sender.send(";chat;r;changed;0;0;")
	sender.send("$2;chat;;echo;0;0;")
	sender.expect("$2;chat;;echo;1;0;" + wire.ErrInternal.Error())
	sender.sendBinary("$3;chat;;echo;0;0;")
	sender.expectBinary("$3;chat;;echo;0;0;" + bad)
	if got := listener.sync("chat"); len(got) != 0 {
		t.Errorf("the room received %q, want nothing", got)
	}
}

// neffos row 24: a refused WebSocket receives its answer, and its socket is
// closed.
func TestRefusedSocketsAreClosed(t *testing.T) {
	n := startHandling(t, nil, func(n *node.Node) {
		n.OnAccept(func(context.Context, *node.Accept) error { return node.Refuse(http.StatusForbidden, "not here") })
	})
	for range 20 {
		p := connectTCP(t, n)
		p.write(upgradeRequest("/ws"))
		p.expectRefusal(http.StatusForbidden)
		p.expectEOF()
		_ = p.conn.Close()
	}
	eventually(t, "the sockets are closed", func() bool { return n.Stats().Pending == 0 })
	if s := n.Stats(); s.Connections != 0 || s.Handshakes[node.HandshakeRefused] != 20 {
		t.Errorf("%d connections, %d refused; want 0, 20", s.Connections, s.Handshakes[node.HandshakeRefused])
	}
}

// neffos row 25: a message visits only the members of its room, however many
// other connections there are, and queued messages leave in few writes.
func TestWorkIsForMembersOnly(t *testing.T) {
	n := startNode(t, func(c *node.Config) { c.Loops = 1 })
	for i := range 200 {
		join(t, n, "default", fmt.Sprint("room ", i))
	}
	a, b := join(t, n, "default", "r"), join(t, n, "default", "r")
	before := n.Stats()
	var all strings.Builder
	const messages = 100
	for i := range messages {
		all.WriteString(frame(ws.OpText, true, fmt.Sprint(";default;r;e;0;0;", i)))
	}
	a.write(all.String()) // one segment, so few turns
	for i := range messages {
		b.expect(fmt.Sprint(";default;r;e;0;0;", i))
	}
	after := n.Stats()
	if got := after.Deliveries - before.Deliveries; got != messages {
		t.Errorf("%d deliveries, want one per message and other member: %d", got, messages)
	}
	var writes uint64
	for i := range after.FramesPerWrite.Buckets {
		writes += after.FramesPerWrite.Buckets[i] - before.FramesPerWrite.Buckets[i]
	}
	if writes > messages/4 {
		t.Errorf("%d writes for %d messages, want at most a quarter", writes, messages)
	}
}

// neffos row 3: an ask in a handler times out without an answer.
func TestAskInsideAHandlerTimesOut(t *testing.T) {
	n := startHandling(t, func(c *node.Config) { c.Timeouts.Ask = 20 * time.Millisecond }, func(n *node.Node) {
		n.Namespace("chat", node.NamespaceOptions{}).OnAsk("ask me", func(ctx context.Context, r *node.AskRequest) error {
			_, err := r.NSConn.Ask(ctx, "q", nil)
			if !errors.Is(err, wire.ErrTimeout) {
				t.Errorf("Ask: %v, want %v", err, wire.ErrTimeout)
			}
			return err
		})
	})
	p := join(t, n, "chat")
	p.send("$1;chat;;ask me;0;0;")
	late := p.request(";chat;;q;0;0;")
	p.expect("$1;chat;;ask me;1;0;timeout")
	p.send(late + ";chat;;q;0;0;late")
	p.send("$2;chat;;nobody;0;0;")
	p.expect("$2;chat;;nobody;1;0;unhandled event")
}
