package cluster_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/stoa-io/stoa/cluster"
)

func BenchmarkMemoryPublish(b *testing.B) {
	for _, channels := range []int{1, 10_000} {
		b.Run(fmt.Sprintf("channels=%d", channels), func(b *testing.B) {
			var c counter
			m := startMemory(b, &c)
			names := roomChannels(channels)
			if err := m.Subscribe(b.Context(), names...); err != nil {
				b.Fatal(err)
			}
			env := &cluster.Envelope{Origin: "node.connection", Payload: make([]byte, 64)}
			b.ReportAllocs()
			published := 0
			for b.Loop() {
				if err := m.Publish(names[published%channels], env); err != nil {
					b.Fatal(err)
				}
				published++
			}
			if c.delivered != published {
				b.Fatalf("%d messages delivered, want %d", c.delivered, published)
			}
		})
	}
}

func BenchmarkInterestAcquireRelease(b *testing.B) {
	m := startMemory(b, &counter{})
	i := newInterest(b, m)
	names := roomChannels(1000)
	for _, name := range names {
		i.Acquire(name, 0, unexpected(b))
	}
	done := unexpected(b)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		name := names[n%len(names)]
		if !i.Acquire(name, 1, done) {
			b.Fatal("Acquire = false, want true")
		}
		i.Release(name, 1)
		n++
	}
}

// BenchmarkInterestFirstAcquire is a room that gets its first member on the
// node, and loses it before the delay of the unsubscription is over.
func BenchmarkInterestFirstAcquire(b *testing.B) {
	m := startMemory(b, &counter{})
	i := newInterest(b, m)
	done := unexpected(b)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		name := fmt.Sprint("r:chat:", n)
		if !i.Acquire(name, 1, done) {
			b.Fatal("Acquire = false, want true")
		}
		i.Release(name, 1)
		n++
	}
}

func BenchmarkInterestLoops(b *testing.B) {
	m := startMemory(b, &counter{})
	i := newInterest(b, m)
	names := roomChannels(1000)
	for _, name := range names {
		i.Acquire(name, 3, unexpected(b))
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if i.Loops(names[n%len(names)]) != 1<<3 {
			b.Fatal("Loops is wrong")
		}
		n++
	}
}

// BenchmarkInterestMemory reports the memory per channel on a node: the
// Interest's entry and the memory broker's, without the name.
func BenchmarkInterestMemory(b *testing.B) {
	const count = 50_000
	names := roomChannels(count)
	var total uint64
	for b.Loop() {
		before := heap()
		m := startMemory(b, &counter{})
		i := cluster.NewInterest(m, cluster.InterestConfig{})
		for _, name := range names {
			i.Acquire(name, 0, nil)
		}
		total += heap() - before
		if subscriptions, _ := i.Stats(); subscriptions != count {
			b.Fatalf("%d subscriptions, want %d", subscriptions, count)
		}
		if err := i.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(total)/float64(b.N)/count, "B/channel")
	runtime.KeepAlive(names)
}

func BenchmarkRoomChannel(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if cluster.RoomChannel("chat", "lobby-12345") == "" {
			b.Fatal("no channel")
		}
	}
}

func TestInterestDoesNotAllocate(t *testing.T) {
	m := startMemory(t, &counter{})
	i := newInterest(t, m)
	done := unexpected(t)
	i.Acquire(lobby, 0, done)
	for _, c := range []struct {
		name string
		call func()
	}{
		{"Acquire and Release of a channel that another loop has", func() {
			i.Acquire(lobby, 1, done)
			i.Release(lobby, 1)
		}},
		{"Loops", func() { i.Loops(lobby) }},
		{"Loops of an unknown channel", func() { i.Loops("r:chat:nobody") }},
	} {
		if allocations := testing.AllocsPerRun(200, c.call); allocations != 0 {
			t.Errorf("%s allocates %v times, want 0", c.name, allocations)
		}
	}
}

func newInterest(t testing.TB, broker cluster.Broker) *cluster.Interest {
	i := cluster.NewInterest(broker, cluster.InterestConfig{})
	t.Cleanup(func() {
		if err := i.Close(context.Background()); err != nil {
			t.Errorf("Close = %v, want nil", err)
		}
	})
	return i
}

// unexpected is a done that must not be called.
func unexpected(t testing.TB) func(error) {
	return func(err error) { t.Errorf("done was called with %v, want no call", err) }
}

func roomChannels(count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = cluster.RoomChannel("chat", fmt.Sprint("room-", i))
	}
	return names
}

// heap is the number of bytes in reachable objects.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
