package node_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/node"
)

// joinVolatile is join of one room, by a client that sends volatile emits.
func joinVolatile(tb testing.TB, n *node.Node, namespace, room string) *peer {
	tb.Helper()
	p := upgrade(tb, n)
	p.send("M volatile")
	ack := string(p.next().Payload)
	id, named := strings.CutSuffix(ack, " volatile")
	if !named || id[0] != 'A' {
		tb.Fatalf("hello was answered %q, want an acknowledgement that names volatile", ack)
	}
	p.id = id[1:]
	p.send("$c;" + namespace + ";;_OnNamespaceConnect;0;0;")
	p.expect("$c;;;;;;")
	p.send("$j;" + namespace + ";" + room + ";_OnRoomJoin;0;0;")
	p.expect("$j;;;;;;")
	return p
}

// Members receive a volatile emit like any other, and its sender gets nothing.
func TestVolatileEmit(t *testing.T) {
	n := startNode(t, nil)
	sender, member := joinVolatile(t, n, "default", "r"), join(t, n, "default", "r")
	for sent, want := range map[string]string{
		"~;default;r;typing;0;0;x;y":            ";default;r;typing;0;0;x;y",
		"~;default;r;a@%!semicolon@%!b;0;0;":    ";default;r;a@%!semicolon@%!b;0;0;",
		"~;default;;typing;0;0;to all":          ";default;;typing;0;0;to all",
		"~;default;r;typing;0;1;with reports":   ";default;r;typing;0;0;with reports",
		"~;default;r;typing;yes;no;other flags": ";default;r;typing;0;0;other flags",
	} {
		sender.send(sent)
		member.expect(want)
	}
	sender.sendBinary("~;default;r;typing;0;0;\xff")
	member.expectBinary(";default;r;typing;0;0;\xff")
	// None of these is answered, or reaches a member.
	for _, refused := range []string{
		"~;default;other;typing;0;0;x", "~;unknown;r;typing;0;0;x", "~;default;r;typing;1;0;x", "~;default;r;_OnRoomLeave;0;0;",
	} {
		sender.send(refused)
	}
	if got := sender.sync("default"); len(got) > 0 {
		t.Errorf("the sender received %q", got)
	}
	if got := member.sync("default"); len(got) > 0 {
		t.Errorf("the member received %q", got)
	}
	sender.send("~;unknown;r;typing;0;1;reported")
	sender.expect(";unknown;r;typing;1;1;bad namespace")
	if s := n.Stats(); s.Volatile != (node.VolatileStats{}) || s.MessagesIn[0][node.MessageRelayed] != 5 {
		t.Errorf("dropped %+v, relayed %d, want none and 5", s.Volatile, s.MessagesIn[0][node.MessageRelayed])
	}
}

// The mark of a client that has not named volatile emits is the token of an
// ask.
func TestVolatileIsNamed(t *testing.T) {
	n := startNode(t, nil)
	p, member := join(t, n, "default", "r"), join(t, n, "default", "r")
	p.send("~;default;r;typing;0;0;x")
	p.expect("~;default;r;typing;1;0;unhandled event")
	p.send("~;default;r;_OnRoomLeave;0;0;")
	p.expect("~;;;;;;")
	if got := member.sync("default"); len(got) > 0 {
		t.Errorf("the member received %q", got)
	}
}

// drop emits large volatile messages until so many were dropped for members
// that do not keep up, and returns how many there were. The reader receives all
// of them.
func drop(t *testing.T, n *node.Node, sender, reader *peer, count uint64) (sent int) {
	t.Helper()
	start := n.Stats().Volatile.Slow
	eventually(t, "volatile messages are dropped", func() bool {
		sender.send("~" + value("values", sent))
		reader.expect(value("values", sent))
		sent++
		return n.Stats().Volatile.Slow >= start+count
	})
	return sent
}

