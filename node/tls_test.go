package node_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

// tlsFiles are a certificate and its key, and the pool that trusts them.
type tlsFiles struct {
	cert, key string
	trusted   *x509.CertPool
}

func newTLSFiles(tb testing.TB) *tlsFiles {
	tb.Helper()
	f := &tlsFiles{
		cert: filepath.Join(tb.TempDir(), "cert.pem"), key: filepath.Join(tb.TempDir(), "key.pem"),
		trusted: x509.NewCertPool(),
	}
	f.replace(tb, 1)
	return f
}

// replace writes a new pair.
func (f *tlsFiles) replace(tb testing.TB, serial int64) {
	tb.Helper()
	cert, key := testkit.PEMPair(tb, serial)
	f.trusted.AppendCertsFromPEM(cert)
	testkit.ReplaceFile(tb, f.cert, cert)
	testkit.ReplaceFile(tb, f.key, key)
}

// config is a client's configuration.
func (f *tlsFiles) config() *tls.Config {
	return &tls.Config{RootCAs: f.trusted, ServerName: "stoa.test"}
}

// startTLS serves a node over TLS until the test ends.
func startTLS(tb testing.TB, f *tlsFiles, change func(*node.Config), declare func(*node.Node)) *node.Node {
	tb.Helper()
	n := newNode(tb, change)
	if declare != nil {
		declare(n)
	}
	if err := n.ListenTLS("tcp", "127.0.0.1:0", f.cert, f.key); err != nil {
		tb.Fatal(err)
	}
	serve(tb, n)
	return n
}

