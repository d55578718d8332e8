//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// A probeReport says how long GET /healthz took over one kept-alive connection.
type probeReport struct {
	Error    string `json:",omitempty"`
	Count    int
	P50, P99 time.Duration
}

// probePause between an answer and the next question keeps the probe from being
// a load of its own.
const probePause = 2 * time.Millisecond

// runProbe is "bench probe": it asks until the duration is over and prints one
// probeReport. It waits in read(2), not in Go's poller, so that its own
// scheduler has no part in what it measures.
func runProbe(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	address := flags.String("address", "", "host:port of the server")
	duration := flags.Duration("duration", time.Second, "how long to ask")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r, err := probe(*address, *duration)
	if err != nil {
		r.Error = err.Error()
	}
	return json.NewEncoder(stdout).Encode(r)
}

func probe(address string, duration time.Duration) (probeReport, error) {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return probeReport{}, err
	}
	fd, err := dial(target)
	if err != nil {
		return probeReport{}, err
	}
	defer closeSocket(fd)
	if err := syscall.SetNonblock(fd, false); err != nil {
		return probeReport{}, os.NewSyscallError("fcntl", err)
	}
	limit := syscall.NsecToTimeval(int64(patience))
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit); err != nil {
		return probeReport{}, os.NewSyscallError("setsockopt", err)
	}
	request := []byte("GET /healthz HTTP/1.1\r\nHost: " + address + "\r\n\r\n")
	buffer := make([]byte, 16<<10)
	samples := make([]int64, 0, duration/probePause+1)
	for deadline := time.Now().Add(duration); time.Now().Before(deadline); time.Sleep(probePause) {
		start := time.Now()
		if _, err := syscall.Write(fd, request); err != nil {
			return probeReport{}, os.NewSyscallError("write", err)
		}
		if err := readAnswer(fd, buffer); err != nil {
			return probeReport{}, err
		}
		samples = append(samples, int64(time.Since(start)))
	}
	slices.Sort(samples)
	return probeReport{
		Count: len(samples),
		P50:   time.Duration(percentile(samples, 0.50)),
		P99:   time.Duration(percentile(samples, 0.99)),
	}, nil
}

// readAnswer reads one whole HTTP response with status 200 and a Content-Length.
func readAnswer(fd int, buffer []byte) error {
	have := 0
	for have < len(buffer) {
		n, err := syscall.Read(fd, buffer[have:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("read", err)
		}
		if n == 0 {
			return fmt.Errorf("bench: /healthz: the connection ended after %q", buffer[:have])
		}
		have += n
		size, err := answerSize(buffer[:have])
		if err != nil || size > 0 && have >= size {
			return err
		}
	}
	return fmt.Errorf("bench: /healthz: an answer above %d bytes", len(buffer))
}

// answerSize returns the size of a response, head and body, or zero if its head
// is not complete.
func answerSize(data []byte) (int, error) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	if !bytes.HasPrefix(data, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("bench: /healthz: %q", data[:end])
	}
	for line := range bytes.Lines(data[:end]) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			length, err := strconv.Atoi(string(bytes.TrimSpace(value)))
			return end + 4 + length, err
		}
	}
	return 0, fmt.Errorf("bench: /healthz: no Content-Length in %q", data[:end])
}

// probeServer runs a probe process and returns what it found.
func probeServer(cpus cpuSet, s *server, duration time.Duration) (probeReport, error) {
	var r probeReport
	p, err := startSelf(cpus, true, "probe", "-address", s.address, "-duration", duration.String())
	if err != nil {
		return r, err
	}
	defer p.stop()
	kill := time.AfterFunc(duration+2*patience, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	line, err := p.stdout.ReadBytes('\n')
	if err != nil {
		return r, fmt.Errorf("the probe has ended: %w; it said: %s", err, p.output)
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, fmt.Errorf("probe: %s", r.Error)
	}
	if r.Count < 20 {
		return r, fmt.Errorf("probe: only %d answers in %v", r.Count, duration)
	}
	return r, nil
}
