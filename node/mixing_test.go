package node_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// startMixed starts a node whose namespace "mixed" relays and handles.
func startMixed(tb testing.TB, declare func(*node.Namespace)) *node.Node {
	tb.Helper()
	return startHandling(tb, nil, func(n *node.Node) {
		declare(n.Namespace("mixed", node.NamespaceOptions{Relay: relayAll}))
	})
}

// The event's name and the namespace's options decide how a message is
// dispatched.
func TestHandlerOfAnEvent(t *testing.T) {
	var j journal
	all := func(ns *node.Namespace) {
		ns.OnEmit("mine", func(context.Context, *node.EmitEvent) error { j.add("emit"); return nil })
		ns.OnAnyEmit(func(context.Context, *node.EmitEvent) error { j.add("any emit"); return nil })
		ns.OnAsk("mine", echoBody)
		ns.OnAnyAsk(func(_ context.Context, r *node.AskRequest) error { r.Reply([]byte("any")); return nil })
	}
	n := startHandling(t, nil, func(n *node.Node) {
		all(n.Namespace("full", node.NamespaceOptions{Relay: relayAll}))
		all(n.LookupNamespace("rooms"))
		all(n.Namespace("plain", node.NamespaceOptions{}))
		n.Namespace("some", node.NamespaceOptions{}).OnEmit("mine", func(context.Context, *node.EmitEvent) error { j.add("emit"); return nil })
	})
	tests := []struct {
		name, message, namespace string
		journal                  string // the journal's line; empty: none
		relayed                  bool
	}{
		{"a handler comes before the relay", "r;mine", "full", "emit", false},
		{"and before the relay to the namespace", ";mine", "full", "emit", false},
		{"a message that is relayed to a room has no other handler", "r;other", "full", "", true},
		{"nor one that is relayed to the namespace", ";other", "full", "", true},
		{"without that relay it has one", ";other", "rooms", "any emit", false},
		{"but not in a room", "r;other", "rooms", "", true},
		{"without relay", "r;other", "plain", "any emit", false},
		{"without relay, its own", "r;mine", "plain", "emit", false},
		{"no handler", "r;other", "some", "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, b := join(t, n, test.namespace, "r"), join(t, n, test.namespace, "r")
			text := ";" + test.namespace + ";" + test.message + ";0;0;body"
			a.send(text)
			if test.relayed {
				b.expect(text)
			}
			if test.journal != "" {
				j.expect(t, test.journal)
			}
			b.send("$end;nowhere;;e;0;0;")
			b.expect("$end;nowhere;;e;1;0;bad namespace")
			a.send("$end;nowhere;;e;0;0;")
			a.expect("$end;nowhere;;e;1;0;bad namespace")
		})
	}
	p := join(t, n, "full", "r")
	for ask, answer := range map[string]string{
		"full;r;mine":  "0;0;body",
		"full;;mine":   "0;0;body",
		"full;;other":  "0;0;any", // to a room it would be relayed
		"full;r;other": "1;0;nobody there",
	} {
		p.send("$1;" + ask + ";0;0;body")
		p.expect("$1;" + ask + ";" + answer)
	}
	p = join(t, n, "some", "r")
	p.send("$1;some;r;mine;0;0;") // handled as an emit only
	p.expect("$1;some;r;mine;1;0;unhandled event")
}

// A relay handler may change the event, the body and the frame type only.
func TestRelayChanges(t *testing.T) {
	n := startMixed(t, func(ns *node.Namespace) {
		ns.OnRelay("shout", func(_ context.Context, r *node.RelayRequest) error {
			if !r.NSConn.IsConnected() {
				return wire.ErrForbidden
			}
			r.Event, r.Body, r.Binary = "loud", []byte(strings.ToUpper(string(r.Body))), true
			r.Namespace, r.Room = "other", "other"
			return nil
		})
		ns.OnAnyRelay(func(_ context.Context, r *node.RelayRequest) error {
			r.Body = fmt.Appendf(r.Body, " (%s)", r.Event)
			return nil
		})
	})
	a, b := join(t, n, "mixed", "r"), join(t, n, "mixed", "r")
	for _, room := range []string{"r", ""} {
		a.send(";mixed;" + room + ";shout;0;0;hello")
		if f := b.next(); f.Header.OpCode != ws.OpBinary || string(f.Payload) != ";mixed;"+room+";loud;0;0;HELLO" {
			t.Errorf("got %s, want what the handler has made of it", describe(f))
		}
		a.send(";mixed;" + room + ";say;0;0;hello")
		b.expect(";mixed;" + room + ";say;0;0;hello (say)")
	}
	a.send("$1;mixed;r;shout;0;0;who?")
	f := b.next()
	token, rest, _ := strings.Cut(string(f.Payload), ";")
	if f.Header.OpCode != ws.OpBinary || rest != "mixed;r;loud;0;0;WHO?" {
		t.Fatalf("got %s, want the changed ask", describe(f))
	}
	b.send(token + ";mixed;r;loud;0;0;me")
	a.expect("$1;mixed;r;shout;0;0;me")
}

