package node_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/node"
)

// Without an accept handler, the configuration selects the subprotocol.
func TestSubprotocolOfTheConfiguration(t *testing.T) {
	for _, c := range []struct {
		name   string
		speaks []string
		offers []string // lines
		want   string
	}{
		{"none is spoken", nil, []string{"chat"}, ""},
		{"none is offered", []string{"chat"}, nil, ""},
		{"one", []string{"chat"}, []string{"chat"}, "chat"},
		{"one of several", []string{"chat"}, []string{"superchat, chat"}, "chat"},
		{"one of several lines", []string{"chat"}, []string{"superchat", "x,chat ,y"}, "chat"},
		{"the server's preference", []string{"v2", "v1"}, []string{"v1, v2"}, "v2"},
		{"another case", []string{"chat"}, []string{"Chat"}, ""},
		{"a part of one", []string{"chat"}, []string{"superchat"}, ""},
		{"an empty list", []string{"chat"}, []string{" , "}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachFront(t, func(cfg *node.Config) { cfg.Subprotocols = c.speaks }, func(*node.Node) {}, func(t *testing.T, f *front) {
				p := f.connect(t)
				var lines []string
				for _, offer := range c.offers {
					lines = append(lines, "Sec-WebSocket-Protocol: "+offer)
				}
				p.write(upgradeRequest("/ws", lines...))
				response := p.response()
				if got := response.Header.Get("Sec-Websocket-Protocol"); response.StatusCode != 101 || got != c.want {
					t.Errorf("answered %s with %q, want %q", response.Status, got, c.want)
				}
				p.hello()
			})
		})
	}
}

// The accept handler selects a subprotocol and adds fields to any answer.
func TestAcceptAnswers(t *testing.T) {
	for _, c := range []struct {
		name     string
		handle   func(a *node.Accept) error
		status   int
		protocol string
		cookies  []string
	}{
		{"the choice of the configuration", func(*node.Accept) error { return nil }, 101, "v1", nil},
		{"another choice", func(a *node.Accept) error { a.Protocol = "token.abc"; return nil }, 101, "token.abc", nil},
		{"none", func(a *node.Accept) error { a.Protocol = ""; return nil }, 101, "", nil},
		{"one that was not offered", func(a *node.Accept) error { a.Protocol = "v2"; return nil }, 500, "", nil},
		{"fields", func(a *node.Accept) error {
			a.Header.Add("Set-Cookie", "a=1")
			a.Header.Add("Set-Cookie", "b=2")
			return nil
		}, 101, "v1", []string{"a=1", "b=2"}},
		{"fields of a refusal", func(a *node.Accept) error {
			a.Header.Set("Set-Cookie", "session=; Max-Age=0")
			return node.Refuse(http.StatusUnauthorized, "log in")
		}, 401, "", []string{"session=; Max-Age=0"}},
		{"a line break", func(a *node.Accept) error { a.Header.Set("X", "a\r\nSet-Cookie: a=1"); return nil }, 500, "", nil},
		{"a line break in a name", func(a *node.Accept) error { a.Header["X: y\r\nSet-Cookie"] = []string{"a=1"}; return nil }, 500, "", nil},
		{"a field of the handshake", func(a *node.Accept) error { a.Header["sec-websocket-accept"] = []string{"x"}; return nil }, 500, "", nil},
		{"a field of the body", func(a *node.Accept) error { a.Header.Set("Content-Length", "9"); return nil }, 500, "", nil},
		{"a field of the connection", func(a *node.Accept) error { a.Header.Set("connection", "close"); return nil }, 500, "", nil},
		{"a bad field of a refusal", func(a *node.Accept) error {
			a.Header.Set("X", "\x00")
			return node.Refuse(http.StatusForbidden, "no")
		}, 403, "", nil},
		{"a bad field and a panic", func(a *node.Accept) error { a.Header.Set("Upgrade", "h2c"); panic("no") }, 500, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachFront(t, func(cfg *node.Config) { cfg.Subprotocols = []string{"v1"} }, func(n *node.Node) {
				n.OnAccept(func(_ context.Context, a *node.Accept) error {
					if got := a.Protocols(); !slices.Equal(got, []string{"token.abc", "v1"}) {
						t.Errorf("the client offers %q", got)
					}
					return c.handle(a)
				})
			}, func(t *testing.T, f *front) {
				p := f.connect(t)
				p.write(upgradeRequest("/ws", "Sec-WebSocket-Protocol: token.abc, v1"))
				response := p.response()
				if response.StatusCode != c.status {
					t.Fatalf("answered %s, want %d", response.Status, c.status)
				}
				if got := response.Header.Get("Sec-Websocket-Protocol"); got != c.protocol {
					t.Errorf("selected %q, want %q", got, c.protocol)
				}
				if got := response.Header.Values("Set-Cookie"); !slices.Equal(got, c.cookies) {
					t.Errorf("cookies %q, want %q", got, c.cookies)
				}
				if c.status == http.StatusSwitchingProtocols {
					p.hello()
				}
			})
		})
	}
}

// A browser closes a connection itself if it has offered subprotocols and none
// is selected: then a page could not see why it is refused.
func TestRefusalSelectsASubprotocol(t *testing.T) {
	eachFront(t, nil, func(n *node.Node) {
		n.OnAccept(func(context.Context, *node.Accept) error { return node.Refuse(http.StatusUnauthorized, "log in") })
	}, func(t *testing.T, f *front) {
		p := f.connect(t)
		p.write(upgradeRequest("/ws", fromPage, "Sec-WebSocket-Protocol: bad token, token.abc, v1"))
		response := p.response()
		if got := strings.Join(response.Header.Values("Sec-Websocket-Protocol"), "+"); response.StatusCode != 101 || got != "token.abc" {
			t.Errorf("answered %s with %q, want the first one", response.Status, got)
		}
	})
}
