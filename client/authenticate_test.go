package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// tokens returns an Authenticate that gives "token 1", "token 2" and so on.
func tokens(calls *atomic.Int32) func(context.Context) (http.Header, error) {
	return client.Bearer(func(context.Context) (string, error) { return fmt.Sprint("token ", calls.Add(1)), nil })
}

// renewals collects the attempts to renew an identity.
func renewals(o *client.Options) <-chan *client.RenewalEvent {
	all := make(chan *client.RenewalEvent, 100)
	o.OnRenewal = func(_ context.Context, e *client.RenewalEvent) { all <- e }
	return all
}

const (
	authenticate = ";;;_OnAuthenticate;"
	// notice gives so much time that the first pause is a tenth of a second.
	notice = authenticate + "0;0;6400"
)

// helloWithNotices acknowledges a client that understands notices.
func (p *peer) helloWithNotices() {
	if hello := p.text(); hello != "M expiry positions volatile" {
		p.tb.Errorf("the hello is %q", hello)
	}
	p.send("Aid")
}

// After the notice the client hands in a new token, again after a failure.
func TestRenewal(t *testing.T) {
	handed := make(chan string, 10)
	url := startServer(t, func(number int, p *peer) {
		p.helloWithNotices()
		if number > 0 {
			p.drain()
			return
		}
		p.send(notice)
		p.send(notice) // one renewal is running
		for i := 0; ; i++ {
			text := p.text()
			token, rest, _ := strings.Cut(text, ";")
			if handed <- strings.TrimPrefix(";"+rest, authenticate); i == 0 {
				p.send(token + authenticate + "1;0;unauthorized")
				continue
			}
			p.send(token + ";;;;;;")
			p.frame(closeFrame(wire.CodeExpired, "identity expired"))
			p.drain()
			return
		}
	})
	var calls atomic.Int32
	states := newStates()
	o := client.Options{Authenticate: tokens(&calls), OnState: states.hear}
	renewed := renewals(&o)
	dial(t, url, o)
	for i := 2; i <= 3; i++ {
		if got, want := receive(t, "a token", handed), fmt.Sprint("0;0;token ", i); got != want {
			t.Errorf("handed in %q, want %q", got, want)
		}
	}
	if e := receive(t, "a failure", renewed); !errors.Is(e.Err, wire.ErrUnauthorized) || e.Delay < 100*time.Millisecond || e.Delay > 200*time.Millisecond {
		t.Errorf("got %+v, want unauthorized and a delay of 100 to 200 ms", e)
	}
	if e := receive(t, "a success", renewed); e.Err != nil || e.Delay != 0 {
		t.Errorf("got %+v, want a success", e)
	}
	if e := states.await(t, client.StateReconnecting); e.Code != wire.CodeExpired || !errors.Is(e.Err, wire.ErrUnauthorized) {
		t.Errorf("got %+v, want a close with %d", e, wire.CodeExpired)
	}
	states.await(t, client.StateConnected)
	if calls.Load() != 4 {
		t.Errorf("Authenticate was called %d times, want 4", calls.Load())
	}
}

// Without new credentials the close is final, and notices mean nothing.
func TestExpiryWithoutAuthenticate(t *testing.T) {
	url := startServer(t, func(_ int, p *peer) {
		p.hello("id")
		p.send(notice)
		p.frame(closeFrame(wire.CodeExpired, "identity expired"))
		p.drain()
	})
	conn := dial(t, url, client.Options{})
	receive(t, "Done", conn.Done())
	if err := conn.Err(); !errors.Is(err, wire.ErrUnauthorized) {
		t.Errorf("Err is %v, want that the client must log in", err)
	}
}

