package clients_test

import (
	"context"
	"fmt"

	"github.com/stoa-io/stoa/client"
)

// enterBy is the role of a client that joins in this way.
func enterBy(join string, acts ...string) role {
	return role{Acts: append([]string{"dial", "connect a", join}, acts...)}
}

// firstJoins are the scenes of joins of rooms with a history.
func firstJoins() []scene {
	recovered := func(more ...string) []string {
		return append([]string{"dial: ok", "connect: ok", "recover: ok"}, more...)
	}
	return []scene{
		{
			name: "the newest messages of a room", query: "recover=0+p2+2+one@p1+two@p2+three@p3",
			role: enterBy("recover a r 50@", "ask a e x", "place a r p3"),
			want: performance{
				Results: recovered("ask: x", "place: recovered false at p3"), States: []string{"connected"},
				Calls: calledIn("news r one p1", "news r two p2", "news r three p3"),
			},
			emits: []string{"r ,50,;"},
		},
		{
			name: "a join at a position", query: "recover=1+p3+2+two@p2+three@p3",
			role: enterBy("recover a r 50@p1", "ask a e x", "place a r p3"),
			want: performance{
				Results: recovered("ask: x", "place: recovered true at p3"), States: []string{"connected"},
				Calls: calledIn("news r two p2", "news r three p3"),
			},
			emits: []string{"r p1,50,;"},
		},
		{
			name: "a join at a position that is not available", query: "recover=0+p9+0",
			role:  enterBy("recover a r 0@p1", "place a r p9"),
			want:  performance{Results: recovered("place: recovered false at p9"), States: []string{"connected"}, Calls: inRoom},
			emits: []string{"r p1,0,;"},
		},
		{
			name: "a server without positions", role: enterBy("recover a r 50@p1", "place a r"),
			want: performance{Results: recovered("place: recovered false at"), States: []string{"connected"}, Calls: inRoom},
		},
	}
}

// laterJoins are those of joins after a loss.
func laterJoins() []scene {
	return []scene{
		{
			name: "missed messages after a loss", query: "recover=0+p1+0+two@p2,1+p4+1+three@p3+five@p5", dials: 2,
			role: enterBy("join a r", "ask a e x", "emit a cut", "await reconnecting", "await connected", "ask a e x", "place a r p5"),
			want: performance{
				Results: results("ask: x", "emit: true", "ask: x", "place: recovered true at p5"),
				States:  []string{"connected", lostOne, "connected"},
				Calls:   calledIn("news r two p2", "news r three p3", "news r five p5"),
			},
			emits: []string{"r ,0,;", "r p2,0,connection 0;"},
		},
		{
			// The last of the missed messages is the client's own, p4.
			name: "lost twice", query: "recover=0+p1+0,1+p4+1+three@p3,1+p4+0", dials: 3,
			role: enterBy("join a r", "emit a cut", "await reconnecting", "await connected", "emit a cut", "await reconnecting", "await connected", "place a r p4"),
			want: performance{
				Results: results("emit: true", "emit: true", "place: recovered true at p4"),
				States:  []string{"connected", lostOne, "connected", lostOne, "connected"},
				Calls:   calledIn("news r three p3"),
			},
			emits: []string{"r ,0,;", "r p1,0,connection 0;", "r p4,0,connection 1;"},
		},
		{
			name: "a gap after a loss", query: "recover=0+p1+0,0+p9+0+ten@p10", dials: 2,
			role: enterBy("join a r", "emit a cut", "await reconnecting", "await connected", "ask a e x", "place a r p10"),
			want: performance{
				Results: results("emit: true", "ask: x", "place: recovered false at p10"),
				States:  []string{"connected", lostOne, "connected"},
				Calls:   calledIn("gap a/r p9", "news r ten p10"),
			},
		},
		{
			name: "another server after a loss", query: "recover=0+p1+0,,", dials: 3,
			role: enterBy("join a r", "emit a cut", "await reconnecting", "await connected", "emit a cut", "await reconnecting", "await connected", "place a r"),
			want: performance{
				Results: results("emit: true", "emit: true", "place: recovered false at"),
				States:  []string{"connected", lostOne, "connected", lostOne, "connected"},
				Calls:   calledIn("gap a/r"),
			},
		},
		{
			name: "a history that has ended", query: "recover=0+p1+0,0+none+0,0+none+0", dials: 3,
			role: enterBy("join a r", "emit a cut", "await reconnecting", "await connected", "emit a cut", "await reconnecting", "await connected", "place a r"),
			want: performance{
				Results: results("emit: true", "emit: true", "place: recovered false at"),
				States:  []string{"connected", lostOne, "connected", lostOne, "connected"},
				Calls:   calledIn("gap a/r"),
			},
			emits: []string{"r ,0,;", "r p1,0,connection 0;", "r ,0,connection 1;"},
		},
	}
}

