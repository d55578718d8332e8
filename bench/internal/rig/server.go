//go:build linux

package rig

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A Server is a process under test: stoa, the floor, or a node with handlers.
type Server struct {
	*Process
	Address string
}

// BuildStoa builds stoa into dir, from the module in the working directory.
func BuildStoa(dir string) (string, error) {
	path := filepath.Join(dir, "stoa")
	build := exec.Command("go", "build", "-o", path, "github.com/stoa-io/stoa/cmd/stoa")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/stoa: %w\n%s", err, out)
	}
	return path, nil
}

// Await returns a server when the process has printed its address and answers
// health checks. It stops the process if that fails.
func Await(p *Process) (*Server, error) {
	select {
	case address := <-p.output.address:
		s := &Server{Process: p, Address: address}
		if _, err := s.get("/healthz"); err != nil {
			s.Stop()
			return nil, err
		}
		return s, nil
	case <-time.After(startLimit):
		p.Stop()
		return nil, fmt.Errorf("%s did not print its address; its output: %s", p.Name, p.output)
	}
}

func (s *Server) get(path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Address+path, nil)
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

// Metric reads a metric without labels from /metrics.
func (s *Server) Metric(name string) (float64, error) {
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
