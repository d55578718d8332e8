package main

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// openInput is a standard input on which nothing comes until the test ends.
func openInput(t testing.TB) io.Reader {
	reader, writer := io.Pipe()
	t.Cleanup(func() { _ = writer.Close() }) // it cannot fail
	return reader
}

func TestConnectByLines(t *testing.T) {
	server := startPeer(t)
	script := strings.Join([]string{
		"# a comment", "", "emit push hi  there ", "join lobby", "rooms", "emit lobby note in the lobby", "use default/lobby",
		"emit note here", "emit - note nowhere", "ask - echo  {\"a\": 1}", "leave lobby", "state",
	}, "\n")
	p := launchWith(t, strings.NewReader(script), "connect", server.address, "-r", "first", "--timeout", "5s")
	if code := p.wait(t); code != 0 {
		t.Fatalf("exit code %d, want 0; standard error: %s", code, p.stderr)
	}
	all := p.records(t)
	var kinds []string
	for _, r := range all {
		kinds = append(kinds, string(r.Type)+" "+r.Room+r.State)
	}
	want := "state connected,connected ,joined first,message ,joined lobby,rooms ,answer ,left lobby,status connected," +
		"left first,disconnected ,state closed"
	if got := strings.Join(kinds, ","); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	rooms := find(t, all, "rooms", func(r *record) bool { return r.Type == recordRooms })
	if len(rooms.Namespaces) != 1 || strings.Join(rooms.Namespaces[0].Rooms, " ") != "first lobby" {
		t.Errorf("rooms: got %+v, want first and lobby in default", rooms.Namespaces)
	}
	pushed := find(t, all, "the message", func(r *record) bool { return r.Type == recordMessage })
	if pushed.Event != "pushed" || pushed.Body != "hi  there " || pushed.Namespace != "default" || pushed.Time.IsZero() {
		t.Errorf("message: got %+v", pushed)
	}
	answer := find(t, all, "the answer", func(r *record) bool { return r.Type == recordAnswer })
	if answer.Event != "echo" || answer.Body != `{"a": 1}` {
		t.Errorf("answer: got %+v", answer)
	}
	for _, want := range []struct{ room, body string }{{"lobby", "in the lobby"}, {"lobby", "here"}, {"", "nowhere"}} {
		if got := server.note(t); got.Room != want.room || string(got.Body) != want.body {
			t.Errorf("noted %+v, want %+v", got, want)
		}
	}
}

