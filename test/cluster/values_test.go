package cluster_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

// valued is a namespace whose rooms hold values by key, and board its room.
const (
	valued = "valued"
	board  = "board"
)

func withValues(c *node.Config) {
	c.Namespaces[valued] = node.NamespaceOptions{
		Relay:   node.RelayRooms,
		History: node.HistoryOptions{Messages: 10_000, Bytes: 16 << 20, LatestBy: "key"},
	}
}

// value is the body of a message.
type value struct {
	Key   string `json:"key"`
	Value int    `json:"value"`
}

// viewer is a client that knows the newest value of each key.
type viewer struct {
	name string

	mu     sync.Mutex
	values map[string]int // guarded by mu
	failed error          // guarded by mu
}

func (v *viewer) receive(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var got value
	fields := strings.SplitN(text, ";", 7)
	if err := json.Unmarshal([]byte(fields[len(fields)-1]), &got); err != nil {
		v.failed = fmt.Errorf("%q: %w", text, err)
		return
	}
	v.values[got.Key] = got.Value
}

func (v *viewer) snapshot() (map[string]int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.values), v.failed
}

// view lets a client join the board of a node. While Redis is down it may be
// refused: then the result is nil.
func view(t *testing.T, n *testNode, name string) *viewer {
	t.Helper()
	v := &viewer{name: name, values: make(map[string]int)}
	c, err := openClient(n.Addr().String(), v.receive)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	if c.connect(valued) != nil || c.join(valued, board) != nil {
		c.close()
		return nil
	}
	return v
}

// TestValuesByKey: clients that join while values change, over any node, know
// the same values as one that was there from the beginning, although Redis is
// killed and connections are.
func TestValuesByKey(t *testing.T) {
	const keys = 300
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	config := redisbroker.Config{Servers: []string{server.URL()}, ProbeInterval: 200 * time.Millisecond}
	var nodes []*testNode
	start := func() {
		nodes = append(nodes, startNode(t, nodeOptions{id: fmt.Sprint("n", len(nodes)), redis: config, change: withValues}))
		awaitMembers(t, nodes, len(nodes))
	}
	start()
	start()
	first := view(t, nodes[0], "first")
	viewers := []*viewer{}
	sent := 0
	publish := func(count int) {
		for range count {
			body, _ := json.Marshal(value{fmt.Sprint("key ", rand.IntN(keys)), sent})
			m := node.Message{Namespace: valued, Room: board, Event: "set", Body: body}
			if err := nodes[sent%len(nodes)].Emit(t.Context(), m, node.EmitOptions{}); err != nil {
				t.Fatal(err)
			}
			if sent++; sent%20 == 0 {
				n := nodes[rand.IntN(len(nodes))]
				if v := view(t, n, fmt.Sprintf("client %d at %s", sent, n.ID())); v != nil {
					viewers = append(viewers, v)
				}
			}
		}
	}
	publish(500)
	for range 3 {
		server.Kill()
		restarted := make(chan struct{})
		go func() {
			defer close(restarted)
			server.Restart()
		}()
		publish(100)
		<-restarted
		publish(100)
		server.Command("CLIENT KILL TYPE pubsub")
		publish(100)
	}
	start() // a node that knows nothing of the room
	publish(20)
	for _, n := range nodes {
		if v := view(t, n, "last at "+n.ID()); v != nil {
			viewers = append(viewers, v)
		}
	}
	if len(viewers) < 40 {
		t.Errorf("%d clients have joined, which proves little", len(viewers))
	}
	for _, v := range viewers {
		testkit.EventuallyWithin(t, v.name+" has the values", patience, func() bool {
			want, _ := first.snapshot()
			got, _ := v.snapshot()
			return maps.Equal(got, want)
		})
		if _, err := v.snapshot(); err != nil {
			t.Errorf("%s: %v", v.name, err)
		}
	}
	values, _ := first.snapshot()
	t.Logf("%d clients have the same %d values of %d messages", len(viewers), len(values), sent)
}
