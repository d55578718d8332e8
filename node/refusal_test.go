package node_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

const fromPage = "Origin: https://stoa.test"

// expectRefusedBy reads a refusal in place of the acknowledgement and the close
// frame after it.
func (p *peer) expectRefusedBy(code wire.Code, text, reason string) {
	p.tb.Helper()
	p.expect("H" + text)
	f := p.next()
	got, gotReason := ws.ParseCloseFrameData(f.Payload)
	if f.Header.OpCode != ws.OpClose || wire.Code(got) != code || gotReason != reason {
		p.tb.Errorf("got %s with %d %q, want a close frame with %d %q", describe(f), got, gotReason, code, reason)
	}
	p.write(frame(ws.OpClose, true, string(f.Payload[:2])))
	p.expectEnd()
}

// Browsers hide the answer to a failed handshake from pages, so these are
// refused in the protocol. All other clients get the HTTP status.
func TestRefusalsThatPagesSee(t *testing.T) {
	long := strings.Repeat("ä", 100)
	for _, c := range []struct {
		name    string
		refusal error
		status  int
		code    wire.Code
		text    string
		reason  string // of the close frame
	}{
		{"log in", node.Refuse(http.StatusUnauthorized, "log in again"), 401, wire.CodeUnauthorized, "log in again", "log in again"},
		{"not allowed", node.Refuse(http.StatusForbidden, "not you"), 403, wire.CodeForbidden, "not you", "not you"},
		{"a mistake of the client", node.Refuse(http.StatusBadRequest, "no name"), 400, wire.CodeForbidden, "no name", "no name"},
		{"later", &node.Refusal{Status: 503, Reason: "full", RetryAfter: 1500 * time.Millisecond}, 503, wire.CodeTryAgainLater, "full", "full; retry-after=1500"},
		{"later without a delay", node.Refuse(http.StatusTooManyRequests, "slowly"), 429, wire.CodeTryAgainLater, "slowly", "slowly"},
		{"a delay that is not for a final refusal", &node.Refusal{Status: 403, Reason: "no", RetryAfter: time.Second}, 403, wire.CodeForbidden, "no", "no"},
		{"another error", errors.New("the password of the database"), 500, wire.CodeInternalError, "the request cannot be served", "the request cannot be served"},
		{"a long reason", &node.Refusal{Status: 503, Reason: long, RetryAfter: time.Second}, 503, wire.CodeTryAgainLater, long, strings.Repeat("ä", 52) + "; retry-after=1000"},
		{"a reason that is no text", node.Refuse(http.StatusUnauthorized, "a\xffb"), 401, wire.CodeUnauthorized, "a\uFFFDb", "a\uFFFDb"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var closed *ends
			eachFront(t, nil, func(n *node.Node) {
				closed = recordEnds(n)
				n.OnOpened(func(context.Context, *node.OpenedEvent) { t.Error("a refused connection was opened") })
				n.OnAccept(func(context.Context, *node.Accept) error { return c.refusal })
			}, func(t *testing.T, f *front) {
				p := f.connect(t)
				p.write(upgradeRequest("/ws", fromPage) + frame(ws.OpText, true, "M") + frame(ws.OpText, true, "$1;default;;_OnNamespaceConnect;0;0;"))
				p.expectSwitch()
				p.expectRefusedBy(c.code, c.text, c.reason)

				p = f.connect(t)
				p.write(upgradeRequest("/ws"))
				response := p.response()
				if text, _ := io.ReadAll(response.Body); response.StatusCode != c.status || string(text) != refusalText(c.refusal) {
					t.Errorf("without an origin: answered %s %q, want %d", response.Status, text, c.status)
				}
				wait := ""
				var refused *node.Refusal
				if errors.As(c.refusal, &refused) && refused.RetryAfter > 0 {
					wait = fmt.Sprint(int((refused.RetryAfter + time.Second - 1) / time.Second))
				}
				if got := response.Header.Get("Retry-After"); got != wait {
					t.Errorf("Retry-After: %q, want %q", got, wait)
				}
				_ = p.conn.Close()
				expectHandshakes(t, f.Node, node.HandshakeRefused, 2)
				eventually(t, "the connections have closed", func() bool { return f.Stats().Pending == 0 })
				if s := f.Stats(); s.Connections != 0 || len(s.Closes) != 0 || s.Handshakes[node.HandshakeAccepted] != 0 {
					t.Errorf("%d connections, closes %v, %d accepted, want none", s.Connections, s.Closes, s.Handshakes[node.HandshakeAccepted])
				}
				closed.expectNoMore(t, f.Node)
			})
		})
	}
}

