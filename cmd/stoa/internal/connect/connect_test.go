package connect

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

func TestMain(m *testing.M) { os.Exit(clitest.Main(m)) }

// readRecords returns the JSON lines of the output.
func readRecords(t testing.TB, p *clitest.Program) []record {
	t.Helper()
	var all []record
	decoder := json.NewDecoder(strings.NewReader(p.Stdout.String()))
	for {
		var r record
		err := decoder.Decode(&r)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, p.Stdout)
		}
		all = append(all, r)
	}
}

// find returns the only record that wanted accepts.
func find(t testing.TB, all []record, what string, wanted func(r *record) bool) record {
	t.Helper()
	var found []record
	for _, r := range all {
		if wanted(&r) {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s: got %d records, want one of:\n%+v", what, len(found), all)
	}
	return found[0]
}

func TestConnectByLines(t *testing.T) {
	server := clitest.StartPeer(t)
	script := strings.Join([]string{
		"# a comment", "", "emit push hi  there ", "join lobby", "rooms", "emit lobby note in the lobby", "use default/lobby",
		"emit note here", "emit - note nowhere", "ask - echo  {\"a\": 1}", "leave lobby", "state",
	}, "\n")
	p := clitest.LaunchWith(t, NewCommand(), strings.NewReader(script), server.Address, "-r", "first", "--timeout", "5s")
	if code := p.Wait(t); code != 0 {
		t.Fatalf("exit code %d, want 0; standard error: %s", code, p.Stderr)
	}
	all := readRecords(t, p)
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
		if got := server.Note(t); got.Room != want.room || string(got.Body) != want.body {
			t.Errorf("noted %+v, want %+v", got, want)
		}
	}
}

