package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// keeping declares the namespace "kept", whose rooms keep so many messages.
func keeping(messages int) func(*node.Config) {
	return func(c *node.Config) {
		c.Namespaces["kept"] = node.NamespaceOptions{
			Relay: node.RelayRooms, History: node.HistoryOptions{Messages: messages},
		}
	}
}

// recoverRoom dials as a client that understands positions, and joins a room
// with these parameters. It returns the answer.
func recoverRoom(tb testing.TB, n *node.Node, room, parameters string) (*peer, wire.RecoveryAnswer) {
	tb.Helper()
	p := upgrade(tb, n)
	p.send("M positions")
	ack := string(p.next().Payload)
	id, named := strings.CutSuffix(ack, " positions")
	if !named {
		tb.Fatalf("hello was answered %q, want an acknowledgement that names positions", ack)
	}
	p.id = id[1:]
	p.send("$c;kept;;_OnNamespaceConnect;0;0;")
	p.expect("$c;;;;;;")
	p.send("$r;kept;" + room + ";_OnRoomRecover;0;0;" + parameters)
	m, err := wire.Parse(p.next().Payload, false)
	if err != nil || string(m.Token) != "$r" || m.Error {
		tb.Fatalf("the join was answered %+v, %v, want success", m, err)
	}
	answer, rest, ok := wire.ParseRecoveryAnswer(m.Body)
	if !ok || len(rest) > 0 {
		tb.Fatalf("the join was answered with the body %q", m.Body)
	}
	return p, answer
}

// receiveKept reads an emit with a position, and returns it and the body.
func (p *peer) receiveKept(room string) (position, body string) {
	p.tb.Helper()
	text := string(p.next().Payload)
	head, body, found := strings.Cut(text, ";kept;"+room+";say;0;0;")
	if !found || !strings.HasPrefix(head, "@") {
		p.tb.Fatalf("got %q, want an emit with a position", text)
	}
	return head[1:], body
}

func say(tb testing.TB, n *node.Node, room string, bodies ...string) {
	tb.Helper()
	for _, body := range bodies {
		m := node.Message{Namespace: "kept", Room: room, Event: "say", Body: []byte(body)}
		if err := n.Emit(context.Background(), m, node.EmitOptions{}); err != nil {
			tb.Fatal(err)
		}
	}
}

// expectKept reads emits with these bodies, and returns the last position.
func (p *peer) expectKept(room string, bodies ...string) (position string) {
	p.tb.Helper()
	for _, want := range bodies {
		var body string
		if position, body = p.receiveKept(room); body != want {
			p.tb.Fatalf("got %q, want %q", body, want)
		}
	}
	return position
}

// A client that comes back gets exactly the messages that it has missed, before
// anything new.
func TestRecovery(t *testing.T) {
	n := startNode(t, keeping(100))
	p, answer := recoverRoom(t, n, "r", ",0,;")
	if answer.Recovered || answer.Position == "" || answer.Count != 0 {
		t.Fatalf("the first join was answered %+v, want a position and nothing else", answer)
	}
	start := answer.Position
	say(t, n, "r", "one", "two")
	last := p.expectKept("r", "one", "two")
	plain := join(t, n, "kept", "r")
	say(t, n, "r", "three", "four")
	p.expectKept("r", "three", "four")
	plain.expect(";kept;r;say;0;0;three", ";kept;r;say;0;0;four") // others see no difference

	q, answer := recoverRoom(t, n, "r", last+",0,;")
	if !answer.Recovered || answer.Count != 2 {
		t.Errorf("a rejoin was answered %+v, want recovery of 2", answer)
	}
	say(t, n, "r", "five")
	if got := q.expectKept("r", "three", "four", "five"); got == answer.Position {
		t.Errorf("the position of the answer is that of a later message")
	}
	_, answer = recoverRoom(t, n, "r", start+",0,;")
	if !answer.Recovered || answer.Count != 5 {
		t.Errorf("a rejoin from the beginning was answered %+v, want recovery of 5", answer)
	}
	_, answer = recoverRoom(t, n, "r", ",3,;")
	if answer.Recovered || answer.Count != 3 {
		t.Errorf("a join that wants 3 was answered %+v, want 3, not recovered", answer)
	}
	if stats := n.Stats().History; stats.Recovered != 2 || stats.Rooms != 1 || stats.Bytes == 0 {
		t.Errorf("stats are %+v, want 2 recovered clients in 1 room", stats)
	}
}

// A client that has missed more than the history has learns that.
func TestNotRecovered(t *testing.T) {
	n := startNode(t, keeping(3))
	p, _ := recoverRoom(t, n, "r", ",0,;")
	say(t, n, "r", "one")
	position := p.expectKept("r", "one")
	say(t, n, "r", "two", "three", "four", "five")
	for parameters, count := range map[string]int{
		position + ",0,;":                   0,
		position + ",2,;":                   2,
		position + ",999999999,;":           3,
		"AAAAAAAAAAAB,0,;":                  0, // forged
		"________________________,1,;":      1,
		"AAAAAAAAAACAgICAgICAgIAB,0,;":      0, // a start position of another life
		strings.Repeat("x", 24) + ",1000,;": 3,
	} {
		if _, answer := recoverRoom(t, n, "r", parameters); answer.Recovered || answer.Count != count {
			t.Errorf("%q was answered %+v, want %d messages, not recovered", parameters, answer, count)
		}
	}
}

