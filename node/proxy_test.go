package node_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/node"
)

// client is what a proxy says in these tests, as its PROXY header and as the
// address that follows from it.
const (
	lineHeader    = "PROXY TCP4 203.0.113.5 10.0.0.1 4711 443\r\n"
	clientOfProxy = "203.0.113.5:4711"
)

// binaryProxy is a header of version 2 with addresses and a TLV, for the client
// [2001:db8::5]:4711.
func binaryProxy() string {
	addresses := strings.Repeat("\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05", 2) + "\x12\x67\x01\xbb"
	payload := addresses + "\x04\x00\x02ab"
	header := "\r\n\r\n\x00\r\nQUIT\n\x21\x21"
	return string(binary.BigEndian.AppendUint16([]byte(header), uint16(len(payload)))) + payload
}

// trustLoopback trusts the proxies of the tests, and those of 10.0.0.0/8.
func trustLoopback(c *node.Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
}

func trustOthers(c *node.Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
}

// addresses records the clients' addresses as accept handlers and connections
// have them.
type addresses struct{ requests, conns chan string }

func recordAddresses(n *node.Node) *addresses {
	a := &addresses{make(chan string, 10), make(chan string, 10)}
	n.OnAccept(func(_ context.Context, request *node.Accept) error {
		a.requests <- request.Request.RemoteAddr
		return nil
	})
	n.OnOpened(func(_ context.Context, e *node.OpenedEvent) { a.conns <- e.Conn.RemoteAddr() })
	n.OnClosed(func(_ context.Context, e *node.ClosedEvent) { a.conns <- e.Conn.RemoteAddr() })
	return a
}

// expect compares the addresses of one connection, which it closes.
func (a *addresses) expect(t *testing.T, n *node.Node, p *peer, want string) {
	t.Helper()
	p.expectSwitch()
	p.send("M")
	id := string(p.next().Payload[1:])
	found, err := n.Find(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	_ = p.conn.Close()
	for what, got := range map[string]string{
		"Request.RemoteAddr": <-a.requests, "Conn.RemoteAddr": <-a.conns, "Conn.RemoteAddr at the end": <-a.conns, "ConnInfo.RemoteAddr": found.RemoteAddr,
	} {
		if got != want {
			t.Errorf("%s is %s, want %s", what, got, want)
		}
	}
}

func expectProxyErrors(t *testing.T, n *node.Node, want map[node.ProxyError]uint64) {
	t.Helper()
	eventually(t, "the errors of proxies are counted", func() bool {
		got := n.Stats().ProxyErrors
		for _, reason := range node.ProxyErrors() {
			if got[reason] != want[reason] {
				return false
			}
		}
		return true
	})
}

// A trusted proxy's field names the client, on every way to a WebSocket. A
// field of another peer, or the other field, says nothing.
func TestClientAddressFromAField(t *testing.T) {
	const own = "own"
	for _, c := range []struct {
		name   string
		change func(*node.Config)
		header []string
		want   string
		errors uint64
	}{
		{"trusted", trustLoopback, []string{"X-Forwarded-For: 6.6.6.6, 203.0.113.5, 10.0.0.9"}, "203.0.113.5:0", 0},
		{"IPv6 in two lines", trustLoopback, []string{"X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 2001:db8::5"}, "[2001:db8::5]:0", 0},
		{"not trusted", trustOthers, []string{"X-Forwarded-For: 203.0.113.5"}, own, 0},
		{"no proxies", nil, []string{"X-Forwarded-For: 203.0.113.5"}, own, 0},
		{"missing", trustLoopback, nil, own, 0},
		{"concealed", trustLoopback, []string{"X-Forwarded-For: unknown"}, own, 0},
		{"malformed", trustLoopback, []string{"X-Forwarded-For: 203.0.113.5, 10.0.0.999"}, own, 1},
		{"the other field", trustLoopback, []string{"Forwarded: for=6.6.6.6"}, own, 0},
		{"both fields", trustLoopback, []string{"Forwarded: for=6.6.6.6", "X-Forwarded-For: 203.0.113.5"}, "203.0.113.5:0", 0},
		{"Forwarded", func(c *node.Config) {
			trustLoopback(c)
			c.ProxyHeader = node.ProxyHeaderForwarded
		}, []string{"X-Forwarded-For: 6.6.6.6", `Forwarded: for=6.6.6.6;by=_x, for="[2001:db8::5]:4711"`}, "[2001:db8::5]:4711", 0},
		{"neither field", func(c *node.Config) {
			trustLoopback(c)
			c.ProxyHeader = node.ProxyHeaderNone
		}, []string{"X-Forwarded-For: 203.0.113.5", "Forwarded: for=203.0.113.5"}, own, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var seen *addresses
			eachFront(t, c.change, func(n *node.Node) { seen = recordAddresses(n) }, func(t *testing.T, f *front) {
				p := f.connect(t)
				want := c.want
				if want == own {
					want = p.conn.LocalAddr().String()
				}
				p.write(upgradeRequest("/ws", c.header...))
				seen.expect(t, f.Node, p, want)
				expectProxyErrors(t, f.Node, map[node.ProxyError]uint64{node.ProxyBadField: c.errors})
			})
		})
	}
}

