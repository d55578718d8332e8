package engine_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/closecode"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/testkit"
)

// probe sends the request with which a neffos.js client asks whether it may
// dial, and reports whether it was answered.
func probe(t *testing.T, address net.Addr) bool {
	t.Helper()
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://"+address.String()+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return true
}

// dialEcho opens a WebSocket.
func dialEcho(t *testing.T, address net.Addr, query string, header http.Header) (net.Conn, io.Reader) {
	t.Helper()
	dialer := ws.Dialer{Header: ws.HandshakeHeaderHTTP(header)}
	conn, in, _, err := dialer.Dial(t.Context(), "ws://"+address.String()+"/echo"+query)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(testkit.Patience))
	if in == nil {
		in = bufio.NewReader(conn)
	}
	return conn, in
}

// expectEcho sends a message and reads it back.
func expectEcho(t *testing.T, conn net.Conn, in io.Reader) {
	t.Helper()
	if err := ws.WriteFrame(conn, ws.MaskFrame(ws.NewTextFrame([]byte("hello")))); err != nil {
		t.Fatal(err)
	}
	if got, err := testkit.ReadFrame(in); err != nil || string(got.Payload) != "hello" {
		t.Fatalf("got %v %q, %v, want the echo", got.Header.OpCode, got.Payload, err)
	}
}

// shutDown begins to shut the server down, and waits until it has begun.
func shutDown(ctx context.Context, t *testing.T, s *engine.Server) <-chan error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(ctx, "the test ends") }()
	testkit.Eventually(t, "the shutdown begins", s.Leaving)
	return ended
}

// A client whose probe was answered may dial, also if the shutdown begins in
// between, and is not disconnected before it is back in its rooms.
func TestAnsweredProbeIsAPromise(t *testing.T) {
	eachEcho(t, func(t *testing.T, blocking bool) {
		s, address := startEchoServer(t, blocking)
		s.SetReturnGrace(time.Hour)
		if !probe(t, address) {
			t.Fatal("the probe was not answered")
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := shutDown(ctx, t, s)
		if probe(t, address) {
			t.Error("a probe was answered after the shutdown began")
		}
		conn, in := dialEcho(t, address, "", nil)
		expectEcho(t, conn, in)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v, want %v", err, context.Canceled)
		}
	})
}

// The probe may have been answered by another node: a client that says that it
// reconnects has its time as well, and no other client.
func TestReturningClientHasTime(t *testing.T) {
	mark := http.Header{"X-Websocket-Reconnect": {"1"}}
	for name, c := range map[string]struct {
		query  string
		header http.Header
		kept   bool
	}{
		"field":     {"", mark, true},
		"parameter": {"?X-Websocket-Header-X-Websocket-Reconnect=1", nil, true},
		"neither":   {"?x=1", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			eachEcho(t, func(t *testing.T, blocking bool) {
				s, address := startEchoServer(t, blocking)
				s.SetReturnGrace(time.Hour)
				conn, in := dialEcho(t, address, c.query, c.header)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := shutDown(ctx, t, s)
				if c.kept {
					expectEcho(t, conn, in)
					cancel()
					<-ended
					return
				}
				got, err := testkit.ReadFrame(in)
				if err != nil {
					t.Fatal(err)
				}
				if code, _ := ws.ParseCloseFrameData(got.Payload); uint16(code) != closecode.GoingAway {
					t.Errorf("got %v with %d, want a close frame with %d", got.Header.OpCode, code, closecode.GoingAway)
				}
				_ = conn.Close()
				if err := <-ended; err != nil {
					t.Errorf("Shutdown: %v", err)
				}
			})
		})
	}
}

// A shutdown waits for the client that came last, but not for ever.
func TestReturningClientsDelayShutdown(t *testing.T) {
	s, address := startEchoServer(t, false)
	s.SetReturnGrace(10)
	for _, c := range []struct{ last, now, end, want time.Duration }{
		{0, 100, 120, 0},
		{95, 100, 120, 5},
		{115, 116, 120, 4},
		{80, 100, 120, -10},
	} {
		if got := s.ReturningFor(c.last, c.now, c.end); got != c.want {
			t.Errorf("after a client at %d, at %d of %d: %d, want %d", c.last, c.now, c.end, got, c.want)
		}
	}
	if !probe(t, address) {
		t.Fatal("the probe was not answered")
	}
	if err := s.Shutdown(t.Context(), "the test ends"); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
