package redisbroker_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
)

// tally is a handler that only counts. It lets a benchmark publish no more than
// tallyAhead steps ahead of the deliveries.
type tally struct {
	delivered atomic.Int64
	steps     chan struct{}
}

const (
	tallyStep  = 512
	tallyAhead = 64
)

func newTally() *tally { return &tally{steps: make(chan struct{}, tallyAhead)} }

func (c *tally) Deliver(string, *cluster.Envelope) { c.received() }
func (c *tally) Congested(int, bool)               {}

func (c *tally) received() {
	if c.delivered.Add(1)%tallyStep == 0 {
		<-c.steps
	}
}

// publishing is called before the message of a number, from 1, is published.
func (c *tally) publishing(number int64) {
	if number%tallyStep == 0 {
		c.steps <- struct{}{}
	}
}

// BenchmarkPublish sends messages of 64 bytes through a server and receives
// them on the same node. For comparison, it does the same with go-redis alone,
// in pipelines of 256.
func BenchmarkPublish(b *testing.B) {
	server := redistest.Start(b)
	for _, channels := range []int{1, 5000} {
		names := make([]string, channels)
		for i := range names {
			names[i] = cluster.RoomChannel("chat", fmt.Sprint("room-", i))
		}
		b.Run(fmt.Sprintf("broker/channels=%d", channels), func(b *testing.B) {
			c := newTally()
			broker := startBroker(b, redisbroker.Config{
				Servers: []string{server.URL()}, ProbeInterval: time.Second, Cluster: fmt.Sprintf("bench%d", channels),
			}, c)
			if err := broker.Subscribe(b.Context(), names...); err != nil {
				b.Fatal(err)
			}
			env := &cluster.Envelope{Origin: broker.NodeID() + "-0123456789abcdefghijkl", Payload: make([]byte, 64)}
			b.ReportAllocs()
			published := int64(0)
			for b.Loop() {
				published++
				c.publishing(published)
				if err := broker.Publish(names[published%int64(channels)], env); err != nil {
					b.Fatal(err)
				}
			}
			awaitTally(c, published)
			b.ReportMetric(float64(published)/b.Elapsed().Seconds(), "messages/s")
			sizes := broker.Stats().Servers[0].BatchSize
			b.ReportMetric(sizes.Sum/float64(sizes.Count), "messages/pipeline")
		})
		b.Run(fmt.Sprintf("go-redis/channels=%d", channels), func(b *testing.B) {
			benchmarkBare(b, server.Addr(), names)
		})
	}
}

func awaitTally(c *tally, count int64) {
	for c.delivered.Load() < count {
		runtime.Gosched()
	}
}

// benchmarkBare publishes and receives with go-redis alone.
func benchmarkBare(b *testing.B, address string, names []string) {
	const pipeline = 256
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: address, Protocol: 2})
	defer func() { _ = client.Close() }()
	subscription := client.Subscribe(ctx, names...)
	for range names {
		if _, err := subscription.Receive(ctx); err != nil {
			b.Fatal(err)
		}
	}
	c := newTally()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			received, err := subscription.Receive(ctx)
			if err != nil {
				return
			}
			if _, is := received.(*redis.Message); is {
				c.received()
			}
		}
	}()
	payload := make([]byte, 64)
	commands := client.Pipeline()
	b.ReportAllocs()
	published := int64(0)
	for b.Loop() {
		published++
		c.publishing(published)
		commands.Publish(ctx, names[published%int64(len(names))], payload)
		if published%pipeline == 0 {
			if _, err := commands.Exec(ctx); err != nil {
				b.Fatal(err)
			}
		}
	}
	if _, err := commands.Exec(ctx); err != nil {
		b.Fatal(err)
	}
	awaitTally(c, published)
	b.ReportMetric(float64(published)/b.Elapsed().Seconds(), "messages/s")
	_ = subscription.Close()
	<-ended
}

// TestPublishAllocations: Publish itself allocates only when the queue grows,
// which is less than once per message.
func TestPublishAllocations(t *testing.T) {
	server := redistest.Start(t)
	broker := startBroker(t, redisbroker.Config{Servers: []string{server.URL()}, QueueAge: time.Minute}, newTally())
	server.Pause() // excludes the allocations of the publisher
	defer server.Resume()
	env := &cluster.Envelope{Origin: broker.NodeID() + "-0123456789abcdefghijkl", Payload: make([]byte, 64)}
	if allocations := testing.AllocsPerRun(5000, func() {
		if err := broker.Publish("r:chat:lobby", env); err != nil {
			t.Error(err)
		}
	}); allocations > 0 {
		t.Errorf("Publish allocates %v times, want less than once", allocations)
	}
}
