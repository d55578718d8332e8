package node_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// verify takes tokens of the form "USER" for an hour, and knows some that are
// not good.
func verify(_ context.Context, r *node.AuthenticateRequest) (access.Identity, error) {
	switch r.Token {
	case "bad":
		return access.Identity{}, errors.New("the key 7 is on 10.0.0.1")
	case "suspended":
		return access.Identity{}, node.Refuse(http.StatusForbidden, "suspended")
	case "unreachable":
		return access.Identity{}, node.Refuse(http.StatusServiceUnavailable, "later")
	case "unusable":
		return access.Identity{User: "a\nb"}, nil
	case "old":
		return access.Identity{User: "ann", Expires: time.Now().Add(-time.Second)}, nil
	case "panic":
		panic("in the handler")
	}
	user, info, _ := strings.Cut(r.Token, " ")
	id := access.Identity{User: user, Expires: time.Now().Add(time.Hour)}
	if info != "" {
		id.Info = []byte(info)
	}
	return id, nil
}

// startVerifying serves a node whose clients are the user in the query, for the
// life in it.
func startVerifying(t *testing.T, change func(*node.Config), declare func(*node.Node)) *node.Node {
	t.Helper()
	return startHandling(t, change, func(n *node.Node) {
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			query := a.Request.URL.Query()
			a.Identity.User = query.Get("user")
			if life := query.Get("life"); life != "" {
				d, err := time.ParseDuration(life)
				a.Identity.Expires = time.Now().Add(d)
				return err
			}
			return nil
		})
		n.OnAuthenticate(verify)
		if declare != nil {
			declare(n)
		}
	})
}

func upgradeAt(t *testing.T, n *node.Node, path string) *peer {
	t.Helper()
	p := connectTCP(t, n)
	p.write(upgradeRequest(path))
	if response := p.response(); response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade answered %s, want 101", response.Status)
	}
	return p
}

func dialAt(t *testing.T, n *node.Node, path string) *peer {
	t.Helper()
	p := upgradeAt(t, n, path)
	p.send("M expiry")
	if ack := p.next(); ack.Payload[0] != 'A' {
		t.Fatalf("hello was answered %s", describe(ack))
	}
	return p
}

const ask = ";;;_OnAuthenticate;0;0;"

// Each token has a defined answer, of which the client learns no more than it
// must, and a counter.
func TestTokensHandedIn(t *testing.T) {
	n := startVerifying(t, func(cfg *node.Config) { cfg.Limits.Authentications = -1 }, nil)
	p := dialAt(t, n, "/ws?user=ann")
	for i, c := range []struct{ token, want string }{
		{"ann", ""},
		{"bad", "unauthorized"},
		{"bob", "the token is another user's"},
		{"", "the token is another user's"},
		{"suspended", "forbidden"},
		{"unreachable", "unavailable"},
		{"unusable", "internal error"},
		{"panic", "internal error"},
		{"old", "unauthorized"},
		{strings.Repeat("x", 8<<10+1), "unauthorized"},
		{"ann", ""},
	} {
		p.send(fmt.Sprintf("$%d%s%s", i, ask, c.token))
		want := fmt.Sprintf("$%d;;;;;;", i)
		if c.want != "" {
			want = fmt.Sprintf("$%d;;;_OnAuthenticate;1;0;%s", i, c.want)
		}
		p.expect(want)
	}
	want := map[node.RenewalResult]uint64{
		node.RenewalAccepted: 2, node.RenewalRefused: 3, node.RenewalForbidden: 3, node.RenewalFailed: 3,
		node.RenewalLimited: 0, node.RenewalUnhandled: 0,
	}
	stats := n.Stats()
	for _, result := range node.RenewalResults() {
		if got := stats.Renewals[result]; got != want[result] {
			t.Errorf("%d were %v, want %d", got, result, want[result])
		}
	}
	if got := stats.Handlers.Calls[node.HandlerAuthenticate][node.HandlerOK]; got != 4 {
		t.Errorf("the handler was called with success %d times, want 4", got)
	}
}

