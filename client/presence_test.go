package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// showing is a namespace whose handler keeps a roster, and reports.
func showing(roster *client.Roster, seen reports) *client.Namespace {
	return declare(func(ns *client.Namespace) {
		ns.OnPresence(func(ctx context.Context, e *client.PresenceEvent) {
			err := roster.Apply(ctx, e)
			seen <- fmt.Sprintf("%s stale=%v joined=%d left=%d count=%d err=%v", e.Room.Name(), e.Stale, len(e.Joined), len(e.Left), e.Count, err)
		})
	})
}

// enterShown connects and joins.
func enterShown(tb testing.TB, url string, ns *client.Namespace) (*client.Room, states) {
	tb.Helper()
	states := newStates()
	conn := dial(tb, url, client.Options{OnState: states.hear, Namespaces: map[string]*client.Namespace{"a": ns}})
	connected, err := conn.Connect(background(tb), "a")
	if err != nil {
		tb.Fatal(err)
	}
	room, err := connected.JoinRoom(background(tb), "r")
	if err != nil {
		tb.Fatal(err)
	}
	return room, states
}

// opened is the beginning of a script: the room r of the namespace a is joined.
func opened(id string) []string {
	return []string{
		">M positions presence volatile", "<A" + id, ">$1;a;;_OnNamespaceConnect;0;0;", "<$1;;;;;;", ">$2;a;r;_OnRoomJoin;0;0;", "<$2;;;;;;",
	}
}

const (
	firstPage  = `>$3;a;r;_OnPresence;0;0;{"limit":500}`
	secondPage = `>$4;a;r;_OnPresence;0;0;{"limit":500,"after":"uann"}`
)

func names(r *client.Roster) string {
	var all []string
	for _, m := range r.Members() {
		all = append(all, m.User+m.Conn+string(m.Info))
	}
	return fmt.Sprint(r.Count(), " ", strings.Join(all, " "))
}

func TestRoster(t *testing.T) {
	var roster client.Roster
	seen := make(reports, 100)
	room, states := enterShown(t, startScript(t,
		append(opened("id0"), firstPage, `<$3;a;r;_OnPresence;0;0;{"members":[{"conn":"c1","conns":1},{"user":"ann","conns":2,"info":{"x":1}}],"count":3,"next":"uann"}`,
			secondPage, `<;a;r;_OnPresence;0;0;{"joined":[{"user":"dan","conns":1}],"left":[{"conn":"c1"}],"count":3}`,
			`<$4;a;r;_OnPresence;0;0;{"members":[{"user":"bob","conns":1}],"count":3}`,
			`<;a;r;_OnPresence;0;0;{"left":[{"user":"bob"},{"user":"unknown"}],"count":2}`,
			"<;a;s;_OnPresence;0;0;{}", "<;a;r;_OnPresence;0;0;no change", "<;a;r;_OnPresence;0;1;{}"),
		append(opened("id1"), firstPage, `<;a;r;_OnPresence;0;0;{"joined":[{"user":"eve"}],"count":2}`,
			`<$3;a;r;_OnPresence;0;0;{"members":[{"user":"ann"}],"count":2}`),
	), showing(&roster, seen))
	if err := roster.Load(background(t), room); err != nil {
		t.Fatal(err)
	}
	seen.expect(t, "r stale=false joined=1 left=1 count=3 err=<nil>", "r stale=false joined=0 left=2 count=2 err=<nil>",
		"r stale=true joined=0 left=0 count=0 err=<nil>", "r stale=false joined=1 left=0 count=2 err=<nil>")
	for range 3 {
		states.await(t, client.StateConnected)
		if room.NSConn().Conn().ID() == "id1" {
			break
		}
	}
	if got, want := names(&roster), "2 ann eve"; got != want {
		t.Errorf("after the reconnect the members are %s, want %s", got, want)
	}
}

