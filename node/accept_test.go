package node_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// front is a way to reach a node.
type front struct {
	*node.Node
	connect func(tb testing.TB) *peer
}

// eachFront runs a test with a node behind its own listener and with one
// mounted in an HTTP server, over TCP and over TLS.
func eachFront(t *testing.T, change func(*node.Config), declare func(*node.Node), test func(t *testing.T, f *front)) {
	t.Run("own listener", func(t *testing.T) {
		n := startHandling(t, change, declare)
		test(t, &front{n, func(tb testing.TB) *peer { return connectTCP(tb, n) }})
	})
	t.Run("own listener with TLS", func(t *testing.T) {
		files := newTLSFiles(t)
		n := startTLS(t, files, change, declare)
		test(t, &front{n, func(tb testing.TB) *peer { return connectTLS(tb, n, files.config()) }})
	})
	for name, setup := range map[string]func(*httptest.Server){"mounted": nil, "mounted with TLS": withTLS} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, change)
			declare(n)
			m := startMounted(t, n, nil, setup)
			test(t, &front{n, m.connect})
		})
	}
}

// closing is how a connection was closed.
type closing struct {
	code wire.Code
	by   node.Initiator
}

// ends are the events that OnClosed received.
type ends struct{ heard chan closing }

// recordEnds registers OnClosed.
func recordEnds(n *node.Node) *ends {
	e := &ends{make(chan closing, 1000)}
	n.OnClosed(func(_ context.Context, event *node.ClosedEvent) {
		if !event.Conn.IsClosed() {
			panic("OnClosed is called for an open connection")
		}
		e.heard <- closing{event.Code, event.By}
	})
	return e
}

// expect waits for these events.
func (e *ends) expect(tb testing.TB, want ...closing) {
	tb.Helper()
	timeout := time.After(patience)
	for _, w := range want {
		select {
		case got := <-e.heard:
			if got != w {
				tb.Errorf("closed with %s by the %s, want %s by the %s", got.code, got.by, w.code, w.by)
			}
		case <-timeout:
			tb.Fatalf("OnClosed was not called for %s by the %s", w.code, w.by)
		}
	}
}

// expectNoMore shuts the node down, which waits for the handlers.
func (e *ends) expectNoMore(tb testing.TB, n *node.Node) {
	tb.Helper()
	if err := n.Shutdown(context.Background()); err != nil {
		tb.Errorf("Shutdown: %v", err)
	}
	select {
	case got := <-e.heard:
		tb.Errorf("OnClosed was also called for %s by the %s", got.code, got.by)
	default:
	}
}

// gate is an accept handler that waits for the test if the query asks for it.
type gate struct {
	waits  chan struct{} // one for each waiting request
	opened chan error    // the handler's result
}

func newGate() *gate { return &gate{make(chan struct{}, 100), make(chan error, 100)} }

func (g *gate) accept(_ context.Context, a *node.Accept) error {
	if a.Request.URL.Query().Get("wait") == "" {
		return nil
	}
	g.waits <- struct{}{}
	return <-g.opened
}

func TestAcceptSeesTheRequest(t *testing.T) {
	type key struct{}
	type seen struct{ header, query, cookie, host, method, remote string }
	requests := make(chan seen, 1)
	conns := make(chan *node.Conn, 1)
	eachFront(t, nil, func(n *node.Node) {
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			s := seen{
				header: strings.Join(a.Request.Header.Values("X-Test"), "+"), query: a.Request.URL.Query().Get("q"),
				host: a.Request.Host, method: a.Request.Method, remote: a.Request.RemoteAddr,
			}
			if cookie, err := a.Request.Cookie("session"); err == nil {
				s.cookie = cookie.Value
			}
			requests <- s
			a.Set(key{}, "value of "+s.cookie)
			return nil
		})
		n.OnOpened(func(_ context.Context, e *node.OpenedEvent) { conns <- e.Conn })
	}, func(t *testing.T, f *front) {
		p := f.connect(t)
		p.write(upgradeRequest("/ws?q=a%20b", "X-Test: one", "x-test: two", "Cookie: other=1; session=s3cret"))
		p.expectSwitch()
		p.hello()
		address := p.conn.LocalAddr().String()
		if got, want := <-requests, (seen{"one+two", "a b", "s3cret", "stoa.test", "GET", address}); got != want {
			t.Errorf("the handler saw %+v, want %+v", got, want)
		}
		c := <-conns
		if got := c.Value(key{}); got != "value of s3cret" {
			t.Errorf("Value is %v, want the value that was set", got)
		}
		if got := c.Value("other"); got != nil {
			t.Errorf("Value of another key is %v, want nil", got)
		}
		if got := c.RemoteAddr(); got != address {
			t.Errorf("RemoteAddr is %s, want %s", got, address)
		}
	})
}

