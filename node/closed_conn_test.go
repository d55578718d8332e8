package node_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// All methods of a closed connection return an error at once.
func TestAfterTheEnd(t *testing.T) {
	conns := make(chan *node.Conn, 1)
	rooms := make(chan *node.Room, 1)
	closed := make(chan *node.Conn, 1)
	n := startHandling(t, nil, func(n *node.Node) {
		n.OnOpened(func(_ context.Context, e *node.OpenedEvent) { conns <- e.Conn })
		n.OnClosed(func(_ context.Context, e *node.ClosedEvent) { closed <- e.Conn })
		n.Namespace("chat", node.NamespaceOptions{}).OnJoined(func(_ context.Context, e *node.JoinedEvent) { rooms <- e.Room })
	})
	p := join(t, n, "chat", "room")
	c, r := <-conns, <-rooms
	ns := r.NSConn()
	if c.ID() != p.id || c.Node() != n || ns.Conn() != c || ns.Namespace() != "chat" || c.RemoteAddr() != p.conn.LocalAddr().String() {
		t.Errorf("a Conn that is not its own: ID %s, address %s", c.ID(), c.RemoteAddr())
	}
	if n.Conn(p.id) != c || n.Conn(p.id[:len(p.id)-1]+"x") == c || n.Conn("other-node") != nil || n.Conn("") != nil {
		t.Error("Node.Conn does not find the connection by its ID, and only by that")
	}
	if info, err := n.Find(within(t), p.id); err != nil || !slices.Equal(info.Namespaces["chat"], []string{"room"}) || info.Node != n.ID() {
		t.Errorf("Find: %+v, %v; want the namespace chat with its room", info, err)
	}
	if c.Value("key") != nil {
		t.Error("a value that was not set")
	}
	ctx := c.Context()
	_ = p.conn.Close()
	if same := <-closed; same != c || !c.IsClosed() {
		t.Error("OnClosed got another Conn, or one that is not closed")
	}
	<-ctx.Done()
	m := node.Message{Namespace: "chat", Room: "room", Event: "e"}
	_, ask := c.Ask(within(t), m)
	_, connect := c.Connect(within(t), "chat")
	_, asked := ns.Ask(within(t), "e", nil)
	_, joined := ns.JoinRoom(within(t), "room")
	_, find := n.Find(within(t), p.id)
	_, nodeAsk := n.Ask(within(t), p.id, m)
	for what, got := range map[string]struct{ err, want error }{
		"Conn.Write":             {c.Write(m), wire.ErrClosed},
		"Conn.WriteNative":       {c.WriteNative(nil, false), wire.ErrClosed},
		"Conn.Ask":               {ask, wire.ErrGone},
		"Conn.Connect":           {connect, wire.ErrGone},
		"Conn.DisconnectAll":     {c.DisconnectAll(within(t)), nil},
		"NSConn.Emit":            {ns.Emit("e", nil), wire.ErrClosed},
		"NSConn.EmitBinary":      {ns.EmitBinary("e", nil), wire.ErrClosed},
		"NSConn.Ask":             {asked, wire.ErrGone},
		"NSConn.JoinRoom":        {joined, wire.ErrGone},
		"NSConn.LeaveAll":        {ns.LeaveAll(within(t)), nil},
		"NSConn.Disconnect":      {ns.Disconnect(within(t)), wire.ErrGone},
		"Room.EmitToClient":      {r.EmitToClient("e", nil), wire.ErrClosed},
		"Room.Leave":             {r.Leave(within(t)), wire.ErrGone},
		"Room.EmitToOthers":      {r.EmitToOthers(within(t), "e", nil), nil},
		"Node.Find":              {find, wire.ErrGone},
		"Node.Ask":               {nodeAsk, wire.ErrGone},
		"Node.EmitTo":            {n.EmitTo(within(t), p.id, m), wire.ErrGone},
		"Node.CloseConn":         {n.CloseConn(within(t), p.id, wire.CodeNormal, ""), wire.ErrGone},
		"the end of its context": {ctx.Err(), context.Canceled},
	} {
		if !errors.Is(got.err, got.want) {
			t.Errorf("%s: %v, want %v", what, got.err, got.want)
		}
	}
	c.Close(wire.CodeNormal, "again") // does nothing
	if c.Namespace("chat") != nil || len(c.Namespaces()) != 0 || ns.IsConnected() || len(ns.Rooms()) != 0 || n.Conn(p.id) != nil {
		t.Error("the connection still is somewhere")
	}
}