// An Authenticate that says no ends the renewal, and the Conn when it dials.
func TestAuthenticateThatRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		is    error
		again func() (http.Header, error)
	}{
		{"refused", client.ErrRefused, func() (http.Header, error) { return nil, fmt.Errorf("logged out: %w", client.ErrRefused) }},
		{"unauthorized", wire.ErrUnauthorized, func() (http.Header, error) { return nil, wire.ErrUnauthorized }},
		{"no token", nil, func() (http.Header, error) { return http.Header{"Cookie": {"a=b"}}, nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			release := make(chan struct{})
			url := startServer(t, func(number int, p *peer) {
				p.helloWithNotices()
				if number == 0 {
					p.send(notice)
					<-release
					p.frame(closeFrame(wire.CodeExpired, "identity expired"))
				}
				p.drain()
			})
			first := true
			states := newStates()
			o := client.Options{OnState: states.hear, Authenticate: func(context.Context) (http.Header, error) {
				if first {
					first = false
					return nil, nil
				}
				return c.again()
			}}
			renewed := renewals(&o)
			conn := dial(t, url, o)
			if e := receive(t, "a failure", renewed); e.Err == nil || e.Delay != 0 || c.is != nil && !errors.Is(e.Err, c.is) {
				t.Errorf("got %+v, want %v and no further attempt", e, c.is)
			}
			close(release)
			if c.is == nil {
				states.await(t, client.StateReconnecting)
				states.await(t, client.StateConnected)
				return
			}
			receive(t, "Done", conn.Done())
			if !errors.Is(conn.Err(), c.is) {
				t.Errorf("Err is %v, want %v", conn.Err(), c.is)
			}
		})
	}
}

// A renewal ends with its connection.
func TestCloseDuringARenewal(t *testing.T) {
	url := startServer(t, func(_ int, p *peer) {
		p.helloWithNotices()
		p.send(notice)
		p.drain()
	})
	var calls atomic.Int32
	renewing := make(chan struct{})
	conn := dial(t, url, client.Options{Authenticate: func(ctx context.Context) (http.Header, error) {
		if calls.Add(1) == 2 {
			close(renewing)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil, nil
	}})
	receive(t, "the renewal", renewing)
	if err := conn.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// Notices that make no sense are ignored.
func TestBadNotices(t *testing.T) {
	answers := make(chan string, 1)
	url := startServer(t, func(_ int, p *peer) {
		p.helloWithNotices()
		for _, body := range []string{"", "x", "-1", "1.5", "99999999999999999999", strings.Repeat("9", 1000)} {
			p.send(authenticate + "0;0;" + body)
		}
		p.send("1" + authenticate + "0;0;100") // as a request
		for text := p.text(); text != ""; text = p.text() {
			token, _, _ := strings.Cut(text, ";")
			if token == "1" {
				answers <- text
				continue
			}
			p.send(token + ";;;;;;")
		}
	})
	var calls atomic.Int32
	conn := dial(t, url, client.Options{Authenticate: tokens(&calls)})
	if _, err := conn.Connect(background(t), "ns"); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, "an answer", answers); got != "1"+authenticate+"1;0;unhandled event" {
		t.Errorf("answered %q", got)
	}
	if calls.Load() != 1 {
		t.Errorf("Authenticate was called %d times, want once", calls.Load())
	}
}

// The whole of it, with a node: identities of a second are renewed again and
// again.
func TestRenewalAgainstANode(t *testing.T) {
	expires := func() time.Time { return time.Now().Add(time.Second) }
	n, _ := startNode(t, "", func(n *node.Node) {
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			if !strings.HasPrefix(a.Request.Header.Get("Authorization"), "Bearer token ") {
				return node.Refuse(http.StatusUnauthorized, "no token")
			}
			a.Identity = access.Identity{User: "ann", Expires: expires()}
			return nil
		})
		n.OnAuthenticate(func(_ context.Context, r *node.AuthenticateRequest) (access.Identity, error) {
			if !strings.HasPrefix(r.Token, "token ") {
				return access.Identity{}, wire.ErrUnauthorized
			}
			return access.Identity{User: "ann", Expires: expires()}, nil
		})
	})
	var calls atomic.Int32
	o := client.Options{Authenticate: tokens(&calls)}
	renewed := renewals(&o)
	dial(t, urlOf(n), o)
	for range 2 {
		if e := receive(t, "a renewal", renewed); e.Err != nil {
			t.Errorf("got %v, want a success", e.Err)
		}
	}
}
