package cluster_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"github.com/stoa-io/stoa/internal/testkit"
)

// program is a run of the real program.
type program struct {
	*testkit.Process
	address string // empty before it serves
}

// runProgram starts the program with arguments and additional variables in its
// environment.
func runProgram(t testing.TB, environment []string, arguments ...string) *program {
	t.Helper()
	command := exec.Command(testkit.Program(t), arguments...)
	command.Env = append(testkit.Environment(), environment...)
	return &program{Process: testkit.StartProcess(t, command)}
}

const servingRecord = `"msg":"serving".*"address":"([^"]+)"`

// startProgram starts a node on a free port and returns when it is there;
// whether it is ready is another question.
func startProgram(t testing.TB, id string, arguments ...string) *program {
	t.Helper()
	return awaitServing(t, runProgram(t, nil, append(serveArguments(id), arguments...)...))
}

func serveArguments(id string) []string {
	return []string{"serve", "--listen", "127.0.0.1:0", "--node-id", id, "--log-level", "debug", "--log-format", "json"}
}

func awaitServing(t testing.TB, p *program) *program {
	t.Helper()
	p.address = p.Await(t, servingRecord)
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
	testkit.Eventually(t, fmt.Sprintf("/readyz of the node at %s is %d", p.address, want), func() bool {
		var status int
		status, reason = p.page(t, "/readyz")
		return status == want
	})
	return reason
}

// stop ends the node in order.
func (p *program) stop(t testing.TB) {
	t.Helper()
	p.Signal(os.Interrupt)
	if code := p.Wait(t).ExitCode(); code != 0 {
		t.Errorf("the node ended with exit code %d, want 0", code)
	}
}
