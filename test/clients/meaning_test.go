package clients_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/wire"
)

// scene is a role that both clients play against an actingServer, and the
// performance that both must show. The server's query is appended to the URL.
type scene struct {
	name  string
	query string
	role  role
	want  performance
	// dials is how often the client dials; 0: it is not checked.
	dials int
	// answers are those to the requests of the server, emits the messages that
	// arrived.
	answers, emits []string
}

// entered are the acts and results of a client in the room r of the namespace
// a.
var (
	enter   = []string{"dial", "connect a", "join a r"}
	entered = []string{"dial: ok", "connect: ok", "join: ok"}
	inRoom  = []string{"connected a", "joined a/r"}
)

func after(acts ...string) []string    { return slices.Concat(enter, acts) }
func results(more ...string) []string  { return slices.Concat(entered, more) }
func calledIn(more ...string) []string { return slices.Concat(inRoom, more) }

const (
	lostOne  = "reconnecting 1006  attempt 1"
	quick    = 5 // milliseconds
	quickCap = 20
)

// endings are the scenes of close codes, final ones and others.
func endings() (all []scene) {
	for _, info := range wire.Codes() {
		if !info.Code.Sendable() {
			continue
		}
		s := scene{name: fmt.Sprintf("close code %d %s", info.Code, info.Name)}
		// After the end of an identity, a client needs other credentials.
		if info.Retry && info.Code != wire.CodeExpired {
			s.role.Acts = after(fmt.Sprintf("emit a close %d why", info.Code), "await reconnecting", "await connected", "room a r e")
			s.want = performance{
				Results: results("emit: true", "room: true"),
				States:  []string{"connected", fmt.Sprintf("reconnecting %d why attempt 1", info.Code), "connected"},
				Calls:   inRoom,
			}
			s.dials = 2
		} else {
			s.role.Acts = after(fmt.Sprintf("emit a close %d why", info.Code), "await closed")
			cause := "closed by the server: why"
			s.want = performance{
				Results: results("emit: true"),
				States:  []string{"connected", "closed " + cause},
				Calls:   calledIn("left a/r forced "+cause, "disconnected a forced "+cause),
			}
			s.dials = 1
		}
		all = append(all, s)
	}
	for _, event := range []string{"cut", "close"} {
		name, state := "no close frame", lostOne
		if event == "close" {
			name, state = "a close frame without a code", "reconnecting 1005  attempt 1"
		}
		all = append(all, scene{
			name: name, role: role{Acts: after("emit a "+event, "await reconnecting", "await connected")},
			want: performance{Results: results("emit: true"), States: []string{"connected", state, "connected"}, Calls: inRoom},
		})
	}
	return all
}

// firstStatuses are the HTTP statuses that refuse the first dial, laterStatuses
// those that refuse a dial after a loss. A final one ends the client.
var (
	firstStatuses = map[int]bool{
		200: true, 301: true, 400: true, 401: true, 403: true, 404: true, 410: true, 421: true,
		408: false, 425: false, 429: false, 500: false, 502: false, 503: false,
	}
	laterStatuses = map[int]bool{401: true, 403: true, 410: true, 404: false, 408: false, 421: false, 429: false, 503: false}
)

