package node_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// withoutLine is a valid request without the header line of this prefix.
func withoutLine(path, prefix string) string {
	var lines []string
	for line := range strings.SplitSeq(upgradeRequest(path), "\r\n") {
		if !strings.HasPrefix(line, prefix) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\r\n")
}

// withLine is a valid request with another header line of this prefix.
func withLine(path, prefix, line string) string {
	return strings.Replace(withoutLine(path, prefix), "\r\n\r\n", "\r\n"+line+"\r\n\r\n", 1)
}

// expectHandshakes waits until this many handshakes are counted under a result,
// and checks that only accepted ones were counted in addition.
func expectHandshakes(tb testing.TB, n *node.Node, result node.HandshakeResult, want uint64) {
	tb.Helper()
	eventually(tb, fmt.Sprintf("%d handshakes counted as %s", want, result), func() bool {
		return n.Stats().Handshakes[result] == want
	})
	for other, count := range n.Stats().Handshakes {
		if r := node.HandshakeResult(other); r != result && r != node.HandshakeAccepted && count != 0 {
			tb.Errorf("%d handshakes counted as %s, want none", count, r)
		}
	}
}

// expectRefusal reads a response with this status and one line of text, the
// reason.
func (p *peer) expectRefusal(status int) *http.Response {
	p.tb.Helper()
	response := p.response()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != status {
		p.tb.Fatalf("answered %s %q, want %d", response.Status, body, status)
	}
	if reason := strings.TrimSuffix(string(body), "\n"); reason == "" || strings.Contains(reason, "\n") {
		p.tb.Errorf("the reason is %q, want one line", body)
	}
	return response
}

// expectEOF reads the end of an HTTP connection without further data.
func (p *peer) expectEOF() {
	p.tb.Helper()
	p.deadline()
	if b, err := p.in.ReadByte(); !errors.Is(err, io.EOF) {
		p.tb.Fatalf("read %q, %v, want the end of the connection", b, err)
	}
}

func TestHandshakeRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		request string
		status  int
		result  node.HandshakeResult
	}{
		{"older version", withLine("/ws", "Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"), 426, node.HandshakeBadVersion},
		{"newer version", withLine("/ws", "Sec-WebSocket-Version", "Sec-WebSocket-Version: 14"), 426, node.HandshakeBadVersion},
		{"no version", withoutLine("/ws", "Sec-WebSocket-Version"), 400, node.HandshakeBadVersion},
		{"short key", withLine("/ws", "Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZQ=="), 400, node.HandshakeBadRequest},
		{"empty key", withLine("/ws", "Sec-WebSocket-Key", "Sec-WebSocket-Key:"), 400, node.HandshakeBadRequest},
		{"no key", withoutLine("/ws", "Sec-WebSocket-Key"), 400, node.HandshakeBadRequest},
		{"no Connection", withoutLine("/ws", "Connection"), 400, node.HandshakeBadRequest},
		{"other Connection", withLine("/ws", "Connection", "Connection: keep-alive"), 400, node.HandshakeBadRequest},
		{"other Upgrade", withLine("/ws", "Upgrade", "Upgrade: h2c"), 400, node.HandshakeBadRequest},
		{"no Host", withoutLine("/ws", "Host"), 400, node.HandshakeBadRequest},
		{"HTTP/1.0", strings.Replace(upgradeRequest("/ws"), "HTTP/1.1", "HTTP/1.0", 1), 505, node.HandshakeBadRequest},
		{"HTTP/2.0", strings.Replace(upgradeRequest("/ws"), "HTTP/1.1", "HTTP/2.0", 1), 505, node.HandshakeBadRequest},
		{"strange HTTP version", strings.Replace(upgradeRequest("/ws"), "HTTP/1.1", "HTTP/1.x", 1), 400, node.HandshakeBadRequest},
		{"header without a colon", upgradeRequest("/ws", "nonsense"), 400, node.HandshakeBadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := startNode(t, nil)
			p := connectTCP(t, n)
			p.write(c.request)
			response := p.expectRefusal(c.status)
			if version := response.Header.Get("Sec-WebSocket-Version"); c.status == 426 && version != "13" {
				t.Errorf("Sec-WebSocket-Version: %q, want 13", version)
			}
			p.expectEOF()
			expectHandshakes(t, n, c.result, 1)
			// The loops go on after every answer.
			for range 4 {
				dial(t, n)
			}
			if s := n.Stats(); s.Handshakes[node.HandshakeAccepted] != 4 || len(s.Closes) != 0 {
				t.Errorf("accepted %d, closes %v, want 4 and none", s.Handshakes[node.HandshakeAccepted], s.Closes)
			}
		})
	}
}

