package node_test

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/node"
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