// refusals are the scenes of refused dials.
func refusals() (all []scene) {
	for _, status := range slices.Sorted(maps.Keys(firstStatuses)) {
		final := firstStatuses[status]
		s := scene{
			name: fmt.Sprint("status ", status), query: fmt.Sprint("status=", status), dials: 1,
			role: role{Acts: []string{"dial"}, Attempts: 2},
			want: performance{Results: []string{fmt.Sprint("dial: refused with status ", status)}, States: []string{fmt.Sprint("closed refused with status ", status)}},
		}
		if !final {
			s.dials = 2
			s.want = performance{Results: []string{"dial: gave up"}, States: []string{"closed gave up"}}
		}
		all = append(all, s)
	}
	for _, status := range slices.Sorted(maps.Keys(laterStatuses)) {
		final := laterStatuses[status]
		s := scene{
			name: fmt.Sprint("status ", status, " later"), query: fmt.Sprintf("status=101,%d,101", status),
			role: role{Acts: after("emit a cut", "await reconnecting", "await connected")}, dials: 3,
			want: performance{Results: results("emit: true"), States: []string{"connected", lostOne, "connected"}, Calls: inRoom},
		}
		if final {
			cause := fmt.Sprint("refused with status ", status)
			s.dials = 2
			s.role.Acts = after("emit a cut", "await closed")
			s.want.States = []string{"connected", lostOne, "closed " + cause}
			s.want.Calls = calledIn("left a/r forced "+cause, "disconnected a forced "+cause)
		}
		all = append(all, s)
	}
	return append(all, []scene{
		{
			name: "refused in place of the acknowledgement", query: "refuse=not+you", dials: 1,
			role: role{Acts: []string{"dial"}, Attempts: 2},
			want: performance{Results: []string{"dial: not you"}, States: []string{"closed not you"}},
		},
		{
			name: "no acknowledgement", query: "mute=1", dials: 2,
			role: role{Acts: []string{"dial"}, Attempts: 2, DialTimeout: 100},
			want: performance{Results: []string{"dial: gave up"}, States: []string{"closed gave up"}},
		},
		{
			name: "attempts after a loss", query: "status=101,503", dials: 4,
			role: role{Acts: after("emit a cut", "await closed"), Attempts: 3},
			want: performance{
				Results: results("emit: true"), States: []string{"connected", lostOne, "closed gave up"},
				Calls: calledIn("left a/r forced gave up", "disconnected a forced gave up"),
			},
		},
		{
			name: "a suggested delay",
			role: role{Acts: after("emit a close 1012 moved; retry-after=1000", "await reconnecting", "await connected"), Base: quick, Cap: 2000},
			want: performance{
				Results: results("emit: true"), Calls: inRoom,
				States: []string{"connected", "reconnecting 1012 moved; retry-after=1000 attempt 1 put off", "connected"},
			},
		},
		{
			name: "a suggested delay below the base",
			role: role{Acts: after("emit a close 1012 moved; retry-after=1", "await reconnecting", "await connected"), Base: 1000, Cap: 1000},
			want: performance{
				Results: results("emit: true"), Calls: inRoom,
				States: []string{"connected", "reconnecting 1012 moved; retry-after=1 attempt 1 put off", "connected"},
			},
		},
	}...)
}

// errorScenes are the scenes of errors.
func errorScenes() (all []scene) {
	texts := []string{"boom;1", "Bad Namespace", "remote: timeout"}
	for _, err := range wire.Errors() {
		texts = append(texts, err.Error())
	}
	s := scene{name: "error texts", role: role{Acts: after("ask a fail")}, want: performance{
		Results: results("ask: unspecified error"), States: []string{"connected"}, Calls: inRoom,
	}}
	for _, text := range texts {
		s.role.Acts = append(s.role.Acts, "ask a fail "+text)
		s.want.Results = append(s.want.Results, "ask: "+text)
	}
	return []scene{
		s,
		{
			name: "time-out", role: role{Acts: after("ask a mute", "ask a e x"), AskTimeout: 200},
			want: performance{Results: results("ask: timeout", "ask: x"), States: []string{"connected"}, Calls: inRoom},
		},
		{
			name: "checks before sending", dials: 1,
			role: role{Acts: after("emit b e x", "room a other e", "ask b e x", "ask a _OnRoomJoin x", "emit a _OnRoomJoin x", "big a 65536", "big a 65537", "ask a e x")},
			want: performance{
				Results: results("emit: false", "room: false", "ask: bad namespace", "ask: invalid name", "emit: false", "big: true", "big: false", "ask: x"),
				States:  []string{"connected"}, Calls: inRoom,
			},
		},
		{
			name: "closed by the application", dials: 1,
			role: role{Acts: after("start a mute", "close", "await closed", "await ask", "emit a e x", "ask a e x", "connect b")},
			want: performance{
				Results: results("ask: closed", "emit: false", "ask: closed", "connect: closed"),
				States:  []string{"connected", "closed closed"}, Calls: calledIn("left a/r forced", "disconnected a forced"),
			},
		},
	}
}

