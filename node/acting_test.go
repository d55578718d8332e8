package node_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// servingPeer is a peer that does as the server asks and answers asks with
// their bodies. All other messages go to texts, until the connection closes.
type servingPeer struct {
	*peer
	texts chan string
}

func serveRequests(p *peer) *servingPeer {
	o := &servingPeer{peer: p, texts: make(chan string, 10_000)}
	go o.read()
	return o
}

func (o *servingPeer) read() {
	defer close(o.texts)
	for {
		f, err := o.tryNext()
		if err != nil {
			return
		}
		if f.Header.OpCode == ws.OpClose {
			o.texts <- describe(f)
			_, _ = o.conn.Write([]byte(frame(ws.OpClose, true, string(f.Payload))))
			return
		}
		text := string(f.Payload)
		if answer := replyTo(text); answer != "" {
			_, _ = o.conn.Write([]byte(frame(ws.OpText, true, answer)))
		} else {
			o.texts <- text
		}
	}
}

// replyTo returns the answer to a request of the server, empty for any other
// text.
func replyTo(text string) string {
	fields := strings.SplitN(text, ";", 7)
	if len(fields) < 7 || fields[0] == "" || fields[0][0] < '0' || fields[0][0] > '9' {
		return ""
	}
	if strings.HasPrefix(fields[3], "_On") {
		return fields[0] + ";;;;;;"
	}
	return text
}

// await reads up to a text and returns the texts before it.
func (o *servingPeer) await(want string) (before []string) {
	o.tb.Helper()
	for text := range o.texts {
		if text == want {
			return before
		}
		before = append(before, text)
	}
	o.tb.Fatalf("the connection has ended; %q has not come, only %q", want, before)
	return nil
}

// act calls every method that acts on a connection, over the namespace "side",
// and returns the errors.
func act(c *node.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n, id := c.Node(), c.ID()
	var errs []error
	must := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	wants := func(what string, good bool) {
		if !good {
			errs = append(errs, errors.New(what))
		}
	}
	side, err := c.Connect(ctx, "side")
	if err != nil {
		return fmt.Errorf("Conn.Connect: %w", err)
	}
	room, err := side.JoinRoom(ctx, "x")
	if err != nil {
		return fmt.Errorf("NSConn.JoinRoom: %w", err)
	}
	again, err := c.Connect(ctx, "side")
	wants("Conn.Connect again: another NSConn", err == nil && again == side && c.Namespace("side") == side)
	once, err := side.JoinRoom(ctx, "x")
	wants("NSConn.JoinRoom again: another Room", err == nil && once == room && side.Room("x") == room)
	m := node.Message{Namespace: "side", Room: "x", Event: "q", Body: []byte("body")}
	answer, err := c.Ask(ctx, m)
	must("Conn.Ask", err)
	wants("Conn.Ask: another answer", string(answer.Body) == "body" && answer.Conn == id)
	_, err = side.Ask(ctx, "q", nil)
	must("NSConn.Ask", err)
	_, err = n.Ask(ctx, id, m)
	must("Node.Ask", err)
	_, err = n.AskRoom(ctx, m)
	must("Node.AskRoom", err)
	all, err := n.AskAll(ctx, m)
	must("Node.AskAll", err)
	wants("Node.AskAll: not one answer", len(all.Answers) == 1)
	must("Conn.Write", c.Write(m))
	must("Conn.WriteNative", c.WriteNative([]byte("native"), false))
	must("NSConn.Emit", side.Emit("e", nil))
	must("NSConn.EmitBinary", side.EmitBinary("e", []byte{0xff}))
	must("Room.EmitToClient", room.EmitToClient("e", nil))
	must("Room.EmitToOthers", room.EmitToOthers(ctx, "e", nil))
	must("Node.Emit", n.Emit(ctx, m, node.EmitOptions{}))
	must("Node.EmitTo", n.EmitTo(ctx, id, m))
	wants("a system event is emitted", errors.Is(side.Emit(wire.EventRoomJoin, nil), wire.ErrInvalidName))
	must("Node.Join", n.Join(ctx, id, "side", "y"))
	wants("NSConn.Rooms: not two", len(side.Rooms()) == 2)
	info, err := n.Find(ctx, id)
	must("Node.Find", err)
	wants("Node.Find: not two rooms", len(info.Namespaces["side"]) == 2)
	must("Node.Leave", n.Leave(ctx, id, "side", "y"))
	must("NSConn.LeaveAll", side.LeaveAll(ctx))
	wants("Room.EmitToClient after the leave", errors.Is(room.EmitToClient("e", nil), wire.ErrBadRoom) && len(side.Rooms()) == 0)
	wants("Node.Conn: another Conn", n.Conn(id) == c)
	wants("Node.Conns: not there", slices.Contains(slices.Collect(n.Conns()), c))
	wants("Node.Stats: no connection", n.Stats().Connections > 0 && n.Connections() > 0)
	must("NSConn.Disconnect", side.Disconnect(ctx))
	wants("NSConn.Emit after the disconnect", errors.Is(side.Emit("e", nil), wire.ErrBadNamespace))
	must("Node.Connect", n.Connect(ctx, id, "side"))
	must("Node.Disconnect", n.Disconnect(ctx, id, "side"))
	return errors.Join(errs...)
}

