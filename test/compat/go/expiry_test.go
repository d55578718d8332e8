package compat_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kataras/neffos"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// A neffos client whose identity ends sees nothing of it before, and is closed
// with the code.
func TestIdentityOfANeffosClientEnds(t *testing.T) {
	for name, dialer := range dialers {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // both wait
			closed := make(chan wire.Code, 10)
			n, err := node.New(node.Config{Loops: 1, Namespaces: map[string]node.NamespaceOptions{"default": {}}})
			if err != nil {
				t.Fatal(err)
			}
			n.OnAccept(func(_ context.Context, a *node.Accept) error {
				a.Identity = access.Identity{User: "ann", Expires: time.Now().Add(2 * time.Second)}
				return nil
			})
			n.OnAuthenticate(func(context.Context, *node.AuthenticateRequest) (access.Identity, error) {
				return access.Identity{}, wire.ErrUnauthorized
			})
			n.OnClosed(func(_ context.Context, e *node.ClosedEvent) { closed <- e.Code })
			if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			go func() { served <- n.Serve() }()
			t.Cleanup(func() {
				_ = n.Close()
				if err := <-served; !errors.Is(err, node.ErrClosed) {
					t.Errorf("Serve: %v", err)
				}
			})
			events := make(chan string, 10)
			handlers := neffos.Namespaces{"default": neffos.Events{
				neffos.OnAnyEvent: func(_ *neffos.NSConn, m neffos.Message) error {
					if !neffos.IsSystemEvent(m.Event) {
						events <- m.Event
					}
					return nil
				},
			}}
			client := dialAgain(t, dialer, "ws://"+n.Addr().String()+"/ws", handlers)
			if _, err := client.Connect(within(t), "default"); err != nil {
				t.Fatal(err)
			}
			select {
			case code := <-closed:
				if code != wire.CodeExpired {
					t.Errorf("closed with %d, want %d", code, wire.CodeExpired)
				}
			case <-time.After(deadline):
				t.Fatal("the connection is still open")
			}
			select {
			case <-client.NotifyClose:
			case <-time.After(deadline):
				t.Error("the client does not notice the close")
			}
			if len(events) > 0 {
				t.Errorf("the client received the event %q", <-events)
			}
		})
	}
}

// dialAgain dials until Dial returns; see wakeUp.
func dialAgain(t *testing.T, dialer neffos.Dialer, url string, handlers neffos.Namespaces) *neffos.Client {
	t.Helper()
	for range deadline / wakeUp {
		dialed := make(chan *neffos.Client, 1)
		ctx := within(t)
		go func() {
			client, err := neffos.Dial(ctx, dialer, url, handlers)
			if err != nil {
				t.Errorf("Dial: %v", err)
			}
			dialed <- client
		}()
		select {
		case client := <-dialed:
			if client == nil {
				t.FailNow()
			}
			return client
		case <-time.After(wakeUp):
		}
	}
	t.Fatal("Dial never returns")
	return nil
}
