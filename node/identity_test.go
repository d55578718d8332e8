package node_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// Several accept handlers are called in order; each sees what the ones before
// it have set, and the first refusal is the answer.
func TestAcceptHandlersAreAChain(t *testing.T) {
	opened := make(chan *node.Conn, 1)
	var called []string
	n := startHandling(t, nil, func(n *node.Node) {
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			called = append(called, "user")
			a.Identity.User = a.Request.URL.Query().Get("user")
			a.Header.Set("X-First", "1")
			return nil
		})
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			called = append(called, "permissions")
			if a.Identity.User == "eve" {
				return node.Refuse(http.StatusForbidden, "not you")
			}
			a.Identity.Permissions = []access.Permission{{Namespace: "default", Allow: access.Emit}}
			return nil
		})
		n.OnOpened(func(_ context.Context, e *node.OpenedEvent) { opened <- e.Conn })
	})
	request := func(user string) *peer {
		called = nil
		p := connectTCP(t, n)
		p.write(upgradeRequest("/ws?user=" + user))
		return p
	}
	p := request("ann")
	response := p.response()
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("X-First") != "1" {
		t.Fatalf("answered with %v, want 101 and the field of the first handler", response)
	}
	p.send("M")
	c := <-opened
	if c.User() != "ann" || len(c.Identity().Permissions) != 1 {
		t.Errorf("the identity is %+v, want that of ann with one permission", c.Identity())
	}
	if want := []string{"user", "permissions"}; !slices.Equal(called, want) {
		t.Errorf("called %q, want %q", called, want)
	}
	if response := request("eve").response(); response.StatusCode != http.StatusForbidden {
		t.Errorf("answered with %v, want 403", response.Status)
	}
	// An identity that cannot be used is the application's mistake.
	if response := request("%01").response(); response.StatusCode != http.StatusInternalServerError {
		t.Errorf("answered with %v, want 500", response.Status)
	}
}

