package node_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
)

// mounted is a node without its own listener, in an HTTP server.
type mounted struct {
	*node.Node
	server *httptest.Server
}

// startMounted starts a node and a server around it until the test ends. wrap
// is middleware.
func startMounted(tb testing.TB, n *node.Node, wrap func(http.Handler) http.Handler, setup func(*httptest.Server)) *mounted {
	tb.Helper()
	var handler http.Handler = n
	if wrap != nil {
		handler = wrap(n)
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", handler)
	mux.HandleFunc("/page", echo)
	m := &mounted{n, httptest.NewUnstartedServer(mux)}
	if setup != nil {
		setup(m.server)
	}
	if m.server.TLS != nil || m.server.EnableHTTP2 {
		m.server.StartTLS()
	} else {
		m.server.Start()
	}
	if err := n.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := n.Shutdown(ctx); err != nil {
			tb.Errorf("Shutdown: %v", err)
		}
		m.server.Close()
	})
	return m
}

func withTLS(s *httptest.Server) { s.TLS = new(tls.Config) }

// connect opens a connection to the server and sends nothing.
func (m *mounted) connect(tb testing.TB) *peer {
	tb.Helper()
	conn, err := net.Dial("tcp", m.server.Listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	if m.server.TLS != nil {
		config := m.server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		config.ServerName = "example.com" // the name in the test server's certificate
		conn = tls.Client(conn, config)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return &peer{tb: tb, conn: conn, in: bufio.NewReader(conn)}
}

// join opens a WebSocket and joins a room.
func (m *mounted) join(tb testing.TB, namespace, room string) *peer {
	tb.Helper()
	p := m.connect(tb)
	p.expectJoined(namespace, room)
	return p
}

// eachMounting runs a test over plain TCP and over TLS.
func eachMounting(t *testing.T, test func(t *testing.T, setup func(*httptest.Server))) {
	t.Run("plain", func(t *testing.T) { test(t, func(*httptest.Server) {}) })
	t.Run("TLS", func(t *testing.T) { test(t, withTLS) })
}

// lockedBuffer is a log that the node writes and a test reads.
type lockedBuffer struct {
	mu      sync.Mutex
	content bytes.Buffer // guarded by mu
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.String()
}

// goroutinesIn counts the goroutines that are in a function.
func goroutinesIn(function string) int {
	stacks := make([]byte, 4<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), function+"(")
}

// A plain connection moves onto a loop and leaves no goroutine behind; a TLS
// connection has a reader. The goroutine of net/http ends in both cases.
func TestMountedConnectionsMove(t *testing.T) {
	const count = 50
	readers := count
	if testTransport(t) != node.TransportBlocking && runtime.GOOS == "linux" {
		readers = 0
	}
	for _, c := range []struct {
		name    string
		setup   func(*httptest.Server)
		readers int
	}{
		{"plain", nil, readers},
		{"TLS", withTLS, count},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := startMounted(t, newNode(t, nil), nil, c.setup)
			peers := make([]*peer, count)
			for i := range peers {
				peers[i] = m.join(t, "default", "r")
			}
			eventually(t, fmt.Sprintf("%d goroutines read, and none is left of net/http", c.readers), func() bool {
				return goroutinesIn("engine.(*blockingIO).readLoop") == c.readers && goroutinesIn("net/http.(*conn).serve") == 0
			})
			if s := m.Stats(); s.Connections != count || s.Pending != 0 || s.Handshakes[node.HandshakeAccepted] != count {
				t.Errorf("%d open, %d pending, %d accepted, want %d, 0, %[4]d", s.Connections, s.Pending, s.Handshakes[node.HandshakeAccepted], count)
			}
			peers[0].send(";default;r;e;0;0;hello")
			for _, p := range peers[1:] {
				p.expect(";default;r;e;0;0;hello")
			}
		})
	}
}

// Data after the request head is kept, whether net/http has read it or not.
func TestMountedKeepsEarlyFrames(t *testing.T) {
	eachMounting(t, func(t *testing.T, setup func(*httptest.Server)) {
		for _, messages := range []int{0, 1, 20, 100} {
			t.Run(fmt.Sprint(messages, " messages"), func(t *testing.T) {
				m := startMounted(t, newNode(t, nil), nil, setup)
				p := m.connect(t)
				var all strings.Builder
				all.WriteString(visit("default", "r"))
				for i := range messages {
					fmt.Fprint(&all, frame(ws.OpText, true, fmt.Sprintf("$%d;default;;nobody%s;0;0;", i, strings.Repeat("x", 100))))
				}
				p.write(all.String())
				p.expectVisit()
				for i := range messages {
					p.expect(fmt.Sprintf("$%d;default;;nobody%s;1;0;unhandled event", i, strings.Repeat("x", 100)))
				}
			})
		}
	})
}

// onlyWriter is a ResponseWriter of careless middleware.
type onlyWriter struct{ http.ResponseWriter }

// lateHijacker is a ResponseWriter whose connections have a deadline in the
// past.
type lateHijacker struct{ http.ResponseWriter }

func (w lateHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		err = nc.SetDeadline(time.Unix(1, 0))
	}
	return nc, rw, err
}

// through is middleware that replaces the ResponseWriter.
func through[W http.ResponseWriter](wrap func(http.ResponseWriter) W) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(wrap(w), r) })
	}
}

