package rooms_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stoa-io/stoa/rooms"
)

func BenchmarkJoinLeave(b *testing.B) {
	for _, size := range []int{0, 1, 10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("members=%d", size), func(b *testing.B) {
			var x rooms.Index[*connection]
			members := connections(size + 1)
			ns, _ := x.Connect("chat", members[0])
			for _, m := range members[:size] {
				x.Join(ns, "lobby", m)
			}
			extra := members[size]
			b.ReportAllocs()
			for b.Loop() {
				r, _ := x.Join(ns, "lobby", extra)
				x.Leave(r, extra)
			}
		})
	}
}

// BenchmarkMemory reports what a membership costs in rooms of different sizes,
// 100,000 memberships in all. The connections themselves are not counted; the
// rooms' names and their entries in the namespace are.
func BenchmarkMemory(b *testing.B) {
	const memberships = 100_000
	for _, size := range []int{1, 2, 10, 100, 1_000, 100_000} {
		b.Run(fmt.Sprintf("members=%d", size), func(b *testing.B) {
			members := connections(memberships)
			names := make([]string, memberships/size)
			for i := range names {
				names[i] = fmt.Sprintf("room-%d", i)
			}
			var total uint64
			for b.Loop() {
				before := heap()
				var x rooms.Index[*connection]
				ns, _ := x.Connect("chat", members[0])
				for i, m := range members {
					x.Join(ns, names[i/size], m)
				}
				total += heap() - before
				if x.Rooms() != len(names) || x.Memberships() != memberships {
					b.Fatalf("%d rooms and %d memberships, want %d and %d",
						x.Rooms(), x.Memberships(), len(names), memberships)
				}
				runtime.KeepAlive(&x)
			}
			b.ReportMetric(float64(total)/float64(b.N)/memberships, "B/member")
			runtime.KeepAlive(members)
			runtime.KeepAlive(names)
		})
	}
}

// heap is the number of bytes in reachable objects.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