func TestHandshakeAccepted(t *testing.T) {
	for name, request := range map[string]string{
		"query":                 upgradeRequest("/ws?x-websocket-header-x-a=1"),
		"lower case":            strings.ReplaceAll(upgradeRequest("/ws"), "Upgrade: websocket", "upgrade: WebSocket"),
		"several tokens":        withLine("/ws", "Connection", "Connection: keep-alive, Upgrade"),
		"subprotocol":           upgradeRequest("/ws", "Sec-WebSocket-Protocol: chat, superchat"),
		"extension":             upgradeRequest("/ws", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"),
		"large head":            upgradeRequest("/ws", "Cookie: "+strings.Repeat("c", 7900)),
		"no space behind colon": withLine("/ws", "Host", "Host:stoa.test"),
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, nil)
			p := connectTCP(t, n)
			p.write(request)
			response := p.response()
			if response.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("answered %s, want 101", response.Status)
			}
			// Key and answer are those of RFC 6455 section 1.3.
			if accept := response.Header.Get("Sec-WebSocket-Accept"); accept != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
				t.Errorf("Sec-WebSocket-Accept: %q", accept)
			}
			for _, negotiated := range []string{"Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"} {
				if value := response.Header.Get(negotiated); value != "" {
					t.Errorf("%s: %q, want none", negotiated, value)
				}
			}
			expectHandshakes(t, n, node.HandshakeAccepted, 1)
		})
	}
}

func TestHandshakeAnyPath(t *testing.T) {
	n := startNode(t, func(c *node.Config) { c.Endpoint = "*" })
	p := connectTCP(t, n)
	p.write(upgradeRequest("/any/path?at=all"))
	if response := p.response(); response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answered %s, want 101", response.Status)
	}
}

func TestHandshakeOnAnotherPath(t *testing.T) {
	n := startNode(t, nil)
	for _, path := range []string{"/", "/wsx", "/ws/", "/WS"} {
		p := connectTCP(t, n)
		p.write(upgradeRequest(path))
		if response := p.response(); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s answered %s, want 404", path, response.Status)
		}
	}
	expectHandshakes(t, n, node.HandshakeAccepted, 0)
}

func TestHeadTooLarge(t *testing.T) {
	for name, request := range map[string]string{
		"without an end":       "GET /ws HTTP/1.1\r\nX: " + strings.Repeat("x", 9000),
		"with an end":          upgradeRequest("/ws", "X: "+strings.Repeat("x", 9000)),
		"many lines":           upgradeRequest("/ws", strings.TrimSuffix(strings.Repeat("X: y\r\n", 2000), "\r\n")),
		"no upgrade":           "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 9000) + "\r\n\r\n",
		"request line":         "GET /" + strings.Repeat("x", 9000) + " HTTP/1.1\r\n\r\n",
		"garbage":              strings.Repeat("\x00\xff", 5000),
		"more than one buffer": "GET /ws HTTP/1.1\r\nX: " + strings.Repeat("x", 200_000),
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, nil)
			p := connectTCP(t, n)
			p.write(request)
			p.expectRefusal(http.StatusRequestHeaderFieldsTooLarge)
			p.expectEOF()
			expectHandshakes(t, n, node.HandshakeHeaderTooLarge, 1)
		})
	}
	t.Run("the limit is configured", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { c.Limits.Header = 300 })
		p := connectTCP(t, n)
		p.write(upgradeRequest("/ws", "X: "+strings.Repeat("x", 300)))
		p.expectRefusal(http.StatusRequestHeaderFieldsTooLarge)
		upgrade(t, n)
	})
	t.Run("there is none", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { c.Limits.Header = -1 })
		p := connectTCP(t, n)
		p.write(upgradeRequest("/ws", "X: "+strings.Repeat("x", 100_000)))
		if response := p.response(); response.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("answered %s, want 101", response.Status)
		}
	})
}