// Malformed parameters are refused, and the connection stays.
func TestInvalidRecovery(t *testing.T) {
	n := startNode(t, keeping(3))
	p, _ := recoverRoom(t, n, "r", ",0,;")
	for _, body := range []string{"", ";", ",;", ",x,;", "po si,0,;", strings.Repeat("x", 25) + ",0,;", ",-1,;", ",1234567890,;"} {
		p.send("$x;kept;other;_OnRoomRecover;0;0;" + body)
		p.expect("$x;kept;other;_OnRoomRecover;1;0;" + wire.ErrInvalidPayload.Error())
	}
}

// A sender never gets its own messages, also not after it has come back.
func TestRecoveryWithoutOwn(t *testing.T) {
	n := startNode(t, keeping(10))
	p, answer := recoverRoom(t, n, "r", ",0,;")
	other := join(t, n, "kept", "r")
	p.send(";kept;r;say;0;0;mine")
	other.expect(";kept;r;say;0;0;mine")
	other.send(";kept;r;say;0;0;yours")
	p.expectKept("r", "yours")
	q, answer := recoverRoom(t, n, "r", answer.Position+",0,"+p.id+";")
	if !answer.Recovered || answer.Count != 1 {
		t.Errorf("a rejoin was answered %+v, want recovery of 1", answer)
	}
	q.expectKept("r", "yours")
}

// The history of a room can be read, by members with and without positions, and
// by the application.
func TestReadHistory(t *testing.T) {
	n := startNode(t, keeping(10))
	p, q := join(t, n, "kept", "r"), join(t, n, "kept", "r")
	say(t, n, "r", "one", "two;\"")
	p.expect(";kept;r;say;0;0;one", ";kept;r;say;0;0;two;\"")
	q.expect(";kept;r;say;0;0;one", ";kept;r;say;0;0;two;\"")
	q.sendBinary(";kept;r;raw;0;0;\xff\x00")
	if f := p.next(); string(f.Payload) != ";kept;r;raw;0;0;\xff\x00" {
		t.Fatalf("got %s", describe(f))
	}
	read := func(query string) (page wire.HistoryPage) {
		t.Helper()
		p.send("$h;kept;r;_OnHistory;0;0;" + query)
		m, err := wire.Parse(p.next().Payload, false)
		if err != nil || m.Error || json.Unmarshal(m.Body, &page) != nil {
			t.Fatalf("%s was answered %q", query, m.Body)
		}
		return page
	}
	all := read("")
	if len(all.Entries) != 3 || all.More || !all.Found || all.Entries[1].Body != "two;\"" ||
		string(all.Entries[2].Binary) != "\xff\x00" || all.Entries[2].Event != "raw" {
		t.Fatalf("the history is %+v", all)
	}
	if age := time.Since(time.UnixMilli(all.Entries[0].Time)); age < -time.Minute || age > time.Hour {
		t.Errorf("a message of this moment is %v old", age)
	}
	if page := read(`{"limit":1}`); len(page.Entries) != 1 || !page.More || page.Entries[0].Event != "raw" {
		t.Errorf("the newest is %+v", page)
	}
	if page := read(`{"limit":1,"oldest":true,"after":"` + all.Entries[0].Position + `"}`); len(page.Entries) != 1 ||
		page.Entries[0].Body != "two;\"" || !page.More || !page.Found {
		t.Errorf("the second is %+v", page)
	}
	for query, want := range map[string]error{
		`[]`: wire.ErrInvalidPayload, `{"limit":-1}`: wire.ErrInvalidPayload, `{"before":"?"}`: wire.ErrInvalidPayload,
		`{"limit":1e9999}`: wire.ErrInvalidPayload, `{"before":"A"}`: wire.ErrInvalidPayload,
	} {
		p.send("$e;kept;r;_OnHistory;0;0;" + query)
		p.expect("$e;kept;r;_OnHistory;1;0;" + want.Error())
	}
	p.send("$e;kept;elsewhere;_OnHistory;0;0;")
	p.expect("$e;kept;elsewhere;_OnHistory;1;0;" + wire.ErrBadRoom.Error())

	page, err := n.History(context.Background(), "kept", "r", node.HistoryQuery{Before: node.Position(all.Entries[2].Position)})
	if err != nil || len(page.Entries) != 2 || string(page.Entries[0].Body) != "one" || page.Entries[0].Room != "r" {
		t.Errorf("the application reads %+v, %v", page, err)
	}
	if _, err := n.History(context.Background(), "default", "r", node.HistoryQuery{}); !errors.Is(err, node.ErrNoHistory) {
		t.Errorf("a namespace without history: %v, want ErrNoHistory", err)
	}
	if _, err := n.History(context.Background(), "kept", "r", node.HistoryQuery{After: "?"}); !errors.Is(err, node.ErrPosition) {
		t.Errorf("an invalid position: %v, want ErrPosition", err)
	}
}