// Every kind of handler may act on the very client whose message it handles.
func TestActingInHandlers(t *testing.T) {
	var j journal
	does := func(what string, c *node.Conn) {
		if err := act(c); err != nil && !(c.IsClosed() && errors.Is(err, wire.ErrGone)) {
			j.add("%s: %v", what, err)
			return
		}
		j.add("%s", what)
	}
	n := startHandling(t, nil, func(n *node.Node) {
		n.OnOpened(func(_ context.Context, e *node.OpenedEvent) { does("opened", e.Conn) })
		n.OnClosed(func(_ context.Context, e *node.ClosedEvent) { does("closed", e.Conn) })
		n.OnNative(func(_ context.Context, e *node.NativeEvent) error { does("native", e.Conn); return nil })
		n.Namespace("", node.NamespaceOptions{})
		n.Namespace("side", node.NamespaceOptions{})
		ns := n.Namespace("chat", node.NamespaceOptions{Relay: node.RelayRooms | node.RelayAsks})
		ns.OnConnect(func(_ context.Context, r *node.ConnectRequest) error { does("connect", r.Conn); return nil })
		ns.OnConnected(func(_ context.Context, e *node.ConnectedEvent) { does("connected", e.NSConn.Conn()) })
		ns.OnJoin(func(_ context.Context, r *node.JoinRequest) error { does("join", r.NSConn.Conn()); return nil })
		ns.OnJoined(func(_ context.Context, e *node.JoinedEvent) { does("joined", e.Room.NSConn().Conn()) })
		ns.OnLeave(func(_ context.Context, r *node.LeaveRequest) error { does("leave", r.Room.NSConn().Conn()); return nil })
		ns.OnLeft(func(_ context.Context, e *node.LeftEvent) { does("left", e.Room.NSConn().Conn()) })
		ns.OnDisconnected(func(_ context.Context, e *node.DisconnectedEvent) { does("disconnected", e.NSConn.Conn()) })
		ns.OnEmit("e", func(_ context.Context, e *node.EmitEvent) error { does("emit", e.NSConn.Conn()); return nil })
		ns.OnAsk("q", func(_ context.Context, r *node.AskRequest) error {
			does("ask", r.NSConn.Conn())
			return nil
		})
		ns.OnAnyRelay(func(_ context.Context, r *node.RelayRequest) error { does("relay", r.NSConn.Conn()); return nil })
	})
	p := serveRequests(dial(t, n))
	for _, text := range []string{
		"$n;;;_OnNamespaceConnect;0;0;", "native", "$1;chat;;_OnNamespaceConnect;0;0;", "$2;chat;r;_OnRoomJoin;0;0;", ";chat;;e;0;0;",
		"$3;chat;r;q;0;0;", ";chat;r;relayed;0;0;", "$4;chat;r;relayed;0;0;", "$5;chat;r;_OnRoomLeave;0;0;",
		"$6;chat;r;_OnRoomJoin;0;0;", "$7;chat;;_OnNamespaceDisconnect;0;0;", "$8;chat;;_OnNamespaceConnect;0;0;", "$9;chat;r;_OnRoomJoin;0;0;",
	} {
		p.send(text) // all at once: each waits for the handlers of the earlier ones
	}
	for _, answer := range []string{
		"$n;;;;;;", "$1;;;;;;", "$2;;;;;;", "$3;chat;r;q;0;0;", "$4;chat;r;relayed;1;0;nobody there", "$5;;;;;;", "$6;;;;;;", "$7;;;;;;", "$8;;;;;;", "$9;;;;;;",
	} {
		p.await(answer)
	}
	eventually(t, "all handlers have returned", func() bool { return len(j.copy()) == 20 })
	p.write(frame(ws.OpClose, true, ""))
	j.expect(t, "opened", "native", "connect", "connected", "join", "joined", "emit", "ask", "relay", "relay", "leave", "left",
		"join", "joined", "left", "disconnected", "connect", "connected", "join", "joined", "left", "disconnected", "closed")
}