func TestConnectExitCodes(t *testing.T) {
	server := clitest.StartPeer(t)
	cases := []struct {
		name, script string
		code         int
		line         string // of standard error; empty: none
	}{
		{"nothing", "", 0, ""},
		{"quit", "quit\nnonsense", 0, ""},
		{"unknown command", "join a\nnon\x1bsense\njoin b", cli.ExitUsage, `line 2: unknown command "non\x1bsense"`},
		{"too much", "rooms now", cli.ExitUsage, `line 1: rooms: unexpected "now"; usage: rooms`},
		{"too little", "emit", cli.ExitUsage, "line 1: emit: missing argument; usage: emit [ROOM] EVENT [BODY]"},
		{"open quotes", `join "a`, cli.ExitUsage, "line 1: join: missing closing quote"},
		{"event of the protocol", "emit _OnRoomJoin", cli.ExitUsage, `line 1: emit: event "_OnRoomJoin"`},
		{"body", "emit note \xff", cli.ExitUsage, "line 1: emit: the body is not valid UTF-8"},
		{"error answer", "ask fail", cli.ExitErrorAnswer, `line 1: ask: no\x1b[2J`},
		{"refused emit", "emit gag", cli.ExitErrorAnswer, `gag to default was refused: no\x1b[2J`},
		{"refused room", "join locked", cli.ExitErrorAnswer, "line 1: join: room is locked"},
		{"refused namespace", "connect deny", cli.ExitErrorAnswer, "line 1: connect: not allowed"},
		{"no answer", "ask silent", cli.ExitUnanswered, "line 1: ask: timeout"},
		{"the first counts", "ask nothing\nnonsense", cli.ExitUnanswered, "line 1: ask: unhandled event"},
		{"room that is not joined", "leave a", cli.ExitFailure, "line 1: leave: room a of default is not joined"},
		{"use of a room that is not joined", "use default/a", cli.ExitFailure, "line 1: use: room a of default is not joined"},
		{"use of another namespace", "use a b", cli.ExitUsage, `line 1: use: unexpected "b"`},
		{"no namespace", "disconnect default\nemit note", cli.ExitFailure, "line 2: emit: namespace default is not connected"},
		{"namespace that is not there", "disconnect other", cli.ExitFailure, "line 1: disconnect: namespace other is not connected"},
		{"closed for good", "emit bye 1000 enough\nask silent", cli.ExitFailure, `: closed by the server: 1000 normal closure "enough"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := clitest.LaunchWith(t, NewCommand(), strings.NewReader(c.script), server.Address, "--timeout", "500ms")
			if code := p.Wait(t); code != c.code {
				t.Errorf("exit code %d, want %d; standard error: %s", code, c.code, p.Stderr)
			}
			got := p.Stderr.String()
			if !strings.Contains(got, c.line) || strings.Count(got, "\n") > 1 || (got == "") != (c.line == "") {
				t.Errorf("standard error is %q, want one line with %q", got, c.line)
			}
			readRecords(t, p)
		})
	}
}

func TestConnectFails(t *testing.T) {
	server := clitest.StartPeer(t)
	closed := clitest.ClosedAddress(t)
	cases := []struct {
		name      string
		arguments []string
		code      int
		want      string
	}{
		{"no listener", []string{closed}, cli.ExitFailure, "cannot connect to ws://" + closed + "/ws: "},
		{"refused", []string{"ws://" + server.Address + "?refuse=no%1b"}, cli.ExitFailure, "/ws: refused with status 403"},
		{"color", []string{server.Address, "--color", "red"}, cli.ExitUsage, `--color "red": want auto, always or never`},
		{"no URL", nil, cli.ExitUsage, "missing argument: URL"},
		{"wrong URL", []string{"ws://"}, cli.ExitUsage, "no host"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := clitest.Launch(t, NewCommand(), c.arguments...)
			if code := p.Wait(t); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			p.CheckOneLine(t, c.want)
		})
	}
	t.Run("namespace", func(t *testing.T) {
		p := clitest.Launch(t, NewCommand(), server.Address, "-n", "default", "-n", "deny")
		if code := p.Wait(t); code != cli.ExitFailure {
			t.Errorf("exit code %d, want %d", code, cli.ExitFailure)
		}
		if got, want := p.Stderr.String(), `stoa: cannot connect to namespace "deny": not allowed`; !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// A lost connection is replaced, and every change is displayed.
func TestConnectComesBack(t *testing.T) {
	server := clitest.StartPeer(t)
	p := clitest.LaunchWith(t, NewCommand(), clitest.OpenInput(t), server.Address, "-r", "lobby", "--stay")
	p.Stdout.Await(t, `("type":"joined")`)
	first := <-server.Opened
	if err := first.Close(wire.CodeServiceRestart, "moved; retry-after=1"); err != nil {
		t.Fatal(err)
	}
	p.Stdout.Await(t, `(?s)"state":"reconnecting".*("state":"connected")`)
	second := <-server.Opened
	if err := second.Write(node.Message{Namespace: "default", Room: "lobby", Event: "said", Body: []byte{0xff}, Binary: true}); err != nil {
		t.Fatal(err)
	}
	p.Stdout.Await(t, `("event":"said")`)
	if code := p.Stop(t); code != 0 {
		t.Errorf("exit code %d, want 0; standard error: %s", code, p.Stderr)
	}
	all := readRecords(t, p)
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

// Emits without a connection are queued and sent before the exit.
func TestConnectQueuesEmits(t *testing.T) {
	server := clitest.StartPeer(t)
	input, commands := io.Pipe()
	p := clitest.LaunchWith(t, NewCommand(), input, server.Address)
	write := func(line string) {
		if _, err := io.WriteString(commands, line); err != nil {
			t.Fatal(err)
		}
	}
	write("emit bye 1012 moved; retry-after=100\n")
	p.Stdout.Await(t, `("state":"reconnecting")`)
	write("emit note queued\n")
	if err := commands.Close(); err != nil {
		t.Fatal(err)
	}
	if code := p.Wait(t); code != 0 {
		t.Errorf("exit code %d, want 0; standard error: %s", code, p.Stderr)
	}
	if got := server.Note(t); string(got.Body) != "queued" {
		t.Errorf("got %+v, want the queued emit", got)
	}
}

// Queued emits that cannot be sent are an error.
func TestConnectCannotSendQueuedEmits(t *testing.T) {
	server := clitest.StartPeer(t)
	input, commands := io.Pipe()
	p := clitest.LaunchWith(t, NewCommand(), input, server.Address, "--timeout", "200ms")
	p.Stdout.Await(t, `("type":"connected")`)
	if err := server.Node.Close(); err != nil {
		t.Fatal(err)
	}
	p.Stdout.Await(t, `("state":"reconnecting")`)
	if _, err := io.WriteString(commands, "emit note queued\n"); err != nil {
		t.Fatal(err)
	}
	if err := commands.Close(); err != nil {
		t.Fatal(err)
	}
	if code := p.Wait(t); code != cli.ExitFailure {
		t.Errorf("exit code %d, want %d", code, cli.ExitFailure)
	}
	if got, want := p.Stderr.String(), "stoa: some messages have not reached the server: "; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestConnectWithoutReconnect(t *testing.T) {
	server := clitest.StartPeer(t)
	p := clitest.LaunchWith(t, NewCommand(), clitest.OpenInput(t), server.Address, "--no-reconnect")
	p.Stdout.Await(t, `("type":"connected")`)
	if err := (<-server.Opened).Close(wire.CodeServiceRestart, "moved"); err != nil {
		t.Fatal(err)
	}
	if code := p.Wait(t); code != cli.ExitFailure {
		t.Errorf("exit code %d, want %d", code, cli.ExitFailure)
	}
	if got, want := p.Stderr.String(), `the connection is closed: closed by the server: 1012 service restart "moved"`; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
}

func TestConnectStays(t *testing.T) {
	server := clitest.StartPeer(t)
	p := clitest.LaunchWith(t, NewCommand(), strings.NewReader("nonsense\n"), server.Address, "--stay", "--json=false", "--color", "always")
	p.Stdout.Await(t, `(connected to default)`)
	if err := (<-server.Opened).Write(node.Message{Namespace: "default", Event: "said", Body: []byte("late\a")}); err != nil {
		t.Fatal(err)
	}
	p.Stdout.Await(t, `(said\S* "late\\a")`)
	p.Stdout.Await(t, `(unknown command)`)
	if code := p.Stop(t); code != cli.ExitUsage {
		t.Errorf("exit code %d, want %d for the unknown command", code, cli.ExitUsage)
	}
}

func TestConnectHelp(t *testing.T) {
	server := clitest.StartPeer(t)
	p := clitest.LaunchWith(t, NewCommand(), strings.NewReader("help\n"), server.Address)
	if code := p.Wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	readRecords(t, p) // no prose among them
	for _, c := range commands {
		if !strings.Contains(p.Stderr.String(), "  "+c.name+" ") {
			t.Errorf("%s is not in the help:\n%s", c.name, p.Stderr)
		}
	}
}