// connectTLS opens a connection and sends nothing but the TLS handshake.
func connectTLS(tb testing.TB, n *node.Node, config *tls.Config) *peer {
	tb.Helper()
	conn, err := tls.Dial("tcp", n.Addr().String(), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return &peer{tb: tb, conn: conn, in: bufio.NewReader(conn)}
}

// serial returns the serial number of the certificate that a new client gets.
func (f *tlsFiles) serial(tb testing.TB, n *node.Node) int64 {
	tb.Helper()
	p := connectTLS(tb, n, f.config())
	defer func() { _ = p.conn.Close() }()
	return p.conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// expectJoined opens a WebSocket and joins a room.
func (p *peer) expectJoined(namespace, room string) {
	p.tb.Helper()
	p.write(visit(namespace, room))
	p.expectVisit()
}

// saysTLS is a page that tells whether the request came over TLS.
func saysTLS(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprintf(w, "%s over TLS: %t", r.URL.Path, r.TLS != nil && r.TLS.HandshakeComplete)
}

func withTLSPage(c *node.Config) { c.HTTP = http.HandlerFunc(saysTLS) }

func TestListenTLS(t *testing.T) {
	t.Run("WebSockets", func(t *testing.T) {
		f := newTLSFiles(t)
		n := startTLS(t, f, nil, nil)
		one, other := connectTLS(t, n, f.config()), connectTLS(t, n, f.config())
		one.expectJoined("default", "r")
		other.expectJoined("default", "r")
		large := strings.Repeat("0123456789", 6000)
		one.send(";default;r;e;0;0;" + large)
		other.expect(";default;r;e;0;0;" + large)
		one.write(frame(ws.OpClose, true, "\x03\xe8"))
		one.expectClose(ws.StatusNormalClosure)
		one.expectEnd()
		eventually(t, "one connection is left", func() bool { return n.Connections() == 1 })
	})
	t.Run("pages, and then a WebSocket", func(t *testing.T) {
		f := newTLSFiles(t)
		n := startTLS(t, f, withTLSPage, nil)
		p := connectTLS(t, n, f.config())
		for range 2 {
			p.write(plainGet)
			p.expectBody("/page over TLS: true")
		}
		p.expectJoined("default", "r")
		p.sync("default")
		if s := n.Stats(); s.HandedToHTTP != 1 || s.Accepted != 1 || s.Connections != 1 {
			t.Errorf("%d handed over, %d accepted, %d open, want 1 each", s.HandedToHTTP, s.Accepted, s.Connections)
		}
	})
	t.Run("HTTP/1.1 is all there is", func(t *testing.T) {
		f := newTLSFiles(t)
		n := startTLS(t, f, withTLSPage, nil)
		config := f.config()
		config.NextProtos = []string{"h2", "http/1.1"}
		p := connectTLS(t, n, config)
		if agreed := p.conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; agreed != "http/1.1" {
			t.Errorf("agreed on %q, want http/1.1", agreed)
		}
		config.NextProtos = []string{"h2"}
		if conn, err := tls.Dial("tcp", n.Addr().String(), config); err == nil {
			_ = conn.Close()
			t.Error("a client that speaks HTTP/2 only was let in")
		}
	})
	t.Run("the client's certificate", func(t *testing.T) {
		f := newTLSFiles(t)
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			t.Fatal(err)
		}
		n := newNode(t, nil)
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			if a.Request.TLS == nil || len(a.Request.TLS.PeerCertificates) == 0 {
				return node.Refuse(http.StatusUnauthorized, "no certificate")
			}
			return nil
		})
		config := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert, NextProtos: []string{"h2"}}
		if err := n.ListenTLSConfig("tcp", "127.0.0.1:0", config); err != nil {
			t.Fatal(err)
		}
		serve(t, n)
		p := connectTLS(t, n, f.config())
		p.write(upgradeRequest("/ws"))
		p.expectRefusal(http.StatusUnauthorized)
		known := f.config()
		known.Certificates = []tls.Certificate{pair}
		connectTLS(t, n, known).expectJoined("default", "r")
		if len(config.NextProtos) != 1 || config.NextProtos[0] != "h2" {
			t.Errorf("the program's configuration has become %q", config.NextProtos)
		}
	})
	t.Run("shutdown", func(t *testing.T) {
		f := newTLSFiles(t)
		n := startTLS(t, f, nil, nil)
		p := connectTLS(t, n, f.config())
		p.expectJoined("default", "r")
		half := connectTCP(t, n)
		half.write(halfClientHello(t))
		eventually(t, "the other connection is accepted", func() bool { return n.Stats().Pending == 1 })
		shutdown := make(chan error, 1)
		go func() { shutdown <- n.Shutdown(context.Background()) }()
		if code := answerClose(p); code != 1001 {
			t.Errorf("closed with %d, want 1001", code)
		}
		half.expectEnd()
		if err := <-shutdown; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

func TestListenTLSErrors(t *testing.T) {
	f := newTLSFiles(t)
	n := newNode(t, nil)
	defer func() { _ = n.Close() }()
	missing := filepath.Join(t.TempDir(), "missing.pem")
	if err := n.ListenTLS("tcp", "127.0.0.1:0", missing, f.key); !errors.Is(err, node.ErrCertificate) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a certificate: %v, want %v and %v", err, node.ErrCertificate, os.ErrNotExist)
	}
	if err := n.ListenTLS("tcp", "127.0.0.1:0", f.cert, f.cert); !errors.Is(err, node.ErrCertificate) {
		t.Errorf("without a key: %v, want %v", err, node.ErrCertificate)
	}
	if err := n.ListenTLSConfig("tcp", "127.0.0.1:0", &tls.Config{}); !errors.Is(err, node.ErrCertificate) {
		t.Errorf("with an empty configuration: %v, want %v", err, node.ErrCertificate)
	}
	if err := n.ListenTLS("tcp", "nonsense", f.cert, f.key); err == nil || errors.Is(err, node.ErrCertificate) {
		t.Errorf("without an address: %v, want the error of package net", err)
	}
	if n.Addr() != nil {
		t.Errorf("Addr is %v after errors, want nil", n.Addr())
	}
	// The node is unchanged.
	if err := n.ListenTLS("tcp", "127.0.0.1:0", f.cert, f.key); err != nil {
		t.Errorf("with everything: %v", err)
	}
	if err := n.Listen("tcp", "127.0.0.1:0"); err == nil {
		t.Error("Listen after ListenTLS returned no error")
	}
}

// Renewing a certificate, with a good or a bad one, disturbs no connection.
func TestRenewedCertificate(t *testing.T) {
	f := newTLSFiles(t)
	n := startTLS(t, f, nil, nil)
	p := connectTLS(t, n, f.config())
	p.expectJoined("default", "r")
	f.replace(t, 2)
	eventually(t, "new clients get the new certificate", func() bool { return f.serial(t, n) == 2 })
	p.sync("default")
	testkit.ReplaceFile(t, f.cert, []byte("no certificate"))
	eventually(t, "the bad certificate is noticed", func() bool {
		if got := f.serial(t, n); got != 2 {
			t.Fatalf("certificate %d is used, want 2", got)
		}
		return n.Stats().CertificateErrors > 0
	})
	p.sync("default")
	f.replace(t, 3)
	eventually(t, "new clients get the third certificate", func() bool { return f.serial(t, n) == 3 })
	p.sync("default")
	connectTLS(t, n, f.config()).expectJoined("default", "r")
}

// A plain HTTP request to a TLS listener is answered with the reason, however
// long it is.
func TestPlainHTTPOnTheTLSPort(t *testing.T) {
	f := newTLSFiles(t)
	n := startTLS(t, f, withTLSPage, nil)
	for name, request := range map[string]string{
		"page":    plainGet,
		"upgrade": upgradeRequest("/ws"),
		"probe":   "HEAD /ws HTTP/1.1\r\nHost: stoa.test\r\n\r\n",
		"upload":  "POST /form HTTP/1.1\r\nHost: stoa.test\r\nContent-Length: 30000\r\n\r\n" + strings.Repeat("x", 30_000),
	} {
		t.Run(name, func(t *testing.T) {
			p := connectTCP(t, n)
			p.write(request)
			response := p.response()
			text, _ := io.ReadAll(response.Body)
			if response.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "this port speaks TLS") {
				t.Errorf("answered %s %q, want 400 and why", response.Status, text)
			}
			p.expectEOF()
		})
	}
	t.Run("something else", func(t *testing.T) {
		p := connectTCP(t, n)
		p.write("SSH-2.0-OpenSSH_9.6\r\n")
		p.expectEnd()
	})
	connectTLS(t, n, f.config()).expectJoined("default", "r")
	eventually(t, "the other connections have closed", func() bool { s := n.Stats(); return s.Pending == 0 && s.Connections == 1 })
}

