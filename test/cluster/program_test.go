package cluster_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/buildtest"
)

// program is a run of the real program.
type program struct {
	address string // where it serves; empty if it did not get so far
	command *exec.Cmd
	output  programOutput
	ended   chan struct{}
}

// programOutput is the output of the program.
type programOutput struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *programOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *programOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// runProgram starts the program with the arguments, and more in its
// environment; it is killed at the end of the test, if it still runs. If the
// test fails, it logs the output.
func runProgram(t testing.TB, environment []string, arguments ...string) *program {
	t.Helper()
	path, err := buildtest.Program()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{command: exec.Command(path, arguments...), ended: make(chan struct{})}
	// What the environment of the tests says is not for it.
	p.command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "STOA_") })
	p.command.Env = append(p.command.Env, environment...)
	p.command.Stdout, p.command.Stderr = &p.output, &p.output
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.command.Wait() // its state says how it ended
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the program %q printed:\n%s", arguments, &p.output)
		}
	})
	return p
}

var servingRecord = regexp.MustCompile(`"msg":"serving".*"address":"([^"]+)"`)

// startProgram starts a node on a free port and returns when it is there;
// whether it is ready is another question.
func startProgram(t testing.TB, id string, arguments ...string) *program {
	t.Helper()
	return awaitServing(t, id, runProgram(t, nil, append(serveArguments(id), arguments...)...))
}

func serveArguments(id string) []string {
	return []string{"serve", "--listen", "127.0.0.1:0", "--node-id", id, "--log-level", "debug", "--log-format", "json"}
}

func awaitServing(t testing.TB, id string, p *program) *program {
	t.Helper()
	eventually(t, "node "+id+" says where it listens", func() bool {
		if match := servingRecord.FindStringSubmatch(p.output.String()); match != nil {
			p.address = match[1]
		}
		select {
		case <-p.ended:
			t.Fatalf("the node has ended with exit code %d", p.command.ProcessState.ExitCode())
		default:
		}
		return p.address != ""
	})
	return p
}

// page returns a page of the node and its status.
func (p *program) page(t testing.TB, path string) (status int, body string) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + p.address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

// awaitReady waits until /readyz has the status, and returns the body.
func (p *program) awaitReady(t testing.TB, want int) (reason string) {
	t.Helper()
	eventually(t, fmt.Sprintf("/readyz of the node at %s is %d", p.address, want), func() bool {
		var status int
		status, reason = p.page(t, "/readyz")
		return status == want
	})
	return reason
}

// kill sends SIGKILL.
func (p *program) kill() {
	_ = p.command.Process.Kill() // fails if it has ended
	<-p.ended
}

// stop ends the node in order.
func (p *program) stop(t testing.TB) {
	t.Helper()
	if err := p.command.Process.Signal(os.Interrupt); err != nil {
		t.Errorf("cannot stop the node: %v", err)
	}
	if code := p.exitCode(t); code != 0 {
		t.Errorf("the node ended with exit code %d, want 0", code)
	}
}

// exitCode waits for the end of the program.
func (p *program) exitCode(t testing.TB) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatal("the program does not end")
	}
	return p.command.ProcessState.ExitCode()
}
