//go:build linux

package exchange_test

import (
	"testing"
	"time"

	"github.com/stoa-io/stoa/bench/internal/exchange"
	"github.com/stoa-io/stoa/bench/internal/rig"
)

func startTestRedis(tb testing.TB) *rig.Redis {
	tb.Helper()
	cpus, err := rig.Affinity()
	if err != nil {
		tb.Fatal(err)
	}
	s, err := rig.StartRedis(cpus, tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Stop)
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
			before, err := s.Published()
			if err != nil {
				t.Fatal(err)
			}
			r, err := exchange.Measure(s.Address, s.PID(), test.broker, test.pipeline, 100*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			after, err := s.Published()
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