// The handler of other requests has the client's address, too.
func TestClientAddressOfOtherRequests(t *testing.T) {
	seen := make(chan string, 1)
	n := startNode(t, func(c *node.Config) {
		trustLoopback(c)
		c.HTTP = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.RemoteAddr })
	})
	p := connectTCP(t, n)
	for _, want := range []string{"203.0.113.5:0", "203.0.113.6:0"} { // of one connection
		address, _, _ := strings.Cut(want, ":")
		p.write("GET /page HTTP/1.1\r\nHost: stoa.test\r\nX-Forwarded-For: " + address + "\r\n\r\n")
		p.expectBody("")
		if got := <-seen; got != want {
			t.Errorf("RemoteAddr is %s, want %s", got, want)
		}
	}
}

// Only local programs can open a Unix socket, so its peers are trusted.
func TestClientAddressOverAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stoa.sock")
	n := newNode(t, func(c *node.Config) {
		trustOthers(c)
		if c.Transport == node.TransportEpoll {
			c.Transport = node.TransportAuto
		}
	})
	seen := recordAddresses(n)
	if err := n.Listen("unix", path); err != nil {
		t.Fatal(err)
	}
	serve(t, n)
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{tb: t, conn: conn, in: bufio.NewReader(conn)}
	p.write(upgradeRequest("/ws", "X-Forwarded-For: 203.0.113.5"))
	seen.expect(t, n, p, "203.0.113.5:0")
}

// withProxyProtocol expects a PROXY header in front of every connection.
func withProxyProtocol(c *node.Config) {
	trustLoopback(c)
	c.ProxyProtocol = true
}

func TestProxyProtocol(t *testing.T) {
	for _, c := range []struct {
		name, header, want string
		fields             []string
	}{
		{"version 1", lineHeader, clientOfProxy, nil},
		{"version 2", binaryProxy(), "[2001:db8::5]:4711", nil},
		{"unknown", "PROXY UNKNOWN\r\n", "", nil},
		{"local", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "", nil},
		{"a field of the client", lineHeader, clientOfProxy, []string{"X-Forwarded-For: 6.6.6.6"}},
		{"a proxy behind a proxy", "PROXY TCP4 10.0.0.8 10.0.0.1 4711 443\r\n", "203.0.113.9:0", []string{"X-Forwarded-For: 6.6.6.6, 203.0.113.9"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t, withProxyProtocol)
			seen := recordAddresses(n)
			if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
			serve(t, n)
			request := upgradeRequest("/ws", c.fields...)
			for _, pieces := range [][]string{
				{c.header + request},
				{c.header, request},
				strings.Split(c.header+request[:10], ""), // byte by byte
			} {
				p := connectTCP(t, n)
				want := c.want
				if want == "" {
					want = p.conn.LocalAddr().String()
				}
				for _, piece := range pieces {
					p.write(piece)
				}
				if sent := strings.Join(pieces, ""); len(sent) < len(c.header+request) {
					p.write((c.header + request)[len(sent):])
				}
				seen.expect(t, n, p, want)
			}
			expectProxyErrors(t, n, nil)
		})
	}
}

// A page that is asked for behind a PROXY header, and a WebSocket after it.
func TestProxyProtocolAndHTTP(t *testing.T) {
	pages := make(chan string, 1)
	n := newNode(t, func(c *node.Config) {
		withProxyProtocol(c)
		c.HTTP = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { pages <- r.RemoteAddr })
	})
	seen := recordAddresses(n)
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	serve(t, n)
	p := connectTCP(t, n)
	p.write(lineHeader + plainGet)
	p.expectBody("")
	if got := <-pages; got != clientOfProxy {
		t.Errorf("RemoteAddr of the page is %s, want %s", got, clientOfProxy)
	}
	p.write(upgradeRequest("/ws"))
	seen.expect(t, n, p, clientOfProxy)
}

