package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writePair makes a certificate for "stoa.test" and 127.0.0.1, and who trusts it.
func writePair(t testing.TB) (pair tlsPair, trusted *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"stoa.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	pair = tlsPair{filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	for path, content := range map[string][]byte{pair.cert: cert, pair.key: key} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trusted = x509.NewCertPool()
	trusted.AppendCertsFromPEM(cert)
	return pair, trusted
}

func TestServeTLS(t *testing.T) {
	pair, trusted := writePair(t)
	config := &tls.Config{RootCAs: trusted, ServerName: "stoa.test"}
	p := startProgram(t, "--tls-cert", pair.cert, "--tls-key", pair.key)
	address, found := strings.CutPrefix(p.url, "https://")
	if !found {
		t.Fatalf("the page is at %q, want https", p.url)
	}
	p.stdout.await(t, `Clients +(wss://`+address+`/ws), `)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}, Timeout: patience}
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics"} {
		response, err := client.Get(p.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || len(body) == 0 {
			t.Errorf("%s answered %s with %d bytes, %v, want 200", path, response.Status, len(body), err)
		}
	}
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := "GET /ws HTTP/1.1\r\nHost: stoa.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	// A text frame "M" under a mask of zeros is the hello.
	if _, err := io.WriteString(conn, request+"\x81\x81\x00\x00\x00\x00M"); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	if response, err := http.ReadResponse(reader, nil); err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answered %v, %v, want 101", response, err)
	}
	s := &socket{conn, reader}
	if frame := s.readFrame(t); frame[0] != 0x81 || frame[2] != 'A' {
		t.Errorf("first frame %q, want the acknowledgement", frame)
	}
	p.cancel()
	if frame := s.readFrame(t); frame[0] != 0x88 {
		t.Errorf("got frame %q, want a close frame", frame)
	}
	s.answerClose(t)
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// The environment may name the files, and flags win.
func TestServeTLSFromTheEnvironment(t *testing.T) {
	pair, _ := writePair(t)
	t.Setenv(tlsCertVariable, filepath.Join(t.TempDir(), "missing.pem"))
	t.Setenv(tlsKeyVariable, pair.key)
	p := startProgram(t, "--tls-cert", pair.cert)
	if !strings.HasPrefix(p.url, "https://") {
		t.Errorf("the page is at %q, want https", p.url)
	}
}

func TestServeTLSRefused(t *testing.T) {
	pair, _ := writePair(t)
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no key", []string{"--tls-cert", pair.cert}, exitUsage, "--tls-key or STOA_TLS_KEY"},
		{"no certificate", []string{"--tls-key", pair.key}, exitUsage, "--tls-cert or STOA_TLS_CERT"},
		{"missing file", []string{"--tls-cert", missing, "--tls-key", pair.key}, exitUsage, fmt.Sprintf("open %s", missing)},
		{"no pair", []string{"--tls-cert", pair.cert, "--tls-key", pair.cert}, exitUsage, "--tls-cert, --tls-key"},
		{"epoll", []string{"--tls-cert", pair.cert, "--tls-key", pair.key, "--transport", "epoll"}, exitUsage, `the way "stream"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := launch(t, append([]string{"--listen", "127.0.0.1:0"}, c.args...)...)
			if code := p.wait(t); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if said := p.stderr.String(); !strings.Contains(said, c.want) || strings.Count(said, "\n") != 1 {
				t.Errorf("want one line with %q, got:\n%s", c.want, said)
			}
		})
	}
}
