package compat_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kataras/neffos"

	"github.com/stoa-io/stoa/node"
)

// A node that refuses in the protocol ends a neffos client with the reason.
func TestRefusalInTheProtocol(t *testing.T) {
	for name, dialer := range dialers {
		t.Run(name, func(t *testing.T) {
			n, err := node.New(node.Config{Loops: 1})
			if err != nil {
				t.Fatal(err)
			}
			n.OnAccept(func(context.Context, *node.Accept) error {
				return &node.Refusal{Status: http.StatusUnauthorized, Reason: "log in again", Form: node.RefusalWebSocket}
			})
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
			for range deadline / wakeUp {
				dialed := make(chan error, 1)
				ctx := within(t)
				go func() {
					_, err := neffos.Dial(ctx, dialer, "ws://"+n.Addr().String()+"/ws", neffos.Namespaces{"default": neffos.Events{}})
					dialed <- err
				}()
				select {
				case err := <-dialed:
					if err == nil || !strings.Contains(err.Error(), "log in again") {
						t.Errorf("Dial: %v, want the reason", err)
					}
					return
				case <-time.After(wakeUp): // see there
				}
			}
			t.Error("Dial never returns")
		})
	}
}