func TestGarbageInsteadOfHTTP(t *testing.T) {
	t.Run("TLS", func(t *testing.T) {
		n := startNode(t, func(c *node.Config) { c.Timeouts.Handshake = 30 * time.Millisecond })
		p := connectTCP(t, n)
		p.write("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
		p.expectEnd()
		expectHandshakes(t, n, node.HandshakeTimeout, 1)
	})
	t.Run("lines", func(t *testing.T) {
		n := startNode(t, nil)
		p := connectTCP(t, n)
		p.write("\x00\x01\x02 hello\r\n\r\n")
		p.expectRefusal(http.StatusBadRequest)
		p.expectEOF()
		if got := n.Stats().HandedToHTTP; got != 1 {
			t.Errorf("%d connections handed to net/http, want 1", got)
		}
	})
}

func TestSlowHandshake(t *testing.T) {
	short := func(c *node.Config) { c.Timeouts.Handshake = 30 * time.Millisecond }
	for name, head := range map[string]string{
		"nothing":     "",
		"half a head": "GET /ws HTTP/1.1\r\nHost: stoa.test\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, short)
			p := connectTCP(t, n)
			p.write(head)
			p.expectEnd()
			expectHandshakes(t, n, node.HandshakeTimeout, 1)
			if s := n.Stats(); s.Pending != 0 || s.Accepted != 1 {
				t.Errorf("%d pending of %d accepted, want 0 of 1", s.Pending, s.Accepted)
			}
		})
	}
	for name, early := range map[string]string{
		"no hello":            "",
		"a message, no hello": frame(ws.OpText, true, "$c;default;;_OnNamespaceConnect;0;0;"),
		"pings, no hello":     frame(ws.OpPing, true, "x"),
		"half a hello":        frame(ws.OpText, false, "M"),
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, short)
			p := upgrade(t, n)
			p.write(early)
			for {
				f := p.next()
				if f.Header.OpCode == ws.OpPong {
					continue
				}
				if code, _ := ws.ParseCloseFrameData(f.Payload); f.Header.OpCode != ws.OpClose || wire.Code(code) != wire.CodeAckTimeout {
					t.Fatalf("got %s, want a close frame with %d", describe(f), wire.CodeAckTimeout)
				}
				break
			}
			_ = p.conn.Close()
			expectCloses(t, n, wire.CodeAckTimeout, node.ByServer, 1)
		})
	}
	t.Run("hello in time", func(t *testing.T) {
		n := startNode(t, short)
		p := dial(t, n)
		late := upgrade(t, n)
		late.expectClose(ws.StatusCode(wire.CodeAckTimeout))
		// The other's deadline has passed too.
		p.sync("default")
	})
}

func TestAbortedHandshake(t *testing.T) {
	n := startNode(t, nil)
	p := connectTCP(t, n)
	p.write("GET /ws HTTP/1.1\r\n")
	_ = p.conn.Close()
	expectHandshakes(t, n, node.HandshakeAborted, 1)
}

// A client may close its side after its last message.
func TestRefusalOfHalfClosed(t *testing.T) {
	n := startNode(t, nil)
	for range 20 {
		p := connectTCP(t, n)
		p.write(withoutLine("/ws", "Sec-WebSocket-Key"))
		if err := p.conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		p.expectRefusal(http.StatusBadRequest)
		p.expectEOF()
	}
}

