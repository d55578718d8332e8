package node_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// expectLimited expects that one more client is refused, and a page with a text
// that it sees.
func expectLimited(t *testing.T, f *front, result node.HandshakeResult, text, retryAfter, closeReason string) {
	t.Helper()
	before := f.Stats().Handshakes[result]
	p := f.connect(t)
	p.write(upgradeRequest("/ws"))
	if got := p.expectRefusal(http.StatusTooManyRequests).Header.Get("Retry-After"); got != retryAfter {
		t.Errorf("Retry-After: %q, want %q", got, retryAfter)
	}
	p = f.connect(t)
	p.write(upgradeRequest("/ws", fromPage, "Sec-WebSocket-Protocol: a, b") + frame(ws.OpText, true, "M"))
	if response := p.response(); response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-Websocket-Protocol") != "a" {
		t.Fatalf("a page got %v, want 101 with the first subprotocol", response)
	}
	p.expectRefusedBy(wire.CodeTryAgainLater, text, closeReason)
	expectHandshakes(t, f.Node, result, before+2)
}

// The connections of an address are counted exactly, until each has ended.
func TestAddressConnections(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	accept := func(n *node.Node) {
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			switch a.Request.URL.Query().Get("do") {
			case "refuse":
				return node.Refuse(http.StatusForbidden, "no")
			case "wait":
				entered <- struct{}{}
				<-release
			}
			return nil
		})
	}
	full := func(t *testing.T, f *front) {
		t.Helper()
		const text = "too many connections from this address"
		expectLimited(t, f, node.HandshakeAddressFull, text, "", text)
	}
	open := func(t *testing.T, f *front, path string) *peer {
		t.Helper()
		p := f.connect(t)
		p.write(upgradeRequest(path))
		return p
	}
	eachFront(t, func(c *node.Config) { c.Limits.AddressConnections = 2 }, accept, func(t *testing.T, f *front) {
		first, second := open(t, f, "/ws"), open(t, f, "/ws")
		first.expectSwitch()
		second.expectSwitch()
		full(t, f)
		first.write(frame(ws.OpClose, true, ""))
		first.expectClose(ws.StatusNoStatusRcvd)
		first.expectEnd()
		_ = second.conn.Close()
		eventually(t, "both are gone", func() bool { return f.Stats().Addresses == 0 })

		// A client that the accept handler refuses does not stay counted.
		for range 3 {
			p := open(t, f, "/ws?do=refuse")
			if response := p.response(); response.StatusCode != http.StatusForbidden {
				t.Fatalf("answered %s, want 403", response.Status)
			}
			_ = p.conn.Close()
			eventually(t, "it is gone", func() bool { return f.Stats().Addresses == 0 })
		}
		// One that it decides on counts.
		waiting := []*peer{open(t, f, "/ws?do=wait"), open(t, f, "/ws?do=wait")}
		<-entered
		<-entered
		p := open(t, f, "/ws")
		if response := p.response(); response.StatusCode != http.StatusTooManyRequests {
			t.Errorf("answered %s, want 429", response.Status)
		}
		_ = waiting[0].conn.Close()
		release <- struct{}{}
		release <- struct{}{}
		waiting[1].expectSwitch()
		_ = waiting[1].conn.Close()
		eventually(t, "all are gone", func() bool { return f.Stats().Addresses == 0 && f.Connections() == 0 })
	})
}

// Handshakes above the rate of an address or of the node are refused.
func TestRateOfHandshakes(t *testing.T) {
	for _, c := range []struct {
		result node.HandshakeResult
		limit  func(*node.Limits)
		text   string
	}{
		{node.HandshakeAddressRate, func(l *node.Limits) { l.AddressHandshakes = burst(2) }, "too many attempts to connect from this address"},
		{node.HandshakeNodeRate, func(l *node.Limits) { l.Handshakes = burst(2) }, "too many attempts to connect"},
	} {
		t.Run(c.result.String(), func(t *testing.T) {
			eachFront(t, func(cfg *node.Config) { c.limit(&cfg.Limits) }, func(*node.Node) {}, func(t *testing.T, f *front) {
				for range 2 {
					p := f.connect(t)
					p.write(upgradeRequest("/ws"))
					p.expectSwitch()
				}
				p := f.connect(t)
				p.write(upgradeRequest("/ws", "Origin: https://evil.test"))
				p.expectRefusal(http.StatusForbidden) // and is not counted
				p = f.connect(t)
				p.write(upgradeRequest("/ws"))
				if wait := p.expectRefusal(http.StatusTooManyRequests).Header.Get("Retry-After"); len(wait) != 3 && wait != "1000" {
					t.Errorf("Retry-After: %q, want up to 1000 seconds", wait)
				}
				p = f.connect(t)
				p.write(upgradeRequest("/ws", fromPage) + frame(ws.OpText, true, "M"))
				p.expectSwitch()
				p.expect("H" + c.text)
				p.expectClose(ws.StatusCode(wire.CodeTryAgainLater))
				eventually(t, "both are counted", func() bool { return f.Stats().Handshakes[c.result] == 2 })
			})
		})
	}
}
