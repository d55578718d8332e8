package cluster_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

// A node that is a process of its own gets its ID, the URL of Redis and its lease by
// the environment.
const (
	processID    = "STOA_TEST_NODE"
	processRedis = "STOA_TEST_REDIS"
	processLease = "STOA_TEST_LEASE"
)

// runProcess is the program of such a process: it says where it listens, and serves
// until its standard input ends.
func runProcess() (code int) {
	lease, err := time.ParseDuration(os.Getenv(processLease))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	n, err := makeNode(nodeOptions{
		id: os.Getenv(processID), redis: cluster.RedisConfig{Servers: []string{os.Getenv(processRedis)}, Lease: lease},
	}, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err == nil {
		err = n.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the test
		_ = n.Close()
	}()
	fmt.Println(n.Addr())
	_ = n.Serve() // says only that the node was closed
	return 0
}

// nodeProcess is a node that can be killed.
type nodeProcess struct {
	id, address string
	command     *exec.Cmd
	killed      bool
}

func startProcess(t testing.TB, id, url string, lease time.Duration) *nodeProcess {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), processID+"="+id, processRedis+"="+url, processLease+"="+lease.String())
	command.Stderr = testWriter{t}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p := &nodeProcess{id: id, command: command}
	t.Cleanup(p.kill)
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("the node does not say where it listens: %v", err)
	}
	p.address = strings.TrimSpace(line)
	return p
}

// kill is SIGKILL.
func (p *nodeProcess) kill() {
	if p.killed {
		return
	}
	p.killed = true
	_ = p.command.Process.Kill()
	_ = p.command.Wait() // says only that it was killed
}