// While a burst passes, clients come and go: each gets the missing messages,
// and each once, in order.
func TestRecoveryDuringBurst(t *testing.T) {
	n := startNode(t, func(c *node.Config) { keeping(10_000)(c); c.Loops = 2 })
	const messages = 2000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range messages {
			m := node.Message{Namespace: "kept", Room: "r", Event: "say", Body: fmt.Append(nil, i)}
			if err := n.Emit(context.Background(), m, node.EmitOptions{}); err != nil {
				t.Error(err)
			}
		}
	}()
	position, next := "", 0
	for next < messages {
		p, answer := recoverRoom(t, n, "r", position+",100000,;")
		if position != "" && !answer.Recovered {
			t.Fatalf("not recovered after %d messages", next)
		}
		if position == "" {
			position = answer.Position
		}
		for i := range answer.Count + 10 {
			if next == messages {
				break
			}
			got, body := p.receiveKept("r")
			if body != fmt.Sprint(next) {
				t.Fatalf("message %d of %+v is %s, want %d", i, answer, body, next)
			}
			position, next = got, next+1
		}
		_ = p.conn.Close()
	}
	<-done
}

// A room whose newest message everyone knows first, also clients that know
// nothing of positions.
func TestHistoryOnJoin(t *testing.T) {
	n := startNode(t, func(c *node.Config) {
		c.Namespaces["kept"] = node.NamespaceOptions{
			Relay: node.RelayRooms, History: node.HistoryOptions{Messages: 2, OnJoin: 1},
		}
	})
	join(t, n, "kept", "r")
	say(t, n, "r", "one", "two")
	p := join(t, n, "kept", "r")
	p.expect(";kept;r;say;0;0;two")
	q, answer := recoverRoom(t, n, "r", ",0,;")
	if answer.Count != 1 || answer.Recovered {
		t.Errorf("the join was answered %+v, want 1 message", answer)
	}
	position := q.expectKept("r", "two")
	if _, answer = recoverRoom(t, n, "r", "AAAAAAAAAAAB,0,;"); answer.Count != 0 || answer.Recovered {
		t.Errorf("the join at an unknown position was answered %+v, want no message", answer)
	}
	if _, answer = recoverRoom(t, n, "r", position+",0,;"); answer.Count != 0 || !answer.Recovered {
		t.Errorf("the rejoin was answered %+v, want no message", answer)
	}
}

// The members that understand it receive notice when a message is removed.
func TestRemoveFromHistory(t *testing.T) {
	n, ctx := startNode(t, keeping(10)), context.Background()
	p, _ := recoverRoom(t, n, "r", ",0,;")
	plain := join(t, n, "kept", "r")
	say(t, n, "r", "one", "two", "three")
	first := p.expectKept("r", "one")
	second := p.expectKept("r", "two")
	p.expectKept("r", "three")
	if removed, err := n.RemoveFromHistory(ctx, "kept", "r", node.Position(second)); !removed || err != nil {
		t.Fatalf("removing a message: %v, %v, want true, nil", removed, err)
	}
	p.expect(";kept;r;_OnHistoryRemoved;0;0;" + second)
	if removed, err := n.RemoveFromHistory(ctx, "kept", "r", node.Position(second)); removed || err != nil {
		t.Errorf("removing it again: %v, %v, want false, nil", removed, err)
	}
	q, answer := recoverRoom(t, n, "r", first+",0,;")
	if !answer.Recovered || answer.Count != 1 {
		t.Errorf("a rejoin was answered %+v, want recovery of 1", answer)
	}
	q.expectKept("r", "three")
	if _, answer := recoverRoom(t, n, "r", second+",0,;"); answer.Recovered {
		t.Errorf("a rejoin with the removed position was answered %+v, want no recovery", answer)
	}
	if err := n.ClearHistory(ctx, "kept", "r"); err != nil {
		t.Fatal(err)
	}
	p.expect(";kept;r;_OnHistoryRemoved;0;0;")
	if page, err := n.History(ctx, "kept", "r", node.HistoryQuery{}); err != nil || len(page.Entries) > 0 {
		t.Errorf("the history is %+v, %v, want an empty one", page, err)
	}
	if _, answer := recoverRoom(t, n, "r", ",10,;"); answer.Count != 0 {
		t.Errorf("a join was answered %+v, want no message", answer)
	}
	say(t, n, "r", "four")
	plain.expect(";kept;r;say;0;0;one", ";kept;r;say;0;0;two", ";kept;r;say;0;0;three", ";kept;r;say;0;0;four")
	for _, position := range []node.Position{"", "?"} {
		if _, err := n.RemoveFromHistory(ctx, "kept", "r", position); !errors.Is(err, node.ErrPosition) {
			t.Errorf("position %q: %v, want ErrPosition", position, err)
		}
	}
}
