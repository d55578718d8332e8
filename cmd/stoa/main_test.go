package main

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestUsageErrors(t *testing.T) {
	cases := []struct {
		name string
		args []string
		want string // part of the line
	}{
		{"unknown flag", []string{"--colour"}, "--colour"},
		{"unknown flag of serve", []string{"serve", "--colour"}, "--colour"},
		{"flag with a line break", []string{"--a\nb"}, "unknown flag"},
		{"unknown subcommand", []string{"sevre"}, `"sevre"`},
		{"argument to serve", []string{"serve", "now"}, `"now"`},
		{"argument to version", []string{"version", "now"}, `"now"`},
		{"log level", []string{"--log-level", "loud"}, `--log-level "loud": want debug, info, warn or error`},
		{"log format", []string{"--log-format", "xml"}, `--log-format "xml": want text or json`},
		{"transport", []string{"--transport", "udp"}, `--transport "udp": want auto, epoll or stream`},
		{"no port", []string{"--listen", "127.0.0.1"}, `--listen "127.0.0.1": want host:port`},
		{"port out of range", []string{"--listen", "127.0.0.1:65536"}, `port "65536"`},
		{"every address", []string{"--listen", ":0"}, "--allow-unauthenticated"},
		{"every IPv6 address", []string{"--listen", "[::]:0"}, "--allow-unauthenticated"},
		{"address of the network", []string{"--listen", "192.0.2.1:0"}, "--allow-unauthenticated"},
		{"another name", []string{"--listen", "localhost.example.com:0"}, "--allow-unauthenticated"},
		{"drain timeout", []string{"--drain-timeout", "-1s"}, "--drain-timeout -1s"},
		{"not a duration", []string{"--drain-timeout", "soon"}, "--drain-timeout"},
		{"too many loops", []string{"--loops", "1000"}, "Loops 1000"},
		{"fewer than no loops", []string{"--loops", "-1"}, "Loops -1"},
		{"endpoint", []string{"--endpoint", "ws"}, `Endpoint "ws"`},
		{"endpoint of the demo page", []string{"--endpoint", "/"}, `--endpoint "/": a page of the server has this path`},
		{"endpoint of a page", []string{"--endpoint", "/metrics"}, `--endpoint "/metrics"`},
		{"origin", []string{"--allow-origin", "example.com"}, `"example.com"`},
		{"redis without a scheme", []string{"--redis", "127.0.0.1:6379"}, "Redis server 1: the URL must begin with redis://"},
		{"second redis", []string{"--redis", "redis://a", "--redis", "redis://b:port"}, "Redis server 2: "},
		{"cluster name", []string{"--redis", "redis://127.0.0.1", "--cluster-name", "a b"}, `"a b"`},
		{"no cluster name", []string{"--redis", "redis://127.0.0.1", "--cluster-name", ""}, "--cluster-name is empty"},
		{"cluster name without a cluster", []string{"--cluster-name", "chat"}, "--cluster-name: there is no cluster without --redis"},
		{"address without a cluster", []string{"--advertise", "a:80"}, "--advertise: there is no cluster without --redis"},
		{"address", []string{"--redis", "redis://127.0.0.1", "--advertise", "a\tb"}, `--advertise "a\tb"`},
		{"node ID", []string{"--redis", "redis://127.0.0.1", "--node-id", "a-b"}, `ID "a-b"`},
		{"node ID without a cluster", []string{"--node-id", "a-b"}, `ID "a-b"`},
		{"nodes of no cluster", []string{"nodes"}, "Give --redis or set STOA_REDIS"},
		{"nodes of a wrong URL", []string{"nodes", "--redis", "http://127.0.0.1"}, "must begin with redis://"},
		{"nodes of a wrong name", []string{"nodes", "--redis", "redis://127.0.0.1", "--cluster-name", ""}, "--cluster-name"},
		{"format of nodes", []string{"nodes", "--redis", "redis://127.0.0.1", "--format", "xml"}, `--format "xml": want table or json`},
		{"argument to nodes", []string{"nodes", "now"}, `"now"`},
		{"several", []string{"--loops", "-1", "--endpoint", "ws"}, "; "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := launch(t, c.args...)
			if code := p.wait(t); code != exitUsage {
				t.Errorf("exit code %d, want %d", code, exitUsage)
			}
			checkOneLine(t, p, c.want)
		})
	}
}

func TestPortInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p := launch(t, "--listen", listener.Addr().String())
	if code := p.wait(t); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
	checkOneLine(t, p, listener.Addr().String())
}

func TestExplainListen(t *testing.T) {
	cases := []struct {
		name string
		err  error
		want string
	}{
		{"port in use", syscall.EADDRINUSE, "choose another address with --listen"},
		{"no permission", syscall.EACCES, "choose a port above 1023"},
		{"another reason", syscall.EINVAL, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", c.err)}
			got := explainListen(err)
			if !errors.Is(got, c.err) || !strings.HasPrefix(got.Error(), err.Error()) || !strings.Contains(got.Error(), c.want) {
				t.Errorf("got %q, want %q and then %q", got, err, c.want)
			}
		})
	}
}

// checkOneLine checks that the program has said nothing but one line on standard
// error, with want in it.
func checkOneLine(t *testing.T, p *program, want string) {
	t.Helper()
	line := p.stderr.String()
	if !strings.HasPrefix(line, "stoa: ") || strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
		t.Errorf("standard error is not one line that begins with \"stoa: \":\n%s", line)
	}
	if !strings.Contains(line, want) {
		t.Errorf("want %q in: %s", want, line)
	}
	if printed := p.stdout.String(); printed != "" {
		t.Errorf("standard output should be empty and is: %s", printed)
	}
}

func TestHelpAndVersion(t *testing.T) {
	cases := []struct {
		name string
		args []string
		want []string
	}{
		{"help", []string{"--help"}, []string{"Examples:", "--listen", "serve", "version", "/metrics"}},
		{"help of serve", []string{"serve", "--help"}, []string{"Examples:", "--listen", "/healthz", "--drain-timeout", "STOA_REDIS", "redis+sentinel://"}},
		{"help of nodes", []string{"nodes", "--help"}, []string{"Examples:", "--redis", "STOA_REDIS", "STOA_CLUSTER_NAME"}},
		{"help of connect", []string{"connect", "--help"}, []string{"Examples:", "disconnect NS", "--namespace", "--no-history", "  4  nobody"}},
		{"help of emit", []string{"emit", "--help"}, []string{"Examples:", "--room", "--binary", "  4  nobody"}},
		{"help of ask", []string{"ask", "--help"}, []string{"Examples:", "--header", "--binary", "  4  nobody"}},
		{"version", []string{"version"}, []string{"stoa " + readBuild().version, "go1."}},
		{"version flag", []string{"--version"}, []string{"stoa " + readBuild().version, "go1."}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := launch(t, c.args...)
			if code := p.wait(t); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			for _, want := range c.want {
				if !strings.Contains(p.stdout.String(), want) {
					t.Errorf("want %q in:\n%s", want, p.stdout)
				}
			}
			if p.stderr.String() != "" {
				t.Errorf("standard error should be empty and is: %s", p.stderr)
			}
		})
	}
}

func TestBuildString(t *testing.T) {
	b := build{version: "v1.2.3", revision: "0123456789abcdef", modified: true, golang: "go1.26.1"}
	if got, want := b.String(), "v1.2.3 (commit 0123456789ab and local changes, go1.26.1, "; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want it to begin with %q", got, want)
	}
	if got, want := b.metrics().Revision, "0123456789abcdef-modified"; got != want {
		t.Errorf("revision of the metric %q, want %q", got, want)
	}
}
