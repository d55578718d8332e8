package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// startScript plays one script per connection: ">" precedes what the client
// must send, "<" what the server sends. The connection is closed at the end of
// the script; that of the last one stays open.
func startScript(tb testing.TB, scripts ...[]string) string {
	tb.Helper()
	return startServer(tb, func(number int, p *peer) {
		if number >= len(scripts) {
			tb.Errorf("connection %d has no script", number)
			return
		}
		for _, line := range scripts[number] {
			if text, sent := strings.CutPrefix(line, "<"); sent {
				p.send(text)
				continue
			}
			switch text := p.text(); text {
			case line[1:]:
			case "":
				return
			default:
				tb.Errorf("connection %d: the client sent %q, want %q", number, text, line[1:])
				return
			}
		}
		if number == len(scripts)-1 {
			p.drain()
		}
	})
}

// reports collects what the handlers of a namespace are called with.
type reports chan string

func (r reports) namespace() *client.Namespace {
	return declare(func(ns *client.Namespace) {
		ns.OnAnyEmit(func(_ context.Context, e *client.EmitEvent) error {
			room := e.NSConn.Room(e.Room)
			if room == nil {
				r <- fmt.Sprintf("%s at %q", e.Body, e.Position)
				return nil
			}
			r <- fmt.Sprintf("%s at %q, room at %q", e.Body, e.Position, room.Position())
			return nil
		})
		ns.OnHistoryGap(func(_ context.Context, e *client.HistoryGapEvent) {
			r <- fmt.Sprintf("gap in %s at %q", e.Room.Name(), e.Position)
		})
		ns.OnHistoryRemoved(func(_ context.Context, e *client.HistoryRemovedEvent) {
			r <- fmt.Sprintf("%q removed from %s", e.Position, e.Room.Name())
		})
	})
}

