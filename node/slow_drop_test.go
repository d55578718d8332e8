package node_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
)

// startDropping serves a node whose namespace "values" drops deliveries for
// slow members.
func startDropping(t *testing.T) *node.Node {
	return startNode(t, func(cfg *node.Config) {
		cfg.Namespaces["values"] = node.NamespaceOptions{Relay: node.RelayRooms | node.RelayNamespace, SlowConsumer: node.SlowDrop}
		cfg.Limits.SendQueue = 128 << 10
		cfg.Timeouts.Write, cfg.Timeouts.Close = patience, patience
	})
}

// value is a large message to the room r.
func value(namespace string, i int) string {
	return fmt.Sprintf(";%s;r;value;0;0;%d %s", namespace, i, strings.Repeat("x", 20_000))
}

// A member that does not read misses deliveries, and gets the answers to its
// asks all the same. When it reads again it receives the next deliveries. The
// other members miss nothing.
func TestSlowDrop(t *testing.T) {
	n := startDropping(t)
	publisher, reader, slow := join(t, n, "values", "r"), join(t, n, "values", "r"), join(t, n, "values", "r")
	sent := 0
	publish := func() {
		text := value("values", sent)
		sent++
		publisher.send(text)
		reader.expect(text)
	}
	eventually(t, "deliveries are dropped", func() bool {
		publish()
		return n.Stats().DeliveriesDropped > 10
	})
	slow.send("$ask;values;;nobody;0;0;")
	slow.send("$leave;values;other;_OnRoomLeave;0;0;")
	publish()
	received, answers := 0, 0
	for answers < 2 {
		f := slow.next()
		var i int
		if _, err := fmt.Sscanf(string(f.Payload), ";values;r;value;0;0;%d ", &i); err == nil {
			if i != received {
				t.Fatalf("got message %d, want %d: only the last ones are dropped", i, received)
			}
			received++
			continue
		}
		if want := []string{"$ask;", "$leave;"}[answers]; !strings.HasPrefix(string(f.Payload), want) {
			t.Fatalf("got %s, want the answer %s", describe(f), want)
		}
		answers++
	}
	if got, dropped := received, int(n.Stats().DeliveriesDropped); got+dropped != sent {
		t.Errorf("%d messages were received and %d dropped of %d", got, dropped, sent)
	}
	eventually(t, "the send queue is empty", func() bool { return n.Stats().QueueBytes == 0 })
	publish()
	slow.expect(value("values", sent-1))
	if s := n.Stats(); s.SendersPaused != 0 || len(s.Closes) != 0 {
		t.Errorf("%d senders paused, closes %v; want none", s.SendersPaused, s.Closes)
	}
}

// The sender of one of several deliveries misses the others only.
func TestSlowDropOfSenders(t *testing.T) {
	n := startDropping(t)
	reader, slow := join(t, n, "values", "r"), join(t, n, "values", "r")
	publisher := join(t, n, "values", "r")
	eventually(t, "deliveries are dropped", func() bool {
		publisher.write(frame(ws.OpText, true, value("values", 0)) + frame(ws.OpText, true, value("values", 1)))
		reader.expect(value("values", 0), value("values", 1))
		return n.Stats().DeliveriesDropped > 0
	})
	before := n.Stats()
	slow.send(";values;;all;0;0;its own") // to the namespace, without a room
	reader.expect(";values;;all;0;0;its own")
	publisher.expect(";values;;all;0;0;its own")
	if s := n.Stats(); s.DeliveriesDropped != before.DeliveriesDropped {
		t.Error("a sender's own message counts as dropped")
	}
}

