//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// addressPattern ends with a byte that is no part of an address, so that a port
// is never taken from half a line.
var addressPattern = regexp.MustCompile(`http://(127\.0\.0\.1:[0-9]+)[^0-9]`)

// The metrics that are read; both are those of client_golang's Go collector.
const (
	metricMallocs   = "go_memstats_mallocs_total"
	metricHeapInUse = "go_memstats_heap_inuse_bytes"
)

// A server is a process under test: stoa or the floor.
type server struct {
	*process
	address string
}

// buildStoa builds the program of the module in the working directory.
func buildStoa(dir string) (string, error) {
	path := filepath.Join(dir, "stoa")
	build := exec.Command("go", "build", "-o", path, "github.com/stoa-io/stoa/cmd/stoa")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/stoa: %w\n%s", err, out)
	}
	return path, nil
}

// startServer starts the program, stoa with more flags, and waits until it answers.
func (c *controller) startServer(which target, cpus cpuSet, loops int, flags ...string) (*server, error) {
	var p *process
	var err error
	switch {
	case which == targetFloor || c.options.control:
		p, err = startSelf(cpus, false, "floor")
	case which == targetHandlers:
		p, err = c.startHandlers(cpus, loops)
	default:
		args := []string{"serve", "--listen", "127.0.0.1:0", "--loops", strconv.Itoa(loops), "--drain-timeout", "0"}
		if c.options.transport != "" {
			args = append(args, "--transport", c.options.transport)
		}
		p, err = startProcess(cpus, false, "stoa", exec.Command(c.stoa, append(args, flags...)...))
	}
	if err != nil {
		return nil, err
	}
	select {
	case address := <-p.output.address:
		s := &server{process: p, address: address}
		if err := s.healthy(); err != nil {
			s.stop()
			return nil, err
		}
		return s, nil
	case <-time.After(startLimit):
		p.stop()
		return nil, fmt.Errorf("%s did not say where it listens; it said: %s", p.name, p.output)
	}
}

// startHandlers starts this program as a node with handlers. Unlike the other roles
// it gets Go's scheduler as any program has it.
func (c *controller) startHandlers(cpus cpuSet, loops int) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startProcess(cpus, false, "handlers", exec.Command(self, "handlers",
		"-loops", strconv.Itoa(loops), "-transport", c.options.transport))
}

func (s *server) get(path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GET %s: %s", path, response.Status)
	}
	return string(body), nil
}

func (s *server) healthy() error {
	_, err := s.get("/healthz")
	return err
}

// metric reads one metric without labels.
func (s *server) metric(name string) (float64, error) {
	body, err := s.get("/metrics")
	if err != nil {
		return 0, err
	}
	return findMetric(body, name)
}

func findMetric(body, name string) (float64, error) {
	for line := range strings.Lines(body) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), " "); found && key == name {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("/metrics has no %s", name)
}