// membershipScenes are the scenes in which either end changes memberships.
func membershipScenes() []scene {
	connected := []string{"connected"}
	return []scene{
		{
			name: "leaving and disconnecting", role: role{Acts: after("leave a r", "join a s", "disconnect a", "connect a")},
			want: performance{
				Results: results("leave: ok", "join: ok", "disconnect: ok", "connect: ok"), States: connected,
				Calls: calledIn("left a/r", "joined a/s", "left a/s forced", "disconnected a", "connected a"),
			},
		},
		{
			name: "disconnected by the server", role: role{Acts: after("ask a send 1;a;;_OnNamespaceDisconnect;0;0;", "ask a e x")},
			want: performance{
				Results: results("ask: 1;a;;_OnNamespaceDisconnect;0;0;", "ask: bad namespace"), States: connected,
				Calls: calledIn("left a/r forced", "disconnected a"),
			},
			answers: []string{"1;;;;;;"},
		},
		{
			name: "requests of the server",
			role: role{MaxNamespaces: 2, MaxRooms: 2, Acts: after(
				"emit a send 1;x;;_OnNamespaceConnect;0;0;", "emit a send 2;a;;unknown;0;0;x", "emit a send 3;b;;fail;0;0;x",
				"emit a send 4;b;r;_OnRoomJoin;0;0;", "emit a send 5;a;;fail;0;0;no ink", "emit a send 6;a;;nothing;0;0;x",
				"emit a send 7;b;;_OnNamespaceConnect;0;0;", "emit a send 8;a;s;_OnRoomJoin;0;0;", "emit a send 9;b;t;_OnRoomJoin;0;0;",
				"emit a send 10;a;s;_OnRoomJoin;0;0;", "emit a send 11;a;none;_OnRoomLeave;0;0;", "emit a send ;a;r;news;0;0;hello",
				"emit a send 12;b;"+strings.Repeat("t", 2000)+";_OnRoomJoin;0;0;", "ask a e x")},
			want: performance{
				Results: results(append(slices.Repeat([]string{"emit: true"}, 13), "ask: x")...), States: connected,
				Calls: calledIn("connected b", "joined a/s", "news r hello"),
			},
			answers: []string{
				"1;x;;_OnNamespaceConnect;1;0;bad namespace", "2;a;;unknown;1;0;unhandled event", "3;b;;fail;1;0;bad namespace",
				"4;b;r;_OnRoomJoin;1;0;bad namespace", "5;a;;fail;1;0;no ink", "6;a;;nothing;0;0;", "7;;;;;;", "8;;;;;;",
				"9;b;t;_OnRoomJoin;1;0;too many rooms", "10;;;;;;", "11;;;;;;",
				"12;b;" + strings.Repeat("t", 2000) + ";_OnRoomJoin;1;0;too many rooms",
			},
		},
		{
			name: "a room that is refused after a loss", query: "deny=,r=locked",
			role: role{Acts: after("join a s", "emit a cut", "await reconnecting", "await connected", "room a s e", "room a r e")},
			want: performance{
				Results: results("join: ok", "emit: true", "room: true", "room: false"), States: []string{"connected", lostOne, "connected"},
				Calls: calledIn("joined a/s", "left a/r forced locked"),
			},
			dials: 2,
		},
		{
			name: "a room that is unavailable after a loss", query: "deny=,r=unavailable,r=timeout,", dials: 4,
			role: role{Acts: after("emit a cut", "await reconnecting", "await connected", "room a r e")},
			want: performance{Results: results("emit: true", "room: true"), States: []string{"connected", lostOne, "connected"}, Calls: inRoom},
		},
	}
}

// bufferScenes are those of emits without a connection.
func bufferScenes() (all []scene) {
	taken := map[string][3]bool{"keep": {true, true, false}, "drop": {true, true, true}, "fail": {}}
	for _, policy := range []string{"keep", "drop", "fail"} {
		want := taken[policy]
		s := scene{
			name: "buffer policy " + policy, query: "status=101,503,503,101",
			role: role{Policy: policy, Messages: 2, Base: 300, Cap: 300, Acts: after("emit a cut", "await reconnecting", "emit a e 1", "emit a e 2", "emit a e 3", "await connected", "emit a e 4", "ask a e x")},
			want: performance{States: []string{"connected", lostOne, "connected"}, Calls: inRoom},
		}
		s.want.Results = results("emit: true", fmt.Sprint("emit: ", want[0]), fmt.Sprint("emit: ", want[1]), fmt.Sprint("emit: ", want[2]), "emit: true", "ask: x")
		if policy == "keep" {
			s.emits = []string{"e 1", "e 2"}
		}
		s.emits = append(s.emits, "e 4")
		all = append(all, s)
	}
	return all
}

