package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// password contains characters that URLs and quotes encode.
const password = `p4ss?w@rd"/`

// checkSecret fails if a text contains a part of the password in any encoding.
func checkSecret(t *testing.T, texts map[string]string) {
	t.Helper()
	for name, text := range texts {
		for _, secret := range []string{"p4ss", "w@rd", "w%40rd"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s contains a part of the password:\n%s", name, text)
			}
		}
	}
}

func withPassword(server *redistest.Server, password string) string {
	return (&url.URL{Scheme: "redis", User: url.UserPassword("default", password), Host: server.Addr()}).String()
}

func TestPasswordIsNotPrinted(t *testing.T) {
	redis := redistest.Start(t, "--requirepass", password)
	address := withPassword(redis, password)
	for _, format := range []string{cli.FormatText, cli.FormatJSON} {
		t.Run(format, func(t *testing.T) {
			t.Setenv(cli.RedisVariable, address)
			p := launch(t, "--listen", "127.0.0.1:0", "--node-id", "one", "--log-level", "debug", "--log-format", format)
			if format == cli.FormatJSON {
				p.URL = p.Stderr.Await(t, `"page":"(http://[^"]+)/"`)
			} else {
				p.URL = p.Stdout.Await(t, `Open +(http://\S+)/ `)
			}
			awaitReady(t, p)
			texts := map[string]string{}
			fetch := func(state string) {
				for _, page := range []string{"/", "/metrics", "/readyz"} {
					_, texts[page+" "+state] = p.Get(t, http.MethodGet, page)
				}
			}
			fetch("with Redis")
			_, table, _ := runProgram(t, "nodes")
			if !strings.Contains(table, "\none ") {
				t.Errorf("the node is not listed:\n%s", table)
			}
			texts["stoa nodes"] = table
			redis.Kill()
			testkit.Eventually(t, "the node is not ready", func() bool {
				response, _ := p.Get(t, http.MethodGet, "/readyz")
				return response.StatusCode == http.StatusServiceUnavailable
			})
			fetch("without Redis")
			_, _, texts["stoa nodes without Redis"] = runProgram(t, "nodes")
			redis.Restart()
			awaitReady(t, p)
			if code := p.Stop(t); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			texts["standard output"], texts["standard error"] = p.Stdout.String(), p.Stderr.String()
			checkSecret(t, texts)
		})
	}
}

// Errors print neither a wrong password nor one in the wrong argument.
func TestPasswordIsNotInErrors(t *testing.T) {
	redis := redistest.Start(t, "--requirepass", "another")
	address := withPassword(redis, password)
	cases := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"refused", []string{"--listen", "127.0.0.1:0", "--redis", address}, cli.ExitFailure, redis.Addr()},
		{"refused to nodes", []string{"nodes", "--redis", address}, cli.ExitFailure, redis.Addr()},
		{"wrong scheme", []string{"--redis", "http" + strings.TrimPrefix(address, "redis")}, cli.ExitUsage, "must begin with redis://"},
		{"not encoded", []string{"--redis", "redis://:" + password + "@" + redis.Addr()}, cli.ExitUsage, "Redis server 1: "},
		{"parameter", []string{"--redis", "redis://host?password=" + password}, cli.ExitUsage, "Redis server 1: "},
		{"nodes of a wrong URL", []string{"nodes", "--redis", address + "/db"}, cli.ExitUsage, "database"},
		{"without the flag", []string{address}, cli.ExitUsage, "redis://..."},
		{"not encoded and without the flag", []string{"redis://:" + password + "@host"}, cli.ExitUsage, "redis://..."},
		{"serve without the flag", []string{"serve", address}, cli.ExitUsage, "redis://..."},
		{"nodes without the flag", []string{"nodes", address}, cli.ExitUsage, "redis://..."},
		{"another flag", []string{"--listen", address}, cli.ExitUsage, "redis://..."},
		{"one dash", []string{"-redis=" + address}, cli.ExitUsage, "redis://..."},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := runProgram(t, c.args...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, want %d; want %q in:\n%s", code, c.code, c.want, stderr)
			}
			checkSecret(t, map[string]string{"standard output": stdout, "standard error": stderr})
		})
	}
}