// A handler may close its own connection, namespace or room.
func TestHandlersEndTheirOwn(t *testing.T) {
	var j journal
	n := startHandling(t, nil, func(n *node.Node) {
		n.Namespace("other", node.NamespaceOptions{})
		ns := n.Namespace("chat", node.NamespaceOptions{})
		ns.OnLeft(func(_ context.Context, e *node.LeftEvent) { j.add("left %s forced=%t", e.Room.Name(), e.Forced) })
		ns.OnLeave(func(context.Context, *node.LeaveRequest) error { j.add("leave"); return nil }) // not called for leaves of the server
		ns.OnDisconnected(func(_ context.Context, e *node.DisconnectedEvent) { j.add("disconnected forced=%t", e.Forced) })
		n.OnClosed(func(_ context.Context, e *node.ClosedEvent) { j.add("closed %d by %s", e.Code, e.By) })
		ns.OnEmit("e", func(ctx context.Context, e *node.EmitEvent) error {
			var err error
			switch string(e.Body) {
			case "leave":
				err = e.NSConn.Room("a").Leave(ctx)
			case "leave all":
				err = e.NSConn.LeaveAll(ctx)
			case "disconnect":
				err = e.NSConn.Disconnect(ctx)
			case "disconnect all":
				err = e.NSConn.Conn().DisconnectAll(ctx)
			case "close":
				e.NSConn.Conn().Close(4001, "go")
				<-ctx.Done()
				j.add("close: connected=%t, %v", e.NSConn.IsConnected(), e.NSConn.Emit("e", nil))
				return nil
			}
			j.add("%s: %v, connected=%t, %d rooms, %d namespaces", e.Body, err, e.NSConn.IsConnected(), len(e.NSConn.Rooms()), len(e.NSConn.Conn().Namespaces()))
			return err
		})
	})
	enter := func() *servingPeer {
		p := serveRequests(dial(t, n))
		for i, text := range []string{"chat;;_OnNamespaceConnect", "other;;_OnNamespaceConnect", "chat;a;_OnRoomJoin", "chat;b;_OnRoomJoin", "other;c;_OnRoomJoin"} {
			p.send(fmt.Sprintf("$%d;%s;0;0;", i, text))
			p.await(fmt.Sprintf("$%d;;;;;;", i))
		}
		return p
	}
	for _, test := range []struct {
		how  string
		want []string
	}{
		{"leave", []string{"leave: <nil>, connected=true, 1 rooms, 2 namespaces", "left a forced=false"}},
		{"leave all", []string{"leave all: <nil>, connected=true, 0 rooms, 2 namespaces", "left a forced=false", "left b forced=false"}},
		{"disconnect", []string{"disconnect: <nil>, connected=false, 0 rooms, 1 namespaces", "left a forced=true", "left b forced=true", "disconnected forced=false"}},
		{"disconnect all", []string{"disconnect all: <nil>, connected=false, 0 rooms, 0 namespaces", "left a forced=true", "left b forced=true", "disconnected forced=false"}},
	} {
		p := enter()
		p.send(";chat;;e;0;0;" + test.how)
		j.expect(t, test.want...)
		_ = p.conn.Close()
		eventually(t, "the connection has closed", func() bool { return n.Conn(p.id) == nil })
		lines := j.copy()
		for len(lines) == 0 || !strings.HasPrefix(lines[len(lines)-1], "closed") {
			eventually(t, "closed", func() bool { return len(j.copy()) > len(lines) })
			lines = j.copy()
		}
		j.expect(t, lines...)
	}
	p := enter()
	p.send(";chat;;e;0;0;close")
	p.await(`close 4001 "go"`)
	j.expect(t, "close: connected=false, write closed", "left a forced=true", "left b forced=true",
		"disconnected forced=true", "closed 4001 by server")
}