// A member that does not read misses volatile messages, and nothing else. That
// has no consequence for it or for their sender.
func TestVolatileSlowMember(t *testing.T) {
	n := startNode(t, func(cfg *node.Config) {
		cfg.Namespaces["values"] = node.NamespaceOptions{Relay: node.RelayRooms}
		cfg.Limits.SendQueue = 64 << 10
		cfg.Timeouts.Write, cfg.Timeouts.Close = patience, patience
	})
	sender, reader, slow := joinVolatile(t, n, "values", "r"), join(t, n, "values", "r"), join(t, n, "values", "r")
	sent := drop(t, n, sender, reader, 10)
	// Without the volatile messages this fits into the send queue.
	plain := ";values;r;plain;0;0;" + strings.Repeat("y", 50_000)
	sender.send(plain)
	reader.expect(plain)
	// To the user's and the connection's own messages the same applies.
	for range 20 {
		m := node.Message{Namespace: "values", Event: "own", Body: []byte(strings.Repeat("z", 20_000)), Volatile: true}
		if err := n.EmitTo(context.Background(), slow.id, m); err != nil {
			t.Fatal(err)
		}
	}
	s := n.Stats()
	if s.SendQueueExceeded != 0 || s.SendersPaused != 0 || s.DeliveriesDropped != 0 || len(s.Closes) != 0 {
		t.Errorf("%d queues exceeded, %d senders paused, %d deliveries dropped, closes %v; want none",
			s.SendQueueExceeded, s.SendersPaused, s.DeliveriesDropped, s.Closes)
	}
	if s.Volatile.Congested != 0 {
		t.Errorf("%d volatile messages were not published", s.Volatile.Congested)
	}
	received, last := 0, -1
	for ; ; received++ {
		text, i := string(slow.next().Payload), 0
		if text == plain {
			break
		}
		if _, err := fmt.Sscanf(text, ";values;r;value;0;0;%d ", &i); err != nil || i <= last {
			t.Fatalf("received %.60q after message %d, want a later one or the plain one", text, last)
		}
		last = i
	}
	if received == sent {
		t.Error("the slow member has missed nothing")
	}
	eventually(t, "the send queue is empty", func() bool { return n.Stats().QueueBytes == 0 })
	if own := slow.sync("values"); len(own) > 0 {
		t.Errorf("%d messages for the connection have waited", len(own))
	}
	sender.send("~;values;r;typing;0;0;late")
	slow.expect(";values;r;typing;0;0;late")
	if dropped := int(n.Stats().Volatile.Slow); received+dropped != sent+20 {
		t.Errorf("%d received and %d dropped of %d", received, dropped, sent+20)
	}
}

// A member that takes nothing is closed for the messages that it needs, not for
// volatile ones.
func TestVolatileStall(t *testing.T) {
	t.Parallel()
	n := startNode(t, func(cfg *node.Config) {
		cfg.Namespaces["values"] = node.NamespaceOptions{Relay: node.RelayRooms}
		cfg.Timeouts.Write = 50 * time.Millisecond
		cfg.Limits.SendQueue = -1
	})
	sender, reader, slow := joinVolatile(t, n, "values", "r"), join(t, n, "values", "r"), join(t, n, "values", "r")
	drop(t, n, sender, reader, 10)
	for round := range 3 {
		stalled := join(t, n, "values", "plain")
		other := join(t, n, "values", "plain")
		closes := func() int {
			return int(n.Stats().Closes[node.CloseKey{Code: "slow_consumer", Initiator: node.ByServer}])
		}
		eventually(t, "the member without volatile messages is closed", func() bool {
			other.send(";values;plain;value;0;0;" + strings.Repeat("x", 20_000))
			sender.send("~" + value("values", 0))
			reader.expect(value("values", 0))
			return closes() == round+1
		})
		_ = stalled.conn.Close()
		_ = other.conn.Close()
	}
	sender.send(";values;r;plain;0;0;x")
	for string(slow.next().Payload) != ";values;r;plain;0;0;x" {
	}
}

