package redisbroker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// TestManyChannelsComeBack restarts the server under a node with 100,000
// channels, while two nodes publish.
func TestManyChannelsComeBack(t *testing.T) {
	const count = 100_000
	server := redistest.Start(t)
	f := startTraffic(t, rooms(2), repeated(2, redisbroker.Config{
		Servers: []string{server.URL()},
		// The subscriptions keep a busy machine from reading for more than 300
		// ms, after which a probe every 200 ms would call the server silent.
		ProbeInterval: time.Second,
	})...)
	channels := make([]string, count)
	for i := range channels {
		channels[i] = cluster.RoomChannel("chat", fmt.Sprint("room ", i))
	}
	began := time.Now()
	if err := f.nodes[0].Subscribe(t.Context(), channels...); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d channels subscribed in %v", count, time.Since(began))
	all := func() bool { return f.nodes[0].Stats().Servers[0].Subscriptions >= count+2 }
	testkit.Eventually(t, "all is subscribed", all)
	f.run(t, 200)
	server.Restart()
	began = time.Now()
	testkit.Eventually(t, "the subscriptions are known to be gone", func() bool { return !all() })
	testkit.Eventually(t, "all is subscribed again", all)
	t.Logf("%d channels subscribed again %v after the restart", count, time.Since(began))
	f.run(t, 500)
	f.expectNothingLost(t)
	// A sample of the channels works.
	for i := 0; i < count; i += count / 100 {
		if err := f.nodes[1].Publish(channels[i], &cluster.Envelope{Payload: []byte("sample/0")}); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, "messages come on the channels", func() bool {
		f.ledgers[0].mu.Lock()
		defer f.ledgers[0].mu.Unlock()
		for i := 0; i < count; i += count / 100 {
			if len(f.ledgers[0].numbers[channels[i]+" sample"]) != 1 {
				return false
			}
		}
		return true
	})
}