// A node with no other handler than OnClosed passes it a closed Conn.
func TestClosedAlone(t *testing.T) {
	ended := make(chan *node.Conn, 1)
	n := startHandling(t, nil, func(n *node.Node) {
		n.OnClosed(func(_ context.Context, e *node.ClosedEvent) { ended <- e.Conn })
	})
	p := join(t, n, "default", "r")
	_ = p.conn.Close()
	c := <-ended
	if !c.IsClosed() || c.Context().Err() == nil || c.ID() != p.id {
		t.Errorf("OnClosed got a Conn %s that is closed: %t, context: %v", c.ID(), c.IsClosed(), c.Context().Err())
	}
}

// An old NSConn or Room stays invalid when the client connects or joins again.
func TestFormerHandles(t *testing.T) {
	rooms := make(chan *node.Room, 2)
	n := startHandling(t, nil, func(n *node.Node) {
		n.Namespace("chat", node.NamespaceOptions{}).OnJoined(func(_ context.Context, e *node.JoinedEvent) { rooms <- e.Room })
	})
	p := join(t, n, "chat", "room")
	r := <-rooms
	former := r.NSConn()
	p.send("$1;chat;;_OnNamespaceDisconnect;0;0;")
	p.expect("$1;;;;;;")
	p.send("$2;chat;;_OnNamespaceConnect;0;0;")
	p.expect("$2;;;;;;")
	p.send("$3;chat;room;_OnRoomJoin;0;0;")
	p.expect("$3;;;;;;")
	again := <-rooms
	if again == r || again.NSConn() == former {
		t.Error("a new membership has the handle of an old one")
	}
	_, ask := former.Ask(within(t), "e", nil)
	_, joined := former.JoinRoom(within(t), "other")
	for what, got := range map[string]struct{ err, want error }{
		"NSConn.Emit":       {former.Emit("e", nil), wire.ErrBadNamespace},
		"NSConn.Ask":        {ask, wire.ErrBadNamespace},
		"NSConn.JoinRoom":   {joined, wire.ErrBadNamespace},
		"NSConn.Disconnect": {former.Disconnect(within(t)), wire.ErrBadNamespace},
		"Room.EmitToClient": {r.EmitToClient("e", nil), wire.ErrBadRoom},
		"Room.Leave":        {r.Leave(within(t)), wire.ErrBadRoom},
	} {
		if !errors.Is(got.err, got.want) {
			t.Errorf("%s: %v, want %v", what, got.err, got.want)
		}
	}
	if !again.NSConn().IsConnected() || again.NSConn().Room("room") != again {
		t.Error("the new membership has ended with the old one")
	}
	if got := p.sync("chat"); len(got) != 0 {
		t.Errorf("the client got %q, want nothing", got)
	}
}

// An answer above the limit of the send queue closes nothing if the socket
// takes it.
func TestAnswerAboveTheSendQueue(t *testing.T) {
	var j journal
	n := startHandling(t, func(cfg *node.Config) { cfg.Limits.SendQueue = 130 }, everyHandler(&j))
	p := dial(t, n)
	token := "$" + strings.Repeat("1", 100)
	p.send(token + ";chat;;_OnNamespaceConnect;0;0;")
	p.expect(token + ";;;;;;")
	j.expect(t, "opened", `connect "" connected=false`, "connected true")
	_ = p.conn.Close()
	j.expect(t, "disconnected forced=true connected=false", fmt.Sprintf("closed %d by peer, closed=true", wire.CodeAbnormal))
	if got := n.Stats(); got.Memberships != 0 || got.Rooms != 0 {
		t.Errorf("%d rooms with %d members are left, want none", got.Rooms, got.Memberships)
	}
}
