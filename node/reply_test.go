package node_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// replyFor replies to a body as the body says; an empty body has no reply.
func replyFor(body []byte, reply func([]byte)) error {
	switch string(body) {
	case "":
	case "nil":
		reply(nil)
	case "empty":
		reply([]byte{})
	case "bad":
		reply([]byte("\xff\xfe"))
	case "twice":
		reply([]byte("first"))
		reply([]byte("last"))
	case "refused":
		reply([]byte("lost"))
		return errors.New("refused; sorry")
	default:
		reply(append([]byte("re: "), body...))
	}
	return nil
}

// Connect, join and ask handlers see the body of the request and answer with
// one.
func TestReplies(t *testing.T) {
	n := startHandling(t, nil, func(n *node.Node) {
		for _, name := range []string{"chat", "other"} {
			ns := n.Namespace(name, node.NamespaceOptions{})
			ns.OnConnect(func(_ context.Context, r *node.ConnectRequest) error {
				if r.Namespace != name {
					t.Errorf("the namespace of the request is %q, want %q", r.Namespace, name)
				}
				return replyFor(r.Body, r.Reply)
			})
			ns.OnJoin(func(_ context.Context, r *node.JoinRequest) error {
				if r.NSConn.Namespace() != name || r.Room != "room" {
					t.Errorf("the request is about %q in %q, want room in %q", r.Room, r.NSConn.Namespace(), name)
				}
				return replyFor(r.Body, r.Reply)
			})
			ns.OnAsk("q", func(_ context.Context, r *node.AskRequest) error { return replyFor(r.Body, r.Reply) })
		}
	})
	p := join(t, n, "chat")
	bad := "1;0;" + wire.ErrInternal.Error()
	for name, target := range map[string]struct{ names, empty, undo string }{
		"connect": {"other;;_OnNamespaceConnect", ";;;;;", "other;;_OnNamespaceDisconnect"},
		"join":    {"chat;room;_OnRoomJoin", ";;;;;", "chat;room;_OnRoomLeave"},
		"ask":     {"chat;;q", "chat;;q;0;0;", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, test := range []struct {
				body, answer string
				accepted     bool
			}{
				{"", target.empty, true},
				{"nil", target.empty, true},
				{"empty", target.empty, true},
				{"a;b", target.names + ";0;0;re: a;b", true},
				{"twice", target.names + ";0;0;last", true},
				{"refused", target.names + ";1;0;refused; sorry", false},
				{"bad", target.names + ";" + bad, false},
			} {
				p.tb = t
				p.send("$1;" + target.names + ";0;0;" + test.body)
				p.expect("$1;" + test.answer)
				if target.undo != "" && test.accepted {
					p.send("$2;" + target.undo + ";0;0;")
					p.expect("$2;;;;;;")
				}
			}
			// The answer is a frame of the type of the request.
			p.sendBinary("$3;" + target.names + ";0;0;bad")
			p.expectBinary("$3;" + target.names + ";0;0;\xff\xfe")
		})
	}
}

// A request whose reply cannot be sent is refused: the client is neither
// connected nor in the room.
func TestInvalidReplyRefuses(t *testing.T) {
	var j journal
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("chat", node.NamespaceOptions{})
		ns.OnConnect(func(_ context.Context, r *node.ConnectRequest) error { return replyFor(r.Body, r.Reply) })
		ns.OnConnected(func(context.Context, *node.ConnectedEvent) { j.add("connected") })
		ns.OnJoin(func(_ context.Context, r *node.JoinRequest) error { return replyFor(r.Body, r.Reply) })
		ns.OnJoined(func(context.Context, *node.JoinedEvent) { j.add("joined") })
	})
	p := dial(t, n)
	p.send("$1;chat;;_OnNamespaceConnect;0;0;bad")
	p.expect("$1;chat;;_OnNamespaceConnect;1;0;" + wire.ErrInternal.Error())
	p.send("$2;chat;;q;0;0;")
	p.expect("$2;chat;;q;1;0;bad namespace")
	p.send("$3;chat;;_OnNamespaceConnect;0;0;in")
	p.expect("$3;chat;;_OnNamespaceConnect;0;0;re: in")
	p.send("$4;chat;room;_OnRoomJoin;0;0;bad")
	p.expect("$4;chat;room;_OnRoomJoin;1;0;" + wire.ErrInternal.Error())
	p.send("$5;chat;room;q;0;0;")
	p.expect("$5;chat;room;q;1;0;bad room")
	p.send("$6;chat;room;_OnRoomJoin;0;0;in")
	p.expect("$6;chat;room;_OnRoomJoin;0;0;re: in")
	j.expect(t, "connected", "joined")
	if got := node.HandlerCount(n, node.HandlerConnect, node.HandlerFailed) + node.HandlerCount(n, node.HandlerJoin, node.HandlerFailed); got != 2 {
		t.Errorf("%d handlers have failed, want 2", got)
	}
}