// recordingConn keeps written data and then fails.
type recordingConn struct {
	net.Conn
	written bytes.Buffer
}

func (c *recordingConn) Write(p []byte) (int, error) {
	_, _ = c.written.Write(p)
	return 0, io.ErrClosedPipe
}

// halfClientHello is the first half of a TLS client's first message.
func halfClientHello(tb testing.TB) string {
	tb.Helper()
	var c recordingConn
	if err := tls.Client(&c, &tls.Config{ServerName: "stoa.test"}).Handshake(); err == nil {
		tb.Fatal("a handshake without a peer succeeded")
	}
	return string(c.written.Bytes()[:c.written.Len()/2])
}

// Clients that stall in the TLS handshake delay no other client, and are
// dropped when the time for the whole handshake has passed.
func TestStalledTLSHandshake(t *testing.T) {
	t.Run("others are served", func(t *testing.T) {
		f := newTLSFiles(t)
		n := startTLS(t, f, func(c *node.Config) { c.Loops = 1 }, nil)
		const stalled = 100
		for i := range stalled {
			p := connectTCP(t, n)
			if i%2 == 0 {
				p.write(halfClientHello(t))
			}
		}
		eventually(t, "all are accepted", func() bool { return n.Stats().Pending == stalled })
		connectTLS(t, n, f.config()).expectJoined("default", "r")
	})
	t.Run("given up", func(t *testing.T) {
		f := newTLSFiles(t)
		n := startTLS(t, f, func(c *node.Config) { c.Timeouts.Handshake = 100 * time.Millisecond }, nil)
		silent, half := connectTCP(t, n), connectTCP(t, n)
		half.write(halfClientHello(t))
		silent.expectEnd()
		half.expectEnd()
		expectHandshakes(t, n, node.HandshakeTimeout, 2)
	})
	t.Run("gone", func(t *testing.T) {
		f := newTLSFiles(t)
		n := startTLS(t, f, nil, nil)
		p := connectTCP(t, n)
		p.write(halfClientHello(t))
		_ = p.conn.Close()
		eventually(t, "the close is noticed", func() bool { return n.Stats().Handshakes[node.HandshakeAborted] == 1 })
	})
}

// Another certificate is in force at once, without the watch of the files, and
// an unusable one leaves the previous one.
func TestReplaceCertificate(t *testing.T) {
	f, other := newTLSFiles(t), newTLSFiles(t)
	n := startTLS(t, f, nil, nil)
	open := connectTLS(t, n, f.config())
	open.expectJoined("default", "r")
	f.replace(t, 2)
	if err := n.ReplaceCertificate(f.cert, f.key); err != nil {
		t.Fatal(err)
	}
	if got := f.serial(t, n); got != 2 {
		t.Errorf("certificate %d is used, want 2", got)
	}
	other.replace(t, 3)
	for _, pair := range [][2]string{{f.cert, other.key}, {"missing", f.key}} {
		if err := n.ReplaceCertificate(pair[0], pair[1]); !errors.Is(err, node.ErrCertificate) {
			t.Errorf("%v: %v, want %v", pair, err, node.ErrCertificate)
		}
	}
	if got := f.serial(t, n); got != 2 {
		t.Errorf("certificate %d is used, want 2", got)
	}
	if err := n.ReplaceCertificate(other.cert, other.key); err != nil {
		t.Fatal(err)
	}
	if got := other.serial(t, n); got != 3 {
		t.Errorf("certificate %d is used, want 3", got)
	}
	open.sync("default")
	if err := startNode(t, nil).ReplaceCertificate(f.cert, f.key); !errors.Is(err, node.ErrCertificate) {
		t.Errorf("without TLS: %v, want %v", err, node.ErrCertificate)
	}
}
