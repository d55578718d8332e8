package redisbroker_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// stopwatch is a handler that notes how long messages took: each holds the
// time of its publish.
type stopwatch struct {
	epoch time.Time

	mu    sync.Mutex // guards times
	times []time.Duration
}

func (*stopwatch) Congested(int, bool) {}

func (w *stopwatch) Deliver(_ string, env *cluster.Envelope) {
	sent := time.Duration(binary.BigEndian.Uint64(env.Payload))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.times = append(w.times, time.Since(w.epoch)-sent)
}

func (w *stopwatch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.times)
}

// BenchmarkSlowLink publishes messages at a steady rate over a link with a long
// round trip, and receives them on the same node.
func BenchmarkSlowLink(b *testing.B) {
	const perSecond, publishers = 500, 5
	server := redistest.Start(b)
	for _, trip := range []time.Duration{200 * time.Millisecond, 600 * time.Millisecond, time.Second} {
		b.Run(fmt.Sprint("trip=", trip), func(b *testing.B) {
			w := &stopwatch{epoch: time.Now()}
			broker := startBroker(b, redisbroker.Config{
				Servers: []string{redistest.StartSlowLink(b, server, trip/2)}, ProbeInterval: time.Second,
				Cluster: fmt.Sprint("slow", trip.Milliseconds()),
			}, w)
			channel := rooms(1)[0]
			if err := broker.Subscribe(b.Context(), channel); err != nil {
				b.Fatal(err)
			}
			before := broker.Stats().Servers[0]
			tick := time.NewTicker(time.Second * publishers / perSecond)
			defer tick.Stop()
			payload := make([]byte, 64)
			b.ResetTimer()
			for i := range b.N {
				if i%publishers == 0 {
					<-tick.C
				}
				binary.BigEndian.PutUint64(payload, uint64(time.Since(w.epoch)))
				if err := broker.Publish(channel, &cluster.Envelope{Payload: payload}); err != nil {
					b.Fatal(err)
				}
			}
			testkit.EventuallyWithin(b, "all messages arrive", 5*patience, func() bool { return w.count() >= b.N })
			b.StopTimer()
			after := broker.Stats().Servers[0]
			slices.Sort(w.times)
			b.ReportMetric(w.times[len(w.times)/2].Seconds(), "s-p50")
			b.ReportMetric(w.times[len(w.times)*99/100].Seconds(), "s-p99")
			b.ReportMetric(float64(after.Resent-before.Resent), "resent")
			b.ReportMetric(float64(after.TooOld-before.TooOld), "too-old")
		})
	}
}
