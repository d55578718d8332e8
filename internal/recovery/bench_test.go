package recovery

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/recovery/ring"
)

// busy returns Rooms with an open room that keeps 100 messages, and a function
// that receives a message.
func busy(tb testing.TB, rooms, bytes int) (receive func()) {
	tb.Helper()
	retention := cluster.Retention{Messages: 100, Age: time.Hour, Bytes: 1 << 20}
	r := New(Config{
		Historian: &broker{starts: map[cluster.Position]int{}}, Retention: func(string) *cluster.Retention { return &retention },
		Loops: func(string) uint64 { return 1 }, Partition: func(string) int { return 0 }, Partitions: 1,
		Interrupted: func(int) bool { return false },
		NewMessage: func(env *cluster.Envelope, at time.Time) *ring.Message {
			return &ring.Message{Position: env.Position, Time: at.UnixMilli(), Size: 100}
		},
		Deliver: func(string, uint64, *ring.Message) {}, Gap: func(string, uint64) {},
		Timeout: time.Second, Bytes: bytes, Logger: slog.New(slog.DiscardHandler),
	})
	tb.Cleanup(r.Close)
	open := func(channel string) {
		opened := make(chan bool)
		if !r.Open(channel, func() { close(opened) }) {
			<-opened
		}
	}
	for i := range rooms {
		open(fmt.Sprint(i))
	}
	open(channel)
	env := cluster.Envelope{Position: at(1)}
	receive = func() {
		env.Position.Number++
		r.Receive(channel, &env)
	}
	for range 1000 {
		receive()
	}
	return receive
}

func BenchmarkReceive(b *testing.B) {
	b.ReportAllocs()
	for receive := busy(b, 0, 64<<20); b.Loop(); {
		receive()
	}
}

// BenchmarkReceiveWithoutMemory is that of a room that is too large, next to
// many others.
func BenchmarkReceiveWithoutMemory(b *testing.B) {
	b.ReportAllocs()
	for receive := busy(b, 20_000, stripes*5000); b.Loop(); {
		receive()
	}
}