func TestMountedBehindMiddleware(t *testing.T) {
	t.Run("with Unwrap", func(t *testing.T) {
		m := startMounted(t, newNode(t, nil), through(func(w http.ResponseWriter) *wrappedWriter {
			return &wrappedWriter{ResponseWriter: &wrappedWriter{ResponseWriter: w}}
		}), nil)
		m.join(t, "default", "r").sync("default")
	})
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"without Unwrap": through(func(w http.ResponseWriter) onlyWriter { return onlyWriter{w} }),
		"TimeoutHandler": func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Hour, "") },
	} {
		t.Run(name, func(t *testing.T) {
			var log lockedBuffer
			n := newNode(t, func(c *node.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			ends := recordEnds(n)
			n.OnAccept(func(context.Context, *node.Accept) error { return nil })
			m := startMounted(t, n, wrap, nil)
			for range 3 {
				p := m.connect(t)
				p.write(upgradeRequest("/ws"))
				response := p.response()
				text, _ := io.ReadAll(response.Body)
				if response.StatusCode != http.StatusInternalServerError || !strings.Contains(string(text), "cannot be hijacked") {
					t.Errorf("answered %s %q, want 500 and why", response.Status, text)
				}
				ends.expect(t, closing{1006, node.ByServer})
			}
			if got := strings.Count(log.String(), "needs a method Unwrap"); got != 1 {
				t.Errorf("it was logged %d times, want once:\n%s", got, log.String())
			}
		})
	}
}

// The deadlines of an HTTP server do not apply to its WebSockets.
func TestMountedServerTimeouts(t *testing.T) {
	const short = time.Second // long enough for a TLS handshake on a busy machine
	deadlines := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			controller := http.NewResponseController(w)
			err := errors.Join(controller.SetReadDeadline(time.Now().Add(short)), controller.SetWriteDeadline(time.Now().Add(short)))
			if err != nil {
				t.Error(err)
			}
			next.ServeHTTP(w, r)
		})
	}
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"of the server":   nil,
		"of middleware":   deadlines,
		"of the Hijacker": through(func(w http.ResponseWriter) lateHijacker { return lateHijacker{w} }),
	} {
		t.Run(name, func(t *testing.T) {
			eachMounting(t, func(t *testing.T, setup func(*httptest.Server)) {
				t.Parallel()
				m := startMounted(t, newNode(t, nil), wrap, func(s *httptest.Server) {
					setup(s)
					s.Config.ReadTimeout, s.Config.WriteTimeout = short, short
					s.Config.ReadHeaderTimeout, s.Config.IdleTimeout = short, short
				})
				one, other := m.join(t, "default", "r"), m.join(t, "default", "r")
				// When the deadline of a later connection has passed, so have
				// theirs.
				m.connect(t).expectEnd()
				one.send(";default;r;e;0;0;hello")
				other.expect(";default;r;e;0;0;hello")
				one.sync("default")
			})
		})
	}
}

func TestMountedOverHTTP2(t *testing.T) {
	n := newNode(t, nil)
	m := startMounted(t, n, nil, func(s *httptest.Server) { s.EnableHTTP2 = true })
	for _, c := range []struct {
		method string
		status int
		body   string
	}{
		{http.MethodGet, http.StatusHTTPVersionNotSupported, "a WebSocket needs HTTP/1.1\n"},
		{http.MethodPost, http.StatusHTTPVersionNotSupported, "a WebSocket needs HTTP/1.1\n"},
		{http.MethodHead, http.StatusFound, ""},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, m.server.URL+"/ws", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := m.server.Client().Transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.ProtoMajor != 2 || response.StatusCode != c.status || string(body) != c.body {
			t.Errorf("%s answered %s %s %q, want HTTP/2 %d %q", c.method, response.Proto, response.Status, body, c.status, c.body)
		}
	}
	expectHandshakes(t, n, node.HandshakeBadRequest, 2)
}

// A node that does not serve answers so. The probe of neffos.js is reset, as it
// would dial and then give up after any answer.
func TestMountedBeforeStartAndAfterClose(t *testing.T) {
	n := newNode(t, nil)
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	m := &mounted{n, server}
	expectUnavailable := func(want string) {
		t.Helper()
		p := m.connect(t)
		p.write(upgradeRequest("/ws"))
		response := p.response()
		if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusServiceUnavailable || string(text) != want {
			t.Errorf("answered %s %q, want 503 %q", response.Status, text, want)
		}
		probe := m.connect(t)
		probe.write("HEAD /ws HTTP/1.1\r\nHost: stoa.test\r\n\r\n")
		probe.deadline()
		if _, err := probe.in.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the probe ends with %v, want %v", err, syscall.ECONNRESET)
		}
	}
	expectUnavailable("node has not started\n")
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	m.join(t, "default", "r").sync("default")
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	expectUnavailable("node is closed\n")
}

// The HTTP server and the node end independently of each other.
func TestMountedShutdown(t *testing.T) {
	eachMounting(t, func(t *testing.T, setup func(*httptest.Server)) {
		n := newNode(t, nil)
		ends := recordEnds(n)
		m := startMounted(t, n, nil, setup)
		one, other := m.join(t, "default", "r"), m.join(t, "default", "r")
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := m.server.Config.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown of the server: %v", err)
		}
		one.send(";default;r;e;0;0;hello")
		other.expect(";default;r;e;0;0;hello")
		shutdown := make(chan error, 1)
		go func() { shutdown <- n.Shutdown(ctx) }()
		for _, p := range []*peer{one, other} {
			if code := answerClose(p); code != 1001 {
				t.Errorf("closed with %d, want 1001", code)
			}
		}
		if err := <-shutdown; err != nil {
			t.Errorf("Shutdown of the node: %v", err)
		}
		ends.expect(t, closing{1001, node.ByServer}, closing{1001, node.ByServer})
	})
}
