//go:build linux

package probe

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

	"github.com/stoa-io/stoa/internal/load"
	"github.com/stoa-io/stoa/internal/load/rawnet"
)

// A Report has the latencies of GET /healthz over one kept-alive connection.
type Report struct {
	Error    string `json:",omitempty"`
	Count    int
	P50, P99 time.Duration
}

const (
	// pause between a response and the next request keeps the probe from being
	// a load of its own.
	pause = 2 * time.Millisecond
	// responseLimit is how long the server may take to respond.
	responseLimit = 10 * time.Second
)

// Run sends requests until the duration has passed and prints a Report as JSON.
func Run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	address := flags.String("address", "", "host:port of the server")
	duration := flags.Duration("duration", time.Second, "how long to send requests")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r, err := measure(*address, *duration)
	if err != nil {
		r.Error = err.Error()
	}
	return json.NewEncoder(stdout).Encode(r)
}

func measure(address string, duration time.Duration) (Report, error) {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return Report{}, err
	}
	fd, err := rawnet.Dial(target)
	if err != nil {
		return Report{}, err
	}
	defer rawnet.Close(fd)
	if err := syscall.SetNonblock(fd, false); err != nil {
		return Report{}, os.NewSyscallError("fcntl", err)
	}
	limit := syscall.NsecToTimeval(int64(responseLimit))
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit); err != nil {
		return Report{}, os.NewSyscallError("setsockopt", err)
	}
	request := []byte("GET /healthz HTTP/1.1\r\nHost: " + address + "\r\n\r\n")
	buffer := make([]byte, 16<<10)
	samples := make([]int64, 0, duration/pause+1)
	for deadline := time.Now().Add(duration); time.Now().Before(deadline); time.Sleep(pause) {
		start := time.Now()
		if _, err := syscall.Write(fd, request); err != nil {
			return Report{}, os.NewSyscallError("write", err)
		}
		if err := readResponse(fd, buffer); err != nil {
			return Report{}, err
		}
		samples = append(samples, int64(time.Since(start)))
	}
	slices.Sort(samples)
	return Report{
		Count: len(samples),
		P50:   time.Duration(load.Percentile(samples, 0.50)),
		P99:   time.Duration(load.Percentile(samples, 0.99)),
	}, nil
}

// readResponse reads one complete HTTP response with status 200 and a
// Content-Length.
func readResponse(fd int, buffer []byte) error {
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
			return fmt.Errorf("probe: /healthz: the server closed the connection after %q", buffer[:have])
		}
		have += n
		size, err := responseSize(buffer[:have])
		if err != nil || size > 0 && have >= size {
			return err
		}
	}
	return fmt.Errorf("probe: /healthz: response above %d bytes", len(buffer))
}

// responseSize returns the size of a response, head and body, or zero if the
// head is incomplete.
func responseSize(data []byte) (int, error) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	if !bytes.HasPrefix(data, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("probe: /healthz: unexpected response %q", data[:end])
	}
	for line := range bytes.Lines(data[:end]) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			length, err := strconv.Atoi(string(bytes.TrimSpace(value)))
			return end + 4 + length, err
		}
	}
	return 0, fmt.Errorf("probe: /healthz: no Content-Length in %q", data[:end])
}
