package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

func showing(kind node.Presence) func(*node.Config) {
	return func(c *node.Config) {
		c.Namespaces["shown"] = node.NamespaceOptions{Relay: node.RelayRooms, Presence: kind}
		c.Timeouts.PresenceInterval, c.Timeouts.PresenceGrace = 100*time.Millisecond, 200*time.Millisecond
	}
}

// joinShown dials as a client that wants to know the members, and joins a room.
func joinShown(tb testing.TB, n *node.Node, path, room string) *peer {
	tb.Helper()
	p := connectTCP(tb, n)
	p.write(upgradeRequest(path))
	p.response()
	p.send("M presence")
	p.id = string(p.next().Payload)[1:]
	p.send("$c;shown;;_OnNamespaceConnect;0;0;")
	p.expect("$c;;;;;;")
	p.send("$r;shown;" + room + ";_OnRoomJoin;0;0;")
	for string(p.next().Payload) != "$r;;;;;;" {
	}
	return p
}

// change reads the next change of the members.
func (p *peer) change(room string) (c wire.PresenceChange) {
	p.tb.Helper()
	text := string(p.next().Payload)
	body, found := strings.CutPrefix(text, ";shown;"+room+";_OnPresence;0;0;")
	if !found || json.Unmarshal([]byte(body), &c) != nil {
		p.tb.Fatalf("got %q, want a change of the members", text)
	}
	return c
}

// awaitCount reads changes until there are so many members.
func (p *peer) awaitCount(room string, count int) (last wire.PresenceChange) {
	p.tb.Helper()
	for last.Count != count {
		last = p.change(room)
	}
	return last
}

// members asks for a page of the members; changes may come before it.
func (p *peer) members(room, query string) (page wire.PresencePage) {
	p.tb.Helper()
	p.send("$p;shown;" + room + ";_OnPresence;0;0;" + query)
	for {
		text := string(p.next().Payload)
		body, found := strings.CutPrefix(text, "$p;shown;"+room+";_OnPresence;0;0;")
		switch {
		case strings.HasPrefix(text, ";shown;"):
		case !found || json.Unmarshal([]byte(body), &page) != nil:
			p.tb.Fatalf("got %q, want a page of members", text)
		default:
			return page
		}
	}
}

func withUsers(n *node.Node) {
	n.OnAccept(func(_ context.Context, a *node.Accept) error {
		if user := a.Request.URL.Query().Get("user"); user != "" {
			a.Identity.User, a.Identity.Info = user, []byte(`{"name":"`+user+`"}`)
		}
		return nil
	})
}

// Members see joins and leaves, a user with two connections once.
func TestPresence(t *testing.T) {
	n := startHandling(t, showing(node.PresenceRoster), withUsers)
	watcher := joinShown(t, n, "/ws", "r")
	watcher.awaitCount("r", 1)
	ann := joinShown(t, n, "/ws?user=ann", "r")
	if c := watcher.awaitCount("r", 2); len(c.Joined) != 1 || c.Joined[0].User != "ann" || string(c.Joined[0].Info) != `{"name":"ann"}` {
		t.Errorf("the change is %+v, want the join of ann", c)
	}
	again := joinShown(t, n, "/ws?user=ann", "r")
	page := watcher.members("r", "")
	if page.Count != 2 || len(page.Members) != 2 || page.Members[0].Conn != watcher.id || page.Members[1].User != "ann" || page.Members[1].Conns != 2 {
		t.Errorf("the members are %+v, want the watcher and ann with 2 connections", page)
	}
	first := watcher.members("r", `{"limit":1}`)
	if second := watcher.members("r", `{"limit":1,"after":"`+first.Next+`"}`); first.Next == "" || len(second.Members) != 1 || second.Members[0].User != "ann" || second.Next != "" {
		t.Errorf("the second page is %+v, want ann", second)
	}
	if page.Members[0].User != "" || page.Members[1].Conn != "" {
		t.Errorf("the members are %+v, want either a user or a connection each", page.Members)
	}
	if page := watcher.members("r", `{"limit":-1}`); page.Count != 2 || len(page.Members) != 0 {
		t.Errorf("without members the page is %+v", page)
	}
	_ = ann.conn.Close()
	eventually(t, "one connection of ann is left", func() bool {
		page := watcher.members("r", "")
		return page.Count == 2 && page.Members[1].Conns == 1
	})
	_ = again.conn.Close()
	if c := watcher.awaitCount("r", 1); len(c.Left) != 1 || c.Left[0].User != "ann" || len(c.Joined) != 0 {
		t.Errorf("the change is %+v, want the leave of ann alone", c)
	}

	ctx := context.Background()
	if page, err := n.Presence(ctx, "shown", "r", node.PresenceQuery{}); err != nil || page.Count != 1 || page.Members[0].Conn != watcher.id || page.Members[0].User != "" {
		t.Errorf("the application sees %+v, %v, want the watcher", page, err)
	}
	if page, err := n.Presence(ctx, "shown", "empty", node.PresenceQuery{}); err != nil || page.Count != 0 || len(page.Missing) != 0 {
		t.Errorf("the application sees %+v, %v, want no member", page, err)
	}
	if _, err := n.Presence(ctx, "default", "r", node.PresenceQuery{}); !errors.Is(err, node.ErrNoPresence) {
		t.Errorf("without presence: %v, want ErrNoPresence", err)
	}
	if stats := n.Stats().Presence; stats != (node.PresenceStats{Rooms: 1, Members: 1}) {
		t.Errorf("the stats are %+v, want a room with a member", stats)
	}
}

