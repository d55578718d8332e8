package clients_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stoa-io/stoa/internal/buildtest"
)

// output is everything that a process has printed.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String returns what there is so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// server is the node, through all of its runs. They share one address.
type server struct {
	path    string
	address string
	command *exec.Cmd
	ended   chan struct{} // closed when the run is over
	printed *output       // by the run
}

// startServer starts the node on a free port; it is killed at the end of the
// test.
func startServer(t testing.TB) *server {
	t.Helper()
	path, err := buildtest.Program()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{path: path, address: "127.0.0.1:0"}
	s.start(t)
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the last run of the node printed:\n%s", s.printed)
		}
	})
	return s
}

var servingRecord = regexp.MustCompile(`"msg":"serving".*"address":"([^"]+)"`)

// start starts the node and returns when it serves. Another process may have
// taken the port in the meantime; then it tries again.
func (s *server) start(t testing.TB) {
	t.Helper()
	what := func() string { return fmt.Sprintf("the node serves at %s; it printed:\n%s", s.address, s.printed) }
	eventually(t, what, func() bool {
		s.run(t)
		eventually(t, what, func() bool {
			if match := servingRecord.FindStringSubmatch(s.printed.String()); match != nil {
				s.address = match[1]
				return true
			}
			return s.over()
		})
		return !s.over()
	})
}

// run starts the process.
func (s *server) run(t testing.TB) {
	t.Helper()
	command := exec.Command(s.path, "serve", "--listen", s.address, "--log-format", "json")
	// What the environment of the tests says is not for it.
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "STOA_") })
	s.command, s.ended, s.printed = command, make(chan struct{}), new(output)
	command.Stdout, command.Stderr = s.printed, s.printed
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := s.ended
	go func() {
		defer close(ended)
		_ = command.Wait() // its output says more
	}()
}

func (s *server) over() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// kill is SIGKILL, and returns when the process is gone.
func (s *server) kill() {
	_ = s.command.Process.Kill() // fails if it has ended
	<-s.ended
}