// Volatile messages of a room with history are not in it, and have no position.
func TestVolatileIsNotKept(t *testing.T) {
	n := startHandling(t, keeping(100), func(n *node.Node) {
		handled := n.Namespace("handled", node.NamespaceOptions{Relay: node.RelayRooms, History: node.HistoryOptions{Messages: 100}})
		handled.OnRelay("upgraded", func(_ context.Context, r *node.RelayRequest) error {
			r.Volatile = !r.Volatile
			return nil
		})
	})
	member, answer := recoverRoom(t, n, "r", ",0,;")
	sender := joinVolatile(t, n, "kept", "r")
	sender.send("~;kept;r;typing;0;0;1")
	member.expect(";kept;r;typing;0;0;1")
	sender.send(";kept;r;say;0;0;kept")
	position := member.expectKept("r", "kept")
	sender.send("~;kept;r;typing;0;0;2")
	member.expect(";kept;r;typing;0;0;2")
	m := node.Message{Namespace: "kept", Room: "r", Event: "typing", Body: []byte("3"), Volatile: true}
	if err := n.Emit(context.Background(), m, node.EmitOptions{}); err != nil {
		t.Fatal(err)
	}
	member.expect(";kept;r;typing;0;0;3")
	sender.expect(";kept;r;typing;0;0;3")
	again, now := recoverRoom(t, n, "r", answer.Position+",0,;")
	if now.Count != 1 || now.Position != position {
		t.Errorf("the join was answered %+v, want 1 message and the position %s", now, position)
	}
	again.expectKept("r", "kept")
	page, err := n.History(context.Background(), "kept", "r", node.HistoryQuery{})
	if err != nil || len(page.Entries) != 1 {
		t.Errorf("the history has %d messages, %v, want 1", len(page.Entries), err)
	}
	// A handler may change it, in both directions.
	other := joinVolatile(t, n, "handled", "r")
	other.send("~;handled;r;upgraded;0;0;kept")
	other.send(";handled;r;upgraded;0;0;volatile")
	listener := join(t, n, "handled", "r")
	other.send(";handled;r;end;0;0;")
	for string(listener.next().Payload) != ";handled;r;end;0;0;" {
	}
	page, err = n.History(context.Background(), "handled", "r", node.HistoryQuery{})
	if err != nil || len(page.Entries) != 2 || string(page.Entries[0].Body) != "kept" {
		t.Errorf("the history is %+v, %v, want the kept message and the end", page.Entries, err)
	}
}

// While the broker is congested, volatile messages are dropped, and their
// senders are read.
func TestVolatileWhileCongested(t *testing.T) {
	n, faulty := slowNode(t, func(cfg *node.Config) {
		cfg.Namespaces["handled"] = node.NamespaceOptions{Relay: node.RelayRooms}
	})
	sender, member := joinVolatile(t, n, "default", "r"), join(t, n, "default", "r")
	sender.send("~;default;r;typing;0;0;0")
	member.expect(";default;r;typing;0;0;0")
	faulty.Congest(0, true)
	for i := range 10 {
		sender.send(fmt.Sprintf("~;default;r;typing;0;1;%d", i))
		if got := sender.sync("default"); len(got) > 0 {
			t.Fatalf("the sender received %q", got)
		}
	}
	m := node.Message{Namespace: "default", Room: "r", Event: "typing", Volatile: true}
	if err := n.Emit(context.Background(), m, node.EmitOptions{}); err != nil {
		t.Errorf("Emit: %v", err)
	}
	if s := n.Stats(); s.Volatile.Congested != 11 || s.Paused != 0 || s.MessagesIn[0][node.MessageDropped] != 10 {
		t.Errorf("%d dropped, %d of clients, %d paused; want 11, 10 and none", s.Volatile.Congested, s.MessagesIn[0][node.MessageDropped], s.Paused)
	}
	faulty.Congest(0, false)
	sender.send("~;default;r;typing;0;0;1")
	member.expect(";default;r;typing;0;0;1")
	if got := member.sync("default"); len(got) > 0 {
		t.Errorf("the member received %q", got)
	}
}

