package clients_test

import (
	"context"
	"strings"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/wire"
)

// publish publishes once. The time limit is that of the options.
func (a *goActor) publish(ctx context.Context, in *client.Room, id string) {
	position, err := in.Publish(context.WithoutCancel(ctx), "say", []byte("x"), client.PublishOptions{ID: id})
	if err != nil {
		position = describe(err)
	}
	a.note(&a.shown.Results, "publish: %s", position)
}

// lastCause is the cause of an error of Publish.
func lastCause(err error) error {
	all := err.(interface{ Unwrap() []error }).Unwrap()
	return all[len(all)-1]
}

// published reacts to a confirmed emit, as the list says by its number: a
// position is the answer, "!" precedes the text of an error, cut ends the
// connection, and mute is no answer.
func (s *actingServer) published(send func(string), m *wire.Message, list string) bool {
	s.note(&s.emits, string(m.Room)+" "+string(m.Body))
	s.mu.Lock()
	reaction := of(list, s.publishes)
	s.publishes++
	s.mu.Unlock()
	if text, isError := strings.CutPrefix(reaction, "!"); isError {
		send(string(wire.AppendError(nil, m, text)))
	} else if reaction != "mute" && reaction != "cut" {
		m.Body = []byte(reaction)
		send(string(wire.Append(nil, m)))
	}
	return reaction != "cut"
}

// publishScenes are those of confirmed emits.
func publishScenes() []scene {
	const history = "recover=0+p0+0,1+p0+0&"
	one := func(name, publish, result string, states []string, emits ...string) scene {
		return scene{
			name: name, query: history + "publish=" + publish, dials: len(states)/2 + 1, role: enterBy("join a r", "publish a r i"),
			want:  performance{Results: results("publish: " + result), States: states, Calls: inRoom},
			emits: append([]string{"r ,0,;"}, emits...),
		}
	}
	connected, again := []string{"connected"}, []string{"connected", lostOne, "connected"}
	const rejoined = "r p0,0,connection 0;"
	all := []scene{
		one("a confirmed emit", "p1", "p1", connected, "r i,say;x"),
		one("the first copy is lost", "cut,p1", "p1", again, "r i,say;x", rejoined, "r i,say;x"),
		one("unavailable for a while", "!unavailable,!unavailable,p1", "p1", connected, "r i,say;x", "r i,say;x", "r i,say;x"),
		one("the first copy is refused", "!forbidden", "forbidden", connected, "r i,say;x"),
		one("the second copy is refused", "cut,!forbidden", "maybe published: forbidden", again, "r i,say;x", rejoined, "r i,say;x"),
		one("the ID of another message", "!id+reused", "id reused", connected, "r i,say;x"),
		one("an answer that is no position", "not+one", "maybe published: invalid payload", connected, "r i,say;x"),
		one("no answer in time", "mute", "maybe published: timeout", connected, "r i,say;x"),
		{
			name: "a confirmed emit to a server without history", dials: 1, role: enterBy("join a r", "publish a r i"),
			want: performance{Results: results("publish: unhandled event"), States: connected, Calls: inRoom},
		},
		{
			name: "no connection in time", query: history + "status=101,503",
			role: role{AskTimeout: 100, Acts: after("emit a cut", "await reconnecting", "publish a r i")},
			want: performance{Results: results("emit: true", "publish: not published: timeout"), States: again[:2], Calls: inRoom},
		},
		{
			name: "the end of the client before an answer", query: history + "publish=mute", dials: 1,
			role: enterBy("join a r", "offer a r i", "ask a e x", "close", "await ask"),
			want: performance{
				Results: results("ask: x", "publish: maybe published: closed"), States: []string{"connected", "closed closed"},
				Calls: calledIn("left a/r forced", "disconnected a forced"),
			},
		},
	}
	all[7].role.AskTimeout = 300
	return all
}
