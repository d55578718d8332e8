//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-io/stoa/bench/internal/exchange"
	"github.com/stoa-io/stoa/internal/load/rawnet"
)

// portAttempts is how often StartRedis tries another port. redis-server cannot
// choose a free port itself, and another process may take the chosen one first.
const portAttempts = 5

// A Redis is a redis-server without persistence and otherwise with Redis'
// defaults.
type Redis struct {
	*Process
	Address string
}

// URL returns the server's address as stoa's flags take it.
func (s *Redis) URL() string { return "redis://" + s.Address }

// StartRedis starts a server with dir as its working directory, in which it
// writes nothing.
func StartRedis(cpus CPUSet, dir string) (*Redis, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("this row needs redis-server: %w", err)
	}
	var problems []error
	for range portAttempts {
		s, err := startRedisOnce(cpus, program, dir)
		if err == nil {
			return s, nil
		}
		problems = append(problems, err)
	}
	return nil, errors.Join(problems...)
}

func startRedisOnce(cpus CPUSet, program, dir string) (*Redis, error) {
	fd, address, err := rawnet.Listen()
	if err != nil {
		return nil, err
	}
	rawnet.Close(fd)
	command := exec.Command(program, "--bind", address.Addr().String(), "--port", strconv.Itoa(int(address.Port())),
		"--dir", dir, "--save", "", "--appendonly", "no", "--daemonize", "no")
	p, err := Start(cpus, false, "redis-server", command)
	if err != nil {
		return nil, err
	}
	s := &Redis{Process: p, Address: address.String()}
	if err := s.await(); err != nil {
		printed := s.output.String()
		s.Stop()
		return nil, fmt.Errorf("redis-server: %w; its output: %s", err, printed)
	}
	return s, nil
}

// await returns when the process answers on its port. It fails if another
// process has taken the port.
func (s *Redis) await() error {
	for deadline := time.Now().Add(startLimit); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", s.Address, startLimit)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			return err
		}
	}
	info, err := s.info("server")
	if err != nil {
		return err
	}
	if !strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", s.PID())) {
		return fmt.Errorf("another process answers on %s", s.Address)
	}
	return nil
}

// info returns a section of the server's INFO.
func (s *Redis) info(section string) (string, error) {
	client := exchange.NewRedisClient(s.Address)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return client.Info(ctx, section).Result()
}

// Published returns the number of PUBLISH commands that the server has
// executed.
func (s *Redis) Published() (uint64, error) {
	info, err := s.info("commandstats")
	if err != nil {
		return 0, err
	}
	return publishCalls(info)
}

// publishCalls finds a line like "cmdstat_publish:calls=12,usec=...". Before
// the first PUBLISH there is no such line.
func publishCalls(info string) (uint64, error) {
	for line := range strings.Lines(info) {
		if rest, found := strings.CutPrefix(line, "cmdstat_publish:calls="); found {
			calls, _, _ := strings.Cut(rest, ",")
			return strconv.ParseUint(calls, 10, 64)
		}
	}
	return 0, nil
}