// The header is in front of TLS.
func TestProxyProtocolAndTLS(t *testing.T) {
	files := newTLSFiles(t)
	var seen *addresses
	n := startTLS(t, files, withProxyProtocol, func(n *node.Node) { seen = recordAddresses(n) })
	for _, header := range []string{lineHeader, binaryProxy()} {
		want := clientOfProxy
		if header != lineHeader {
			want = "[2001:db8::5]:4711"
		}
		p := connectTCP(t, n)
		for i := range len(header) {
			p.write(header[i : i+1])
		}
		conn := tls.Client(p.conn, files.config())
		p = &peer{tb: t, conn: conn, in: bufio.NewReader(conn)}
		p.write(upgradeRequest("/ws"))
		seen.expect(t, n, p, want)
	}
	p := connectTCP(t, n)
	conn := tls.Client(p.conn, files.config())
	if err := conn.HandshakeContext(t.Context()); err == nil {
		t.Error("a connection without a header was served")
	}
	expectProxyErrors(t, n, map[node.ProxyError]uint64{node.ProxyBadHeader: 1})
}

// Connections without a header, or from elsewhere, are closed without an
// answer, and counted.
func TestProxyProtocolRequired(t *testing.T) {
	n := startNode(t, withProxyProtocol)
	bad := []string{
		plainGet, upgradeRequest("/ws"), "PROXY TCP4 nonsense\r\n" + plainGet, "\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x0c",
		"PROXY UNKNOWN " + strings.Repeat("x", 200),
	}
	for _, header := range bad {
		p := connectTCP(t, n)
		p.write(header)
		p.expectReset()
	}
	expectProxyErrors(t, n, map[node.ProxyError]uint64{node.ProxyBadHeader: uint64(len(bad))})
	empty := connectTCP(t, n) // a check that only connects
	_ = empty.conn.Close()
	expectHandshakes(t, n, node.HandshakeAborted, uint64(len(bad)+1))
	expectProxyErrors(t, n, map[node.ProxyError]uint64{node.ProxyBadHeader: uint64(len(bad))})

	n = startNode(t, func(c *node.Config) {
		trustOthers(c)
		c.ProxyProtocol = true
	})
	p := connectTCP(t, n)
	p.expectReset()
	expectProxyErrors(t, n, map[node.ProxyError]uint64{node.ProxyUntrusted: 1})
}

// expectReset reads the end of a connection that was not answered. Unread bytes
// make it a reset.
func (p *peer) expectReset() {
	p.tb.Helper()
	p.deadline()
	if b, err := p.in.ReadByte(); err == nil {
		p.tb.Errorf("answered with %q, want the end", b)
	} else if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		p.tb.Error("the connection is still open")
	}
}

// A header that does not end is bounded by the time for the handshake.
func TestProxyProtocolTimeout(t *testing.T) {
	n := startNode(t, func(c *node.Config) {
		withProxyProtocol(c)
		c.Timeouts.Handshake = 30 * time.Millisecond
	})
	p := connectTCP(t, n)
	p.write(lineHeader[:20])
	p.expectReset()
	expectHandshakes(t, n, node.HandshakeTimeout, 1)
}

func TestProxyConfig(t *testing.T) {
	for want, change := range map[string]func(*node.Config){
		"every client could choose its own": func(c *node.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} },
		"not valid":                         func(c *node.Config) { c.TrustedProxies = []netip.Prefix{{}} },
		"ProxyProtocol needs":               func(c *node.Config) { c.ProxyProtocol = true },
		"ProxyHeader 3 is unknown":          func(c *node.Config) { c.ProxyHeader = 3 },
	} {
		var c node.Config
		change(&c)
		if _, err := node.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New returned %v, want %q", err, want)
		}
	}
	for header, want := range map[node.ProxyHeader]string{
		node.ProxyHeaderXForwardedFor: "x-forwarded-for", node.ProxyHeaderForwarded: "forwarded", node.ProxyHeaderNone: "none", 9: "unknown",
	} {
		if got := header.String(); got != want {
			t.Errorf("%d is %q, want %q", header, got, want)
		}
	}
}
