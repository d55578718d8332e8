package node_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/node"
)

// valued declares the namespace "kept", whose rooms hold values by symbol.
func valued(change func(*node.HistoryOptions)) func(*node.Config) {
	return func(c *node.Config) {
		o := node.HistoryOptions{Messages: 2, LatestBy: "symbol"}
		if change != nil {
			change(&o)
		}
		c.Namespaces["kept"] = node.NamespaceOptions{Relay: node.RelayRooms, History: o}
	}
}

func price(symbol string, value int) string {
	return fmt.Sprintf(`{"symbol":%q,"price":%d}`, symbol, value)
}

// A client that joins first receives the newest message of each key, in the
// order of the room; others see no difference.
func TestHistoryLatestBy(t *testing.T) {
	n := startNode(t, valued(nil))
	a, b, c := price("a", 1), price("b", 2), price("c", 3)
	say(t, n, "r", a, price("b", 1), "no JSON", b, c, `{"symbol":["c"]}`, `{"other":"c"}`)
	state := func(bodies ...string) (texts []string) {
		for _, body := range bodies {
			texts = append(texts, ";kept;r;say;0;0;"+body)
		}
		return texts
	}
	plain := join(t, n, "kept", "r")
	plain.expect(state(a, b, c)...)
	p, answer := recoverRoom(t, n, "r", ",0,;")
	if answer.Recovered || answer.Count != 3 {
		t.Errorf("the first join was answered %+v, want 3 messages", answer)
	}
	p.expectKept("r", a, b, c)

	// The messages of clients count, too. The sender's own are not its values.
	a = price("a", 4)
	plain.send(";kept;r;say;0;0;" + a)
	at := p.expectKept("r", a)
	join(t, n, "kept", "r").expect(state(b, c, a)...)

	// A client with a position receives those after it, if they are there.
	q, answer := recoverRoom(t, n, "r", at+",0,;")
	if !answer.Recovered || answer.Count != 0 {
		t.Errorf("a rejoin was answered %+v, want recovery of no message", answer)
	}
	say(t, n, "r", "new")
	q.expectKept("r", "new")
	q, answer = recoverRoom(t, n, "r", "AAAAAAAAAAAB,0,;")
	if answer.Recovered || answer.Count != 3 {
		t.Errorf("a rejoin at an unknown position was answered %+v, want no recovery, and 3 messages", answer)
	}
	q.expectKept("r", b, c, a)
	_, answer = recoverRoom(t, n, "r", "AAAAAAAAAAAB,0,"+plain.id+";")
	if answer.Recovered || answer.Count != 2 {
		t.Errorf("a rejoin without the client's own messages was answered %+v, want no recovery, and 2 messages", answer)
	}

	// Removed messages are no values.
	if removed, err := n.RemoveFromHistory(context.Background(), "kept", "r", node.Position(at)); !removed || err != nil {
		t.Errorf("removing a value: %v, %v, want true, nil", removed, err)
	}
	join(t, n, "kept", "r").expect(state(b, c)...)
	if err := n.ClearHistory(context.Background(), "kept", "r"); err != nil {
		t.Fatal(err)
	}
	say(t, n, "r", b)
	join(t, n, "kept", "r").expect(state(b)...)
}

// A message that is published once is a value, too; a copy of it is none.
func TestHistoryLatestOfPublish(t *testing.T) {
	n := startNode(t, valued(nil))
	publish := func(id, body string) {
		m := node.Message{Namespace: "kept", Room: "r", Event: "say", Body: []byte(body)}
		if _, err := n.Publish(context.Background(), m, node.PublishOptions{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	publish("1", price("a", 1))
	publish("2", price("a", 2))
	publish("1", price("a", 1))
	p := join(t, n, "kept", "r")
	p.expect(";kept;r;say;0;0;" + price("a", 2))
	p.send("$p;kept;r;_OnRoomPublish;0;0;3,say;" + price("a", 3))
	if answer := string(p.next().Payload); !strings.HasPrefix(answer, "$p;kept;r;_OnRoomPublish;0;0;") {
		t.Fatalf("the confirmed emit was answered %q", answer)
	}
	join(t, n, "kept", "r").expect(";kept;r;say;0;0;" + price("a", 3))
}

// With OnJoin the newest messages follow those of the keys, none twice.
func TestHistoryLatestByAndOnJoin(t *testing.T) {
	n := startNode(t, valued(func(o *node.HistoryOptions) { o.OnJoin, o.LatestKeys = 2, 2 }))
	say(t, n, "r", price("a", 1), price("b", 2), price("c", 3), "no JSON")
	join(t, n, "kept", "r").expect(
		";kept;r;say;0;0;"+price("b", 2), ";kept;r;say;0;0;"+price("c", 3), ";kept;r;say;0;0;no JSON")
}

// The values take at most half of the send queue; the oldest stay out.
func TestHistoryLatestByFits(t *testing.T) {
	const queue, size = 20_000, 1000
	n := startNode(t, func(c *node.Config) {
		valued(nil)(c)
		c.Limits.SendQueue = queue
	})
	for i := range 30 {
		say(t, n, "r", fmt.Sprintf(`{"symbol":%d,"text":%q}`, i, strings.Repeat("x", size)))
	}
	p, answer := recoverRoom(t, n, "r", ",0,;")
	if answer.Recovered || answer.Count == 0 || answer.Count > queue/2/size {
		t.Errorf("the join was answered %+v, want up to %d messages", answer, queue/2/size)
	}
	for i := range answer.Count {
		if _, body := p.receiveKept("r"); !strings.Contains(body, fmt.Sprintf(`"symbol":%d,`, 30-answer.Count+i)) {
			t.Errorf("message %d of %d is %.20q", i, answer.Count, body)
		}
	}
}

func TestHistoryLatestOptions(t *testing.T) {
	for want, o := range map[string]node.HistoryOptions{
		"LatestBy":                {Messages: 1, LatestBy: strings.Repeat("x", node.MaxHistoryLatestBy+1)},
		"LatestBy: want a text":   {Messages: 1, LatestBy: "\xff"},
		"LatestKeys -1":           {Messages: 1, LatestBy: "a", LatestKeys: -1},
		"LatestKeys 10001":        {Messages: 1, LatestBy: "a", LatestKeys: node.MaxHistoryLatestKeys + 1},
		"LatestKeys has no":       {Messages: 1, LatestKeys: 5},
		"History has no Messages": {LatestBy: "a"},
	} {
		config := node.Config{Namespaces: map[string]node.NamespaceOptions{"a": {History: o}}}
		if _, err := node.New(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New with %+v = %v, want an error with %q", o, err, want)
		}
	}
}