func TestAcceptRefuses(t *testing.T) {
	const hidden = "the password of the database"
	for _, c := range []struct {
		name   string
		handle func() error
		status int
		text   string
	}{
		{"with a status", func() error { return node.Refuse(http.StatusUnauthorized, "who are you?") }, 401, "who are you?\n"},
		{"with a wrapped one", func() error { return fmt.Errorf("%s: %w", hidden, node.Refuse(http.StatusForbidden, "not you")) }, 403, "not you\n"},
		{"with a status of its own fault", func() error { return node.Refuse(http.StatusBadGateway, "later") }, 502, "later\n"},
		{"with another error", func() error { return errors.New(hidden) }, 500, "the request cannot be served\n"},
		{"with a status that is none", func() error { return node.Refuse(http.StatusOK, hidden) }, 500, "the request cannot be served\n"},
		{"with a panic", func() error { panic(hidden) }, 500, "the request cannot be served\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var closed *ends
			eachFront(t, nil, func(n *node.Node) {
				closed = recordEnds(n)
				n.OnAccept(func(_ context.Context, a *node.Accept) error {
					if a.Request.URL.Query().Get("refuse") == "" {
						return nil
					}
					return c.handle()
				})
			}, func(t *testing.T, f *front) {
				for range 2 {
					p := f.connect(t)
					p.write(upgradeRequest("/ws?refuse=1") + frame(ws.OpText, true, "M"))
					response := p.response()
					if text, _ := io.ReadAll(response.Body); response.StatusCode != c.status || string(text) != c.text {
						t.Errorf("answered %s %q, want %d %q", response.Status, text, c.status, c.text)
					}
					_ = p.conn.Close()
				}
				expectHandshakes(t, f.Node, node.HandshakeRefused, 2)
				eventually(t, "the connections have closed", func() bool { s := f.Stats(); return s.Pending == 0 && s.Connections == 0 })
				p := f.connect(t)
				p.expectJoined("default", "r")
				_ = p.conn.Close()
				closed.expect(t, closing{1006, node.ByPeer})
				closed.expectNoMore(t, f.Node)
			})
		})
	}
}

// The accept handler is called for valid requests only.
func TestAcceptIsNotAskedAboutBadRequests(t *testing.T) {
	var closed *ends
	eachFront(t, func(c *node.Config) { c.AllowOrigins = []string{"https://a.example.com"} }, func(n *node.Node) {
		closed = recordEnds(n)
		n.OnAccept(func(context.Context, *node.Accept) error {
			t.Error("the handler was called")
			return nil
		})
	}, func(t *testing.T, f *front) {
		for name, request := range map[string]string{
			"version": withLine("/ws", "Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"),
			"key":     withLine("/ws", "Sec-WebSocket-Key", "Sec-WebSocket-Key: short"),
			"origin":  upgradeRequest("/ws", "Origin: https://b.example.com"),
		} {
			p := f.connect(t)
			p.write(request)
			if response := p.response(); response.StatusCode < 400 || response.StatusCode >= 500 {
				t.Errorf("%s: answered %s, want 4xx", name, response.Status)
			}
			_ = p.conn.Close()
		}
		closed.expectNoMore(t, f.Node)
	})
}

// While the accept handler runs, the client's data is kept, in order.
func TestAcceptThinksWhileTheClientSends(t *testing.T) {
	var g *gate
	eachFront(t, nil, func(n *node.Node) {
		g = newGate()
		n.OnAccept(g.accept)
	}, func(t *testing.T, f *front) {
		p := f.connect(t)
		p.write(strings.Replace(visit("default", "r"), "/ws", "/ws?wait=1", 1))
		<-g.waits
		for i := range 20 {
			p.send(fmt.Sprintf("$%d;default;;nobody;0;0;%s", i, strings.Repeat("x", 1000)))
		}
		// Other requests are served in the meantime.
		f.connect(t).expectVisitTo("/ws")
		g.opened <- nil
		p.expectVisit()
		for i := range 20 {
			p.expect(fmt.Sprintf("$%d;default;;nobody;1;0;unhandled event", i))
		}
	})
}

// expectVisitTo is expectJoined for the usual room.
func (p *peer) expectVisitTo(path string) {
	p.tb.Helper()
	p.write(strings.Replace(visit("default", "r"), "/ws", path, 1))
	p.expectVisit()
}

