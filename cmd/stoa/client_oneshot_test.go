package main

import (
	"net"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/node"
)

// closedAddress is one that nobody listens on.
func closedAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestAsk(t *testing.T) {
	server := startPeer(t)
	closed := closedAddress(t)
	cases := []struct {
		name, stdin string
		arguments   []string
		code        int
		stdout      string
		stderr      string // part of the line
	}{
		{"answered", "", []string{server.address, "echo", "hi there"}, 0, "hi there", ""},
		{"without a body", "", []string{server.address, "echo"}, 0, "", ""},
		{"body of standard input", "a\nb\n", []string{server.address, "echo", "-"}, 0, "a\nb\n", ""},
		{"binary", "\x00\xff", []string{server.address, "echo", "-", "--binary"}, 0, "\x00\xff", ""},
		{"control characters in a pipe", "", []string{server.address, "echo", "\x1b[2J"}, 0, "\x1b[2J", ""},
		{"header", "", []string{"http://" + server.address, "header", "X-A", "--header", "x-a: b c"}, 0, "b c", ""},
		{"parameter", "", []string{"ws://" + server.address + "/?token=a%20b", "header", "token"}, 0, "a b", ""},
		{"password", "", []string{"ws://u:p@" + server.address, "header", "Authorization"}, 0, "Basic dTpw", ""},
		{"no answer", "", []string{server.address, "silent", "--timeout", "50ms"}, exitUnanswered, "", "silent was not answered: timeout"},
		{"no handler", "", []string{server.address, "nothing"}, exitUnanswered, "", "nothing was not answered: unhandled event"},
		{"nobody in the room", "", []string{server.address, "who", "-r", "empty"}, exitUnanswered, "", "who was not answered: nobody there"},
		{"error", "", []string{server.address, "fail"}, exitErrorAnswer, "", `fail was answered with an error: no\x1b[2J`},
		{"nobody listens", "", []string{closed, "echo"}, exitFailure, "", "cannot connect to ws://" + closed + "/ws: "},
		{"refused", "", []string{"ws://" + server.address + "?refuse=secret", "echo"}, exitFailure, "", "/ws: refused with status 403"},
		{"wrong path", "", []string{server.address + "/nothing", "echo"}, exitFailure, "", "/nothing: refused with status 404"},
		{"namespace", "", []string{server.address, "echo", "-n", "nothing"}, exitFailure, "", `cannot connect to namespace "nothing": bad namespace`},
		{"namespace that refuses", "", []string{server.address, "echo", "-n", "deny"}, exitFailure, "", "not allowed"},
		{"room that refuses", "", []string{server.address, "echo", "-r", "locked"}, exitFailure, "", "cannot join default/locked: room is locked"},
		{"two rooms", "", []string{server.address, "echo", "-r", "a", "-r", "b"}, exitUsage, "", "one question has one answer"},
		{"no event", "", []string{server.address}, exitUsage, "", "accepts between 2 and 3 arg"},
		{"empty event", "", []string{server.address, ""}, exitUsage, "", `event ""`},
		{"event of the protocol", "", []string{server.address, "_OnRoomJoin"}, exitUsage, "", `event "_OnRoomJoin"`},
		{"text that is none", "\xff", []string{server.address, "echo", "-"}, exitUsage, "", "--binary"},
		{"wrong URL", "", []string{"ftp://" + server.address, "echo"}, exitUsage, "", `scheme "ftp"`},
		{"header of the handshake", "", []string{server.address, "echo", "--header", "Upgrade: x"}, exitUsage, "", `header "Upgrade"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := launchWith(t, strings.NewReader(c.stdin), append([]string{"ask"}, c.arguments...)...)
			if code := p.wait(t); code != c.code {
				t.Errorf("exit code %d, want %d; standard error: %s", code, c.code, p.stderr)
			}
			if got := p.stdout.String(); got != c.stdout {
				t.Errorf("got %q, want %q and nothing else", got, c.stdout)
			}
			if c.code != 0 {
				checkOneLine(t, p, c.stderr)
			} else if got := p.stderr.String(); got != "" {
				t.Errorf("standard error should be empty and is: %s", got)
			}
		})
	}
}

// The namespace of stoa serve lets the members of a room answer.
func TestAskAMember(t *testing.T) {
	server := startPeer(t)
	member := launchWith(t, openInput(t), "connect", server.address, "-r", "team")
	member.stdout.await(t, `("type":"joined")`)
	p := launch(t, "ask", server.address, "vote", "noon", "-r", "team")
	if code := p.wait(t); code != exitUnanswered {
		t.Errorf("exit code %d, want %d; standard error: %s", code, exitUnanswered, p.stderr)
	}
	r := find(t, member.records(t), "the question", func(r *record) bool { return r.Type == recordQuestion })
	if r.Event != "vote" || r.Body != "noon" || r.Room != "team" || r.Error != "unhandled event" {
		t.Errorf("the member has seen %+v", r)
	}
}

func TestEmit(t *testing.T) {
	server := startPeer(t)
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
			p := launchWith(t, strings.NewReader(c.stdin), append([]string{"emit", server.address}, c.arguments...)...)
			if code := p.wait(t); code != 0 {
				t.Fatalf("exit code %d, want 0; standard error: %s", code, p.stderr)
			}
			for _, want := range c.want {
				got := server.note(t)
				if got.Room != want.Room || string(got.Body) != string(want.Body) || got.Binary != want.Binary {
					t.Errorf("got %+v, want %+v", got, want)
				}
			}
		})
	}
}

// What the server has not taken is not reported as sent.
func TestEmitIsConfirmed(t *testing.T) {
	server := startPeer(t)
	cases := []struct {
		name      string
		arguments []string
		code      int
		want      string
	}{
		{"closed by the server", []string{"bye", "4321 enough"}, exitFailure, `closed by the server: 4321 code 4321 "enough"`},
		{"too big", []string{"note", strings.Repeat("x", 1<<17)}, exitFailure, "closed by the server: 1009"},
		{"refused", []string{"note", "-n", "deny"}, exitFailure, "not allowed"},
		{"two bodies", []string{"note", "a", "b"}, exitUsage, "accepts between 2 and 3 arg"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := launch(t, append([]string{"emit", server.address}, c.arguments...)...)
			if code := p.wait(t); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			checkOneLine(t, p, c.want)
		})
	}
}

func TestClientsOverTLS(t *testing.T) {
	pair, _ := writePair(t)
	other, _ := writePair(t)
	server := startProgram(t, "--tls-cert", pair.cert, "--tls-key", pair.key)
	cases := []struct {
		name      string
		arguments []string
		code      int
		want      string
	}{
		{"trusted", []string{"--ca", pair.cert}, 0, ""},
		{"authority of another", []string{"--ca", other.cert}, exitFailure, "certificate"},
		{"unknown", nil, exitFailure, "certificate"},
		{"not checked", []string{"--insecure"}, 0, "stoa: warning: --insecure"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := launch(t, append([]string{"emit", server.url, "said", "hi"}, c.arguments...)...)
			if code := p.wait(t); code != c.code {
				t.Errorf("exit code %d, want %d; standard error: %s", code, c.code, p.stderr)
			}
			if got := p.stderr.String(); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
				t.Errorf("standard error is %q, want %q in it", got, c.want)
			}
		})
	}
}

func TestAskIsInterrupted(t *testing.T) {
	server := startPeer(t)
	p := launch(t, "ask", server.address, "silent")
	<-server.opened
	if code := p.stop(t); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
	checkOneLine(t, p, "")
}
