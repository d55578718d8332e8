package main

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
)

// The test binary is stoa itself if this variable is set, for tests that need a
// process.
const runMainVariable = "TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMainVariable) != "" {
		main()
	}
	os.Exit(clitest.Main(m))
}

func startProgram(t testing.TB, args ...string) *clitest.Program {
	t.Helper()
	return clitest.Serve(t, newRootCommand(), args...)
}

func launch(t testing.TB, args ...string) *clitest.Program {
	t.Helper()
	return clitest.Launch(t, newRootCommand(), args...)
}

func TestUsageErrors(t *testing.T) {
	cases := []struct {
		name string
		args []string
		want string // part of the line
	}{
		{"unknown flag", []string{"--unknown"}, "--unknown"},
		{"unknown flag of serve", []string{"serve", "--unknown"}, "--unknown"},
		{"flag with a line break", []string{"--a\nb"}, "unknown flag"},
		{"unknown subcommand", []string{"sevre"}, `unknown command "sevre" for "stoa"; did you mean serve?`},
		{"part of a subcommand", []string{"serv"}, `unknown command "serv" for "stoa"; did you mean serve?`},
		{"mistyped flag", []string{"--lisen", ":0"}, "did you mean --listen?"},
		{"mistyped flag of nodes", []string{"nodes", "--rediss", "redis://a"}, "did you mean --redis?"},
		{"argument to serve", []string{"serve", "now"}, `"now"`},
		{"argument to version", []string{"version", "now"}, `"now"`},
		{"log level", []string{"--log-level", "loud"}, `--log-level "loud": want debug, info, warn or error`},
		{"log format", []string{"--log-format", "xml"}, `--log-format "xml": want text or json`},
		{"transport", []string{"--transport", "udp"}, `--transport "udp": want auto, epoll or blocking`},
		{"no port", []string{"--listen", "127.0.0.1"}, `--listen "127.0.0.1": want host:port`},
		{"port out of range", []string{"--listen", "127.0.0.1:65536"}, `unknown port "65536"`},
		{"every address", []string{"--listen", ":0"}, "--allow-unauthenticated"},
		{"every IPv6 address", []string{"--listen", "[::]:0"}, "--allow-unauthenticated"},
		{"address of the network", []string{"--listen", "192.0.2.1:0"}, "--allow-unauthenticated"},
		{"another name", []string{"--listen", "localhost.example.com:0"}, "--allow-unauthenticated"},
		{"drain timeout", []string{"--drain-timeout", "-1s"}, "--drain-timeout -1s"},
		{"drain delay", []string{"--drain-delay", "-1s"}, "--drain-delay -1s"},
		{"not a duration", []string{"--drain-timeout", "soon"}, "--drain-timeout"},
		{"host with a port", []string{"--allow-host", "a.test:80"}, `--allow-host "a.test:80"`},
		{"size of a head", []string{"--max-header", "0"}, "--max-header 0: want 1KiB to 1MiB"},
		{"too many loops", []string{"--loops", "1000"}, "--loops 1000: want 1 to 64"},
		{"fewer than no loops", []string{"--loops", "-1"}, "--loops -1: want 1 to 64"},
		{"endpoint", []string{"--endpoint", "ws"}, `--endpoint "ws"`},
		{"endpoint of the demo page", []string{"--endpoint", "/"}, `--endpoint "/": this is the path of a page`},
		{"endpoint of a page", []string{"--endpoint", "/metrics"}, `--endpoint "/metrics"`},
		{"origin", []string{"--allow-origin", "example.com"}, `"example.com"`},
		{"pattern of origins", []string{"--allow-origin", "https://a.*.example.com"}, `"https://a.*.example.com": want scheme://host[:port]`},
		{"subprotocol", []string{"--subprotocol", "chat v1"}, `"chat v1": want a token`},
		{"redis without a scheme", []string{"--redis", "127.0.0.1:6379"}, "Redis server 1: the URL must begin with redis://"},
		{"second redis", []string{"--redis", "redis://a", "--redis", "redis://b:port"}, "Redis server 2: "},
		{"cluster name", []string{"--redis", "redis://127.0.0.1", "--cluster-name", "a b"}, `"a b"`},
		{"no cluster name", []string{"--redis", "redis://127.0.0.1", "--cluster-name", ""}, `--cluster-name "": want a name`},
		{"cluster name without a cluster", []string{"--cluster-name", "chat"}, "--cluster-name: there is no cluster: add --redis"},
		{"address without a cluster", []string{"--advertise", "a:80"}, "--advertise: there is no cluster: add --redis"},
		{"address", []string{"--redis", "redis://127.0.0.1", "--advertise", "a\tb"}, `--advertise "a\tb"`},
		{"node ID", []string{"--redis", "redis://127.0.0.1", "--node-id", "a/b"}, `ID "a/b"`},
		{"node ID without a cluster", []string{"--node-id", "a/b"}, `--node-id "a/b"`},
		{"nodes of no cluster", []string{"nodes"}, "or set STOA_REDIS"},
		{"nodes of a wrong URL", []string{"nodes", "--redis", "http://127.0.0.1"}, "must begin with redis://"},
		{"nodes of a wrong name", []string{"nodes", "--redis", "redis://127.0.0.1", "--cluster-name", ""}, "--cluster-name"},
		{"format of nodes", []string{"nodes", "--redis", "redis://127.0.0.1", "--format", "xml"}, `--format "xml": want table or json`},
		{"argument to nodes", []string{"nodes", "now"}, `"now"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := launch(t, c.args...)
			if code := p.Wait(t); code != cli.ExitUsage {
				t.Errorf("exit code %d, want %d", code, cli.ExitUsage)
			}
			p.CheckOneLine(t, c.want)
		})
	}
}

// Each mistake has a line of its own.
func TestSeveralUsageErrors(t *testing.T) {
	code, _, stderr := runProgram(t, "--loops", "-1", "--endpoint", "ws", "--log-level", "loud")
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if code != cli.ExitUsage || len(lines) != 3 || strings.Count(stderr, "--help") != 1 {
		t.Errorf("exit code %d, want %d and three lines:\n%s", code, cli.ExitUsage, stderr)
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "stoa: --") {
			t.Errorf("the line does not name the flag: %s", line)
		}
	}
}

func TestPortInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p := launch(t, "--listen", listener.Addr().String())
	if code := p.Wait(t); code != cli.ExitFailure {
		t.Errorf("exit code %d, want %d", code, cli.ExitFailure)
	}
	p.CheckOneLine(t, listener.Addr().String())
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
		{"help of connect", []string{"connect", "--help"}, []string{"Examples:", "disconnect NS", "--namespace", "--no-history", "  4  no answer"}},
		{"help of emit", []string{"emit", "--help"}, []string{"Examples:", "--room", "--binary", "  4  no answer"}},
		{"help of ask", []string{"ask", "--help"}, []string{"Examples:", "--header", "--binary", "  4  no answer"}},
		{"version", []string{"version"}, []string{"stoa " + cli.ReadBuild().Version, "go1."}},
		{"version flag", []string{"--version"}, []string{"stoa " + cli.ReadBuild().Version, "go1."}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := launch(t, c.args...)
			if code := p.Wait(t); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			for _, want := range c.want {
				if !strings.Contains(p.Stdout.String(), want) {
					t.Errorf("want %q in:\n%s", want, p.Stdout)
				}
			}
			if p.Stderr.String() != "" {
				t.Errorf("standard error should be empty and is: %s", p.Stderr)
			}
		})
	}
}