func (r reports) expect(tb testing.TB, want ...string) {
	tb.Helper()
	var got []string
	for range want {
		got = append(got, receive(tb, "a call of a handler", r))
	}
	if !slices.Equal(got, want) {
		tb.Errorf("handlers were called with\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// enter connects and joins with options.
func enter(tb testing.TB, url string, r reports, o client.JoinOptions) (*client.Room, states) {
	tb.Helper()
	states := newStates()
	conn := dial(tb, url, client.Options{OnState: states.hear, Namespaces: map[string]*client.Namespace{"a": r.namespace()}})
	ns, err := conn.Connect(background(tb), "a")
	if err != nil {
		tb.Fatal(err)
	}
	room, err := ns.JoinRoomWith(background(tb), "r", o)
	if err != nil {
		tb.Fatal(err)
	}
	return room, states
}

func opening(id string) []string {
	return []string{">M positions volatile", "<A" + id + " positions", ">$1;a;;_OnNamespaceConnect;0;0;", "<$1;;;;;;"}
}

func TestJoinWithHistory(t *testing.T) {
	heard := make(reports, 100)
	room, _ := enter(t, startScript(t, append(opening("id0"),
		">$2;a;r;_OnRoomRecover;0;0;,50,;hi;", "<$2;a;r;_OnRoomJoin;0;0;0,p2,2;hello;",
		"<@p1;a;r;e;0;0;one", "<@p2;a;r;e;0;0;two", "<;a;r;e;0;0;volatile", "<@p3;a;r;e;0;0;three",
	)), heard, client.JoinOptions{History: 50, Body: []byte("hi;")})
	heard.expect(t, `one at "p1", room at "p1"`, `two at "p2", room at "p2"`, `volatile at "", room at "p2"`, `three at "p3", room at "p3"`)
	if room.Recovered() || string(room.Reply()) != "hello;" {
		t.Errorf("recovered %v, reply %q, want false and hello;", room.Recovered(), room.Reply())
	}
	if got := room.NSConn().Conn().ID(); got != "id0" {
		t.Errorf("the ID is %q, want id0", got)
	}
}

func TestJoinAtAPosition(t *testing.T) {
	for name, test := range map[string]struct {
		answer    string
		recovered bool
		position  string
	}{
		"recovered":     {"1,p9,0;", true, "p9"},
		"not recovered": {"0,p9,0;", false, "p9"},
		"no history":    {"0,,0;", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			heard := make(reports, 100)
			room, _ := enter(t, startScript(t, append(opening("id0"),
				">$2;a;r;_OnRoomRecover;0;0;p1,0,;", "<$2;a;r;_OnRoomJoin;0;0;"+test.answer, "<;a;r;e;0;0;new",
			)), heard, client.JoinOptions{Position: "p1"})
			if room.Recovered() != test.recovered || room.Position() != test.position {
				t.Errorf("recovered %v, position %q, want %v and %q", room.Recovered(), room.Position(), test.recovered, test.position)
			}
			// The result of the join says it; the handler is for later gaps.
			heard.expect(t, fmt.Sprintf(`new at "", room at %q`, test.position))
		})
	}
}

func TestServerWithoutHistory(t *testing.T) {
	heard := make(reports, 100)
	room, _ := enter(t, startScript(t, []string{
		">M positions volatile", "<Aid0", ">$1;a;;_OnNamespaceConnect;0;0;", "<$1;;;;;;",
		">$2;a;r;_OnRoomJoin;0;0;hi", "<$2;;;;;;",
	}), heard, client.JoinOptions{Position: "p1", History: 5, Body: []byte("hi")})
	if room.Recovered() || room.Position() != "" {
		t.Errorf("recovered %v, position %q, want none", room.Recovered(), room.Position())
	}
}

func TestJoinOptionsAreChecked(t *testing.T) {
	heard := make(reports, 1)
	room, _ := enter(t, startScript(t, append(opening("id0"), ">$2;a;r;_OnRoomRecover;0;0;,0,;", "<$2;a;r;_OnRoomJoin;0;0;0,,0;")), heard, client.JoinOptions{})
	for _, o := range []client.JoinOptions{{History: -1}, {Position: "no position"}, {Position: strings.Repeat("p", 25)}} {
		if _, err := room.NSConn().JoinRoomWith(background(t), "s", o); !errors.Is(err, client.ErrOptions) {
			t.Errorf("%+v: %v, want %v", o, err, client.ErrOptions)
		}
	}
}

// The handler for joins runs before the messages that follow, and knows whether
// they are all. JoinRoomWith may return in between.
func TestJoinedBeforeTheMessages(t *testing.T) {
	for answer, recovered := range map[string]bool{"1,p3,2;": true, "0,p3,2;": false} {
		heard := make(reports, 100)
		declared := heard.namespace()
		declared.OnJoined(func(_ context.Context, e *client.JoinedEvent) {
			heard <- fmt.Sprintf("joined %s, recovered %v", e.Room.Name(), e.Room.Recovered())
		})
		conn := dial(t, startScript(t, append(opening("id0"), ">$2;a;r;_OnRoomRecover;0;0;p1,0,;",
			"<$2;a;r;_OnRoomJoin;0;0;"+answer, "<@p2;a;r;e;0;0;two", "<@p3;a;r;e;0;0;three")),
			client.Options{Namespaces: map[string]*client.Namespace{"a": declared}})
		ns, err := conn.Connect(background(t), "a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ns.JoinRoomWith(background(t), "r", client.JoinOptions{Position: "p1"}); err != nil {
			t.Fatal(err)
		}
		heard.expect(t, fmt.Sprintf("joined r, recovered %v", recovered), `two at "p2", room at "p2"`, `three at "p3", room at "p3"`)
	}
}

// The messages that a client has missed arrive before new ones, none twice.
func TestRecoversAfterAReconnect(t *testing.T) {
	heard := make(reports, 100)
	room, states := enter(t, startScript(t,
		append(opening("id0"), ">$2;a;r;_OnRoomRecover;0;0;,1,;hi", "<$2;a;r;_OnRoomJoin;0;0;0,p1,1;",
			"<@p1;a;r;e;0;0;one", "<@p2;a;r;e;0;0;two"),
		// Cut off in the middle of the recovery.
		append(opening("id1"), ">$2;a;r;_OnRoomRecover;0;0;p2,0,id0;hi", "<$2;a;r;_OnRoomJoin;0;0;1,p5,2;", "<@p3;a;r;e;0;0;three"),
		append(opening("id2"), ">$2;a;r;_OnRoomRecover;0;0;p3,0,id0;hi", "<$2;a;r;_OnRoomJoin;0;0;1,p5,1;again", "<@p4;a;r;e;0;0;four"),
		// The last one, p5, was of this client.
		append(opening("id3"), ">$2;a;r;_OnRoomRecover;0;0;p5,0,id2;hi", "<$2;a;r;_OnRoomJoin;0;0;1,p5,0;", "<@p6;a;r;e;0;0;six"),
	), heard, client.JoinOptions{History: 1, Body: []byte("hi")})
	heard.expect(t, `one at "p1", room at "p1"`, `two at "p2", room at "p2"`, `three at "p3", room at "p3"`,
		`four at "p4", room at "p5"`, `six at "p6", room at "p6"`)
	for range 4 {
		states.await(t, client.StateConnected)
	}
	if !room.Recovered() || room.Position() != "p6" {
		t.Errorf("recovered %v, position %q, want true and p6", room.Recovered(), room.Position())
	}
}

func TestGapAfterAReconnect(t *testing.T) {
	first := append(opening("id0"), ">$2;a;r;_OnRoomRecover;0;0;,0,;", "<$2;a;r;_OnRoomJoin;0;0;0,p1,0;", "<@p2;a;r;e;0;0;one")
	for name, test := range map[string]struct {
		second []string
		want   []string
	}{
		"not recovered": {append(opening("id1"), ">$2;a;r;_OnRoomRecover;0;0;p2,0,id0;", "<$2;a;r;_OnRoomJoin;0;0;0,p8,0;", "<@p9;a;r;e;0;0;nine"),
			[]string{`gap in r at "p8"`, `nine at "p9", room at "p9"`}},
		"history switched off": {append(opening("id1"), ">$2;a;r;_OnRoomRecover;0;0;p2,0,id0;", "<$2;a;r;_OnRoomJoin;0;0;0,,0;", "<;a;r;e;0;0;nine"),
			[]string{`gap in r at ""`, `nine at "", room at ""`}},
		"another server": {[]string{">M positions volatile", "<Aid1", ">$1;a;;_OnNamespaceConnect;0;0;", "<$1;;;;;;", ">$2;a;r;_OnRoomJoin;0;0;", "<$2;;;;;;", "<;a;r;e;0;0;nine"},
			[]string{`gap in r at ""`, `nine at "", room at ""`}},
		"joined by the server": {[]string{">M positions volatile", "<Aid1 positions", ">$1;a;;_OnNamespaceConnect;0;0;", "<1;a;;_OnNamespaceConnect;0;0;", ">1;;;;;;",
			"<2;a;r;_OnRoomJoin;0;0;", ">2;;;;;;", "<@p9;a;r;e;0;0;nine", "<$1;;;;;;"},
			[]string{`gap in r at ""`, `nine at "p9", room at "p9"`}},
	} {
		t.Run(name, func(t *testing.T) {
			heard := make(reports, 100)
			room, states := enter(t, startScript(t, first, test.second), heard, client.JoinOptions{})
			heard.expect(t, `one at "p2", room at "p2"`)
			heard.expect(t, test.want...)
			states.await(t, client.StateReconnecting)
			states.await(t, client.StateConnected)
			if room.Recovered() || len(heard) > 0 {
				t.Errorf("recovered %v, %d further calls, want neither", room.Recovered(), len(heard))
			}
		})
	}
}

func TestHistoryNotices(t *testing.T) {
	heard := make(reports, 100)
	enter(t, startScript(t, append(opening("id0"), ">$2;a;r;_OnRoomRecover;0;0;,0,;", "<$2;a;r;_OnRoomJoin;0;0;0,p1,0;",
		"<;a;r;_OnHistoryGap;0;0;p4", "<;a;r;_OnHistoryGap;0;0;", "<;a;s;_OnHistoryGap;0;0;", "<;a;r;_OnHistoryRemoved;0;0;p1", "<;a;r;_OnHistoryRemoved;0;0;",
	)), heard, client.JoinOptions{})
	heard.expect(t, `gap in r at "p4"`, `gap in r at ""`, `"p1" removed from r`, `"" removed from r`)
}

// Room.Position follows the handlers: a program that keeps it must not lose the
// messages that are queued for them.
func TestPositionFollowsTheHandlers(t *testing.T) {
	queued, proceed := make(chan string, 10), make(chan struct{})
	states := newStates()
	options := client.Options{OnState: states.hear}
	options.Namespaces = map[string]*client.Namespace{"a": declare(func(ns *client.Namespace) {
		ns.OnEmit("e", func(_ context.Context, e *client.EmitEvent) error {
			queued <- e.NSConn.Room("r").Position()
			<-proceed
			return nil
		})
	})}
	conn := dial(t, startScript(t,
		append(opening("id0"), ">$2;a;r;_OnRoomRecover;0;0;,0,;", "<$2;a;r;_OnRoomJoin;0;0;0,p1,0;", "<@p2;a;r;e;0;0;", "<@p3;a;r;e;0;0;", "<@p4;a;r;other;0;0;"),
		append(opening("id1"), ">$2;a;r;_OnRoomRecover;0;0;p4,0,id0;", "<$2;a;r;_OnRoomJoin;0;0;1,p4,0;")), options)
	ns, err := conn.Connect(background(t), "a")
	if err != nil {
		t.Fatal(err)
	}
	room, err := ns.JoinRoom(background(t), "r")
	if err != nil {
		t.Fatal(err)
	}
	if got := receive(t, "the first message", queued); got != "p2" {
		t.Errorf("the position in the handler is %q, want p2", got)
	}
	eventually(t, "the second connection", func() bool { return conn.ID() == "id1" && conn.State() == client.StateConnected })
	if got := room.Position(); got != "p2" {
		t.Errorf("the position is %q, want p2 until the handlers have the other messages", got)
	}
	close(proceed)
	if got := receive(t, "the second message", queued); got != "p3" {
		t.Errorf("the position in the second handler is %q, want p3", got)
	}
	eventually(t, "the position after all messages", func() bool { return room.Position() == "p4" })
}

func TestReadHistory(t *testing.T) {
	heard := make(reports, 100)
	const entries = `{"position":"p1","time":1700000000123,"event":"e","body":"one","user":"u"},{"position":"p2","time":1,"event":"f","binary":"AP8="},{"position":"p3","time":1,"event":"f","binary":""},{"position":"p4","time":1,"event":"g"}`
	room, _ := enter(t, startScript(t, append(opening("id0"), ">$2;a;r;_OnRoomRecover;0;0;,0,;", "<$2;a;r;_OnRoomJoin;0;0;0,p1,0;",
		`>$3;a;r;_OnHistory;0;0;{"limit":4,"before":"p5","oldest":true}`, `<$3;a;r;_OnHistory;0;0;{"entries":[`+entries+`],"more":true,"found":true}`,
		`>$4;a;r;_OnHistory;0;0;{}`, `<$4;a;r;_OnHistory;0;0;{"entries":[],"more":false,"found":false}`,
		`>$5;a;r;_OnHistory;0;0;{}`, `<$5;a;r;_OnHistory;0;0;[]`,
		`>$6;a;r;_OnHistory;0;0;{}`, `<$6;a;r;_OnHistory;1;0;unhandled event`,
	)), heard, client.JoinOptions{})
	page, err := room.History(background(t), client.HistoryQuery{Limit: 4, Before: "p5", Oldest: true})
	if err != nil || !page.More || !page.Found || len(page.Entries) != 4 {
		t.Fatalf("History: %+v, %v", page, err)
	}
	for i, want := range []string{"p1 e one false u", "p2 f \x00\xff true ", "p3 f  true ", "p4 g  false "} {
		e := page.Entries[i]
		if got := fmt.Sprintf("%s %s %s %v %s", e.Position, e.Event, e.Body, e.Binary, e.User); got != want {
			t.Errorf("entry %d is %q, want %q", i, got, want)
		}
	}
	if got := page.Entries[0].Time; !got.Equal(time.UnixMilli(1700000000123)) {
		t.Errorf("the first entry is of %v", got)
	}
	if page, err := room.History(background(t), client.HistoryQuery{}); err != nil || page.More || page.Found || len(page.Entries) > 0 {
		t.Errorf("an empty page: %+v, %v", page, err)
	}
	if _, err := room.History(background(t), client.HistoryQuery{}); err == nil {
		t.Error("an answer that is no page was accepted")
	}
	if _, err := room.History(background(t), client.HistoryQuery{}); !errors.Is(err, wire.ErrUnhandled) {
		t.Errorf("without a history: %v, want %v", err, wire.ErrUnhandled)
	}
}

// A client of a node receives missed messages, once and in order, and is
// notified if the node does not have them.
func TestHistoryOfANode(t *testing.T) {
	keeping := func(n *node.Node) {
		n.Namespace("a", node.NamespaceOptions{Relay: node.RelayRooms, History: node.HistoryOptions{Messages: 5}})
	}
	n, stop := startNode(t, "", keeping)
	address, url := n.Addr().String(), urlOf(n)
	other, _ := enter(t, url, make(reports, 100), client.JoinOptions{})
	say := func(in *client.Room, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if err := in.Emit("e", []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		// The answer comes after the emits.
		if _, err := in.History(background(t), client.HistoryQuery{}); err != nil {
			t.Fatal(err)
		}
	}
	heard, states := make(chan string, 100), newStates()
	gate := make(chan struct{}, 100)
	gate <- struct{}{}
	conn := dial(t, url, client.Options{
		OnState: states.hear,
		Authenticate: func(ctx context.Context) (http.Header, error) {
			select {
			case <-gate:
			case <-ctx.Done():
			}
			return nil, ctx.Err()
		},
		Namespaces: map[string]*client.Namespace{"a": declare(func(ns *client.Namespace) {
			ns.OnEmit("e", func(_ context.Context, e *client.EmitEvent) error { heard <- string(e.Body); return nil })
			ns.OnHistoryGap(func(context.Context, *client.HistoryGapEvent) { heard <- "gap" })
		})},
	})
	ns, err := conn.Connect(background(t), "a")
	if err != nil {
		t.Fatal(err)
	}
	room, err := ns.JoinRoom(background(t), "r")
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want ...string) {
		t.Helper()
		for _, one := range want {
			if got := receive(t, "a message", heard); got != one {
				t.Errorf("heard %q, want %q", got, one)
			}
		}
	}
	say(other, "1")
	say(room, "own 2")
	expect("1")
	lose := func(texts ...string) {
		t.Helper()
		if err := n.Conn(conn.ID()).Close(wire.CodeServiceRestart, "away"); err != nil {
			t.Fatal(err)
		}
		states.await(t, client.StateReconnecting)
		say(other, texts...)
		gate <- struct{}{}
		states.await(t, client.StateConnected)
	}
	lose("3", "4")
	say(other, "5")
	expect("3", "4", "5")
	if !room.Recovered() {
		t.Error("not recovered, want all that the room keeps")
	}
	lose("6", "7", "8", "9", "10", "11")
	say(other, "12")
	expect("gap", "12")
	if room.Recovered() {
		t.Error("recovered more than the room keeps")
	}
	// The node that comes back has forgotten all.
	stop()
	close(gate)
	_, _ = startNode(t, address, keeping)
	expect("gap")
}
