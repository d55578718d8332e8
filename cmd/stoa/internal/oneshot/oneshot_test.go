package oneshot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
	"github.com/stoa-io/stoa/node"
)

func TestMain(m *testing.M) { os.Exit(clitest.Main(m)) }

func TestAsk(t *testing.T) {
	server := clitest.StartPeer(t)
	closed := clitest.ClosedAddress(t)
	token := filepath.Join(t.TempDir(), "ann.jwt")
	if err := os.WriteFile(token, []byte("a.b.c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, stdin string
		arguments   []string
		code        int
		stdout      string
		stderr      string // part of the line
	}{
		{"answered", "", []string{server.Address, "echo", "hi there"}, 0, "hi there", ""},
		{"without a body", "", []string{server.Address, "echo"}, 0, "", ""},
		{"body of standard input", "a\nb\n", []string{server.Address, "echo", "-"}, 0, "a\nb\n", ""},
		{"binary", "\x00\xff", []string{server.Address, "echo", "-", "--binary"}, 0, "\x00\xff", ""},
		{"control characters in a pipe", "", []string{server.Address, "echo", "\x1b[2J"}, 0, "\x1b[2J", ""},
		{"header", "", []string{"http://" + server.Address, "header", "X-A", "--header", "x-a: b c"}, 0, "b c", ""},
		{"token", "", []string{server.Address, "header", "Authorization", "--token-file", token}, 0, "Bearer a.b.c", ""},
		{"parameter", "", []string{"ws://" + server.Address + "/?token=a%20b", "header", "token"}, 0, "a b", ""},
		{"password", "", []string{"ws://u:p@" + server.Address, "header", "Authorization"}, 0, "Basic dTpw", ""},
		{"no answer", "", []string{server.Address, "silent", "--timeout", "50ms"}, cli.ExitUnanswered, "", "silent was not answered: timeout"},
		{"no handler", "", []string{server.Address, "nothing"}, cli.ExitUnanswered, "", "nothing was not answered: unhandled event"},
		{"nobody in the room", "", []string{server.Address, "who", "-r", "empty"}, cli.ExitUnanswered, "", "who was not answered: nobody there"},
		{"error", "", []string{server.Address, "fail"}, cli.ExitErrorAnswer, "", `fail was answered with an error: no\x1b[2J`},
		{"no listener", "", []string{closed, "echo"}, cli.ExitFailure, "", "cannot connect to ws://" + closed + "/ws: "},
		{"refused", "", []string{"ws://" + server.Address + "?refuse=secret", "echo"}, cli.ExitFailure, "", "/ws: refused with status 403: \"secret\"\n"},
		{"wrong path", "", []string{server.Address + "/nothing", "echo"}, cli.ExitFailure, "", "/nothing: refused with status 404"},
		{"namespace", "", []string{server.Address, "echo", "-n", "nothing"}, cli.ExitFailure, "", `cannot connect to namespace "nothing": bad namespace; -n selects a namespace that the server has`},
		{"namespace that refuses", "", []string{server.Address, "echo", "-n", "deny"}, cli.ExitFailure, "", "not allowed"},
		{"room that refuses", "", []string{server.Address, "echo", "-r", "locked"}, cli.ExitFailure, "", "cannot join default/locked: room is locked"},
		{"two rooms", "", []string{server.Address, "echo", "-r", "a", "-r", "b"}, cli.ExitUsage, "", "an ask has one answer"},
		{"no event", "", []string{server.Address}, cli.ExitUsage, "", "missing argument: EVENT"},
		{"no URL", "", nil, cli.ExitUsage, "", "missing argument: URL and EVENT"},
		{"mistyped flag", "", []string{"--time-out", "1s", server.Address, "echo"}, cli.ExitUsage, "", "did you mean --timeout?"},
		{"empty event", "", []string{server.Address, ""}, cli.ExitUsage, "", `event ""`},
		{"event of the protocol", "", []string{server.Address, "_OnRoomJoin"}, cli.ExitUsage, "", `event "_OnRoomJoin"`},
		{"text that is none", "\xff", []string{server.Address, "echo", "-"}, cli.ExitUsage, "", "--binary"},
		{"input without an end", strings.Repeat("x", maxInput+1), []string{server.Address, "echo", "-"}, cli.ExitFailure, "", "standard input: more than 16777216 bytes"},
		{"wrong URL", "", []string{"ftp://" + server.Address, "echo"}, cli.ExitUsage, "", `scheme "ftp"`},
		{"header of the handshake", "", []string{server.Address, "echo", "--header", "Upgrade: x"}, cli.ExitUsage, "", `header "Upgrade"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := clitest.LaunchWith(t, NewAskCommand(), strings.NewReader(c.stdin), c.arguments...)
			if code := p.Wait(t); code != c.code {
				t.Errorf("exit code %d, want %d; standard error: %s", code, c.code, p.Stderr)
			}
			if got := p.Stdout.String(); got != c.stdout {
				t.Errorf("got %q, want %q and nothing else", got, c.stdout)
			}
			if c.code != 0 {
				p.CheckOneLine(t, c.stderr)
			} else if got := p.Stderr.String(); got != "" {
				t.Errorf("standard error should be empty and is: %s", got)
			}
		})
	}
}

func TestEmit(t *testing.T) {
	server := clitest.StartPeer(t)
	cases := []struct {
		name, stdin string
		arguments   []string
		want        []node.Message
	}{
		{"to the namespace", "", []string{"note", "hi"}, []node.Message{{Body: []byte("hi")}}},
		{"to rooms", "", []string{"note", "hi", "-r", "a", "-r", "b"}, []node.Message{{Room: "a", Body: []byte("hi")}, {Room: "b", Body: []byte("hi")}}},
		{"standard input", "\x00\n", []string{"note", "-", "--binary"}, []node.Message{{Body: []byte("\x00\n"), Binary: true}}},
		{"empty", "", []string{"note"}, []node.Message{{}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := clitest.LaunchWith(t, NewEmitCommand(), strings.NewReader(c.stdin), append([]string{server.Address}, c.arguments...)...)
			if code := p.Wait(t); code != 0 {
				t.Fatalf("exit code %d, want 0; standard error: %s", code, p.Stderr)
			}
			for _, want := range c.want {
				got := server.Note(t)
				if got.Room != want.Room || string(got.Body) != string(want.Body) || got.Binary != want.Binary {
					t.Errorf("got %+v, want %+v", got, want)
				}
			}
		})
	}
}

// Emit fails unless the server has received and accepted the event.
func TestEmitIsConfirmed(t *testing.T) {
	server := clitest.StartPeer(t)
	cases := []struct {
		name      string
		arguments []string
		code      int
		want      string
	}{
		{"closed by the server", []string{"bye", "4321 enough"}, cli.ExitFailure, `closed by the server: 4321 code 4321 "enough"`},
		{"too big", []string{"note", strings.Repeat("x", 1<<17)}, cli.ExitFailure, "closed by the server: 1009"},
		{"refused", []string{"note", "-n", "deny"}, cli.ExitFailure, "not allowed"},
		{"refused by a handler", []string{"gag"}, cli.ExitErrorAnswer, `gag to default was refused: no\x1b[2J`},
		{"relay refused", []string{"mute", "hi", "-r", "a", "-r", "b"}, cli.ExitErrorAnswer, "mute to default/a was refused: not now"},
		{"no handler", []string{"note", "hi", "-n", "closed"}, cli.ExitUnanswered, "note to closed was refused: unhandled event"},
		{"long event", []string{strings.Repeat("x", 200)}, cli.ExitUsage, "200 bytes are too long, want at most 128"},
		{"long room", []string{"note", "-r", strings.Repeat("x", 300)}, cli.ExitUsage, "300 bytes are too long, want at most 256"},
		{"long namespace", []string{"note", "-n", strings.Repeat("x", 200)}, cli.ExitUsage, "200 bytes are too long, want at most 128"},
		{"two bodies", []string{"note", "a", "b"}, cli.ExitUsage, `unexpected argument "b"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := clitest.Launch(t, NewEmitCommand(), append([]string{server.Address}, c.arguments...)...)
			if code := p.Wait(t); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			p.CheckOneLine(t, c.want)
		})
	}
}

func TestEmitWithoutConfirmation(t *testing.T) {
	server := clitest.StartPeer(t)
	for _, event := range []string{"gag", "note"} {
		p := clitest.Launch(t, NewEmitCommand(), server.Address, event, "hi", "--no-confirm")
		if code := p.Wait(t); code != 0 {
			t.Errorf("%s: exit code %d, want 0: %s", event, code, p.Stderr)
		}
	}
	if got := server.Note(t); string(got.Body) != "hi" {
		t.Errorf("got %+v, want the note", got)
	}
}

func TestAskIsInterrupted(t *testing.T) {
	server := clitest.StartPeer(t)
	p := clitest.Launch(t, NewAskCommand(), server.Address, "silent")
	<-server.Opened
	if code := p.Stop(t); code != cli.ExitFailure {
		t.Errorf("exit code %d, want %d", code, cli.ExitFailure)
	}
	p.CheckOneLine(t, "")
}
