package hub

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/cluster"
)

// copies returns connections of the loop that no engine knows.
func (s testShard) copies(t testing.TB, of *Client, count int) []*Client {
	t.Helper()
	all := make([]*Client, count)
	for i := range all {
		c := *of
		all[i] = &c
	}
	return all
}

// The connections of a user leave in any order.
func TestUserList(t *testing.T) {
	s := startShard(t, false, nil)
	base, _ := s.dial(t)
	random := rand.New(rand.NewPCG(3, 4))
	s.onLoop(func() {
		for range 100 {
			all := s.copies(t, base, 1+random.IntN(6))
			channel := cluster.UserChannel("ann")
			for _, c := range all {
				c.SetIdentity(&access.Identity{User: "ann"})
				c.joinUser(func() {})
			}
			for len(all) > 0 {
				var found []*Client
				for c := s.users[channel]; c != nil; c = c.extra.next {
					found = append(found, c)
				}
				slices.Reverse(found)
				if !slices.Equal(found, all) || s.stats.UserConns != len(all) || s.hub.interest.Loops(channel) != 1 {
					t.Fatalf("%d connections, want %d in the order of their entry, and a subscription", len(found), len(all))
				}
				for i, c := range found[1:] {
					if c.extra.identity.since <= found[i].extra.identity.since {
						t.Errorf("entered at %d after %d", c.extra.identity.since, found[i].extra.identity.since)
					}
				}
				i := random.IntN(len(all))
				all[i].leaveUserRoom()
				all[i].leaveUserRoom() // once is enough
				all = slices.Delete(all, i, i+1)
			}
			if len(s.users) != 0 || s.stats.UserConns != 0 || s.hub.interest.Loops(channel) != 0 {
				t.Fatalf("%d users and %d connections are left, want none", len(s.users), s.stats.UserConns)
			}
		}
	})
}

// All nodes evict the same connections: any view of a node evicts a part of
// those that the view of all connections evicts.
func TestBeyondLimit(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 1000 {
		all := make([]UserConn, 1+random.IntN(10))
		for i := range all {
			all[i] = UserConn{ID: fmt.Sprint(i), Since: int64(random.IntN(4))}
		}
		limit, newest := 1+random.IntN(4), random.IntN(2) == 0
		whole := beyondLimit(slices.Clone(all), limit, newest)
		if want := max(0, len(all)-limit); len(whole) != want {
			t.Fatalf("%d of %d are beyond the limit %d, want %d", len(whole), len(all), limit, want)
		}
		view := slices.DeleteFunc(slices.Clone(all), func(UserConn) bool { return random.IntN(3) == 0 })
		view = append(view, view...) // answers that were sent twice
		random.Shuffle(len(view), func(a, b int) { view[a], view[b] = view[b], view[a] })
		for _, evicted := range beyondLimit(view, limit, newest) {
			if !slices.Contains(whole, evicted) {
				t.Fatalf("a part of the connections evicts %+v, all of them %+v", evicted, whole)
			}
		}
	}
	conns := []UserConn{{ID: "b", Since: 2}, {ID: "c", Since: 1}, {ID: "a", Since: 2}}
	if got := beyondLimit(slices.Clone(conns), 1, false); got[0].ID != "c" || got[1].ID != "a" {
		t.Errorf("the oldest are %+v, want c and a", got)
	}
	if got := beyondLimit(slices.Clone(conns), 1, true); got[0].ID != "a" || got[1].ID != "b" {
		t.Errorf("the newest are %+v, want a and b", got)
	}
}

// userMemory is the memory in bytes that connections cost because they have a
// user, each one of its own: the identity, the places in lists, and the
// subscription at the memory broker.
func userMemory(t testing.TB, s testShard, base *Client, count int) (bytes int) {
	t.Helper()
	s.onLoop(func() {
		all := s.copies(t, base, count)
		before := heapInUse()
		for i, c := range all {
			c.SetIdentity(&access.Identity{User: fmt.Sprintf("user-%06d", i)})
			c.joinUser(func() {})
		}
		bytes = heapInUse() - before
		if len(s.users) != count {
			t.Errorf("%d users, want %d", len(s.users), count)
		}
		for _, c := range all {
			c.leaveUserRoom()
		}
	})
	return bytes / count
}

func heapInUse() int {
	runtime.GC()
	runtime.GC() // the first one leaves what finalizers and pools kept
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

// The cost of a user does not grow unnoticed. Maps double, so it depends on the
// number of users; this one is close to the average.
func TestUserMemory(t *testing.T) {
	s := startShard(t, false, nil)
	base, _ := s.dial(t)
	const limit = 340
	if got := userMemory(t, s, base, 20_000); got > limit {
		t.Errorf("a connection with a user costs %d bytes more than one without, want at most %d", got, limit)
	} else {
		t.Logf("%d bytes", got)
	}
}

func BenchmarkUserMemory(b *testing.B) {
	for _, count := range []int{20_000, 28_000, 30_000, 40_000, 50_000} {
		b.Run(fmt.Sprintf("users=%d", count), func(b *testing.B) {
			total := 0
			for b.Loop() {
				s := startShard(b, false, nil)
				base, _ := s.dial(b)
				total += userMemory(b, s, base, count)
			}
			b.ReportMetric(float64(total)/float64(b.N), "B/conn")
		})
	}
}
