package node_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/node"
)

// withLog logs into a buffer.
func withLog(log *lockedBuffer, level slog.Level, change func(*node.Config)) func(*node.Config) {
	return func(c *node.Config) {
		c.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level}))
		if change != nil {
			change(c)
		}
	}
}

// A developer whose page has another origin finds the option in the log.
func TestForbiddenOriginIsLoggedOnce(t *testing.T) {
	for _, way := range []string{"new connection", "after a request"} {
		t.Run(way, func(t *testing.T) {
			var log lockedBuffer
			n := startNode(t, withLog(&log, slog.LevelInfo, nil))
			for _, origin := range []string{"http://localhost:5173", "http://localhost:5173", "https://b.test", "http://localhost:5173"} {
				p := connectTCP(t, n)
				if way != "new connection" {
					p.write("GET / HTTP/1.1\r\nHost: stoa.test\r\n\r\n")
					p.response()
				}
				p.write(upgradeRequest("/ws", "Origin: "+origin))
				p.expectRefusal(http.StatusForbidden)
			}
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			if len(lines) != 2 {
				t.Fatalf("%d lines were logged, want one for each origin:\n%s", len(lines), log.String())
			}
			for _, want := range []string{"level=WARN", "origin=http://localhost:5173", "host=stoa.test", "AllowOrigins", "--allow-origin"} {
				if !strings.Contains(lines[0], want) {
					t.Errorf("%q is missing in %s", want, lines[0])
				}
			}
		})
	}
}

// Refusals of every kind are in the log at debug level, with their reason.
func TestRefusalsAreLogged(t *testing.T) {
	for name, c := range map[string]struct {
		request string
		want    string
	}{
		"no key":      {withoutLine("/ws", "Sec-WebSocket-Key"), "result=bad_request status=400"},
		"old version": {withLine("/ws", "Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"), "result=bad_version status=426"},
		"large head":  {upgradeRequest("/ws", "Cookie: "+strings.Repeat("c", 9000)), "result=header_too_large status=431"},
		"full":        {upgradeRequest("/ws"), "result=full status=503"},
	} {
		t.Run(name, func(t *testing.T) {
			var log lockedBuffer
			n := startNode(t, withLog(&log, slog.LevelDebug, func(c *node.Config) { c.Limits.Connections = 1 }))
			if name == "full" {
				dial(t, n)
			}
			p := connectTCP(t, n)
			p.write(c.request)
			p.response()
			if !strings.Contains(log.String(), c.want) {
				t.Errorf("%q is missing in:\n%s", c.want, log.String())
			}
		})
	}
}

// A head that is too large is logged once a minute, with the limit.
func TestLargeHeadsAreLogged(t *testing.T) {
	var log lockedBuffer
	n := startNode(t, withLog(&log, slog.LevelInfo, func(c *node.Config) { c.Limits.Header = 300 }))
	for range 50 {
		p := connectTCP(t, n)
		p.write(upgradeRequest("/ws", "Cookie: "+strings.Repeat("c", 300)))
		p.expectRefusal(http.StatusRequestHeaderFieldsTooLarge)
	}
	// The test may run across a minute.
	if lines := strings.Count(log.String(), "--max-header"); lines < 1 || lines > 2 || !strings.Contains(log.String(), "limit=300") {
		t.Errorf("want a line with the limit, got:\n%s", log.String())
	}
}