// reset makes the next Close of the connection a reset.
func (p *peer) reset() {
	if tcp, ok := p.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// A client that closes while the accept handler runs is reported closed exactly
// once if the handler accepts it.
func TestAcceptWhileTheClientLeaves(t *testing.T) {
	for _, c := range []struct {
		name  string
		hello string
		leave func(*peer)
	}{
		{"at once", "", func(*peer) {}},
		{"after its hello", frame(ws.OpText, true, "M"), func(*peer) {}},
		{"with a reset", "", (*peer).reset},
		{"with a reset after its hello", frame(ws.OpText, true, "M"), (*peer).reset},
	} {
		t.Run(c.name, func(t *testing.T) {
			var g *gate
			var closed *ends
			eachFront(t, nil, func(n *node.Node) {
				g, closed = newGate(), recordEnds(n)
				n.OnAccept(g.accept)
			}, func(t *testing.T, f *front) {
				for _, answer := range []error{nil, node.Refuse(http.StatusForbidden, "no")} {
					p := f.connect(t)
					p.write(upgradeRequest("/ws?wait=1") + c.hello)
					<-g.waits
					c.leave(p)
					_ = p.conn.Close()
					g.opened <- answer
				}
				closed.expect(t, closing{1006, node.ByPeer})
				eventually(t, "the connections have closed", func() bool { s := f.Stats(); return s.Pending == 0 && s.Connections == 0 })
				closed.expectNoMore(t, f.Node)
			})
		})
	}
}

// A slow accept handler has its context canceled, and its client receives 503.
func TestAcceptTakesTooLong(t *testing.T) {
	t.Parallel()
	var closed *ends
	eachFront(t, func(c *node.Config) { c.Timeouts.Handshake = time.Second }, func(n *node.Node) {
		closed = recordEnds(n)
		n.OnAccept(func(ctx context.Context, a *node.Accept) error {
			if a.Request.URL.Query().Get("wait") != "" {
				<-ctx.Done()
			}
			return nil
		})
	}, func(t *testing.T, f *front) {
		p := f.connect(t)
		p.write(upgradeRequest("/ws?wait=1") + frame(ws.OpText, true, "M"))
		response := p.response()
		if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusServiceUnavailable || string(text) != "the request was not decided in time\n" {
			t.Errorf("answered %s %q, want 503 and why", response.Status, text)
		}
		closed.expect(t, closing{1006, node.ByServer})
		expectHandshakes(t, f.Node, node.HandshakeTimeout, 1)
		_ = p.conn.Close()
		closed.expectNoMore(t, f.Node)
	})
}

// The node fills up while the accept handler runs.
func TestAcceptWhileTheNodeFills(t *testing.T) {
	var g *gate
	var closed *ends
	eachFront(t, func(c *node.Config) { c.Limits.Connections = 1 }, func(n *node.Node) {
		g, closed = newGate(), recordEnds(n)
		n.OnAccept(g.accept)
	}, func(t *testing.T, f *front) {
		p := f.connect(t)
		p.write(upgradeRequest("/ws?wait=1"))
		<-g.waits
		f.connect(t).expectVisitTo("/ws")
		g.opened <- nil
		p.expectRefusal(http.StatusServiceUnavailable)
		expectHandshakes(t, f.Node, node.HandshakeFull, 1)
		closed.expect(t, closing{1006, node.ByServer})
	})
}

// A shutdown that begins while the accept handler runs waits for it.
func TestAcceptWhileTheNodeDrains(t *testing.T) {
	var g *gate
	var closed *ends
	eachFront(t, nil, func(n *node.Node) {
		g, closed = newGate(), recordEnds(n)
		n.OnAccept(g.accept)
	}, func(t *testing.T, f *front) {
		p := f.connect(t)
		p.write(upgradeRequest("/ws?wait=1"))
		<-g.waits
		shutdown := make(chan error, 1)
		go func() { shutdown <- f.Shutdown(context.Background()) }()
		eventually(t, "the node drains", func() bool { return errors.Is(f.Ready(context.Background()), node.ErrDraining) })
		select {
		case err := <-shutdown:
			t.Errorf("Shutdown has not waited for the handler: %v", err)
		default:
		}
		g.opened <- nil
		if err := <-shutdown; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		closed.expect(t, closing{1006, node.ByServer})
		closed.expectNoMore(t, f.Node)
		if response, err := http.ReadResponse(bufio.NewReader(p.conn), nil); err == nil {
			if response.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("answered %s, want 503 or the end", response.Status)
			}
			_ = response.Body.Close()
		}
	})
}