// identityScenes are those of clients with an Authenticate, whose identities
// end.
func identityScenes() []scene {
	unauthorized := "closed unauthorized"
	return []scene{
		{
			name: "an identity that has ended", role: role{Tokens: 9, Acts: after("emit a close 4004 why", "await reconnecting", "await connected")}, dials: 2,
			want: performance{
				Results: results("emit: true"), States: []string{"connected", "reconnecting 4004 why attempt 1", "connected"}, Calls: inRoom,
			},
			emits: []string{"Bearer token 1", "Bearer token 2"},
		},
		{
			name: "renewal", query: "verify=unauthorized,another+user,", role: role{Tokens: 9, Acts: after("emit a send "+endsIn6400, "await renewed", "ask a e x")}, dials: 1,
			want: performance{
				Results: results("emit: true", "ask: x"), Calls: inRoom,
				States: []string{"connected", "not renewed unauthorized", "not renewed another user", "renewed"},
			},
			emits: []string{"Bearer token 1", "token 2", "token 3", "token 4"},
		},
		{
			name: "renewal without a token", role: role{Tokens: 1, Acts: after("emit a send "+endsIn6400, "await not renewed", "ask a e x")}, dials: 1,
			want: performance{
				Results: results("emit: true", "ask: x"), States: []string{"connected", "not renewed unauthorized finally"}, Calls: inRoom,
			},
			emits: []string{"Bearer token 1"},
		},
		{
			name: "a notice to a client without authenticate", role: role{Acts: after("emit a send "+endsIn6400, "ask a e x")}, dials: 1,
			want: performance{Results: results("emit: true", "ask: x"), States: []string{"connected"}, Calls: inRoom},
		},
		{
			name: "no credentials after a loss", role: role{Tokens: 1, Acts: after("emit a cut", "await closed")}, dials: 1,
			want: performance{
				Results: results("emit: true"), States: []string{"connected", lostOne, unauthorized},
				Calls: calledIn("left a/r forced unauthorized", "disconnected a forced unauthorized"),
			},
		},
		{
			name: "no credentials at first", role: role{Tokens: -1, Acts: []string{"dial"}},
			want: performance{Results: []string{"dial: unauthorized"}, States: []string{unauthorized}},
		},
	}
}

// endsIn6400 is the notice of a server. It makes the first pause of a renewal a
// tenth of a second.
const endsIn6400 = ";;;_OnAuthenticate;0;0;6400"

// scenes are all scenes.
func scenes() []scene {
	return slices.Concat(endings(), refusals(), errorScenes(), membershipScenes(), bufferScenes(), volatileScenes(), identityScenes(), firstJoins(), laterJoins(), historyScenes(), publishScenes())
}

// TestMeaning compares both clients with one table.
func TestMeaning(t *testing.T) {
	actors := map[string]func(testing.TB, role, *performance) performance{"client": playGo, "stoa-client": playJS}
	for _, s := range scenes() {
		for kind, play := range actors {
			t.Run(s.name+"/"+kind, func(t *testing.T) {
				server := startActing(t)
				r := s.role
				r.URL = "ws://" + server.listener.Addr().String() + "/?" + s.query
				if r.Base == 0 {
					r.Base, r.Cap = quick, quickCap
				}
				got := play(t, r, &s.want)
				for part, pair := range map[string][2][]string{
					"results": {got.Results, s.want.Results}, "states": {got.States, s.want.States}, "calls": {got.Calls, s.want.Calls},
				} {
					if !slices.Equal(pair[0], pair[1]) {
						t.Errorf("%s:\n%s\nwant:\n%s", part, strings.Join(pair[0], "\n"), strings.Join(pair[1], "\n"))
					}
				}
				if got := server.dials(); s.dials != 0 && got != s.dials {
					t.Errorf("dialed %d times, want %d", got, s.dials)
				}
				// Those of handlers come later.
				testkit.Wait(func() bool { return len(server.noted(&server.answers)) >= len(s.answers) })
				answers, wanted := slices.Sorted(slices.Values(server.noted(&server.answers))), slices.Sorted(slices.Values(s.answers))
				if !slices.Equal(answers, wanted) {
					t.Errorf("answers %q, want %q", answers, wanted)
				}
				if len(s.emits) > 0 && !slices.Equal(server.noted(&server.emits), s.emits) {
					t.Errorf("received %q, want %q", server.noted(&server.emits), s.emits)
				}
			})
		}
	}
}
