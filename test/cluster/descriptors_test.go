package cluster_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// applicants are clients that want a connection, and try again while they have
// none.
type applicants struct {
	open, refused atomic.Int64
	clients       sync.WaitGroup
}

// startApplicants starts clients that end with the test.
func startApplicants(t testing.TB, address string, count int) *applicants {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := new(applicants)
	for range count {
		c.clients.Go(func() {
			for ctx.Err() == nil {
				c.connect(ctx, address)
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		c.clients.Wait()
	})
	return c
}

// connect holds one connection until it ends.
func (c *applicants) connect(ctx context.Context, address string) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_, err = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x81\x00\x00\x00\x00M")
	if err != nil {
		return
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		c.refused.Add(1)
		return
	}
	c.open.Add(1)
	defer c.open.Add(-1)
	_, _ = io.Copy(io.Discard, reader) // until it ends
}

// With more clients than descriptors a node holds as many as it says, answers
// the others, serves its pages, and reaches Redis again after an outage.
func TestMoreClientsThanDescriptors(t *testing.T) {
	for _, transport := range []string{"auto", "blocking"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t)
			command := exec.Command("sh", "-c", `ulimit -n 120 && exec "$0" "$@"`, testkit.Program(t), "serve",
				"--listen", "127.0.0.1:0", "--node-id", "one", "--loops", "2", "--transport", transport,
				"--log-format", "json", "--redis", redis.URL())
			command.Env = testkit.Environment()
			p := awaitServing(t, &program{Process: testkit.StartProcess(t, command)})
			p.awaitReady(t, http.StatusOK)
			limit, err := strconv.ParseInt(p.Await(t, `"connection_limit":(\d+)`), 10, 64)
			if err != nil || limit < 30 || limit > 90 {
				t.Fatalf("%d connections of 120 files, %v: want 30 to 90", limit, err)
			}

			clients := startApplicants(t, p.address, 300)
			testkit.Eventually(t, "the node is full", func() bool {
				return clients.open.Load() == limit && clients.refused.Load() > 0
			})
			redis.Kill()
			p.awaitReady(t, http.StatusServiceUnavailable)
			redis.Restart()
			p.awaitReady(t, http.StatusOK)
			if status, body := p.page(t, "/healthz"); status != http.StatusOK {
				t.Errorf("/healthz was answered with %d: %s", status, body)
			}
			_, metrics := p.page(t, "/metrics")
			for _, want := range []string{
				fmt.Sprintf("stoa_connection_limit %d", limit), fmt.Sprintf("stoa_connections %d", limit),
				`stoa_handshakes_total{result="full"} [1-9]`, `stoa_broker_up{server="0"} 1`,
			} {
				if !regexp.MustCompile("\n" + escapeBraces(want)).MatchString(metrics) {
					t.Errorf("%q is not in the metrics:\n%s", want, metrics)
				}
			}
			p.Kill()
		})
	}
}

// escapeBraces quotes the braces of labels in a pattern.
func escapeBraces(pattern string) string {
	return regexp.MustCompile(`[{}]`).ReplaceAllString(pattern, `\$0`)
}
