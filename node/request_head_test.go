package node_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/node"
)

// eachParser runs a test with every way in which a request reaches the node:
// the loops and net/http parse it, with and without an accept handler.
func eachParser(t *testing.T, test func(t *testing.T, connect func() *peer, n *node.Node)) {
	tcp := func(prepare func(*peer)) func(*testing.T, *node.Node) func() *peer {
		return func(t *testing.T, n *node.Node) func() *peer {
			if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
			serve(t, n)
			return func() *peer {
				p := connectTCP(t, n)
				prepare(p)
				return p
			}
		}
	}
	none := func(*peer) {}
	for _, way := range []struct {
		name      string
		transport node.Transport
		start     func(*testing.T, *node.Node) func() *peer
	}{
		{"listener", testTransport(t), tcp(none)},
		{"blocking", node.TransportBlocking, tcp(none)},
		{"TLS", testTransport(t), func(t *testing.T, n *node.Node) func() *peer {
			files := newTLSFiles(t)
			if err := n.ListenTLS("tcp", "127.0.0.1:0", files.cert, files.key); err != nil {
				t.Fatal(err)
			}
			serve(t, n)
			return func() *peer { return connectTLS(t, n, files.config()) }
		}},
		{"after a request", testTransport(t), tcp(func(p *peer) {
			p.write("GET / HTTP/1.1\r\nHost: stoa.test\r\n\r\n")
			p.response()
		})},
		{"mounted", testTransport(t), func(t *testing.T, n *node.Node) func() *peer {
			m := startMounted(t, n, nil, nil)
			return func() *peer { return m.connect(t) }
		}},
	} {
		for _, asked := range []string{"", ", accept handler"} {
			t.Run(way.name+asked, func(t *testing.T) {
				n := newNode(t, func(c *node.Config) { c.Transport = way.transport })
				if asked != "" {
					n.OnAccept(func(context.Context, *node.Accept) error { return nil })
				}
				test(t, way.start(t, n), n)
			})
		}
	}
}

// Fields are lists over all their lines (RFC 9110 section 5.3).
func TestUpgradeInLists(t *testing.T) {
	eachParser(t, func(t *testing.T, connect func() *peer, _ *node.Node) {
		for name, request := range map[string]string{
			"Connection in two lines":            withLine("/ws", "Connection", "Connection: keep-alive\r\nConnection: Upgrade"),
			"Connection in two lines, reversed":  withLine("/ws", "Connection", "Connection: Upgrade\r\nConnection: keep-alive"),
			"Connection with empty elements":     withLine("/ws", "Connection", "Connection: ,\tkeep-alive ,,UPGRADE,"),
			"several protocols":                  withLine("/ws", "Upgrade", "Upgrade: websocket, h2c"),
			"several protocols, reversed":        withLine("/ws", "Upgrade", "Upgrade: h2c , WebSocket"),
			"several protocols in several lines": withLine("/ws", "Upgrade", "Upgrade: h2c\r\nUpgrade: websocket"),
			"no content":                         upgradeRequest("/ws", "Content-Length: 0"),
			"lines that end in LF":               strings.ReplaceAll(upgradeRequest("/ws"), "\r\n", "\n"),
			"an end in LF":                       strings.Replace(upgradeRequest("/ws"), "\r\n\r\n", "\r\n\n", 1),
			"a last line in LF":                  strings.Replace(upgradeRequest("/ws"), "\r\n\r\n", "\n\r\n", 1),
		} {
			p := connect()
			p.write(request)
			if response := p.response(); response.StatusCode != http.StatusSwitchingProtocols {
				t.Errorf("%s: answered %s, want 101", name, response.Status)
				continue
			}
			p.hello()
		}
	})
}

// A request that a proxy may read in another way than the node is refused.
func TestAmbiguousUpgrades(t *testing.T) {
	const sample = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	eachParser(t, func(t *testing.T, connect func() *peer, n *node.Node) {
		for name, request := range map[string]string{
			"two hosts":                   upgradeRequest("/ws", "Host: stoa.test"),
			"no name of the host":         withLine("/ws", "Host", "Host:"),
			"chunked body":                upgradeRequest("/ws", "Transfer-Encoding: chunked") + "0\r\n\r\n",
			"body":                        upgradeRequest("/ws", "Content-Length: 4") + "body",
			"body before the upgrade":     withLine("/ws", "Host", "Host: stoa.test\r\ncontent-length: 4") + "body",
			"two keys":                    upgradeRequest("/ws", sample),
			"two different keys":          upgradeRequest("/ws", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="),
			"space before the colon":      withLine("/ws", "Host", "Host : stoa.test"),
			"control character":           upgradeRequest("/ws", "X: a\x00b"),
			"name that only contains one": withLine("/ws", "Upgrade", "Upgrade: websockets, h2c"),
			"token that only begins so":   withLine("/ws", "Connection", "Connection: keep-alive, Upgrades"),
			"two versions":                upgradeRequest("/ws", "Sec-WebSocket-Version: 13"),
		} {
			p := connect()
			p.write(request)
			if response := p.response(); response.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: answered %s, want 400", name, response.Status)
			}
			p.expectEnd()
		}
		if s := n.Stats(); s.Connections != 0 || s.Handshakes[node.HandshakeAccepted] != 0 {
			t.Errorf("%d connections, %d accepted, want none", s.Connections, s.Handshakes[node.HandshakeAccepted])
		}
	})
}

// A page is served to a client whose lines end in LF, too.
func TestPagesOverLF(t *testing.T) {
	n := startNode(t, withEcho)
	for _, request := range []string{
		"GET /page HTTP/1.1\nHost: stoa.test\n\n",
		"GET /page HTTP/1.1\r\nHost: stoa.test\n\r\n",
		"GET /page HTTP/1.0\n\n",
	} {
		p := connectTCP(t, n)
		p.write(request)
		if response := p.response(); response.StatusCode != http.StatusOK {
			t.Errorf("%q is answered %s, want 200", request, response.Status)
		}
	}
	p := connectTCP(t, n)
	p.write("\n\n")
	p.expectRefusal(http.StatusBadRequest)
}
