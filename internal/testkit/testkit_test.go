package testkit_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/testkit"
)

// The test binary is also the program that the tests start.
const childVariable = "TESTKIT_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		child()
	}
	os.Exit(testkit.Run(m, os.Stderr))
}

// child prints its variables, echoes the input, and exits with code 3.
func child() {
	_, _ = os.Stdout.WriteString("STOA_TEST_TRANSPORT=" + os.Getenv("STOA_TEST_TRANSPORT") + ".\n")
	_, _ = io.Copy(os.Stdout, os.Stdin)
	os.Exit(3)
}

func TestProcess(t *testing.T) {
	t.Setenv("STOA_TEST_TRANSPORT", "auto")
	t.Setenv(childVariable, "1")
	command := exec.Command(os.Args[0])
	command.Env = testkit.Environment()
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := testkit.StartProcess(t, command)
	p.Await(t, `STOA_TEST_TRANSPORT=\.`)
	if _, err := io.WriteString(input, "serving at 127.0.0.1:4711"); err != nil {
		t.Fatal(err)
	}
	if port := p.Await(t, `serving at .*:(\d+)`); port != "4711" {
		t.Errorf("the submatch is %q, want 4711", port)
	}
	select {
	case <-p.Exited():
		t.Error("the process has exited, want that it waits for its input")
	default:
	}
	if err := input.Close(); err != nil {
		t.Fatal(err)
	}
	if code := p.Wait(t).ExitCode(); code != 3 {
		t.Errorf("exit code %d, want 3", code)
	}
	p.Kill()
}

// failing records that a test has failed, and goes on.
type failing struct {
	testing.TB
	message string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, _ ...any) {
	f.message = format
	panic(f)
}

func TestAwaitNoticesTheExit(t *testing.T) {
	t.Setenv(childVariable, "1")
	p := testkit.StartProcess(t, exec.Command(os.Args[0]))
	f := &failing{TB: t}
	defer func() {
		if recover() != f || !strings.Contains(f.message, "has exited") {
			t.Errorf("Await failed with %q, want a failure that names the exit", f.message)
		}
	}()
	p.Await(f, "never printed")
}

func TestReadFrame(t *testing.T) {
	var stream bytes.Buffer
	if err := ws.WriteFrame(&stream, ws.NewTextFrame([]byte("hello"))); err != nil {
		t.Fatal(err)
	}
	whole := stream.Bytes()
	if f, err := testkit.ReadFrame(bytes.NewReader(whole)); err != nil || string(f.Payload) != "hello" {
		t.Errorf("ReadFrame = %q, %v; want hello", f.Payload, err)
	}
	if _, err := testkit.ReadFrame(bytes.NewReader(whole[:4])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("ReadFrame of half a frame = %v, want ErrUnexpectedEOF", err)
	}
	if f, err := testkit.ReadFrame(strings.NewReader("\x82\x7f\x00\x00\x00\xff\xff\xff\xff\xff")); err == nil || f.Header.OpCode != ws.OpBinary {
		t.Errorf("ReadFrame of 1 TB = %+v, %v; want an error with the header", f.Header, err)
	}
}