// A connection with a new identity loses what only the old one allowed, at
// once, and its next message is judged by the new one. What the application has
// given it stays.
func TestSetIdentity(t *testing.T) {
	opened := make(chan *node.Conn, 1)
	left := make(chan string, 10)
	first := access.Identity{User: "ann", Permissions: []access.Permission{
		{Namespace: "chat", Rooms: []string{"a", "b"}, Allow: access.Join | access.Emit}, {Namespace: "news", Allow: access.Connect},
	}}
	second := access.Identity{User: "ann", Permissions: []access.Permission{{Namespace: "chat", Rooms: []string{"a"}, Allow: access.Join}}}
	permitted := node.NamespaceOptions{Relay: node.RelayRooms, Access: node.Access{
		Connect: node.WhoPermitted, Join: node.WhoPermitted, Emit: node.WhoPermitted,
	}}
	n := startHandling(t, nil, func(n *node.Node) {
		n.OnAccept(func(_ context.Context, a *node.Accept) error { a.Identity = first; return nil })
		n.OnOpened(func(_ context.Context, e *node.OpenedEvent) { opened <- e.Conn })
		chat, news := n.Namespace("chat", permitted), n.Namespace("news", permitted)
		chat.OnLeft(func(_ context.Context, e *node.LeftEvent) {
			left <- fmt.Sprintf("%s left %s, forced %v", e.Room.User(), e.Room.Name(), e.Forced)
		})
		news.OnDisconnected(func(_ context.Context, e *node.DisconnectedEvent) {
			left <- fmt.Sprintf("%s left the news, forced %v", e.NSConn.User(), e.Forced)
		})
	})
	p := dial(t, n)
	c := <-opened
	for _, ns := range []string{"chat", "news"} {
		p.ask("$c", ns, "", "_OnNamespaceConnect", "$c;;;;;;")
	}
	for _, room := range []string{"a", "b"} {
		p.ask("$j", "chat", room, "_OnRoomJoin", "$j;;;;;;")
	}
	given := make(chan error, 1)
	go func() { given <- n.Join(context.Background(), c.ID(), "chat", "given") }()
	p.expect("1;chat;given;_OnRoomJoin;0;0;")
	p.send("1;;;;;;")
	if err := <-given; err != nil {
		t.Fatal(err)
	}

	if err := c.SetIdentity(access.Identity{User: "bob"}); !errors.Is(err, node.ErrOtherUser) {
		t.Errorf("the identity of another user: %v, want %v", err, node.ErrOtherUser)
	}
	if err := c.SetIdentity(access.Identity{User: "ann", Info: []byte("{")}); err == nil {
		t.Error("an identity that cannot be used was accepted")
	}
	if err := c.SetIdentity(second); err != nil {
		t.Fatal(err)
	}
	// In any order.
	frames := []string{string(p.next().Payload), string(p.next().Payload)}
	for i := range frames {
		_, frames[i], _ = strings.Cut(frames[i], ";")
	}
	slices.Sort(frames)
	if want := []string{"chat;b;_OnRoomLeave;0;0;", "news;;_OnNamespaceDisconnect;0;0;"}; !slices.Equal(frames, want) {
		t.Fatalf("the client was asked %q, want %q", frames, want)
	}
	// The client has not answered, and need not.
	p.send("$q;chat;b;q;0;0;")
	p.expect("$q;chat;b;q;1;0;bad room")
	p.send(";chat;a;e;0;1;")
	p.expect(`;chat;a;e;1;1;forbidden: needs emit in room "a" of namespace "chat"`)
	p.send("$j;chat;b;_OnRoomJoin;0;0;")
	p.expect("$j;chat;b;_OnRoomJoin;1;0;unavailable")
	p.send("2;;;;;;")
	p.send("3;;;;;;")
	p.ask("$j", "chat", "b", "_OnRoomJoin", `$j;chat;b;_OnRoomJoin;1;0;forbidden: needs join in room "b" of namespace "chat"`)
	p.ask("$c", "news", "", "_OnNamespaceConnect", `$c;news;;_OnNamespaceConnect;1;0;forbidden: needs connect in namespace "news"`)
	got := []string{<-left, <-left}
	slices.Sort(got)
	if want := []string{"ann left b, forced true", "ann left the news, forced true"}; !slices.Equal(got, want) {
		t.Errorf("the handlers saw %q, want %q", got, want)
	}
	var rooms []string
	for _, in := range c.Namespace("chat").Rooms() {
		rooms = append(rooms, in.Name())
	}
	slices.Sort(rooms)
	if want := []string{"a", "given"}; !slices.Equal(rooms, want) {
		t.Errorf("it is in the rooms %q, want %q", rooms, want)
	}
	if err := c.Close(1000, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the connection is closed", func() bool { return errors.Is(c.SetIdentity(second), wire.ErrClosed) })
}

// A join that waits for a handler is judged again when it is carried out.
func TestSetIdentityDuringAJoin(t *testing.T) {
	entered, release := make(chan *node.Conn), make(chan struct{})
	n := startHandling(t, nil, func(n *node.Node) {
		acceptIdentities(n)
		ns := n.Namespace("chat", node.NamespaceOptions{Access: node.Access{Join: node.WhoPermitted}})
		ns.OnJoin(func(_ context.Context, r *node.JoinRequest) error {
			entered <- r.NSConn.Conn()
			<-release
			return nil
		})
	})
	p := joinAs(t, n, "permitted", "chat")
	p.send("$j;chat;r;_OnRoomJoin;0;0;")
	if err := (<-entered).SetIdentity(identities["user"]); err != nil {
		t.Fatal(err)
	}
	close(release)
	p.expect(`$j;chat;r;_OnRoomJoin;1;0;forbidden: needs join in room "r" of namespace "chat"`)
}

// A client that an accept handler refuses is not looked up as a user: that may
// ask the other nodes.
func TestRefusedClientIsNoUser(t *testing.T) {
	n := startHandling(t, nil, func(n *node.Node) {
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			a.Identity.User = "ann"
			return node.Refuse(http.StatusForbidden, "not you")
		})
	})
	if _, err := n.User("ann").Block(within(t), time.Hour, "spam"); err != nil {
		t.Fatal(err)
	}
	p := connectTCP(t, n)
	p.write(upgradeRequest("/ws"))
	if response := p.response(); response.StatusCode != http.StatusForbidden {
		t.Errorf("answered with %v, want 403", response.Status)
	}
	if got := n.Stats().UserRefusals[node.UserBlocked]; got != 0 {
		t.Errorf("%d refusals of blocked users, want none", got)
	}
}
