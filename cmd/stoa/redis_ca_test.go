package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/internal/redistest"
)

// Unusable CA certificates are usage errors.
func TestRedisCAMistakes(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "missing.pem")
	const secure = "rediss://redis.example.com"
	cases := []struct {
		name     string
		variable string
		args     []string
		want     string
	}{
		{"no file", "", []string{"serve", "--redis", secure, "--redis-ca", missing}, "--redis-ca: open " + missing},
		{"no certificate", "", []string{"serve", "--redis", secure, "--redis-ca", empty}, "contains no certificate in PEM form"},
		{"no TLS", "", []string{"serve", "--redis", "redis://redis.example.com", "--redis-ca", empty}, "--redis-ca: no server uses TLS"},
		{"no server", "", []string{"serve", "--redis-ca", empty}, "--redis-ca: no server uses TLS"},
		{"of nodes", "", []string{"nodes", "--redis", secure, "--redis-ca", missing}, "--redis-ca: open " + missing},
		{"environment", missing, []string{"nodes", "--redis", secure}, "STOA_REDIS_CA: open " + missing},
		{"half a pair", "", []string{"serve", "--redis", secure, "--redis-cert", empty}, "--redis-cert: missing the key for the certificate"},
		{"the other half", "", []string{"serve", "--redis", secure, "--redis-key", empty}, "--redis-key: missing the certificate for the key"},
		{"no pair", "", []string{"nodes", "--redis", secure, "--redis-cert", empty, "--redis-key", missing}, "--redis-cert: unusable with the key"},
		{"a pair without TLS", "", []string{"serve", "--redis", "redis://a", "--redis-cert", empty, "--redis-key", empty}, "--redis-cert: no server uses TLS"},
		{"Sentinels", "", []string{"nodes", "--redis", "rediss+sentinel://a,b/master", "--redis-ca", empty}, "contains no certificate in PEM form"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(cli.RedisCAVariable, c.variable)
			code, stdout, stderr := runProgram(t, c.args...)
			if code != cli.ExitUsage || stdout != "" || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, printed %q and %q; want %d and %q", code, stdout, stderr, cli.ExitUsage, c.want)
			}
		})
	}
}

// The flag takes precedence over the environment, and both replace the system's
// CA certificates.
func TestRedisCA(t *testing.T) {
	redis := redistest.StartSecure(t, "stoa on >secret ~* &* +@all")
	other := redistest.StartSecure(t)
	args := []string{"nodes", "--format", "json", "--redis", redis.URLOf("stoa", "secret")}
	cases := []struct {
		name     string
		variable string
		flag     string
		reached  bool // and it has no node
	}{
		{"flag", "", redis.Authority, true},
		{"environment", redis.Authority, "", true},
		{"flag wins", other.Authority, redis.Authority, true},
		{"another authority", "", other.Authority, false},
		{"the system's", "", "", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(cli.RedisCAVariable, c.variable)
			all := args
			if c.flag != "" {
				all = append(all[:len(all):len(all)], "--redis-ca", c.flag)
			}
			code, stdout, stderr := runProgram(t, all...)
			if code != cli.ExitFailure || c.reached != (stdout == "[]\n") {
				t.Errorf("exit code %d, printed %q and %q; want the server reached: %t", code, stdout, stderr, c.reached)
			}
		})
	}
}

// A server that wants to know its clients gets the certificate of the node, in
// each way to name it.
func TestRedisCertificate(t *testing.T) {
	redis := redistest.StartMutual(t, "stoa on >secret ~* &* +@all")
	args := []string{"nodes", "--format", "json", "--redis", redis.URLOf("stoa", "secret"), "--redis-ca", redis.Authority}
	for _, c := range []struct {
		name      string
		variables [2]string
		flags     []string
		reached   bool
	}{
		{"flags", [2]string{}, []string{"--redis-cert", redis.ClientCert, "--redis-key", redis.ClientKey}, true},
		{"environment", [2]string{redis.ClientCert, redis.ClientKey}, nil, true},
		{"none", [2]string{}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(cli.RedisCertVariable, c.variables[0])
			t.Setenv(cli.RedisKeyVariable, c.variables[1])
			code, stdout, stderr := runProgram(t, append(args[:len(args):len(args)], c.flags...)...)
			if code != cli.ExitFailure || c.reached != (stdout == "[]\n") {
				t.Errorf("exit code %d, printed %q and %q; want the server reached: %t", code, stdout, stderr, c.reached)
			}
			// The reason may be lost: the server then resets the connection.
			if !c.reached && !strings.Contains(stderr, redis.Addr()) {
				t.Errorf("the error is %q, want the address of the server", stderr)
			}
		})
	}
}