// The identity changes between two messages of the connection, for handlers and
// handles alike.
func TestRenewalIsInOrder(t *testing.T) {
	infos := make(chan string, 3)
	n := startVerifying(t, nil, func(n *node.Node) {
		n.LookupNamespace("closed").OnEmit("e", func(_ context.Context, e *node.EmitEvent) error {
			infos <- string(e.NSConn.Conn().Identity().Info)
			return nil
		})
	})
	p := dialAt(t, n, "/ws?user=ann")
	p.send("$1;closed;;_OnNamespaceConnect;0;0;")
	p.send(";closed;;e;0;0;")
	p.send("$2" + ask + "ann 1")
	p.send(";closed;;e;0;0;")
	p.send("$3" + ask + "ann 2")
	p.send(";closed;;e;0;0;")
	p.expect("$1;;;;;;", "$2;;;;;;", "$3;;;;;;")
	for _, want := range []string{"", "1", "2"} {
		if got := <-infos; got != want {
			t.Errorf("the handler saw the identity %q, want %q", got, want)
		}
	}
}

// A client without a user can log in where the node allows it.
func TestLogInOverTheConnection(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		opened := make(chan *node.Conn, 1)
		n := startVerifying(t, func(cfg *node.Config) { cfg.AllowLogin = allowed }, func(n *node.Node) {
			n.OnOpened(func(_ context.Context, e *node.OpenedEvent) { opened <- e.Conn })
		})
		p := dialAt(t, n, "/ws")
		p.send("$1" + ask + "ann")
		want, user := "$1;;;_OnAuthenticate;1;0;forbidden", ""
		if allowed {
			want, user = "$1;;;;;;", "ann"
		}
		p.expect(want)
		if got := (<-opened).User(); got != user {
			t.Errorf("allowed %t: the user is %q, want %q", allowed, got, user)
		}
		found, err := n.User("ann").Conns(within(t))
		if want := map[bool]int{true: 1}[allowed]; err != nil || len(found.Conns) != want {
			t.Errorf("allowed %t: found %+v, %v, want %d connections of the user", allowed, found, err, want)
		}
	}
}

// Without a handler a token is answered as any other unknown event.
func TestNoHandlerForTokens(t *testing.T) {
	n := startNode(t, nil)
	p := dial(t, n)
	p.send("$1" + ask + "ann")
	p.expect("$1;;;_OnAuthenticate;1;0;unhandled event")
	p.send(ask + "ann") // without a token of the message it means nothing
	p.sync("default")
	if got := n.Stats().Renewals[node.RenewalUnhandled]; got != 1 {
		t.Errorf("%d tokens were unhandled, want 1", got)
	}
}

// A connection is closed at the end of its identity, if it has opened or not.
func TestIdentityEnds(t *testing.T) {
	for _, life := range []string{"50ms", "-1s"} {
		closed := make(chan *node.ClosedEvent, 1)
		n := startVerifying(t, nil, func(n *node.Node) {
			n.OnClosed(func(_ context.Context, e *node.ClosedEvent) { closed <- e })
		})
		p := upgradeAt(t, n, "/ws?user=ann&life="+life)
		p.send("M")
		f := p.next()
		if f.Header.OpCode == ws.OpText && life == "50ms" {
			f = p.next()
		}
		if code, reason := ws.ParseCloseFrameData(f.Payload); f.Header.OpCode != ws.OpClose || code != ws.StatusCode(wire.CodeExpired) || reason == "" {
			t.Fatalf("life %s: got %s, want a close frame with %d", life, describe(f), wire.CodeExpired)
		}
		_ = p.conn.Close()
		if e := <-closed; e.Code != wire.CodeExpired || e.By != node.ByServer || e.Conn.User() != "ann" {
			t.Errorf("life %s: the closed handler got %v by %v of %q", life, e.Code, e.By, e.Conn.User())
		}
		if got := n.Stats().Closes[node.CloseKey{Code: wire.CodeExpired.Label(), Initiator: node.ByServer}]; got != 1 {
			t.Errorf("life %s: %d closes were counted, want 1", life, got)
		}
	}
}

