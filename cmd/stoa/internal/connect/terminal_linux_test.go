package connect

import (
	"path/filepath"
	"testing"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

const (
	keyUp    = "\x1b[A"
	keyCtrlC = "\x03"
	keyCtrlD = "\x04"
)

func TestConnectOnATerminal(t *testing.T) {
	server := clitest.StartPeer(t)
	state := "XDG_STATE_HOME=" + t.TempDir()
	term := clitest.StartInTerminal(t, []string{state}, "connect", server.Address, "-r", "lobby")
	term.Screen.Await(t, `(joined default/lobby)`)
	term.Screen.Await(t, `(default/lobby> )`)

	term.Type(t, "jo\tsecond room\r")
	term.Screen.Await(t, `(join: unexpected "room")`)
	term.Type(t, keyUp+"\x17\x17\"second room\"\r") // Ctrl-W deletes a word
	term.Screen.Await(t, `(joined default/"second room")`)
	term.Type(t, "use \"default/sec\t\r")
	term.Screen.Await(t, `(default/"second room"> )`)
	term.Type(t, "ask echo hi there\r")
	term.Screen.Await(t, `(answer after [0-9.]+ ms: hi there)`)

	// A message appears above the line that is being typed.
	term.Type(t, "emit no")
	term.Screen.Await(t, `> (emit no)$`)
	conn := <-server.Opened
	if err := conn.Write(node.Message{Namespace: "default", Room: "lobby", Event: "said", Body: []byte("\x1b[2Jnow")}); err != nil {
		t.Fatal(err)
	}
	term.Screen.Await(t, `(\r\x1b\[K|\x1b\[\d+D\x1b\[K)[0-9:.]+ default/lobby said "\\x1b\[2Jnow"\r\ndefault/"second room"> emit no$`)
	term.Type(t, "te it\r")
	if got := server.Note(t); got.Room != "second room" || string(got.Body) != "it" {
		t.Errorf("got %+v, want the line that was interrupted by the message", got)
	}

	if err := conn.Close(wire.CodeServiceRestart, "moved; retry-after=1"); err != nil {
		t.Fatal(err)
	}
	term.Screen.Await(t, `(connection lost: closed by the server: 1012)`)
	term.Screen.Await(t, `(\* reconnected, ID \S+, again in default: lobby "second room"\r)`)
	term.Type(t, keyCtrlD)
	term.Wait(t, 0)
	term.Screen.Await(t, `(\* closed\r\n)$`)

	again := clitest.StartInTerminal(t, []string{state}, "connect", server.Address)
	again.Screen.Await(t, `(default> )`)
	again.Type(t, keyUp+keyUp+"\r")
	again.Screen.Await(t, `(answer after [0-9.]+ ms: hi there)`)
	again.Type(t, "quit\r")
	again.Wait(t, 0)
}

func TestConnectWithoutHistory(t *testing.T) {
	server := clitest.StartPeer(t)
	state := t.TempDir()
	term := clitest.StartInTerminal(t, []string{"XDG_STATE_HOME=" + state}, "connect", server.Address, "--no-history", "--json")
	term.Screen.Await(t, `(default> )`)
	term.Type(t, "emit push secret\r")
	term.Screen.Await(t, `("event":"pushed","body":"secret"\}\r\n)`)
	term.Type(t, "quit\r")
	term.Wait(t, 0)
	if files, err := filepath.Glob(filepath.Join(state, "*")); err != nil || len(files) != 0 {
		t.Errorf("there is %q, %v, want nothing", files, err)
	}
}

// Ctrl-C does not wait for the answer.
func TestConnectInterruptsAnAsk(t *testing.T) {
	server := clitest.StartPeer(t)
	term := clitest.StartInTerminal(t, nil, "connect", server.Address, "--no-history", "--timeout", "1h")
	term.Screen.Await(t, `(default> )`)
	term.Type(t, "ask silent\r")
	term.Screen.Await(t, `(?s)ask silent\r\n.*(default> )`)
	term.Type(t, keyCtrlC)
	term.Wait(t, 0)
}

func TestConnectEndsWithTheConnection(t *testing.T) {
	server := clitest.StartPeer(t)
	term := clitest.StartInTerminal(t, nil, "connect", server.Address, "--no-history")
	term.Screen.Await(t, `(default> )`)
	if err := (<-server.Opened).Close(wire.CodeNormal, "enough"); err != nil {
		t.Fatal(err)
	}
	term.Wait(t, cli.ExitFailure)
	term.Screen.Await(t, `(stoa: the connection is closed: closed by the server: 1000 normal closure "enough"\r\n)$`)
}

func TestConnectRestoresTheTerminalOnSIGTERM(t *testing.T) {
	server := clitest.StartPeer(t)
	term := clitest.StartInTerminal(t, nil, "connect", server.Address, "--no-history")
	term.Screen.Await(t, `(default> )`)
	term.Interrupt(t)
	term.Wait(t, 0)
	term.Screen.Await(t, `(\* closed\r\n)$`)
}