// A slow member that is in a namespace of each kind is closed for that without
// SlowDrop.
func TestSlowDropAndClose(t *testing.T) {
	t.Parallel()
	n := startDropping(t)
	reader, slow := join(t, n, "values", "r"), join(t, n, "values", "r")
	publisher := join(t, n, "values", "r")
	for _, p := range []*peer{reader, slow, publisher} {
		p.send("$c;default;;_OnNamespaceConnect;0;0;")
		p.expect("$c;;;;;;")
		p.send("$j;default;r;_OnRoomJoin;0;0;")
		p.expect("$j;;;;;;")
	}
	publish := func(namespace string) {
		publisher.send(value(namespace, 0))
		reader.expect(value(namespace, 0))
	}
	eventually(t, "deliveries are dropped", func() bool {
		publish("values")
		return n.Stats().DeliveriesDropped > 0
	})
	if n.Stats().Memberships != 6 {
		t.Fatalf("%d memberships, want 6", n.Stats().Memberships)
	}
	eventually(t, "the slow member is closed", func() bool {
		publish("default")
		return n.Stats().Memberships == 4
	})
	for {
		if f := slow.next(); f.Header.OpCode == ws.OpClose {
			if code, _ := ws.ParseCloseFrameData(f.Payload); code != 4000 {
				t.Errorf("closed with %s, want 4000", describe(f))
			}
			return
		}
	}
}

// The messages for a slow member alone are bounded.
func TestSlowDropOfPrivateMessages(t *testing.T) {
	n := startDropping(t)
	publisher, slow := join(t, n, "values", "r"), join(t, n, "values", "r")
	eventually(t, "deliveries are dropped", func() bool {
		publisher.send(value("values", 0))
		return n.Stats().DeliveriesDropped > 0
	})
	conn := n.Conn(slow.id)
	eventually(t, "the slow member is closed", func() bool {
		_ = conn.Namespace("values").Emit("private", []byte(strings.Repeat("x", 10_000)))
		return n.Stats().Memberships == 2
	})
}

// Options that do not exist are refused.
func TestSlowConsumerIsChecked(t *testing.T) {
	_, err := node.New(node.Config{Namespaces: map[string]node.NamespaceOptions{"n": {SlowConsumer: 2}}})
	if err == nil || !strings.Contains(err.Error(), "SlowConsumer 2") {
		t.Errorf("got %v, want an error that names SlowConsumer", err)
	}
	for policy, want := range map[node.SlowConsumer]string{node.SlowClose: "close", node.SlowDrop: "drop", 7: "unknown"} {
		if got := policy.String(); got != want {
			t.Errorf("policy %d is called %q, want %q", policy, got, want)
		}
	}
}

// A member that knows positions has notice of the kept messages that were
// dropped, between those that it receives: positions alone would not show them.
func TestSlowDropInAHistory(t *testing.T) {
	n := startNode(t, func(cfg *node.Config) {
		cfg.Namespaces["kept"] = node.NamespaceOptions{
			Relay: node.RelayRooms, SlowConsumer: node.SlowDrop, History: node.HistoryOptions{Messages: 100},
		}
		cfg.Limits.SendQueue = 128 << 10
		cfg.Timeouts.Write, cfg.Timeouts.Close = patience, patience
	})
	slow, _ := recoverRoom(t, n, "r", ",0,;")
	sent, text := 0, strings.Repeat("x", 20_000)
	publish := func() {
		say(t, n, "r", fmt.Sprint(sent, " ", text))
		sent++
	}
	eventually(t, "deliveries are dropped", func() bool {
		publish()
		return n.Stats().DeliveriesDropped > 10
	})
	received := 0
	for {
		message := string(slow.next().Payload)
		if message == ";kept;r;_OnHistoryGap;0;0;" {
			break
		}
		if _, body, _ := strings.Cut(message, ";kept;r;say;0;0;"); !strings.HasPrefix(body, fmt.Sprint(received, " ")) {
			t.Fatalf("got %.60q, want message %d, or notice", message, received)
		}
		received++
	}
	if dropped := int(n.Stats().DeliveriesDropped); received+dropped != sent {
		t.Errorf("notice after %d messages; %d were dropped of %d", received, dropped, sent)
	}
	eventually(t, "the send queue is empty", func() bool { return n.Stats().QueueBytes == 0 })
	say(t, n, "r", "after")
	slow.expectKept("r", "after")
}
