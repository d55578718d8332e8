package clients_test

import (
	"fmt"
	"os/exec"
	"regexp"
	"testing"

	"github.com/stoa-io/stoa/internal/testkit"
)

// server is a node through all of its runs. They share one address.
type server struct {
	path    string
	address string
	run     *testkit.Process
}

// startServer starts the node on a free port.
func startServer(t testing.TB) *server {
	t.Helper()
	s := &server{path: testkit.Program(t), address: "127.0.0.1:0"}
	s.start(t)
	return s
}

var servingRecord = regexp.MustCompile(`"msg":"serving".*"address":"([^"]+)"`)

// start starts the node and returns when it serves. Another process may have
// taken the port in the meantime; start then tries again.
func (s *server) start(t testing.TB) {
	t.Helper()
	what := func() string { return fmt.Sprintf("the node serves at %s; it printed:\n%s", s.address, &s.run.Output) }
	eventually(t, what, func() bool {
		command := exec.Command(s.path, "serve", "--listen", s.address, "--log-format", "json")
		command.Env = testkit.Environment()
		s.run = testkit.StartProcess(t, command)
		eventually(t, what, func() bool {
			if match := servingRecord.FindStringSubmatch(s.run.Output.String()); match != nil {
				s.address = match[1]
				return true
			}
			return s.exited()
		})
		return !s.exited()
	})
}

func (s *server) exited() bool {
	select {
	case <-s.run.Exited():
		return true
	default:
		return false
	}
}