func TestLeaveRequestHasABody(t *testing.T) {
	var j journal
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("chat", node.NamespaceOptions{})
		ns.OnLeave(func(_ context.Context, r *node.LeaveRequest) error {
			j.add("leave %s: %s", r.Room.Name(), r.Body)
			return nil
		})
	})
	p := join(t, n, "chat", "room")
	p.send("$1;chat;room;_OnRoomLeave;0;0;too;loud")
	p.expect("$1;;;;;;")
	j.expect(t, "leave room: too;loud")
}

// A relay handler can tell an ask from an emit.
func TestRelayKnowsAsks(t *testing.T) {
	var j journal
	n := startMixed(t, func(ns *node.Namespace) {
		see := func(_ context.Context, r *node.RelayRequest) error {
			j.add("%s in %q: ask=%t", r.Event, r.Room, r.IsAsk)
			return nil
		}
		ns.OnRelay("named", see)
		ns.OnAnyRelay(see)
	})
	a, b := join(t, n, "mixed", "r"), join(t, n, "mixed", "r")
	for _, event := range []string{"named", "other"} {
		a.send(";mixed;r;" + event + ";0;0;")
		a.send(";mixed;;" + event + ";0;0;")
		a.send("$1;mixed;r;" + event + ";0;0;")
		b.expect(";mixed;r;"+event+";0;0;", ";mixed;;"+event+";0;0;")
		b.send(b.request(";mixed;r;"+event+";0;0;") + ";mixed;r;" + event + ";0;0;yes")
		a.expect("$1;mixed;r;" + event + ";0;0;yes")
		j.expect(t, event+` in "r": ask=false`, event+` in "": ask=false`, event+` in "r": ask=true`)
	}
}

// Emit to a room without a name does not reach the namespace; EmitNamespace
// takes no room.
func TestEmitNamespace(t *testing.T) {
	n := startNode(t, nil)
	unnamed, named, outside := join(t, n, "default", ""), join(t, n, "default", "r"), join(t, n, "rooms")
	m := node.Message{Namespace: "default", Room: "r", Event: "e", Body: []byte("x")}
	if err := n.EmitNamespace(within(t), m, node.EmitOptions{}); !errors.Is(err, node.ErrRoom) {
		t.Errorf("EmitNamespace with a room: %v, want %v", err, node.ErrRoom)
	}
	m.Room, m.Body = "", []byte("to the room without a name")
	if err := n.Emit(within(t), m, node.EmitOptions{}); err != nil {
		t.Errorf("Emit: %v", err)
	}
	m.Body = []byte("to the namespace")
	if err := n.EmitNamespace(within(t), m, node.EmitOptions{}); err != nil {
		t.Errorf("EmitNamespace: %v", err)
	}
	unnamed.expect(";default;;e;0;0;to the room without a name", ";default;;e;0;0;to the namespace")
	named.expect(";default;;e;0;0;to the namespace")
	m.Body = []byte("to one")
	if err := n.EmitNamespace(within(t), m, node.EmitOptions{Except: []string{unnamed.id}}); err != nil {
		t.Errorf("EmitNamespace: %v", err)
	}
	named.expect(";default;;e;0;0;to one")
	for p, namespace := range map[*peer]string{unnamed: "default", named: "default", outside: "rooms"} {
		if got := p.sync(namespace); len(got) != 0 {
			t.Errorf("received %q, want nothing more", got)
		}
	}
}

func TestErrClosed(t *testing.T) {
	if !errors.Is(node.ErrClosed, net.ErrClosed) || errors.Is(net.ErrClosed, node.ErrClosed) {
		t.Error("ErrClosed does not match net.ErrClosed, or net.ErrClosed matches it")
	}
	if errors.Is(node.ErrClosed, wire.ErrClosed) || node.ErrClosed.Error() != "node: closed" {
		t.Errorf("ErrClosed is %q, want an error of this package", node.ErrClosed)
	}
	n := newNode(t, nil)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.Listen("tcp", "127.0.0.1:0"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Listen after Close: %v, want an error that is net.ErrClosed", err)
	}
	if err := n.Serve(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve after Close: %v, want an error that is net.ErrClosed", err)
	}
}