// Changes that arrive while pages are read are in the roster.
func TestRosterWhileLoading(t *testing.T) {
	var roster client.Roster
	seen := make(reports, 100)
	room, _ := enterShown(t, startScript(t,
		append(opened("id0"), firstPage, `<$3;a;r;_OnPresence;0;0;{"members":[{"conn":"c1"},{"user":"ann","info":{"x":1}}],"count":3,"next":"uann"}`,
			secondPage, `<;a;r;_OnPresence;0;0;{"joined":[{"user":"dan"}],"left":[{"conn":"c1"}],"count":3}`,
			`<$4;a;r;_OnPresence;0;0;{"members":[{"user":"bob"}],"count":3}`),
	), showing(&roster, seen))
	if err := roster.Load(background(t), room); err != nil {
		t.Fatal(err)
	}
	seen.expect(t, "r stale=false joined=1 left=1 count=3 err=<nil>")
	if got, want := names(&roster), `3 ann{"x":1} bob dan`; got != want {
		t.Errorf("the members are %s, want %s", got, want)
	}
}

// A roster is that of one room, and ignores the changes of others.
func TestRosterOfOneRoom(t *testing.T) {
	var roster client.Roster
	seen := make(reports, 100)
	joinAll := []string{">$2;a;r;_OnRoomJoin;0;0;", ">$3;a;s;_OnRoomJoin;0;0;", "<$2;;;;;;", "<$3;;;;;;"}
	room, _ := enterShown(t, startScript(t,
		append(opened("id0"), ">$3;a;s;_OnRoomJoin;0;0;", "<$3;;;;;;", `<;a;r;_OnPresence;0;0;{"joined":[{"user":"early"}],"count":1}`,
			`>$4;a;r;_OnPresence;0;0;{"limit":500}`, `<$4;a;r;_OnPresence;0;0;{"members":[{"user":"ann"}],"count":1}`,
			`<;a;s;_OnPresence;0;0;{"joined":[{"user":"bob"}],"count":9}`, `<;a;r;_OnPresence;0;0;{"joined":[{"user":"cid"}],"count":2}`,
			`>$5;a;s;_OnPresence;0;0;{"limit":500}`, `<;a;s;_OnPresence;0;0;{"joined":[{"user":"dan"}],"count":2}`,
			`<;a;r;_OnPresence;0;0;{"joined":[{"user":"eve"}],"count":3}`, `<$5;a;s;_OnPresence;0;0;{"members":[{"user":"fay"}],"count":1}`),
		slices.Concat([]string{">M positions presence volatile", "<Aid1", ">$1;a;;_OnNamespaceConnect;0;0;", "<$1;;;;;;"}, joinAll,
			[]string{`>$4;a;s;_OnPresence;0;0;{"limit":500}`, `<$4;a;s;_OnPresence;0;0;{"members":[{"user":"hal"}],"count":1}`,
				`<;a;r;_OnPresence;0;0;{"joined":[{"user":"ian"}],"count":2}`}),
	), showing(&roster, seen))
	other, err := room.NSConn().JoinRoom(background(t), "s")
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want string) {
		t.Helper()
		if got := names(&roster); got != want {
			t.Errorf("the members are %s, want %s", got, want)
		}
	}
	seen.expect(t, "r stale=false joined=1 left=0 count=1 err=<nil>")
	expect("0 ") // nothing is loaded
	if err := roster.Load(background(t), room); err != nil {
		t.Fatal(err)
	}
	seen.expect(t, "s stale=false joined=1 left=0 count=9 err=<nil>", "r stale=false joined=1 left=0 count=2 err=<nil>")
	expect("2 ann cid")
	if err := roster.Load(background(t), other); err != nil {
		t.Fatal(err)
	}
	seen.expect(t, "s stale=false joined=1 left=0 count=2 err=<nil>", "r stale=false joined=1 left=0 count=3 err=<nil>",
		"r stale=true joined=0 left=0 count=0 err=<nil>", "s stale=true joined=0 left=0 count=0 err=<nil>",
		"r stale=false joined=1 left=0 count=2 err=<nil>")
	expect("1 hal")
}