// An application chooses the form of a refusal.
func TestRefusalForms(t *testing.T) {
	var form node.RefusalForm
	eachFront(t, nil, func(n *node.Node) {
		n.OnAccept(func(context.Context, *node.Accept) error {
			return &node.Refusal{Status: http.StatusUnauthorized, Reason: "log in", Form: form}
		})
	}, func(t *testing.T, f *front) {
		form = node.RefusalHTTP
		p := f.connect(t)
		p.write(upgradeRequest("/ws", fromPage))
		if response := p.response(); response.StatusCode != http.StatusUnauthorized {
			t.Errorf("a page: answered %s, want 401", response.Status)
		}
		form = node.RefusalWebSocket
		p = f.connect(t)
		p.write(upgradeRequest("/ws"))
		p.expectSwitch()
		p.send("M")
		p.expectRefusedBy(wire.CodeUnauthorized, "log in", "log in")
	})
}

// A refused client that says no hello is closed with the code all the same.
func TestRefusalWithoutHello(t *testing.T) {
	refuse := func(n *node.Node) {
		n.OnAccept(func(context.Context, *node.Accept) error { return node.Refuse(http.StatusUnauthorized, "log in") })
	}
	t.Run("after the timeout", func(t *testing.T) {
		n := startHandling(t, func(c *node.Config) { c.Timeouts.Handshake = 200 * time.Millisecond }, refuse)
		p := connectTCP(t, n)
		p.write(upgradeRequest("/ws", fromPage))
		p.expectSwitch()
		p.expectClose(ws.StatusCode(wire.CodeUnauthorized))
	})
	t.Run("without a protocol", func(t *testing.T) {
		n := startHandling(t, func(c *node.Config) { c.NativeOnly = true }, refuse)
		p := connectTCP(t, n)
		p.write(upgradeRequest("/ws", fromPage))
		p.expectSwitch()
		p.expectClose(ws.StatusCode(wire.CodeUnauthorized))
	})
	t.Run("gone", func(t *testing.T) {
		n := startHandling(t, nil, refuse)
		p := connectTCP(t, n)
		p.write(upgradeRequest("/ws", fromPage))
		p.expectSwitch()
		_ = p.conn.Close()
		eventually(t, "the connection has closed", func() bool { return n.Stats().Pending == 0 })
	})
}

// Refused connections take no place of good ones.
func TestRefusalsDoNotFillTheNode(t *testing.T) {
	n := startHandling(t, func(c *node.Config) { c.Limits.Connections = 1 }, func(n *node.Node) {
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			if a.Request.Header.Get("Origin") != "" {
				return node.Refuse(http.StatusForbidden, "no")
			}
			return nil
		})
	})
	for range 5 {
		p := connectTCP(t, n)
		p.write(upgradeRequest("/ws", fromPage))
		p.expectSwitch() // and no hello
	}
	dial(t, n)
	if got := n.Connections(); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
}

// The page of a forbidden origin learns no more than before, and a full or
// draining node answers with 503, so that a load balancer can try another.
func TestRefusalsThatPagesDoNotSee(t *testing.T) {
	n := startHandling(t, func(c *node.Config) { c.Limits.Connections = 1 }, func(n *node.Node) {
		n.OnAccept(func(context.Context, *node.Accept) error { return nil })
	})
	p := connectTCP(t, n)
	p.write(upgradeRequest("/ws", "Origin: https://evil.test"))
	p.expectRefusal(http.StatusForbidden)
	dial(t, n)
	p = connectTCP(t, n)
	p.write(upgradeRequest("/ws", fromPage))
	p.expectRefusal(http.StatusServiceUnavailable)
}

// refusalText is the body of the answer by HTTP.
func refusalText(err error) string {
	var refused *node.Refusal
	if errors.As(err, &refused) {
		return refused.Reason + "\n"
	}
	return "the request cannot be served\n"
}
