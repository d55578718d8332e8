package oneshot

import (
	"testing"

	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
)

// An answer must not control the terminal.
func TestAskOnATerminal(t *testing.T) {
	server := clitest.StartPeer(t)
	term := clitest.StartInTerminal(t, nil, "ask", server.Address, "echo", "\x1b[2J")
	term.Wait(t, 0)
	term.Screen.Await(t, `^("\\x1b\[2J"\r\n)$`)
}
