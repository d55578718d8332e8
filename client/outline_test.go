package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/codec"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// echo answers asks with their body.
func echo(n *node.Node) {
	n.LookupNamespace("default").OnAsk("echo", func(_ context.Context, r *node.AskRequest) error {
		r.Reply(r.Body)
		return nil
	})
}

func TestOutlineAgainstANode(t *testing.T) {
	n, _ := startNode(t, "", echo)
	heard := make(chan client.Message, 10)
	listen := in("default", declare(func(ns *client.Namespace) {
		ns.OnAnyEmit(func(_ context.Context, e *client.EmitEvent) error { heard <- e.Message; return nil })
	}))
	other := join(t, urlOf(n), listen, "default", "lobby")
	room := join(t, urlOf(n), listen, "default", "lobby")
	ns, conn := room.NSConn(), room.NSConn().Conn()
	ctx := background(t)

	if conn.ID() == "" || conn.ID() == other.NSConn().Conn().ID() {
		t.Errorf("ID is %q, want one of its own", conn.ID())
	}
	if conn.State() != client.StateConnected || conn.IsClosed() || conn.Err() != nil {
		t.Errorf("state %v, closed %v, error %v, want connected", conn.State(), conn.IsClosed(), conn.Err())
	}
	if conn.Namespace("default") != ns || conn.Namespace("second") != nil || ns.Room("lobby") != room || ns.Namespace() != "default" {
		t.Error("Namespace and Room do not return the connected namespace and the joined room")
	}
	if second, err := conn.Connect(ctx, "default"); second != ns || err != nil {
		t.Errorf("connecting twice: %p, %v, want the same", second, err)
	}
	if second, err := ns.JoinRoom(ctx, "lobby"); second != room || err != nil {
		t.Errorf("joining twice: %p, %v, want the same", second, err)
	}
	if waited, err := conn.WaitServerConnect(ctx, "default"); waited != ns || err != nil {
		t.Errorf("WaitServerConnect: %p, %v, want the connected one", waited, err)
	}

	emits := []struct {
		name string
		emit func() error
		want client.Message
	}{
		{"Room.Emit", func() error { return room.Emit("a;b", []byte("1")) }, client.Message{Event: "a;b", Body: []byte("1")}},
		{"Room.EmitBinary", func() error { return room.EmitBinary("b", []byte{0xff}) }, client.Message{Event: "b", Body: []byte{0xff}, Binary: true}},
		{"Conn.Write", func() error {
			return conn.Write(client.Message{Namespace: "default", Room: "lobby", Event: "c", Body: []byte("3")})
		}, client.Message{Event: "c", Body: []byte("3")}},
	}
	for _, test := range emits {
		if err := test.emit(); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		test.want.Namespace, test.want.Room = "default", "lobby"
		if got := receive(t, test.name, heard); fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s arrived as %+v, want %+v", test.name, got, test.want)
		}
	}

	if answer, err := ns.Ask(ctx, "echo", []byte("hi")); err != nil || string(answer.Body) != "hi" || answer.Binary {
		t.Errorf("Ask: %+v, %v, want the echo", answer, err)
	}
	binary, err := conn.Ask(ctx, client.Message{Namespace: "default", Room: "lobby", Event: "echo", Body: []byte{0xfe}, Binary: true})
	if err != nil || !slices.Equal(binary.Body, []byte{0xfe}) || !binary.Binary {
		t.Errorf("Conn.Ask: %+v, %v, want the binary echo", binary, err)
	}
	if err := room.Leave(ctx); err != nil || ns.Room("lobby") != nil {
		t.Errorf("Leave: %v, the room is %v", err, ns.Room("lobby"))
	}
	if err := room.Emit("late", nil); !errors.Is(err, wire.ErrBadRoom) {
		t.Errorf("emitting into a room that was left: %v, want %v", err, wire.ErrBadRoom)
	}
	for i := range 50 {
		if _, err := ns.JoinRoom(ctx, fmt.Sprintf("room %d", i)); err != nil {
			t.Fatalf("JoinRoom: %v", err)
		}
	}
	if rooms := ns.Rooms(); len(rooms) != 50 || rooms[0].Name() != "room 0" {
		t.Errorf("%d rooms, want 50 in the order of joining", len(rooms))
	}
	if err := ns.LeaveAll(ctx); err != nil || len(ns.Rooms()) != 0 {
		t.Errorf("LeaveAll: %v, %d rooms are left", err, len(ns.Rooms()))
	}
	if err := ns.Disconnect(ctx); err != nil || conn.Namespace("default") != nil || ns.IsConnected() {
		t.Errorf("Disconnect: %v", err)
	}
	if _, err := ns.Ask(ctx, "echo", nil); !errors.Is(err, wire.ErrBadNamespace) {
		t.Errorf("asking in a namespace that was disconnected: %v, want %v", err, wire.ErrBadNamespace)
	}
	for _, name := range []string{"default", "second"} {
		if _, err := conn.Connect(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.DisconnectAll(ctx); err != nil || len(conn.Namespaces()) != 0 {
		t.Errorf("DisconnectAll: %v, %d namespaces are left", err, len(conn.Namespaces()))
	}
	if err := conn.Close(); err != nil || !conn.IsClosed() || !errors.Is(conn.Err(), client.ErrClosed) {
		t.Errorf("Close: %v, closed %v, %v", err, conn.IsClosed(), conn.Err())
	}
	receive(t, "Done", conn.Done())
	if err := conn.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestErrorsOfTheServerComeThrough(t *testing.T) {
	n, _ := startNode(t, "", func(n *node.Node) {
		ns := n.LookupNamespace("default")
		ns.OnJoin(func(_ context.Context, r *node.JoinRequest) error {
			if r.Room == "locked" {
				return wire.ErrForbidden
			}
			return nil
		})
		ns.OnAsk("fail", func(context.Context, *node.AskRequest) error { return errors.New("out of paper") })
	})
	conn := dial(t, urlOf(n), client.Options{})
	ctx := background(t)
	if _, err := conn.Connect(ctx, "nowhere"); !errors.Is(err, wire.ErrBadNamespace) {
		t.Errorf("connecting to an unknown namespace: %v, want %v", err, wire.ErrBadNamespace)
	}
	ns, err := conn.Connect(ctx, "default")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ns.JoinRoom(ctx, "locked"); !errors.Is(err, wire.ErrForbidden) {
		t.Errorf("joining a locked room: %v, want %v", err, wire.ErrForbidden)
	}
	if _, err := ns.Ask(ctx, "fail", nil); !errors.Is(err, wire.RemoteError("out of paper")) {
		t.Errorf("a failed ask: %v, want the server's text", err)
	}
	if _, err := ns.Ask(ctx, "unheard of", nil); !errors.Is(err, wire.ErrUnhandled) {
		t.Errorf("an ask without a handler: %v, want %v", err, wire.ErrUnhandled)
	}
	if err := ns.Emit(wire.EventRoomJoin, nil); !errors.Is(err, wire.ErrInvalidName) {
		t.Errorf("emitting a system event: %v, want %v", err, wire.ErrInvalidName)
	}
	if err := ns.Emit("text", []byte{0xff}); !errors.Is(err, client.ErrNotText) {
		t.Errorf("emitting bytes as text: %v, want %v", err, client.ErrNotText)
	}
	if err := conn.Write(client.Message{Namespace: "second", Event: "e"}); !errors.Is(err, wire.ErrBadNamespace) {
		t.Errorf("writing elsewhere: %v, want %v", err, wire.ErrBadNamespace)
	}
	if err := conn.Write(client.Message{Namespace: "default", Room: "r", Event: "e"}); !errors.Is(err, wire.ErrBadRoom) {
		t.Errorf("writing into a room that is not joined: %v, want %v", err, wire.ErrBadRoom)
	}
	if _, err := conn.Ask(ctx, client.Message{Namespace: "default", Room: "r", Event: "e"}); !errors.Is(err, wire.ErrBadRoom) {
		t.Errorf("asking in a room that is not joined: %v, want %v", err, wire.ErrBadRoom)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	calls := map[string]error{
		"Emit":       ns.Emit("e", nil),
		"Write":      conn.Write(client.Message{Namespace: "default", Event: "e"}),
		"Disconnect": ns.Disconnect(ctx),
	}
	_, calls["Ask"] = ns.Ask(ctx, "e", nil)
	_, calls["Connect"] = conn.Connect(ctx, "second")
	_, calls["JoinRoom"] = ns.JoinRoom(ctx, "r")
	_, calls["WaitServerConnect"] = conn.WaitServerConnect(ctx, "second")
	for name, err := range calls {
		if !errors.Is(err, client.ErrClosed) {
			t.Errorf("%s after Close: %v, want %v", name, err, client.ErrClosed)
		}
	}
}

func TestTypedHelpers(t *testing.T) {
	type point struct{ X, Y int }
	n, _ := startNode(t, "", echo)
	got := make(chan point, 1)
	shapes := new(client.Namespace)
	client.OnEmit(shapes, "moved", codec.JSON{}, func(_ context.Context, _ *client.EmitEvent, p point) error { got <- p; return nil })
	client.OnAsk(shapes, "double", codec.JSON{}, func(_ context.Context, _ *client.AskRequest, p point) (point, error) {
		return point{2 * p.X, 2 * p.Y}, nil
	})
	conn := dial(t, urlOf(n), in("default", shapes))
	ns, err := conn.Connect(background(t), "default")
	if err != nil {
		t.Fatal(err)
	}
	if p, err := client.Ask[point](background(t), ns, "echo", codec.JSON{}, point{1, 2}); err != nil || p != (point{1, 2}) {
		t.Errorf("Ask: %v, %v", p, err)
	}
	var bad *codec.DecodeError
	if _, err := client.Ask[point](background(t), ns, "echo", codec.JSON{}, "text"); !errors.As(err, &bad) {
		t.Errorf("Ask with another type: %v, want a DecodeError", err)
	}
	answer, err := n.Ask(background(t), conn.ID(), node.Message{Namespace: "default", Event: "double", Body: []byte(`{"X":2,"Y":3}`)})
	if err != nil || string(answer.Body) != `{"X":4,"Y":6}` {
		t.Errorf("the server's ask: %s, %v", answer.Body, err)
	}
	if answer, err = n.Ask(background(t), conn.ID(), node.Message{Namespace: "default", Event: "double", Body: []byte(`no`)}); err == nil && answer.Err == nil {
		t.Error("the server's ask with a bad body has no error")
	}
	if err := client.Emit(ns, "moved", codec.JSON{}, make(chan int)); err == nil {
		t.Error("a channel has become JSON")
	}
	if err := client.Emit(ns, "moved", codec.JSON{}, point{1, 2}); err != nil {
		t.Errorf("Emit: %v", err)
	}
	if err := ns.EmitBinary("moved", []byte{0xff}); err != nil {
		t.Errorf("EmitBinary: %v", err)
	}
	_ = n.EmitTo(background(t), conn.ID(), node.Message{Namespace: "default", Event: "moved", Body: []byte(`{"X":7}`)})
	if p := receive(t, "the typed emit", got); p.X != 7 {
		t.Errorf("the typed emit: %v", p)
	}
}