// A member that comes back within the grace time has not left.
func TestPresenceFlapping(t *testing.T) {
	n := startHandling(t, func(c *node.Config) {
		showing(node.PresenceRoster)(c)
		c.Timeouts.PresenceGrace = time.Hour
	}, withUsers)
	watcher := joinShown(t, n, "/ws", "r")
	watcher.awaitCount("r", 1)
	ann := joinShown(t, n, "/ws?user=ann", "r")
	watcher.awaitCount("r", 2)
	for range 5 {
		_ = ann.conn.Close()
		ann = joinShown(t, n, "/ws?user=ann", "r")
	}
	joinShown(t, n, "/ws?user=bob", "r")
	if c := watcher.change("r"); c.Count != 3 || len(c.Left) != 0 || len(c.Joined) != 1 || c.Joined[0].User != "bob" {
		t.Errorf("the change is %+v, want the join of bob alone", c)
	}
}

// Where only the number of the members is shown, nothing names them.
func TestPresenceCount(t *testing.T) {
	n := startHandling(t, showing(node.PresenceCount), withUsers)
	watcher := joinShown(t, n, "/ws", "r")
	joinShown(t, n, "/ws?user=ann", "r")
	if c := watcher.awaitCount("r", 2); len(c.Joined) != 0 {
		t.Errorf("the change is %+v, want a number alone", c)
	}
	if page := watcher.members("r", `{"limit":100}`); page.Count != 2 || len(page.Members) != 0 || page.Next != "" {
		t.Errorf("the page is %+v, want a number alone", page)
	}
}

// A client that has not named presence sees nothing of it, but may ask.
func TestPresenceForOthers(t *testing.T) {
	n := startHandling(t, showing(node.PresenceRoster), withUsers)
	plain := join(t, n, "shown", "r")
	watcher := joinShown(t, n, "/ws", "r")
	watcher.awaitCount("r", 2)
	plain.send("$p;shown;r;_OnPresence;0;0;")
	if text := string(plain.next().Payload); !strings.HasPrefix(text, "$p;shown;r;_OnPresence;0;0;{") {
		t.Errorf("the first message is %q, want the answer", text)
	}
	plain.send("$p;shown;r;_OnPresence;0;0;[]")
	plain.expect("$p;shown;r;_OnPresence;1;0;" + wire.ErrInvalidPayload.Error())
	plain.send("$p;shown;other;_OnPresence;0;0;")
	plain.expect("$p;shown;other;_OnPresence;1;0;" + wire.ErrBadRoom.Error())
	unshown := join(t, n, "rooms", "r")
	unshown.send("$p;rooms;r;_OnPresence;0;0;")
	unshown.expect("$p;rooms;r;_OnPresence;1;0;" + wire.ErrUnhandled.Error())
}

// TestReadsNeedPermission: clients that may join and emit may not read the
// history or see the members, unless a permission says so. Missed messages are
// for all.
func TestReadsNeedPermission(t *testing.T) {
	n := startHandling(t, func(c *node.Config) {
		c.Timeouts.PresenceInterval = time.Millisecond
		c.Namespaces = map[string]node.NamespaceOptions{"kept": {
			Relay: node.RelayRooms, History: node.HistoryOptions{Messages: 10}, Presence: node.PresenceRoster,
			Access: node.Access{History: node.WhoPermitted, Presence: node.WhoPermitted},
		}}
	}, acceptIdentities)
	recoverAs := func(as, parameters string) (*peer, wire.RecoveryAnswer) {
		t.Helper()
		p := helloAs(t, n, as, "M positions presence")
		p.ask("$c", "kept", "", "_OnNamespaceConnect", "$c;;;;;;")
		p.send("$j;kept;r;_OnRoomRecover;0;0;" + parameters + ";")
		m, err := wire.Parse(p.next().Payload, false)
		answer, _, ok := wire.ParseRecoveryAnswer(m.Body)
		if err != nil || !ok {
			t.Fatalf("the join is answered %q", m.Body)
		}
		return p, answer
	}
	first, begin := recoverAs("permitted", ",0,")
	say(t, n, "r", "one", "two")
	first.next()
	first.next()

	all, answer := recoverAs("key", ",5,")
	if answer.Count != 2 {
		t.Errorf("with the permission, %d messages follow a join, want 2", answer.Count)
	}
	all.next()
	all.next()
	other, answer := recoverAs("permitted", ",5,")
	if answer.Count != 0 {
		t.Errorf("without the permission, %d messages follow a join, want none", answer.Count)
	}
	if _, answer = recoverAs("permitted", begin.Position+",5,"); !answer.Recovered || answer.Count != 2 {
		t.Errorf("a client that comes back: %+v, want the 2 messages that it has missed", answer)
	}
	for event, action := range map[string]string{"_OnHistory": "history", "_OnPresence": "presence"} {
		other.ask("$r", "kept", "r", event, "$r;kept;r;"+event+";1;0;forbidden: needs "+action+` in room "r" of namespace "kept"`)
	}
	// The others have joined since, and one of the two is shown that.
	if got := string(all.next().Payload); !strings.HasPrefix(got, ";kept;r;_OnPresence;0;0;") {
		t.Errorf("with the permission: %q, want a change of the members", got)
	}
	first.ask("$r", "kept", "r", "_OnPresence", `$r;kept;r;_OnPresence;1;0;forbidden: needs presence in room "r" of namespace "kept"`)
	if got := n.Stats().Denied; got[node.DeniedKey{Namespace: "kept", Rule: node.RulePresence}] != 2 {
		t.Errorf("denied: %v, want 2 for presence", got)
	}
}