// A client that sends more volatile emits than its share loses them, and does
// not wait.
func TestVolatileShare(t *testing.T) {
	for name, handled := range map[string]bool{"without a handler": false, "with a handler": true} {
		t.Run(name, func(t *testing.T) {
			late := &lateBroker{Memory: cluster.NewMemory(cluster.MemoryConfig{})}
			n := startHandling(t, func(cfg *node.Config) { cfg.Broker = late }, func(n *node.Node) {
				ns := n.Namespace("chat", node.NamespaceOptions{Relay: node.RelayRooms})
				if handled {
					ns.OnAnyRelay(func(context.Context, *node.RelayRequest) error { return nil })
				}
			})
			sender, member := joinVolatile(t, n, "chat", "r"), join(t, n, "chat", "r")
			var flood strings.Builder
			for range 1000 {
				flood.WriteString(frame(ws.OpText, true, "~;chat;r;typing;0;0;x"))
			}
			sender.write(flood.String())
			received, s := 0, node.Stats{}
			eventually(t, "all messages are received or dropped", func() bool {
				sender.sync("chat")
				received += len(member.sync("chat"))
				s = n.Stats()
				return received+int(s.Volatile.Congested) == 1000
			})
			if s.SharesExceeded != 0 || received == 0 || s.Volatile.Congested == 0 {
				t.Errorf("%d pauses, %d received and %d dropped of 1000", s.SharesExceeded, received, s.Volatile.Congested)
			}
			late.release()
		})
	}
}

// The application sees that an emit is volatile, and can send such ones.
func TestVolatileInHandlers(t *testing.T) {
	seen := make(chan bool, 10)
	n := startHandling(t, nil, func(n *node.Node) {
		chat := n.Namespace("chat", node.NamespaceOptions{Relay: node.RelayRooms})
		chat.OnEmit("typing", func(_ context.Context, e *node.EmitEvent) error {
			seen <- e.Volatile
			return e.NSConn.Room(e.Room).EmitVolatileToOthers("typing", e.Body)
		})
		chat.OnRelay("relayed", func(_ context.Context, r *node.RelayRequest) error {
			seen <- r.Volatile
			return nil
		})
	})
	sender, member := joinVolatile(t, n, "chat", "r"), join(t, n, "chat", "r")
	for _, text := range []string{"~;chat;r;typing;0;0;1", ";chat;r;typing;0;0;2", "~;chat;r;relayed;0;0;3", ";chat;r;relayed;0;0;4"} {
		sender.send(text)
		member.expect(strings.TrimPrefix(text, "~"))
	}
	var got []bool
	for range 4 {
		got = append(got, <-seen)
	}
	if want := []bool{true, false, true, false}; !slices.Equal(got, want) {
		t.Errorf("the handlers have seen %v, want %v", got, want)
	}
	m := node.Message{Namespace: "chat", Room: "r", Event: "e", Body: []byte("5"), Volatile: true}
	if err := n.Conn(sender.id).Write(m); err != nil {
		t.Error(err)
	}
	sender.expect(";chat;r;e;0;0;5")
	if err := n.EmitTo(context.Background(), sender.id, m); err != nil {
		t.Error(err)
	}
	sender.expect(";chat;r;e;0;0;5")
	if err := n.Conn(sender.id).Namespace("chat").Room("r").EmitVolatileToOthers("e", []byte("6")); err != nil {
		t.Error(err)
	}
	member.expect(";chat;r;e;0;0;6")
	m.Room = ""
	if err := n.EmitNamespace(context.Background(), m, node.EmitOptions{}); err != nil {
		t.Error(err)
	}
	member.expect(";chat;;e;0;0;5")
}
