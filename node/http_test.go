package node_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
)

// echo answers with the method, the path and the body.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
}

func withEcho(c *node.Config) { c.HTTP = http.HandlerFunc(echo) }

const plainGet = "GET /page HTTP/1.1\r\nHost: stoa.test\r\n\r\n"

// expectBody reads a response with status 200 and this body.
func (p *peer) expectBody(want string) {
	p.tb.Helper()
	response := p.response()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK || string(body) != want {
		p.tb.Fatalf("answered %s %.200q, want 200 %.200q", response.Status, body, want)
	}
}

// hello sends the hello and reads the acknowledgement.
func (p *peer) hello() {
	p.tb.Helper()
	p.send("M")
	p.expectAck()
}

func (p *peer) expectAck() {
	p.tb.Helper()
	if f := p.next(); f.Header.OpCode != ws.OpText || len(f.Payload) < 2 || f.Payload[0] != 'A' {
		p.tb.Fatalf("got %s, want an acknowledgement", describe(f))
	}
}

func (p *peer) expectSwitch() {
	p.tb.Helper()
	if response := p.response(); response.StatusCode != http.StatusSwitchingProtocols {
		p.tb.Fatalf("answered %s, want 101", response.Status)
	}
}

// The endpoint answers requests without an upgrade, on a new connection and on
// one that has served a request before.
func TestEndpointWithoutUpgrade(t *testing.T) {
	for _, c := range []struct {
		method string
		status int
		header map[string]string
		body   string
		result node.HandshakeResult
	}{
		{"GET", 426, map[string]string{"Sec-Websocket-Version": "13", "Upgrade": "websocket"}, "this is a WebSocket endpoint\n", node.HandshakeBadRequest},
		{"POST", 405, map[string]string{"Allow": "GET", "X-Content-Type-Options": "nosniff"}, "Method Not Allowed\n", node.HandshakeBadRequest},
		{"OPTIONS", 405, map[string]string{"Allow": "GET"}, "Method Not Allowed\n", node.HandshakeBadRequest},
		{"BREW", 405, map[string]string{"Allow": "GET"}, "Method Not Allowed\n", node.HandshakeBadRequest},
		{"HEAD", 302, map[string]string{"Location": ""}, "", node.HandshakeAccepted},
	} {
		t.Run(c.method, func(t *testing.T) {
			n := startNode(t, withEcho)
			p := connectTCP(t, n)
			for range 2 {
				p.write(c.method + " /ws?a=b HTTP/1.1\r\nHost: stoa.test\r\n\r\n")
				p.deadline()
				response, err := http.ReadResponse(p.in, &http.Request{Method: c.method})
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(response.Body)
				if err != nil || response.StatusCode != c.status || string(body) != c.body {
					t.Errorf("answered %s %q, %v, want %d %q", response.Status, body, err, c.status, c.body)
				}
				for name, want := range c.header {
					if got := response.Header.Get(name); got != want {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				}
			}
			want := uint64(2)
			if c.result == node.HandshakeAccepted {
				want = 0
			}
			expectHandshakes(t, n, c.result, want)
			// The connection is still good for an upgrade.
			p.write(upgradeRequest("/ws"))
			p.expectSwitch()
			p.hello()
		})
	}
}

func TestHTTPNextToTheEndpoint(t *testing.T) {
	t.Run("no handler", func(t *testing.T) {
		n := startNode(t, nil)
		p := connectTCP(t, n)
		p.write(plainGet)
		if response := p.response(); response.StatusCode != http.StatusNotFound {
			t.Errorf("answered %s, want 404", response.Status)
		}
	})
	t.Run("handler", func(t *testing.T) {
		n := startNode(t, withEcho)
		p := connectTCP(t, n)
		p.write(plainGet)
		p.expectBody("GET /page ")
		if s := n.Stats(); s.HandedToHTTP != 1 || s.Pending != 0 || s.Connections != 0 {
			t.Errorf("%d handed over, %d pending, %d open, want 1, 0, 0", s.HandedToHTTP, s.Pending, s.Connections)
		}
	})
	t.Run("body behind the head", func(t *testing.T) {
		for _, size := range []int{0, 1, 5000, 300_000} {
			n := startNode(t, withEcho)
			p := connectTCP(t, n)
			body := strings.Repeat("b", size)
			p.write(fmt.Sprintf("POST /form HTTP/1.1\r\nHost: stoa.test\r\nContent-Length: %d\r\n\r\n%s", size, body))
			p.expectBody("POST /form " + body)
		}
	})
	t.Run("chunked body in pieces", func(t *testing.T) {
		n := startNode(t, withEcho)
		p := connectTCP(t, n)
		p.write("POST /form HTTP/1.1\r\nHost: stoa.test\r\nTransfer-Encoding: chunked\r\n")
		p.write("\r\n3\r\nabc\r\n")
		p.write("2\r\nde\r\n0\r\n\r\n")
		p.expectBody("POST /form abcde")
	})
	t.Run("head byte by byte", func(t *testing.T) {
		n := startNode(t, withEcho)
		p := connectTCP(t, n)
		for i := range len(plainGet) {
			p.write(plainGet[i : i+1])
		}
		p.expectBody("GET /page ")
	})
	t.Run("pipelined requests", func(t *testing.T) {
		n := startNode(t, withEcho)
		p := connectTCP(t, n)
		p.write(plainGet + strings.Replace(plainGet, "page", "two", 1) + strings.Replace(plainGet, "page", "three", 1))
		p.expectBody("GET /page ")
		p.expectBody("GET /two ")
		p.expectBody("GET /three ")
	})
	t.Run("large head of a second request", func(t *testing.T) {
		n := startNode(t, withEcho)
		p := connectTCP(t, n)
		p.write(plainGet)
		p.expectBody("GET /page ")
		p.write("GET /page HTTP/1.1\r\nHost: stoa.test\r\nX: " + strings.Repeat("x", 20_000) + "\r\n\r\n")
		p.expectRefusal(http.StatusRequestHeaderFieldsTooLarge)
	})
	t.Run("half-closed client", func(t *testing.T) {
		n := startNode(t, withEcho)
		p := connectTCP(t, n)
		p.write("GET /page HTTP/1.0\r\n\r\n")
		if err := p.conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		p.expectBody("GET /page ")
		p.expectEOF()
	})
	t.Run("many at once", func(t *testing.T) {
		n := startNode(t, withEcho)
		peers := make([]*peer, 50)
		for i := range peers {
			peers[i] = connectTCP(t, n)
			peers[i].write(plainGet)
		}
		for _, p := range peers {
			p.expectBody("GET /page ")
		}
	})
}

// The socket of a served connection returns from net/http when it is upgraded.
func TestUpgradeAfterRequest(t *testing.T) {
	t.Run("one after the other", func(t *testing.T) {
		n := startNode(t, withEcho)
		p := connectTCP(t, n)
		p.write(plainGet)
		p.expectBody("GET /page ")
		p.write(upgradeRequest("/ws"))
		p.expectSwitch()
		p.hello()
		p.sync("default")
		if s := n.Stats(); s.Connections != 1 || s.Pending != 0 || s.Accepted != 1 {
			t.Errorf("%d open, %d pending, %d accepted, want 1, 0, 1", s.Connections, s.Pending, s.Accepted)
		}
	})
	t.Run("relays to and from it", func(t *testing.T) {
		n := startNode(t, withEcho)
		other := join(t, n, "default", "r")
		p := connectTCP(t, n)
		p.write(plainGet)
		p.expectBody("GET /page ")
		p.write(upgradeRequest("/ws"))
		p.expectSwitch()
		p.hello()
		p.send("$c;default;;_OnNamespaceConnect;0;0;")
		p.send("$j;default;r;_OnRoomJoin;0;0;")
		p.expect("$c;;;;;;", "$j;;;;;;")
		p.send(";default;r;e;0;0;one")
		other.expect(";default;r;e;0;0;one")
		other.send(";default;r;e;0;0;two")
		p.expect(";default;r;e;0;0;two")
	})
	// net/http reads 4 KiB at a time; the node still holds the rest.
	for _, messages := range []int{1, 3, 20, 100} {
		t.Run(fmt.Sprintf("in one segment with %d messages", messages), func(t *testing.T) {
			n := startNode(t, withEcho)
			p := connectTCP(t, n)
			var all, want strings.Builder
			all.WriteString(plainGet + upgradeRequest("/ws") + frame(ws.OpText, true, "M"))
			for i := range messages {
				event := fmt.Sprintf("event%d%s", i, strings.Repeat("x", 100))
				all.WriteString(frame(ws.OpText, true, "$"+event+";default;;"+event+";0;0;"))
				fmt.Fprintf(&want, "$%s;default;;%s;1;0;bad namespace\n", event, event)
			}
			p.write(all.String())
			p.expectBody("GET /page ")
			p.expectSwitch()
			p.expectAck()
			var got strings.Builder
			for range messages {
				got.WriteString(string(p.next().Payload) + "\n")
			}
			if got.String() != want.String() {
				t.Errorf("answers\n%s\nwant\n%s", &got, &want)
			}
			if rest := p.sync("default"); len(rest) != 0 {
				t.Errorf("got %q in addition, want nothing", rest)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		for _, c := range []struct {
			name    string
			request string
			status  int
			result  node.HandshakeResult
		}{
			{"version", withLine("/ws", "Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"), 426, node.HandshakeBadVersion},
			{"no version", withoutLine("/ws", "Sec-WebSocket-Version"), 400, node.HandshakeBadVersion},
			{"key", withLine("/ws", "Sec-WebSocket-Key", "Sec-WebSocket-Key: short"), 400, node.HandshakeBadRequest},
			{"no Connection", withoutLine("/ws", "Connection"), 400, node.HandshakeBadRequest},
			{"HTTP/1.0", strings.Replace(upgradeRequest("/ws"), "HTTP/1.1", "HTTP/1.0", 1), 505, node.HandshakeBadRequest},
			{"other Upgrade", withLine("/ws", "Upgrade", "Upgrade: h2c"), 400, node.HandshakeBadRequest},
		} {
			t.Run(c.name, func(t *testing.T) {
				n := startNode(t, withEcho)
				p := connectTCP(t, n)
				p.write(plainGet)
				p.expectBody("GET /page ")
				p.write(c.request)
				response := p.expectRefusal(c.status)
				if version := response.Header.Get("Sec-WebSocket-Version"); c.status == 426 && version != "13" {
					t.Errorf("Sec-WebSocket-Version: %q, want 13", version)
				}
				p.expectEOF()
				expectHandshakes(t, n, c.result, 1)
			})
		}
	})
}

// An open connection of net/http does not stop the node from ending.
func TestHTTPConnectionsEndWithTheNode(t *testing.T) {
	n := startNode(t, withEcho)
	p := connectTCP(t, n)
	p.write(plainGet)
	p.expectBody("GET /page ")
	if err := n.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Close: %v", err)
	}
	p.deadline()
	rest, _ := io.ReadAll(p.in)
	if len(bytes.TrimSpace(rest)) != 0 {
		t.Errorf("got %q, want the end of the connection", rest)
	}
}

// neffos row 17: clients that the node cannot accept are kept from dialing. A
// neffos.js client dials when its HEAD is answered, with any status, and gives
// up when the dial fails; a reset makes it retry later.
func TestProbeOfFullNodeIsReset(t *testing.T) {
	n := startNode(t, func(c *node.Config) { c.Limits.Connections = 1 })
	first := dial(t, n)
	probe := connectTCP(t, n)
	probe.write("HEAD /ws HTTP/1.1\r\nHost: stoa.test\r\n\r\n")
	probe.deadline()
	if _, err := probe.in.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the probe of a full node ends with %v, want %v", err, syscall.ECONNRESET)
	}
	_ = first.conn.Close()
	eventually(t, "the node has room", func() bool { return n.Stats().Connections == 0 })
	probe = connectTCP(t, n)
	probe.write("HEAD /ws HTTP/1.1\r\nHost: stoa.test\r\n\r\n")
	probe.deadline()
	response, err := http.ReadResponse(probe.in, &http.Request{Method: http.MethodHead})
	if err != nil || response.StatusCode != http.StatusFound {
		t.Errorf("the probe of a node with room is answered %v, %v, want %d", response, err, http.StatusFound)
	}
}

// A client that does not take the answer to its request in time is
// disconnected, and counted.
func TestAnswerNotTaken(t *testing.T) {
	ended := make(chan error, 1)
	n := startNode(t, func(c *node.Config) {
		c.HTTP = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
			var err error
			for part := make([]byte, 1<<20); err == nil; {
				_, err = w.Write(part)
			}
			ended <- err
		})
	})
	p := connectTCP(t, n)
	p.write(plainGet)
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the handler's Write returned %v, want %v", err, os.ErrDeadlineExceeded)
	}
	expectLimits(t, n, map[node.LimitKind]uint64{node.LimitHTTPTime: 1})
}