// A message that a relay handler refuses reaches no client; an ask is answered
// with the reason.
func TestRelayRefuses(t *testing.T) {
	n := startMixed(t, func(ns *node.Namespace) {
		refuse := func(_ context.Context, r *node.RelayRequest) error {
			switch string(r.Body) {
			case "refused":
				return errors.New("not in my house")
			case "known":
				return wire.ErrForbidden
			case "panic":
				panic("secret")
			}
			return nil
		}
		ns.OnRelay("named", refuse)
		ns.OnAnyRelay(refuse)
	})
	a, b := join(t, n, "mixed", "r"), join(t, n, "mixed", "r")
	for _, event := range []string{"named", "other"} {
		for body, text := range map[string]string{"refused": "not in my house", "known": "forbidden", "panic": "internal error"} {
			a.send(";mixed;r;" + event + ";0;0;" + body)
			a.send(";mixed;;" + event + ";0;0;" + body)
			a.send("$1;mixed;r;" + event + ";0;0;" + body)
			a.expect("$1;mixed;r;" + event + ";1;0;" + text)
		}
		a.send(";mixed;r;" + event + ";0;0;fine")
		b.expect(";mixed;r;" + event + ";0;0;fine")
	}
	if open := n.Stats().PendingCalls; open != 0 {
		t.Errorf("%d calls are pending, want none", open)
	}
}

// Handled and relayed messages of one client arrive in the order sent.
func TestMixedOrder(t *testing.T) {
	const count = 500
	for _, seen := range []bool{false, true} {
		t.Run(fmt.Sprintf("relay handler %t", seen), func(t *testing.T) {
			n := startMixed(t, func(ns *node.Namespace) {
				ns.OnEmit("handled", func(ctx context.Context, e *node.EmitEvent) error {
					return e.NSConn.Room("r").EmitToOthers(ctx, "handled", e.Body)
				})
				ns.OnAsk("asked", func(ctx context.Context, r *node.AskRequest) error {
					return r.NSConn.Room("r").EmitToOthers(ctx, "asked", r.Body)
				})
				if seen {
					ns.OnAnyRelay(func(context.Context, *node.RelayRequest) error { return nil })
				}
			})
			a, b := join(t, n, "mixed", "r"), join(t, n, "mixed", "r")
			go func() {
				var batch strings.Builder
				for i := range count {
					batch.WriteString(frame(ws.OpText, true, fmt.Sprintf(";mixed;r;handled;0;0;%d", i)))
					batch.WriteString(frame(ws.OpText, true, fmt.Sprintf(";mixed;r;relayed;0;0;%d", i)))
					batch.WriteString(frame(ws.OpText, true, fmt.Sprintf("$%d;mixed;r;asked;0;0;%d", i, i)))
					batch.WriteString(frame(ws.OpText, true, fmt.Sprintf(";mixed;r;relayed;0;0;%d", i)))
				}
				_, _ = a.conn.Write([]byte(batch.String()))
			}()
			for i := range count {
				for _, event := range []string{"handled", "relayed", "asked", "relayed"} {
					b.expect(fmt.Sprintf(";mixed;r;%s;0;0;%d", event, i))
				}
			}
			for i := range count {
				a.expect(fmt.Sprintf("$%d;mixed;r;asked;0;0;", i))
			}
		})
	}
}

// A leave takes effect after all earlier messages, including those that wait
// for handlers.
func TestRequestsWaitForHandlers(t *testing.T) {
	goOn := make(chan struct{})
	n := startMixed(t, func(ns *node.Namespace) {
		ns.OnEmit("slow", func(ctx context.Context, e *node.EmitEvent) error {
			<-goOn
			return e.NSConn.Room("r").EmitToOthers(ctx, "slow", e.Body)
		})
	})
	a, b := join(t, n, "mixed", "r"), join(t, n, "mixed", "r")
	a.send(";mixed;r;slow;0;0;1")
	a.send(";mixed;r;relayed;0;0;2")
	a.send("$1;mixed;r;_OnRoomLeave;0;0;")
	a.send("$2;mixed;r;relayed;0;0;")
	a.send("$3;mixed;;_OnNamespaceDisconnect;0;0;")
	a.send("$4;mixed;;_OnNamespaceConnect;0;0;")
	a.send("$5;mixed;r;_OnRoomJoin;0;0;")
	a.send(";mixed;r;slow;0;0;3")
	close(goOn)
	a.expect("$1;;;;;;", "$2;mixed;r;relayed;1;0;bad room", "$3;;;;;;", "$4;;;;;;", "$5;;;;;;")
	b.expect(";mixed;r;slow;0;0;1", ";mixed;r;relayed;0;0;2", ";mixed;r;slow;0;0;3")
}
