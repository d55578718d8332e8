package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// terminal is a run of the program as a process in a pseudo-terminal.
type terminal struct {
	keys    *os.File // what is written here is typed
	screen  *output
	command *exec.Cmd
	ended   chan error
}

// ioctl is for the requests that make a pseudo-terminal (ioctl_tty(2)).
func ioctl(t testing.TB, file *os.File, request uintptr, argument unsafe.Pointer) {
	t.Helper()
	raw, err := file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var errno syscall.Errno
	if err := raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(argument))
	}); err != nil {
		t.Fatal(err)
	}
	if errno != 0 {
		t.Fatal(errno)
	}
}

// windowSize is struct winsize.
type windowSize struct{ rows, columns, width, height uint16 }

func openTerminal(t testing.TB) (keys, device *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() }) // the process has ended
	var number, locked uint32
	ioctl(t, keys, syscall.TIOCSPTLCK, unsafe.Pointer(&locked))
	ioctl(t, keys, syscall.TIOCGPTN, unsafe.Pointer(&number))
	ioctl(t, keys, syscall.TIOCSWINSZ, unsafe.Pointer(&windowSize{rows: 24, columns: 100}))
	device, err = os.OpenFile("/dev/pts/"+strconv.Itoa(int(number)), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return keys, device
}

func startInTerminal(t testing.TB, environment []string, arguments ...string) *terminal {
	t.Helper()
	keys, device := openTerminal(t)
	term := &terminal{keys: keys, screen: newOutput(), ended: make(chan error, 1)}
	term.command = exec.Command(os.Args[0], arguments...)
	// The race detector waits a second at the end unless told otherwise.
	settings := []string{runMainVariable + "=1", "TERM=xterm", "NO_COLOR=1", "GORACE=atexit_sleep_ms=10"}
	term.command.Env = append(append(os.Environ(), settings...), environment...)
	term.command.Stdin, term.command.Stdout, term.command.Stderr = device, device, device
	term.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := term.command.Start(); err != nil {
		t.Fatal(err)
	}
	if err := device.Close(); err != nil {
		t.Fatal(err)
	}
	done, read := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		// The end of the process is an error of input and output.
		_, _ = keys.WriteTo(writeOnly{term.screen})
	}()
	go func() {
		defer close(done)
		term.ended <- term.command.Wait()
	}()
	t.Cleanup(func() {
		_ = term.command.Process.Kill() // it may have ended
		<-done
		<-read
	})
	return term
}

// writeOnly hides what else an output can do.
type writeOnly struct{ output *output }

func (w writeOnly) Write(p []byte) (int, error) { return w.output.Write(p) }

