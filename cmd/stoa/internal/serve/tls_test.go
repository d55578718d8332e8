package serve

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
	"github.com/stoa-io/stoa/internal/testkit"
)

func TestServeTLS(t *testing.T) {
	pair := clitest.WriteCertificate(t)
	config := &tls.Config{RootCAs: pair.Trusted, ServerName: "stoa.test"}
	p := startProgram(t, "--tls-cert", pair.Cert, "--tls-key", pair.Key)
	address, found := strings.CutPrefix(p.URL, "https://")
	if !found {
		t.Fatalf("the page is at %q, want https", p.URL)
	}
	p.Stdout.Await(t, `Clients +(wss://`+address+`/ws), `)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}, Timeout: testkit.Patience}
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics"} {
		response, err := client.Get(p.URL + path)
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
	s := clitest.OpenSocket(t, conn, address, "/ws")
	p.Cancel()
	if frame := s.ReadFrame(t); frame.Header.OpCode != ws.OpClose {
		t.Errorf("got frame %q, want a close frame", frame.Payload)
	}
	s.AnswerClose(t)
	if code := p.Wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// The environment can name the files, and flags take precedence.
func TestServeTLSFromTheEnvironment(t *testing.T) {
	pair := clitest.WriteCertificate(t)
	t.Setenv("STOA_TLS_CERT", filepath.Join(t.TempDir(), "missing.pem"))
	t.Setenv("STOA_TLS_KEY", pair.Key)
	p := startProgram(t, "--tls-cert", pair.Cert)
	if !strings.HasPrefix(p.URL, "https://") {
		t.Errorf("the page is at %q, want https", p.URL)
	}
}

func TestServeTLSRefused(t *testing.T) {
	pair := clitest.WriteCertificate(t)
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no key", []string{"--tls-cert", pair.Cert}, cli.ExitUsage, "add --tls-key"},
		{"no certificate", []string{"--tls-key", pair.Key}, cli.ExitUsage, "add --tls-cert"},
		{"missing file", []string{"--tls-cert", missing, "--tls-key", pair.Key}, cli.ExitUsage, fmt.Sprintf("open %s", missing)},
		{"no pair", []string{"--tls-cert", pair.Cert, "--tls-key", pair.Cert}, cli.ExitUsage, "--tls-cert: unusable with the key"},
		{"epoll", []string{"--tls-cert", pair.Cert, "--tls-key", pair.Key, "--transport", "epoll"}, cli.ExitUsage, "TLS needs the blocking transport"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := launch(t, append([]string{"--listen", "127.0.0.1:0"}, c.args...)...)
			if code := p.Wait(t); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if stderr := p.Stderr.String(); !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("want one line with %q, got:\n%s", c.want, stderr)
			}
		})
	}
}