func TestConnectExitCodes(t *testing.T) {
	server := startPeer(t)
	cases := []struct {
		name, script string
		code         int
		line         string // of standard error; empty: none
	}{
		{"nothing", "", 0, ""},
		{"quit", "quit\nnonsense", 0, ""},
		{"unknown command", "join a\nnon\x1bsense\njoin b", exitUsage, `line 2: unknown command "non\x1bsense"`},
		{"too much", "rooms now", exitUsage, `line 1: rooms: "now" is too much; want: rooms`},
		{"too little", "emit", exitUsage, "line 1: emit: there is something missing; want: emit [ROOM] EVENT [BODY]"},
		{"open quotes", `join "a`, exitUsage, "line 1: join: the quotes in"},
		{"event of the protocol", "emit _OnRoomJoin", exitUsage, `line 1: emit: event "_OnRoomJoin"`},
		{"body", "emit note \xff", exitUsage, "line 1: emit: the body is not valid UTF-8"},
		{"error answer", "ask fail", exitErrorAnswer, `line 1: ask: no\x1b[2J`},
		{"refused room", "join locked", exitErrorAnswer, "line 1: join: room is locked"},
		{"refused namespace", "connect deny", exitErrorAnswer, "line 1: connect: not allowed"},
		{"no answer", "ask silent", exitUnanswered, "line 1: ask: timeout"},
		{"the first counts", "ask nothing\nnonsense", exitUnanswered, "line 1: ask: unhandled event"},
		{"room that is not joined", "leave a", exitFailure, "line 1: leave: room a of default is not joined"},
		{"use of a room that is not joined", "use default/a", exitFailure, "line 1: use: room a of default is not joined"},
		{"use of another namespace", "use a b", exitUsage, `line 1: use: "b" is too much`},
		{"no namespace", "disconnect default\nemit note", exitFailure, "line 2: emit: namespace default is not connected"},
		{"namespace that is not there", "disconnect other", exitFailure, "line 1: disconnect: namespace other is not connected"},
		{"closed for good", "emit bye 1000 enough\nask silent", exitFailure, `: closed by the server: 1000 normal closure "enough"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := launchWith(t, strings.NewReader(c.script), "connect", server.address, "--timeout", "500ms")
			if code := p.wait(t); code != c.code {
				t.Errorf("exit code %d, want %d; standard error: %s", code, c.code, p.stderr)
			}
			got := p.stderr.String()
			if !strings.Contains(got, c.line) || strings.Count(got, "\n") > 1 || (got == "") != (c.line == "") {
				t.Errorf("standard error is %q, want one line with %q", got, c.line)
			}
			p.records(t)
		})
	}
}

func TestConnectFails(t *testing.T) {
	server := startPeer(t)
	closed := closedAddress(t)
	cases := []struct {
		name      string
		arguments []string
		code      int
		want      string
	}{
		{"nobody listens", []string{closed}, exitFailure, "cannot connect to ws://" + closed + "/ws: "},
		{"refused", []string{"ws://" + server.address + "?refuse=no%1b"}, exitFailure, "/ws: refused with status 403"},
		{"colour", []string{server.address, "--color", "red"}, exitUsage, `--color "red": want auto, always or never`},
		{"no URL", nil, exitUsage, "accepts 1 arg"},
		{"wrong URL", []string{"ws://"}, exitUsage, "no host"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := launch(t, append([]string{"connect"}, c.arguments...)...)
			if code := p.wait(t); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			checkOneLine(t, p, c.want)
		})
	}
	t.Run("namespace", func(t *testing.T) {
		p := launch(t, "connect", server.address, "-n", "default", "-n", "deny")
		if code := p.wait(t); code != exitFailure {
			t.Errorf("exit code %d, want %d", code, exitFailure)
		}
		if got, want := p.stderr.String(), `stoa: cannot connect to namespace "deny": not allowed`; !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// A lost connection is replaced, and everything about it is shown.
func TestConnectComesBack(t *testing.T) {
	server := startPeer(t)
	p := launchWith(t, openInput(t), "connect", server.address, "-r", "lobby", "--stay")
	p.stdout.await(t, `("type":"joined")`)
	first := <-server.opened
	if err := first.Close(wire.CodeServiceRestart, "moved; retry-after=1"); err != nil {
		t.Fatal(err)
	}
	p.stdout.await(t, `(?s)"state":"reconnecting".*("state":"connected")`)
	second := <-server.opened
	if err := second.Write(node.Message{Namespace: "default", Room: "lobby", Event: "said", Body: []byte{0xff}, Binary: true}); err != nil {
		t.Fatal(err)
	}
	p.stdout.await(t, `("event":"said")`)
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d, want 0; standard error: %s", code, p.stderr)
	}
	all := p.records(t)
	lost := find(t, all, "the loss", func(r *record) bool { return r.State == "reconnecting" })
	if lost.Code != 1012 || lost.Reason != "moved; retry-after=1" || lost.Attempt != 1 || lost.Delay == nil {
		t.Errorf("loss: got %+v", lost)
	}
	find(t, all, "the second connection", func(r *record) bool { return r.State == "connected" && r.ID == second.ID() })
	said := find(t, all, "the message", func(r *record) bool { return r.Type == recordMessage })
	if !said.Binary || said.Body != base64.StdEncoding.EncodeToString([]byte{0xff}) {
		t.Errorf("message: got %+v, want base64", said)
	}
}

// What is emitted while there is no connection is sent before the program ends.
func TestConnectKeepsEmits(t *testing.T) {
	server := startPeer(t)
	input, commands := io.Pipe()
	p := launchWith(t, input, "connect", server.address)
	write := func(line string) {
		if _, err := io.WriteString(commands, line); err != nil {
			t.Fatal(err)
		}
	}
	write("emit bye 1012 moved; retry-after=100\n")
	p.stdout.await(t, `("state":"reconnecting")`)
	write("emit note kept\n")
	if err := commands.Close(); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0; standard error: %s", code, p.stderr)
	}
	if got := server.note(t); string(got.Body) != "kept" {
		t.Errorf("got %+v, want what was emitted without a connection", got)
	}
}

// Without a server what is kept cannot be sent, and that is an error.
func TestConnectCannotSendWhatIsKept(t *testing.T) {
	server := startPeer(t)
	input, commands := io.Pipe()
	p := launchWith(t, input, "connect", server.address, "--timeout", "200ms")
	p.stdout.await(t, `("type":"connected")`)
	if err := server.node.Close(); err != nil {
		t.Fatal(err)
	}
	p.stdout.await(t, `("state":"reconnecting")`)
	if _, err := io.WriteString(commands, "emit note kept\n"); err != nil {
		t.Fatal(err)
	}
	if err := commands.Close(); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
	if got, want := p.stderr.String(), "stoa: not everything has reached the server: "; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestConnectWithoutReconnect(t *testing.T) {
	server := startPeer(t)
	p := launchWith(t, openInput(t), "connect", server.address, "--no-reconnect")
	p.stdout.await(t, `("type":"connected")`)
	if err := (<-server.opened).Close(wire.CodeServiceRestart, "moved"); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
	if got, want := p.stderr.String(), `the connection is closed: closed by the server: 1012 service restart "moved"`; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
}

func TestConnectStays(t *testing.T) {
	server := startPeer(t)
	p := launchWith(t, strings.NewReader("nonsense\n"), "connect", server.address, "--stay", "--json=false", "--color", "always")
	p.stdout.await(t, `(connected to default)`)
	if err := (<-server.opened).Write(node.Message{Namespace: "default", Event: "said", Body: []byte("late\a")}); err != nil {
		t.Fatal(err)
	}
	p.stdout.await(t, `(said\S* "late\\a")`)
	if code := p.stop(t); code != exitUsage {
		t.Errorf("exit code %d, want %d for the command that is none", code, exitUsage)
	}
}

func TestConnectHelp(t *testing.T) {
	server := startPeer(t)
	p := launchWith(t, strings.NewReader("help\n"), "connect", server.address)
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	p.records(t) // no prose among them
	for _, c := range typedCommands {
		if !strings.Contains(p.stderr.String(), "  "+c.name+" ") {
			t.Errorf("%s is not in the help:\n%s", c.name, p.stderr)
		}
	}
}
