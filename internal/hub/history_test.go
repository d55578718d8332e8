package hub

import (
	"bytes"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/recovery/ring"
)

// The budget for the messages that a node holds is about their memory, within a
// fifth: limits.history_memory means bytes.
func TestKeptMemory(t *testing.T) {
	const count = 20_000
	for _, size := range []int{40, 100, 1000} {
		payload := append([]byte(";default;lobby;chat;0;0;"), bytes.Repeat([]byte("x"), size)...)
		env := &cluster.Envelope{Origin: "iYkzqf3-4hSx0m4aZ0m1rIYWQ0ZtUA", User: "user-000001", Payload: payload}
		before := heapInUse()
		all := make([]*ring.Message, 0, count)
		for i := range count {
			env.Position = cluster.Position{Incarnation: 1, Number: uint64(i)}
			all = append(all, newKept(env, time.UnixMilli(1)))
		}
		got := (heapInUse() - before) / count
		counted := all[0].Size + ring.Overhead
		t.Logf("a body of %d bytes: %d bytes of memory, counted as %d", size, got, counted)
		if got > counted*6/5 || got < counted*4/5 {
			t.Errorf("a body of %d bytes takes %d bytes of memory, counted as %d", size, got, counted)
		}
		all[0] = nil
	}
}
