package redisbroker_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
)

// BenchmarkHistory sends messages of 100 bytes in 100 channels through a
// server, without a history, with one, with one of 49 keys, and published once,
// and reports the CPU time that Redis takes for one. The node subscribes to
// none of the channels, so that the time is that of the publishes.
func BenchmarkHistory(b *testing.B) {
	retention := &cluster.Retention{Messages: 100, Age: time.Hour, Bytes: 1 << 20, Keys: 1000}
	for _, c := range []struct {
		name string
		keep *cluster.Retention
		keys int
		once bool
	}{{"without", nil, 0, false}, {"with", retention, 0, false}, {"keys", retention, 49, false}, {"once", retention, 0, true}} {
		b.Run(c.name, func(b *testing.B) {
			server := redistest.Start(b)
			admin := newAdmin(b, server)
			broker := startBroker(b, redisbroker.Config{Servers: []string{server.URL()}, ProbeInterval: time.Second}, newTally())
			channels := make([]string, 100)
			for i := range channels {
				channels[i] = cluster.RoomChannel("chat", fmt.Sprint("room-", i))
			}
			env := &cluster.Envelope{Keep: c.keep, Origin: broker.NodeID() + "-0123456789abcdefghijkl", Payload: make([]byte, 100)}
			confirmed := func(_ cluster.Position, err error) {
				if err != nil {
					b.Error(err)
				}
			}
			publish := func(number int) error {
				channel := channels[number%len(channels)]
				if !c.once {
					return broker.Publish(channel, env)
				}
				broker.PublishOnce(channel, env, cluster.Once{ID: strconv.Itoa(number), Window: 2 * time.Minute}, confirmed)
				return nil
			}
			// A transaction's worth of messages, and then the wait for the last
			// one, so that the queue stays short.
			const step = 512
			outcome := make(chan struct{}, 1)
			before := cpuSeconds(b, admin)
			b.ReportAllocs()
			published := 0
			for b.Loop() {
				if c.keys > 0 { // no channel has always the same
					env.Key = strconv.Itoa(published % c.keys)
				}
				if published++; published%step != 0 {
					if err := publish(published); err != nil {
						b.Fatal(err)
					}
					continue
				}
				broker.PublishCount(channels[0], env, func(int, error) { outcome <- struct{}{} })
				<-outcome
			}
			b.ReportMetric((cpuSeconds(b, admin)-before)*1e6/float64(published), "redis-cpu-µs/message")
		})
	}
}

// cpuSeconds is the CPU time that the server has taken.
func cpuSeconds(b *testing.B, admin *admin) (seconds float64) {
	b.Helper()
	for line := range strings.Lines(admin.do("INFO cpu")) {
		for _, name := range []string{"used_cpu_user:", "used_cpu_sys:"} {
			if value, found := strings.CutPrefix(line, name); found {
				part, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
				if err != nil {
					b.Fatal(err)
				}
				seconds += part
			}
		}
	}
	return seconds
}
