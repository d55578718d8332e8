package cluster_test

import (
	"fmt"
	"testing"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/clustertest"
)

func TestMemoryConformance(t *testing.T) {
	for _, stripes := range []int{0, 1, 3} {
		t.Run(fmt.Sprintf("stripes=%d", stripes), func(t *testing.T) {
			clustertest.Run(t, func(testing.TB) []cluster.Broker {
				return []cluster.Broker{cluster.NewMemory(cluster.MemoryConfig{Stripes: stripes})}
			})
		})
	}
}

// counter is a handler that counts.
type counter struct {
	delivered int
	bytes     int
}

func (c *counter) Deliver(_ string, env *cluster.Envelope) {
	c.delivered++
	c.bytes += len(env.Payload)
}

func (c *counter) Congested(int, bool) {}

func TestMemoryDeliversBeforePublishReturns(t *testing.T) {
	var c counter
	m := startMemory(t, &c)
	if err := m.Subscribe(t.Context(), "r:chat:lobby"); err != nil {
		t.Fatal(err)
	}
	publish(t, m, "r:chat:lobby")
	if c.delivered != 1 {
		t.Errorf("%d messages delivered when Publish returned, want 1", c.delivered)
	}
}

func TestMemorySubscribeNow(t *testing.T) {
	m := cluster.NewMemory(cluster.MemoryConfig{})
	if m.SubscribeNow("r:chat:lobby") {
		t.Error("SubscribeNow before Start = true, want false")
	}
	var c counter
	if err := m.Start(t.Context(), &c); err != nil {
		t.Fatal(err)
	}
	if !m.SubscribeNow("r:chat:lobby") {
		t.Error("SubscribeNow = false, want true")
	}
	publish(t, m, "r:chat:lobby")
	if c.delivered != 1 {
		t.Errorf("%d messages delivered, want 1", c.delivered)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m.SubscribeNow("r:chat:lobby") {
		t.Error("SubscribeNow after Close = true, want false")
	}
}

func TestMemoryPublishDoesNotAllocate(t *testing.T) {
	var c counter
	m := startMemory(t, &c)
	if err := m.Subscribe(t.Context(), "r:chat:lobby"); err != nil {
		t.Fatal(err)
	}
	env := &cluster.Envelope{Payload: []byte("hello")}
	for _, channel := range []string{"r:chat:lobby", "r:chat:nobody"} {
		allocations := testing.AllocsPerRun(200, func() {
			if err := m.Publish(channel, env); err != nil {
				t.Error(err)
			}
		})
		if allocations != 0 {
			t.Errorf("Publish to %s allocates %v times, want 0", channel, allocations)
		}
	}
}

func TestMemoryGivesMemoryBack(t *testing.T) {
	const count = 20_000
	var c counter
	m := startMemory(t, &c)
	channels := make([]string, count)
	for i := range channels {
		channels[i] = cluster.RoomChannel("chat", fmt.Sprint("room", i))
	}
	if err := m.Subscribe(t.Context(), channels...); err != nil {
		t.Fatal(err)
	}
	if peaks := m.MapPeaks(); peaks != count {
		t.Fatalf("maps made for %d channels, want %d", peaks, count)
	}
	if err := m.Unsubscribe(t.Context(), channels[10:]...); err != nil {
		t.Fatal(err)
	}
	if peaks, most := m.MapPeaks(), 64*64; peaks > most {
		t.Errorf("maps of 10 channels are made for %d, want at most %d", peaks, most)
	}
	for _, channel := range channels[:10] {
		publish(t, m, channel)
	}
	if c.delivered != 10 {
		t.Errorf("%d messages delivered, want the 10 of the channels that stayed", c.delivered)
	}
}

func startMemory(t testing.TB, h cluster.Handler) *cluster.Memory {
	t.Helper()
	m := cluster.NewMemory(cluster.MemoryConfig{})
	if err := m.Start(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	return m
}

func publish(t testing.TB, b cluster.Broker, channel string) {
	t.Helper()
	if err := b.Publish(channel, &cluster.Envelope{Payload: []byte("hello")}); err != nil {
		t.Fatalf("Publish(%q) = %v, want nil", channel, err)
	}
}

func TestMemoryNodes(t *testing.T) {
	if nodes := cluster.NewMemory(cluster.MemoryConfig{}).Nodes(); len(nodes) != 0 {
		t.Errorf("Nodes without Info = %+v, want none", nodes)
	}
	info := cluster.NodeInfo{ID: "only", Connections: 3}
	m := cluster.NewMemory(cluster.MemoryConfig{Info: func() cluster.NodeInfo { return info }})
	if nodes := m.Nodes(); len(nodes) != 1 || nodes[0] != info {
		t.Errorf("Nodes = %+v, want %+v", nodes, info)
	}
}
