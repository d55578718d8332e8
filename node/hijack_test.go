package node_test

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
)

// wrappedWriter is a ResponseWriter of middleware: only Unwrap leads to the
// Hijacker.
type wrappedWriter struct {
	http.ResponseWriter
	status int
}

func (w *wrappedWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *wrappedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// mount serves the node's endpoint on another server.
func mount(tb testing.TB, n *node.Node, wrap func(http.ResponseWriter) http.ResponseWriter, start func(http.Handler) *httptest.Server) *peer {
	tb.Helper()
	server := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.ServeHTTP(wrap(w), r) }))
	tb.Cleanup(server.Close)
	var conn net.Conn
	var err error
	if server.TLS != nil {
		trusted := server.Client().Transport.(*http.Transport).TLSClientConfig
		conn, err = tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{RootCAs: trusted.RootCAs, ServerName: "example.com"})
	} else {
		conn, err = net.Dial("tcp", server.Listener.Addr().String())
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return &peer{tb: tb, conn: conn, in: bufio.NewReader(conn)}
}

func TestServeHTTPOnAnotherServer(t *testing.T) {
	plain := func(w http.ResponseWriter) http.ResponseWriter { return w }
	for _, c := range []struct {
		name  string
		wrap  func(http.ResponseWriter) http.ResponseWriter
		start func(http.Handler) *httptest.Server
	}{
		{"plain", plain, httptest.NewServer},
		{"behind middleware", func(w http.ResponseWriter) http.ResponseWriter { return &wrappedWriter{ResponseWriter: w} }, httptest.NewServer},
		{"TLS", plain, httptest.NewTLSServer},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := startNode(t, nil)
			other := join(t, n, "default", "r")
			p := mount(t, n, c.wrap, c.start)
			p.write(upgradeRequest("/any/path") + frame(ws.OpText, true, "M"))
			p.expectSwitch()
			p.expectAck()
			p.send("$c;default;;_OnNamespaceConnect;0;0;")
			p.send("$j;default;r;_OnRoomJoin;0;0;")
			p.expect("$c;;;;;;", "$j;;;;;;")
			large := strings.Repeat("0123456789", 6000)
			p.send(";default;r;e;0;0;" + large)
			other.expect(";default;r;e;0;0;" + large)
			other.send(";default;r;e;0;0;" + large)
			p.expect(";default;r;e;0;0;" + large)
			p.write(frame(ws.OpClose, true, "\x03\xe8"))
			p.expectClose(ws.StatusNormalClosure)
			p.expectEnd()
			eventually(t, "one connection is left", func() bool { return n.Stats().Connections == 1 })
		})
	}
	t.Run("violation over TLS", func(t *testing.T) {
		n := startNode(t, nil)
		p := mount(t, n, plain, httptest.NewTLSServer)
		p.write(upgradeRequest("/"))
		p.expectSwitch()
		p.hello()
		p.write("\x81\x01a")
		p.expectClose(ws.StatusProtocolError)
		_ = p.conn.Close()
		eventually(t, "no connection is left", func() bool { return n.Stats().Connections == 0 })
	})
	t.Run("writer that cannot be hijacked", func(t *testing.T) {
		n := startNode(t, nil)
		request := httptest.NewRequest(http.MethodGet, "/ws", nil)
		for _, line := range strings.Split(upgradeRequest("/ws"), "\r\n")[2:] {
			if name, value, found := strings.Cut(line, ": "); found {
				request.Header.Set(name, value)
			}
		}
		recorder := httptest.NewRecorder()
		n.ServeHTTP(recorder, request)
		if recorder.Code != http.StatusInternalServerError {
			t.Errorf("answered %d, want 500", recorder.Code)
		}
		expectHandshakes(t, n, node.HandshakeBadRequest, 1)
	})
	t.Run("HTTP/2", func(t *testing.T) {
		n := startNode(t, nil)
		request := httptest.NewRequest(http.MethodGet, "/ws", nil)
		request.ProtoMajor, request.ProtoMinor = 2, 0
		recorder := httptest.NewRecorder()
		n.ServeHTTP(recorder, request)
		if recorder.Code != http.StatusHTTPVersionNotSupported {
			t.Errorf("answered %d, want 505", recorder.Code)
		}
		expectHandshakes(t, n, node.HandshakeBadRequest, 1)
	})
	t.Run("closed node", func(t *testing.T) {
		n := newNode(t, nil)
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			recorder := httptest.NewRecorder()
			n.ServeHTTP(recorder, httptest.NewRequest(method, "/ws", nil))
			if recorder.Code != http.StatusServiceUnavailable {
				t.Errorf("%s answered %d, want 503", method, recorder.Code)
			}
		}
	})
}