func TestFull(t *testing.T) {
	n := startNode(t, func(c *node.Config) { c.Limits.Connections = 1 })
	first := dial(t, n)
	p := connectTCP(t, n)
	p.write(upgradeRequest("/ws"))
	p.expectRefusal(http.StatusServiceUnavailable)
	expectHandshakes(t, n, node.HandshakeFull, 1)

	p = connectTCP(t, n)
	p.write("GET / HTTP/1.1\r\nHost: stoa.test\r\n\r\n")
	p.response()
	p.write(upgradeRequest("/ws"))
	p.expectRefusal(http.StatusServiceUnavailable)
	expectHandshakes(t, n, node.HandshakeFull, 2)

	_ = first.conn.Close()
	eventually(t, "the first connection has closed", func() bool { return n.Stats().Connections == 0 })
	dial(t, n)
}

// neffos row 24: data that arrives with the request is not lost.
func TestFramesInTheSegmentOfTheRequest(t *testing.T) {
	n := startNode(t, nil)
	p := connectTCP(t, n)
	p.write(upgradeRequest("/ws") + frame(ws.OpText, true, "M") + frame(ws.OpPing, true, "p") +
		frame(ws.OpText, true, "$c;default;;_OnNamespaceConnect;0;0;"))
	if response := p.response(); response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answered %s, want 101", response.Status)
	}
	if f := p.next(); f.Header.OpCode != ws.OpText || f.Payload[0] != 'A' {
		t.Errorf("got %s, want the acknowledgement", describe(f))
	}
	seen := map[string]bool{}
	for range 2 {
		seen[string(p.next().Payload)] = true
	}
	if !seen["p"] || !seen["$c;;;;;;"] {
		t.Errorf("got %v, want a pong and the answer to the connect", seen)
	}
}

func TestByteByByte(t *testing.T) {
	n := startNode(t, nil)
	p := connectTCP(t, n)
	conversation := upgradeRequest("/ws") + frame(ws.OpText, true, "M") +
		frame(ws.OpText, true, "$c;default;;_OnNamespaceConnect;0;0;") +
		frame(ws.OpText, false, "$j;default;ro") + frame(ws.OpPing, true, "ping") + frame(ws.OpContinuation, true, "om;_OnRoomJoin;0;0;") +
		frame(ws.OpText, true, "$a;default;room;nobody;0;0;"+strings.Repeat("x", 300))
	for i := range len(conversation) {
		p.write(conversation[i : i+1])
	}
	if response := p.response(); response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answered %s, want 101", response.Status)
	}
	if f := p.next(); f.Header.OpCode != ws.OpText || f.Payload[0] != 'A' {
		t.Errorf("got %s, want the acknowledgement", describe(f))
	}
	p.expect("$c;;;;;;")
	if f := p.next(); f.Header.OpCode != ws.OpPong || string(f.Payload) != "ping" {
		t.Errorf("got %s, want a pong", describe(f))
	}
	p.expect("$j;;;;;;", "$a;default;room;nobody;1;0;unhandled event")
}

// expectMessages waits until this many messages, text and binary, are counted
// under a result.
func expectMessages(tb testing.TB, n *node.Node, result node.MessageResult, want uint64) {
	tb.Helper()
	eventually(tb, fmt.Sprintf("%d messages counted as %s", want, result), func() bool {
		in := n.Stats().MessagesIn
		return in[0][result]+in[1][result] == want
	})
}

// expectCloses waits until this many closes are counted under a code, and
// checks that no other was counted.
func expectCloses(tb testing.TB, n *node.Node, code wire.Code, by node.Initiator, want uint64) {
	tb.Helper()
	key := node.CloseKey{Code: code.Label(), Initiator: by}
	eventually(tb, fmt.Sprintf("%d closes counted as %s by %s", want, key.Code, by), func() bool {
		return n.Stats().Closes[key] == want
	})
	for other, count := range n.Stats().Closes {
		if other != key && count != 0 {
			tb.Errorf("%d closes counted as %s by %s, want none", count, other.Code, other.Initiator)
		}
	}
}
