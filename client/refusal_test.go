package client_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// The close frame after a refusal says whether a later attempt may succeed.
func TestRefusalAndItsCloseCode(t *testing.T) {
	for _, c := range []struct {
		name   string
		code   wire.Code // 0: the connection is cut
		reason string
		is     error // nil: the client tries again
	}{
		{"log in again", wire.CodeUnauthorized, "who are you?", wire.ErrUnauthorized},
		{"not allowed", wire.CodeForbidden, "", wire.ErrForbidden},
		{"a policy", wire.CodePolicy, "", client.ErrRefused},
		{"a code of the application", 4999, "", client.ErrRefused},
		{"on purpose", wire.CodeNormal, "", client.ErrRefused},
		{"cut", 0, "", client.ErrRefused},
		{"later", wire.CodeTryAgainLater, "full; retry-after=5", nil},
		{"restart", wire.CodeServiceRestart, "", nil},
		{"failed", wire.CodeInternalError, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := startServer(t, func(number int, p *peer) {
				if number > 0 {
					if p.hello("id") {
						p.drain()
					}
					return
				}
				if p.text() != "M positions volatile" {
					t.Error("there is no hello")
				}
				p.send("Hwho are you?")
				if c.code != 0 {
					p.frame(closeFrame(c.code, c.reason))
					p.drain()
				}
			})
			states := newStates()
			conn, err := client.Dial(background(t), url, client.Options{Reconnect: quick, OnState: states.hear})
			if c.is == nil {
				if err != nil {
					t.Fatalf("Dial: %v, want another attempt", err)
				}
				defer func() { _ = conn.Close() }()
				err = receive(t, "a failed attempt", states).Err
			} else if !errors.Is(err, c.is) || !errors.Is(err, client.ErrRefused) {
				t.Errorf("Dial: %v, want %v and %v", err, client.ErrRefused, c.is)
			}
			var refused *client.RefusedError
			if !errors.As(err, &refused) || refused.Text != "who are you?" || refused.Code != c.code || refused.Status != 0 {
				t.Errorf("the error is %#v, want a refusal with the text and %d", err, c.code)
			}
		})
	}
}

// A server that does not close after a refusal is not waited for.
func TestRefusalWithoutAnEnd(t *testing.T) {
	url := startServer(t, func(_ int, p *peer) {
		if p.text() == "M positions volatile" {
			p.send("Hno")
			p.drain()
		}
	})
	_, err := client.Dial(background(t), url, client.Options{DialTimeout: 50 * time.Millisecond})
	var refused *client.RefusedError
	if !errors.As(err, &refused) || refused.Text != "no" {
		t.Errorf("Dial: %v, want the refusal", err)
	}
}

// A node refuses clients in both forms, and a suggested delay is waited for.
func TestRefusalsOfANode(t *testing.T) {
	for _, form := range []node.RefusalForm{node.RefusalHTTP, node.RefusalWebSocket} {
		t.Run(form.String(), func(t *testing.T) {
			var calls int
			n, _ := startNode(t, "", func(n *node.Node) {
				n.OnAccept(func(_ context.Context, a *node.Accept) error {
					no := &node.Refusal{Reason: "because", Form: form}
					switch a.Request.URL.Query().Get("as") {
					case "stranger":
						no.Status = http.StatusUnauthorized
					case "guest":
						no.Status = http.StatusForbidden
					default:
						if calls++; calls > 1 {
							return nil
						}
						no.Status, no.RetryAfter = http.StatusServiceUnavailable, time.Second
					}
					return no
				})
			})
			for as, want := range map[string]error{"stranger": wire.ErrUnauthorized, "guest": wire.ErrForbidden} {
				_, err := client.Dial(background(t), urlOf(n)+"?as="+as, client.Options{})
				if !errors.Is(err, want) || !errors.Is(err, client.ErrRefused) {
					t.Errorf("%s: %v, want %v and %v", as, err, client.ErrRefused, want)
				}
			}
			states := newStates()
			dial(t, urlOf(n), client.Options{OnState: states.hear, Reconnect: client.Reconnect{Base: time.Millisecond, Cap: 10 * time.Millisecond}})
			// Twice the cap bounds what a server may suggest.
			if e := receive(t, "a failed attempt", states); e.Delay < 20*time.Millisecond {
				t.Errorf("the delay after %v is %v, want the suggested one", e.Err, e.Delay)
			}
		})
	}
}

// An open connection ends for the same reasons.
func TestClosedToLogInAgain(t *testing.T) {
	n, _ := startNode(t, "", func(n *node.Node) {
		n.OnOpened(func(_ context.Context, e *node.OpenedEvent) {
			_ = e.Conn.Close(wire.CodeUnauthorized, "the session has expired")
		})
	})
	conn := dial(t, urlOf(n), client.Options{})
	receive(t, "the end", conn.Done())
	var closed *client.CloseError
	if err := conn.Err(); !errors.As(err, &closed) || closed.Reason != "the session has expired" || !errors.Is(err, wire.ErrUnauthorized) {
		t.Errorf("Err is %v, want %v with the reason", err, wire.ErrUnauthorized)
	}
}