// historyScenes are those of joined rooms with a history.
func historyScenes() []scene {
	return []scene{
		{
			name: "notices about the history", query: "recover=0+p1+0",
			role: enterBy("join a r", "emit a send ;a;r;_OnHistoryGap;0;0;p4", "emit a send ;a;r;_OnHistoryGap;0;0;", "emit a send ;a;s;_OnHistoryGap;0;0;",
				"emit a send ;a;r;_OnHistoryRemoved;0;0;p1", "emit a send ;a;r;_OnHistoryRemoved;0;0;", "ask a e x"),
			want: performance{
				Results: results("emit: true", "emit: true", "emit: true", "emit: true", "emit: true", "ask: x"), States: []string{"connected"},
				Calls: calledIn("gap a/r p4", "gap a/r", "removed a/r p1", "removed a/r"),
			},
		},
		{
			name: "malformed positions", query: "recover=0+p1+0",
			role: enterBy("join a r", "emit a send @no position;a;r;news;0;0;x", "emit a send @;a;r;news;0;0;y", "emit a send @p2;a;;news;0;0;z", "ask a e x", "place a r p1"),
			want: performance{
				Results: results("emit: true", "emit: true", "emit: true", "ask: x", "place: recovered false at p1"), States: []string{"connected"},
				Calls: calledIn("news r x", "news r y", "news  z p2"),
			},
		},
		{
			name: "reading a history", role: enterBy("join a r", "history a r 2"),
			want: performance{
				Results: results("entry: p1 1700000000123 news text 3 u", "entry: p2 1 e binary 2", "history: more true found false"),
				States:  []string{"connected"}, Calls: inRoom,
			},
			emits: []string{`r {"limit":2,"before":"p9","oldest":true}`},
		},
		{
			name: "reading the members", role: enterBy("join a r", "roster a r"),
			want: performance{
				Results: results("roster: ok", `member: ann 2 {"n":[1]} of 3`, "member: bob 1  of 3", "member: x 1  of 3"),
				States:  []string{"connected"}, Calls: inRoom,
			},
			emits: []string{`r {"limit":500}`, `r {"limit":500,"after":"uann"}`},
		},
		{
			name: "changes of the members", dials: 2, role: role{Presence: true, Acts: after(
				`emit a send ;a;r;_OnPresence;0;0;{"joined":[{"user":"ann"}],"left":[{"conn":"x"},{"user":"bob"}],"count":4}`,
				`emit a send ;a;r;_OnPresence;0;0;{"count":5}`, `emit a send ;a;s;_OnPresence;0;0;{"count":6}`, "ask a e x",
				"emit a cut", "await reconnecting", "await connected", "ask a e x")},
			want: performance{
				Results: results("emit: true", "emit: true", "emit: true", "ask: x", "emit: true", "ask: x"),
				States:  []string{"connected", lostOne, "connected"},
				Calls:   calledIn("presence a/r joined 1 left 2 of 4 stale false", "presence a/r joined 0 left 0 of 5 stale false", "presence a/r joined 0 left 0 of 0 stale true"),
			},
		},
	}
}

// history reads the history of a room.
func (a *goActor) history(ctx context.Context, in *client.Room, limit string) {
	query := client.HistoryQuery{Before: "p9", Oldest: true}
	_, _ = fmt.Sscan(limit, &query.Limit)
	page, err := in.History(ctx, query)
	if err != nil {
		a.result("history", err)
		return
	}
	for _, e := range page.Entries {
		kind := "text"
		if e.Binary {
			kind = "binary"
		}
		a.note(&a.shown.Results, "entry: %s %d %s %s %d %s", e.Position, e.Time.UnixMilli(), e.Event, kind, len(e.Body), e.User)
	}
	a.note(&a.shown.Results, "history: more %t found %t", page.More, page.Found)
}
