//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// portAttempts is how often a Redis is started if somebody else takes its port
// first: redis-server cannot choose a free one itself.
const portAttempts = 5

// A redisServer is a redis-server that keeps nothing on disk and has Redis' own
// defaults for everything else.
type redisServer struct {
	*process
	address string
}

func (s *redisServer) url() string { return "redis://" + s.address }

// startRedis gives the server dir to work in; it writes nothing there.
func startRedis(cpus cpuSet, dir string) (*redisServer, error) {
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

func startRedisOnce(cpus cpuSet, program, dir string) (*redisServer, error) {
	fd, address, err := listen()
	if err != nil {
		return nil, err
	}
	closeSocket(fd)
	command := exec.Command(program, "--bind", address.Addr().String(), "--port", strconv.Itoa(int(address.Port())),
		"--dir", dir, "--save", "", "--appendonly", "no", "--daemonize", "no")
	p, err := startProcess(cpus, false, "redis-server", command)
	if err != nil {
		return nil, err
	}
	s := &redisServer{process: p, address: address.String()}
	if err := s.await(); err != nil {
		said := s.output.String()
		s.stop()
		return nil, fmt.Errorf("redis-server: %w; it said: %s", err, said)
	}
	return s, nil
}

// await returns when the process itself answers: somebody else may have taken the
// port.
func (s *redisServer) await() error {
	for deadline := time.Now().Add(startLimit); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", s.address, startLimit)
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
	if !strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", s.pid())) {
		return fmt.Errorf("another server answers on %s", s.address)
	}
	return nil
}

// newRedisClient returns a client with one connection that repeats nothing.
func newRedisClient(address string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: address, Protocol: 2, DisableIdentity: true, MaxRetries: -1,
		DialerRetries: 1, PoolSize: 1})
}

// info is what the server says about a section.
func (s *redisServer) info(section string) (string, error) {
	client := newRedisClient(s.address)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	return client.Info(ctx, section).Result()
}

// published is how many PUBLISH commands the server has executed.
func (s *redisServer) published() (uint64, error) {
	info, err := s.info("commandstats")
	if err != nil {
		return 0, err
	}
	return publishCalls(info)
}

// publishCalls finds a line like "cmdstat_publish:calls=12,usec=...". A server that
// has executed none has no such line.
func publishCalls(info string) (uint64, error) {
	for line := range strings.Lines(info) {
		if rest, found := strings.CutPrefix(line, "cmdstat_publish:calls="); found {
			calls, _, _ := strings.Cut(rest, ",")
			return strconv.ParseUint(calls, 10, 64)
		}
	}
	return 0, nil
}