// Handlers may act on connections of another node, too.
func TestActingAcrossTheCluster(t *testing.T) {
	server := redistest.Start(t)
	var j journal
	var nodes []*node.Node
	var brokers []*redisbroker.Broker
	for _, id := range []string{"n0", "n1"} {
		broker, err := redisbroker.New(redisbroker.Config{Servers: []string{server.URL()}, NodeID: id})
		if err != nil {
			t.Fatal(err)
		}
		brokers = append(brokers, broker)
		nodes = append(nodes, startHandling(t, func(cfg *node.Config) { cfg.ID, cfg.Broker = id, broker }, func(n *node.Node) {
			n.OnClosed(func(_ context.Context, e *node.ClosedEvent) {
				j.add("%s: closed %d by %s", id, e.Code, e.By)
			})
			ns := n.Namespace("chat", node.NamespaceOptions{})
			ns.OnJoin(func(context.Context, *node.JoinRequest) error { return wire.ErrForbidden })
			ns.OnJoined(func(_ context.Context, e *node.JoinedEvent) { j.add("%s: joined %s", id, e.Room.Name()) })
			ns.OnLeft(func(_ context.Context, e *node.LeftEvent) {
				j.add("%s: left %s forced=%t", id, e.Room.Name(), e.Forced)
			})
			ns.OnConnected(func(context.Context, *node.ConnectedEvent) { j.add("%s: connected", id) })
			ns.OnDisconnected(func(_ context.Context, e *node.DisconnectedEvent) { j.add("%s: disconnected forced=%t", id, e.Forced) })
			ns.OnAsk("rule", func(ctx context.Context, r *node.AskRequest) error {
				return rule(ctx, n, string(r.Body))
			})
		}))
	}
	awaitNodes(t, 2, brokers...)
	ruler, far := join(t, nodes[0], "chat"), serveRequests(dial(t, nodes[1]))
	j.expect(t, "n0: connected")
	ruler.send("$1;chat;;rule;0;0;" + far.id)
	ruler.expect("$1;chat;;rule;0;0;")
	j.expect(t, "n1: connected", "n1: joined r", "n1: left r forced=false", "n1: joined r", "n1: left r forced=true",
		"n1: disconnected forced=false", "n1: connected", "n1: disconnected forced=true", "n1: closed 4002 by server")
	far.await(`close 4002 "ruled"`)
	ruler.send("$2;chat;;rule;0;0;" + far.id)
	ruler.expect("$2;chat;;rule;1;0;gone")
}

// rule calls every method that acts on a connection of another node.
func rule(ctx context.Context, n *node.Node, id string) error {
	if n.Conn(id) != nil || slices.ContainsFunc(slices.Collect(n.Conns()), func(c *node.Conn) bool { return c.ID() == id }) {
		return errors.New("it is said to be here")
	}
	info, err := n.Find(ctx, id)
	if err != nil {
		return err
	}
	m := node.Message{Namespace: "chat", Room: "r", Event: "e", Body: []byte("body")}
	steps := []func() error{
		func() error { return n.Connect(ctx, id, "chat") },
		func() error { return n.Join(ctx, id, "chat", "r") },
		func() error { return n.Emit(ctx, m, node.EmitOptions{}) },
		func() error { return n.EmitTo(ctx, id, m) },
		func() error { _, err := n.Ask(ctx, id, m); return err },
		func() error { _, err := n.AskRoom(ctx, m); return err },
		func() error { info, err = n.Find(ctx, id); return err },
		func() error {
			if info.Node != "n1" || !slices.Equal(info.Namespaces["chat"], []string{"r"}) {
				return fmt.Errorf("Find: %+v", info)
			}
			return nil
		},
		func() error { return n.Leave(ctx, id, "chat", "r") },
		func() error { return n.Join(ctx, id, "chat", "r") },
		func() error { return n.Disconnect(ctx, id, "chat") },
		func() error { return n.Connect(ctx, id, "chat") },
		func() error { return n.CloseConn(ctx, id, 4002, "ruled") },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}
