package cluster_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/testkit"
)

// startSquatters holds so many connections on which it sends no more than the
// text, until the test ends. One that is closed is opened again.
func startSquatters(t testing.TB, address string, count int, text string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range count {
		all.Go(func() {
			for ctx.Err() == nil {
				squat(ctx, address, text)
				select {
				case <-ctx.Done():
				case <-time.After(3 * time.Second):
				}
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		all.Wait()
	})
}

// squat holds one connection until it ends.
func squat(ctx context.Context, address, text string) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := io.WriteString(conn, text); err == nil {
		_, _ = io.Copy(io.Discard, conn)
	}
}

// tryPage returns a page of the node, "" if its own socket was closed.
func (p *program) tryPage(path string) string {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + p.address + path)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	content, _ := io.ReadAll(response.Body)
	return string(content)
}

// A node that is full of WebSockets keeps answering while many more sockets
// than it has descriptors for send nothing, a part of a request, or a request
// over HTTP and then nothing.
func TestSilentSockets(t *testing.T) {
	for _, transport := range []string{"auto", "blocking"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			command := exec.Command("sh", "-c", `ulimit -n 120 && exec "$0" "$@"`, testkit.Program(t), "serve",
				"--listen", "127.0.0.1:0", "--loops", "2", "--transport", transport, "--log-format", "json")
			command.Env = testkit.Environment()
			p := awaitServing(t, &program{Process: testkit.StartProcess(t, command)})
			members := startApplicants(t, p.address, 100)
			testkit.Eventually(t, "the node is full", func() bool { return members.refused.Load() > 0 })
			open := members.open.Load()

			startSquatters(t, p.address, 70, "")
			startSquatters(t, p.address, 70, "GET /ws HTTP/1.1\r\nHost: local")
			startSquatters(t, p.address, 70, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
			evictions := regexp.MustCompile(`(?s)\nstoa_handshakes_total\{result="evicted"\} [1-9].*\nstoa_http_evictions_total [1-9]`)
			testkit.Eventually(t, "sockets are closed to make room", func() bool {
				return evictions.MatchString(p.tryPage("/metrics"))
			})
			// Sockets that stay until they time out would delay each request
			// by ten seconds and more.
			served := 0
			testkit.Eventually(t, "/healthz is answered several times", func() bool {
				if p.tryPage("/healthz") == "ok\n" {
					served++
				}
				return served == 5
			})
			if got := members.open.Load(); got < open {
				t.Errorf("%d WebSockets are open, want %d", got, open)
			}
			p.Kill()
		})
	}
}
