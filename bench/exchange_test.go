//go:build linux

package main

import (
	"strings"
	"testing"
	"time"
)

func startTestRedis(tb testing.TB) *redisServer {
	tb.Helper()
	cpus, err := affinity()
	if err != nil {
		tb.Fatal(err)
	}
	s, err := startRedis(cpus, tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.stop)
	return s
}

func TestExchange(t *testing.T) {
	s := startTestRedis(t)
	for _, test := range []struct {
		name             string
		broker, pipeline int
	}{
		{name: "broker, many", broker: 100},
		{name: "broker, one", broker: 1},
		{name: "loop, pipelines", pipeline: 16},
		{name: "loop, one by one", pipeline: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, err := s.published()
			if err != nil {
				t.Fatal(err)
			}
			r, err := runExchanger(s.address, s.pid(), test.broker, test.pipeline, 100*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			after, err := s.published()
			if err != nil {
				t.Fatal(err)
			}
			if r.Messages == 0 || after-before < r.Messages {
				t.Errorf("%d messages, %d of them published through Redis; want some, and all", r.Messages, after-before)
			}
			if r.CPU <= 0 || r.RedisCPU <= 0 {
				t.Errorf("CPU %v, Redis %v; want more than nothing", r.CPU, r.RedisCPU)
			}
		})
	}
}

func TestExchangeWithoutRedis(t *testing.T) {
	fd, address, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	closeSocket(fd)
	if _, err := newLoopExchange(address.String(), 1); err == nil {
		t.Error("nobody listens: no error, want one")
	}
}

func TestTally(t *testing.T) {
	for _, test := range []struct {
		name    string
		channel string
		message string
		want    string // part of the error; empty: none
	}{
		{name: "next", channel: "b", message: string(appendExchanged(nil, 3))},
		{name: "again", channel: "b", message: string(appendExchanged(nil, 1)), want: "message 1 came instead of 3"},
		{name: "lost", channel: "b", message: string(appendExchanged(nil, 5)), want: "message 5 came instead of 3"},
		{name: "other channel", channel: "a", message: string(appendExchanged(nil, 3)), want: "message 3 came instead of 0"},
		{name: "unknown channel", channel: "c", message: string(appendExchanged(nil, 3)), want: `channel "c"`},
		{name: "cut", channel: "b", message: string(appendExchanged(nil, 3)[:90]), want: "unexpected message"},
		{name: "other bytes", channel: "b", message: "x" + string(appendExchanged(nil, 3)[1:]), want: "unexpected message"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tally := newTally([]string{"a", "b"})
			if _, err := tally.take("b", string(appendExchanged(nil, 1))); err != nil {
				t.Fatal(err)
			}
			count, err := tally.take(test.channel, test.message)
			if test.want == "" && (err != nil || count != 2) {
				t.Errorf("the second message: count %d, error %v; want 2 and none", count, err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestPublishCalls(t *testing.T) {
	for _, test := range []struct {
		name string
		info string
		want uint64
	}{
		{name: "none", info: "# Commandstats\r\ncmdstat_ping:calls=2,usec=1\r\n"},
		{name: "some", info: "# Commandstats\r\ncmdstat_publish:calls=1234,usec=99,usec_per_call=0.08\r\ncmdstat_exec:calls=2,usec=1\r\n", want: 1234},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := publishCalls(test.info); err != nil || got != test.want {
				t.Errorf("%d, error %v; want %d", got, err, test.want)
			}
		})
	}
}

// Two servers in the place of two nodes: the client counts what both deliver.
func TestClientWithTwoAddresses(t *testing.T) {
	c := newTestClient(t)
	address := startTestFloor(t, 0)
	mustCarryOut(t, c, address, command{Action: actionOpen, Count: 5, PerRoom: 5, Publishers: true})
	other := startTestFloor(t, 0)
	mustCarryOut(t, c, other, command{Action: actionOpen, Count: 7, First: 5, PerRoom: 5})
	mustCarryOut(t, c, other, command{Action: actionOpen, First: 5, PerRoom: 5, Publishers: true})
	r := mustCarryOut(t, c, other, command{Action: actionPublish, Outstanding: 4, Duration: 50 * time.Millisecond, Latencies: true})
	if r.Messages == 0 || r.Deliveries < 2*r.Messages {
		t.Errorf("%d messages gave %d deliveries, want at least 2 for each", r.Messages, r.Deliveries)
	}
	if r.P50 <= 0 || r.P99 < r.P50 {
		t.Errorf("latencies: p50 %v, p99 %v; want more than nothing and no less than p50", r.P50, r.P99)
	}
}