func (term *terminal) typed(t testing.TB, keys string) {
	t.Helper()
	if _, err := term.keys.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

func (term *terminal) wait(t testing.TB, want int) {
	t.Helper()
	select {
	case <-term.ended:
		if got := term.command.ProcessState.ExitCode(); got != want {
			t.Errorf("exit code %d, want %d; the screen:\n%q", got, want, term.screen)
		}
	case <-time.After(patience):
		t.Fatalf("the program has not ended; the screen:\n%q", term.screen)
	}
}

const (
	keyUp    = "\x1b[A"
	keyCtrlC = "\x03"
	keyCtrlD = "\x04"
)

func TestConnectOnATerminal(t *testing.T) {
	server := startPeer(t)
	state := "XDG_STATE_HOME=" + t.TempDir()
	term := startInTerminal(t, []string{state}, "connect", server.address, "-r", "lobby")
	term.screen.await(t, `(joined default/lobby)`)
	term.screen.await(t, `(default/lobby> )`)

	term.typed(t, "jo\tsecond room\r")
	term.screen.await(t, `(join: "room" is too much)`)
	term.typed(t, keyUp+"\x17\x17\"second room\"\r") // Ctrl-W deletes a word
	term.screen.await(t, `(joined default/"second room")`)
	term.typed(t, "use \"default/sec\t\r")
	term.screen.await(t, `(default/"second room"> )`)
	term.typed(t, "ask echo hi there\r")
	term.screen.await(t, `(answer after [0-9.]+ ms: hi there)`)

	// What arrives while something is typed appears above it.
	term.typed(t, "emit no")
	term.screen.await(t, `> (emit no)$`)
	conn := <-server.opened
	if err := conn.Write(node.Message{Namespace: "default", Room: "lobby", Event: "said", Body: []byte("\x1b[2Jnow")}); err != nil {
		t.Fatal(err)
	}
	term.screen.await(t, `(\r\x1b\[K|\x1b\[\d+D\x1b\[K)[0-9:.]+ default/lobby said "\\x1b\[2Jnow"\r\ndefault/"second room"> emit no$`)
	term.typed(t, "te it\r")
	if got := server.note(t); got.Room != "second room" || string(got.Body) != "it" {
		t.Errorf("got %+v, want the line that was typed on both sides of the message", got)
	}

	if err := conn.Close(wire.CodeServiceRestart, "moved; retry-after=1"); err != nil {
		t.Fatal(err)
	}
	term.screen.await(t, `(connection lost: closed by the server: 1012)`)
	term.screen.await(t, `(\* back, ID )`)
	term.typed(t, keyCtrlD)
	term.wait(t, 0)
	term.screen.await(t, `(\* closed\r\n)$`)

	again := startInTerminal(t, []string{state}, "connect", server.address)
	again.screen.await(t, `(default> )`)
	again.typed(t, keyUp+keyUp+"\r")
	again.screen.await(t, `(answer after [0-9.]+ ms: hi there)`)
	again.typed(t, "quit\r")
	again.wait(t, 0)
}

func TestConnectWithoutHistory(t *testing.T) {
	server := startPeer(t)
	state := t.TempDir()
	term := startInTerminal(t, []string{"XDG_STATE_HOME=" + state}, "connect", server.address, "--no-history", "--json")
	term.screen.await(t, `(default> )`)
	term.typed(t, "emit push secret\r")
	term.screen.await(t, `("event":"pushed","body":"secret"\}\r\n)`)
	term.typed(t, "quit\r")
	term.wait(t, 0)
	if files, err := filepath.Glob(filepath.Join(state, "*")); err != nil || len(files) != 0 {
		t.Errorf("there is %q, %v, want nothing", files, err)
	}
}

// Ctrl-C does not wait for the answer.
func TestConnectInterruptsAnAsk(t *testing.T) {
	server := startPeer(t)
	term := startInTerminal(t, nil, "connect", server.address, "--no-history", "--timeout", "1h")
	term.screen.await(t, `(default> )`)
	term.typed(t, "ask silent\r")
	term.screen.await(t, `(?s)ask silent\r\n.*(default> )`)
	term.typed(t, keyCtrlC)
	term.wait(t, 0)
}

func TestConnectEndsWithTheConnection(t *testing.T) {
	server := startPeer(t)
	term := startInTerminal(t, nil, "connect", server.address, "--no-history")
	term.screen.await(t, `(default> )`)
	if err := (<-server.opened).Close(wire.CodeNormal, "enough"); err != nil {
		t.Fatal(err)
	}
	term.wait(t, exitFailure)
	term.screen.await(t, `(stoa: the connection is closed: closed by the server: 1000 normal closure "enough"\r\n)$`)
}

func TestConnectRestoresTheTerminalOnSIGTERM(t *testing.T) {
	server := startPeer(t)
	term := startInTerminal(t, nil, "connect", server.address, "--no-history")
	term.screen.await(t, `(default> )`)
	if err := term.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	term.wait(t, 0)
	term.screen.await(t, `(\* closed\r\n)$`)
}

// On a terminal an answer must not drive it.
func TestAskOnATerminal(t *testing.T) {
	server := startPeer(t)
	term := startInTerminal(t, nil, "ask", server.address, "echo", "\x1b[2J")
	term.wait(t, 0)
	term.screen.await(t, `^("\\x1b\[2J"\r\n)$`)
}