// An identity that has ended, or is about to, closes an open connection, too.
func TestEndedIdentityIsSet(t *testing.T) {
	for _, life := range []time.Duration{-time.Second, 0, 1, time.Millisecond} {
		opened := make(chan *node.Conn, 1)
		n := startHandling(t, nil, func(n *node.Node) {
			n.OnOpened(func(_ context.Context, e *node.OpenedEvent) { opened <- e.Conn })
		})
		p := dial(t, n)
		if err := (<-opened).SetIdentity(access.Identity{Expires: time.Now().Add(life)}); err != nil {
			t.Fatal(err)
		}
		p.expectClose(ws.StatusCode(wire.CodeExpired))
	}
}

// The identity of a guest that the application sets during a login does not
// undo it.
func TestGuestIdentityDuringALogin(t *testing.T) {
	opened := make(chan *node.Conn, 1)
	n := startVerifying(t, func(cfg *node.Config) { cfg.AllowLogin = true }, func(n *node.Node) {
		n.OnOpened(func(_ context.Context, e *node.OpenedEvent) { opened <- e.Conn })
	})
	for range 200 {
		p := dial(t, n)
		c := <-opened
		stop := make(chan struct{})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				select {
				case <-stop:
					return
				default:
					if errors.Is(c.SetIdentity(access.Identity{Info: []byte("{}")}), node.ErrOtherUser) {
						return
					}
				}
			}
		}()
		p.send("$1" + ask + "ann")
		p.next()
		close(stop)
		<-ended
		if c.User() != "ann" {
			t.Fatalf("the user is %q after the login, want ann", c.User())
		}
		_ = p.conn.Close()
	}
	eventually(t, "all connections have left their user", func() bool { return n.Stats().UserConns == 0 })
}

// A handler that hangs does not outlive the identity.
func TestIdentityEndsWhileATokenIsVerified(t *testing.T) {
	ended := make(chan error, 1)
	n := startHandling(t, nil, func(n *node.Node) {
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			a.Identity = access.Identity{User: "ann", Expires: time.Now().Add(200 * time.Millisecond)}
			return nil
		})
		n.OnAuthenticate(func(ctx context.Context, _ *node.AuthenticateRequest) (access.Identity, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return access.Identity{User: "ann"}, nil
		})
	})
	p := upgrade(t, n)
	p.send("M")
	p.send("$1" + ask + "ann")
	if f := p.next(); f.Header.OpCode != ws.OpClose {
		p.expectClose(ws.StatusCode(wire.CodeExpired))
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the handler's context ended with %v", err)
	}
}

// Without the protocol there is no notice and no token, but the end.
func TestNativeIdentityEnds(t *testing.T) {
	n := startHandling(t, func(cfg *node.Config) { cfg.NativeOnly, cfg.Namespaces = true, nil }, func(n *node.Node) {
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			a.Identity = access.Identity{User: "ann", Expires: time.Now().Add(50 * time.Millisecond)}
			return nil
		})
	})
	upgrade(t, n).expectClose(ws.StatusCode(wire.CodeExpired))
}

// A connection leaves the rooms that only the identity before the renewal
// allowed, before its next message is handled.
func TestRenewalTakesPermissions(t *testing.T) {
	n := startHandling(t, nil, func(n *node.Node) {
		acceptIdentities(n)
		n.OnAuthenticate(verify)
		n.Namespace("chat", node.NamespaceOptions{Relay: node.RelayRooms, Access: node.Access{Join: node.WhoPermitted}})
	})
	p := joinAs(t, n, "permitted", "chat", "r")
	p.send("$a" + ask + "ann")
	p.send("$q;chat;r;q;0;0;")
	p.expect("1;chat;r;_OnRoomLeave;0;0;", "$a;;;;;;", "$q;chat;r;q;1;0;bad room")
}
