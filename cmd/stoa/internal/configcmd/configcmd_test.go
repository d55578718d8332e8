package configcmd

import (
	"os"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
	"github.com/stoa-io/stoa/config"
)

func TestMain(m *testing.M) { os.Exit(clitest.Main(m)) }

// run returns the exit code and the output of "stoa config".
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := clitest.Launch(t, NewCommand(), args...)
	code = p.Wait(t)
	return code, p.Stdout.String(), p.Stderr.String()
}

func TestCheck(t *testing.T) {
	fine, broken := clitest.WriteConfig(t, "log: {level: warn}\n"), clitest.WriteConfig(t, "log: {level: loud}\nlimits: {room: 5}\n")
	page := clitest.WriteConfig(t, "listen:\n  endpoint: /metrics\n")
	for _, c := range []struct {
		name   string
		args   []string
		config string // STOA_CONFIG
		code   int
		stdout string
		stderr string
	}{
		{"fine", []string{fine}, "", 0, "", ""},
		{"from the environment", nil, fine, 0, "", ""},
		{"no file", nil, "", cli.ExitUsage, "", "stoa: no file: add an argument or set STOA_CONFIG (see \"config check --help\")\n"},
		{"mistakes", []string{fine, broken}, "", cli.ExitUsage,
			broken + ":1: log.level \"loud\": want debug, info, warn or error\n" +
				broken + ":2: limits.room: unknown key; did you mean limits.rooms?\n", "stoa: 2 mistakes\n"},
		{"path of a page", []string{page}, "", cli.ExitUsage, page + ":2: listen.endpoint \"/metrics\": this is the path of a page; " +
			"choose another one, or * to accept WebSockets on every path\n", "stoa: 1 mistake\n"},
		{"missing", []string{fine + ".old"}, "", cli.ExitUsage, fine + ".old: no such file or directory\n", "stoa: 1 mistake\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(config.FileVariable, c.config)
			code, stdout, stderr := run(t, append([]string{"check"}, c.args...)...)
			if code != c.code || stdout != c.stdout || stderr != c.stderr {
				t.Errorf("got %d\n%s%s\nwant %d\n%s%s", code, stdout, stderr, c.code, c.stdout, c.stderr)
			}
		})
	}
}

func TestShow(t *testing.T) {
	file := clitest.WriteConfig(t, "log: {level: warn}\n")
	t.Setenv("STOA_REDIS", "redis://:p4ss@a")
	code, stdout, stderr := run(t, "show", "--config", file, "--listen", "[::1]:9")
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"  address: \"[::1]:9\" # --listen\n", "  level: warn # " + file + ":1\n", "[redis://:***@a] # STOA_REDIS\n", "rooms: 128 # default\n"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("want %q in:\n%s", want, stdout)
		}
	}
	code, _, stderr = run(t, "show", "--config", file, "--log-level", "loud")
	if code != cli.ExitUsage || !strings.Contains(stderr, `--log-level "loud"`) {
		t.Errorf("exit code %d, want %d for a wrong flag: %s", code, cli.ExitUsage, stderr)
	}
}

// The output of default and schema is a configuration and its schema.
func TestDefaultAndSchema(t *testing.T) {
	code, content, _ := run(t, "default")
	if code != 0 || !strings.HasPrefix(content, "# yaml-language-server: $schema="+config.SchemaFile+"\n") {
		t.Errorf("exit code %d, printed:\n%s", code, content)
	}
	if code, stdout, _ := run(t, "check", clitest.WriteConfig(t, content)); code != 0 {
		t.Errorf("exit code %d for the defaults: %s", code, stdout)
	}
	if code, schema, _ := run(t, "schema"); code != 0 || !strings.Contains(schema, `"https://json-schema.org/draft/2020-12/schema"`) {
		t.Errorf("exit code %d, printed:\n%s", code, schema)
	}
}

func TestMistakesInTheCommand(t *testing.T) {
	for name, args := range map[string][]string{"missing": nil, "unknown": {"chek"}, "argument": {"show", "now"}} {
		if code, stdout, stderr := run(t, args...); code != cli.ExitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d, printed %q and %q", name, code, stdout, stderr)
		}
	}
}
