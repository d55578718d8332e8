package rendezvous_test

import (
	"fmt"
	"testing"

	"github.com/stoa-io/stoa/cluster/redisbroker/internal/rendezvous"
)

func TestChoose(t *testing.T) {
	var servers []uint64
	for _, identity := range []string{"a:6379", "b:6379", "c:6379"} {
		servers = append(servers, rendezvous.Hash(identity))
	}
	counts := make([]int, len(servers))
	moved := 0
	const channels = 30_000
	for i := range channels {
		channel := fmt.Sprint("r:chat:room", i)
		chosen := rendezvous.Choose(servers, channel, nil)
		counts[chosen]++
		fewer := rendezvous.Choose(servers[:2], channel, nil)
		if chosen < 2 && fewer != chosen {
			moved++
		}
		if got := rendezvous.Choose(servers, channel, func(i int) bool { return i != chosen }); got == chosen {
			t.Fatalf("a server that is not usable was chosen for %s", channel)
		}
		if got := rendezvous.Choose(servers, channel, func(int) bool { return false }); got != chosen {
			t.Fatalf("without usable servers %d was chosen for %s, want %d", got, channel, chosen)
		}
	}
	for i, count := range counts {
		if count < channels/3*95/100 || count > channels/3*105/100 {
			t.Errorf("server %d has %d of %d channels, want a third", i, count, channels)
		}
	}
	if moved != 0 {
		t.Errorf("%d channels of other servers moved when one was taken away, want 0", moved)
	}
	// Nodes of different versions must always agree.
	if got := rendezvous.Choose(servers, "r:chat:lobby", nil); got != 1 {
		t.Errorf("r:chat:lobby is on server %d, want 1 as always", got)
	}
}
