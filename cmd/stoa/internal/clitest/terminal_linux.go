package clitest

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stoa-io/stoa/internal/testkit"
)

// Terminal is the built program in a pseudo-terminal.
type Terminal struct {
	Screen  *testkit.Output
	keys    *os.File // the input of the terminal
	command *exec.Cmd
	ended   chan error
}

// ioctl makes the requests for a pseudo-terminal (ioctl_tty(2)).
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
	t.Cleanup(func() { _ = keys.Close() }) // the process has exited
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

// StartInTerminal starts the program with additional variables in its
// environment.
func StartInTerminal(t testing.TB, environment []string, arguments ...string) *Terminal {
	t.Helper()
	path := testkit.Program(t)
	keys, device := openTerminal(t)
	term := &Terminal{keys: keys, Screen: new(testkit.Output), ended: make(chan error, 1)}
	term.command = exec.Command(path, arguments...)
	// By default the race detector waits a second before the exit.
	settings := []string{"TERM=xterm", "NO_COLOR=1", "GORACE=atexit_sleep_ms=10"}
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
		// The exit of the process is a read error.
		_, _ = keys.WriteTo(writeOnly{term.Screen})
	}()
	go func() {
		defer close(done)
		term.ended <- term.command.Wait()
	}()
	t.Cleanup(func() {
		_ = term.command.Process.Kill() // it may have exited
		<-done
		<-read
	})
	return term
}

// writeOnly hides the other methods of an output.
type writeOnly struct{ output *testkit.Output }

func (w writeOnly) Write(p []byte) (int, error) { return w.output.Write(p) }

// Type types keys.
func (term *Terminal) Type(t testing.TB, keys string) {
	t.Helper()
	if _, err := term.keys.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// Wait checks the exit code.
func (term *Terminal) Wait(t testing.TB, want int) {
	t.Helper()
	select {
	case <-term.ended:
		if got := term.command.ProcessState.ExitCode(); got != want {
			t.Errorf("exit code %d, want %d; the screen:\n%q", got, want, term.Screen)
		}
	case <-time.After(testkit.Patience):
		t.Fatalf("the program has not exited; the screen:\n%q", term.Screen)
	}
}

// Interrupt sends SIGTERM.
func (term *Terminal) Interrupt(t testing.TB) {
	t.Helper()
	if err := term.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}