func TestPresenceOfRoom(t *testing.T) {
	var roster client.Roster
	room, _ := enterShown(t, startScript(t, append(opened("id0"),
		`>$3;a;r;_OnPresence;0;0;{"limit":2,"after":"x"}`, `<$3;a;r;_OnPresence;0;0;{"members":[{"user":"ann","conns":2}],"count":9,"next":"y","later":1}`,
		`>$4;a;r;_OnPresence;0;0;{"limit":-1}`, `<$4;a;r;_OnPresence;0;0;{"members":[],"count":9}`,
		`>$5;a;r;_OnPresence;0;0;{}`, `<$5;a;r;_OnPresence;1;0;unhandled event`,
		`>$6;a;r;_OnPresence;0;0;{}`, `<$6;a;r;_OnPresence;0;0;none`,
		`>$7;a;r;_OnPresence;0;0;{"limit":500}`, `<$7;a;r;_OnPresence;1;0;unavailable`,
	)), showing(&roster, make(reports, 1)))
	page, err := room.Presence(background(t), client.PresenceQuery{Limit: 2, After: "x"})
	if err != nil || page.Count != 9 || page.Next != "y" || len(page.Members) != 1 || page.Members[0].User != "ann" || page.Members[0].Conns != 2 {
		t.Errorf("the page is %+v, %v", page, err)
	}
	if page, err := room.Presence(background(t), client.PresenceQuery{Limit: -1}); err != nil || page.Count != 9 || len(page.Members) != 0 {
		t.Errorf("the page is %+v, %v, want a number", page, err)
	}
	if _, err := room.Presence(background(t), client.PresenceQuery{}); !errors.Is(err, wire.ErrUnhandled) {
		t.Errorf("without presence: %v, want %v", err, wire.ErrUnhandled)
	}
	if _, err := room.Presence(background(t), client.PresenceQuery{}); err == nil {
		t.Error("an answer that is no page is taken for one")
	}
	if err := roster.Load(background(t), room); !errors.Is(err, wire.ErrUnavailable) {
		t.Errorf("the roster is loaded with %v, want %v", err, wire.ErrUnavailable)
	}
}

// A client without a handler does not name the feature, and ignores changes.
func TestNoPresenceHandler(t *testing.T) {
	heard := make(reports, 100)
	enter(t, startScript(t, append(opening("id0"), ">$2;a;r;_OnRoomRecover;0;0;,0,;", "<$2;a;r;_OnRoomJoin;0;0;0,,0;",
		`<;a;r;_OnPresence;0;0;{"count":1}`, "<;a;r;e;0;0;next",
	)), heard, client.JoinOptions{})
	heard.expect(t, `next at "", room at ""`)
}

// The feature is named for the default namespace, too.
func TestPresenceOfDefaultNamespace(t *testing.T) {
	seen := make(reports, 1)
	url := startScript(t, slices.Concat([]string{">M positions presence volatile", "<Aid"}))
	dial(t, url, client.Options{DefaultNamespace: showing(new(client.Roster), seen)})
}

// A client of a node keeps the roster of a room, through the restart of the
// node.
func TestRosterOfANode(t *testing.T) {
	shown := func(n *node.Node) {
		n.Namespace("a", node.NamespaceOptions{Relay: node.RelayRooms, Presence: node.PresenceRoster})
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			a.Identity.User, a.Identity.Info = a.Request.Header.Get("User"), []byte(`{"here":true}`)
			return nil
		})
	}
	n, stop := startNode(t, "", shown)
	address := n.Addr().String()
	enter := func(user string) (*client.Conn, *client.Roster) {
		t.Helper()
		roster := new(client.Roster)
		conn := dial(t, urlOf(n), client.Options{
			Header: http.Header{"User": {user}},
			Namespaces: map[string]*client.Namespace{"a": declare(func(ns *client.Namespace) {
				ns.OnPresence(func(ctx context.Context, e *client.PresenceEvent) { _ = roster.Apply(ctx, e) })
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
		if err := roster.Load(background(t), room); err != nil {
			t.Fatal(err)
		}
		return conn, roster
	}
	expect := func(roster *client.Roster, want string) {
		t.Helper()
		if !testkit.Wait(func() bool { return names(roster) == want }) {
			t.Errorf("the members are %s, want %s", names(roster), want)
		}
	}
	_, ann := enter("ann")
	expect(ann, `1 ann{"here":true}`)
	bobs, bob := enter("bob")
	_, _ = enter("ann")
	expect(ann, `2 ann{"here":true} bob{"here":true}`)
	expect(bob, `2 ann{"here":true} bob{"here":true}`)
	stop()
	_ = bobs.Close()
	_, _ = startNode(t, address, shown)
	expect(ann, `1 ann{"here":true}`)
}
