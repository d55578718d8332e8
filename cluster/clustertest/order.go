package clustertest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

const (
	publishersPerNode = 3
	perPublisher      = 400
)

func (s *suite) order(t *testing.T) {
	nodes := s.start(t, 0)
	for _, n := range nodes {
		n.subscribe(t, "r:chat:lobby", "r:chat:other")
	}
	publishConcurrently(t, nodes, "r:chat:lobby", "r:chat:other")
	expectOneOrder(t, nodes, "r:chat:lobby", "r:chat:other")
}

// slowHandler is order with handlers that delay the broker: it may be slow, but
// must not lose a message.
func (s *suite) slowHandler(t *testing.T) {
	nodes := s.start(t, 0)
	for i, n := range nodes {
		n.recorder.yields = 50 * (i + 1)
		n.subscribe(t, "r:chat:lobby", "r:chat:other")
	}
	publishConcurrently(t, nodes, "r:chat:lobby", "r:chat:other")
	expectOneOrder(t, nodes, "r:chat:lobby", "r:chat:other")
}

// orderWhileOthersSubscribe is order while the subscriptions of other channels
// change all the time.
func (s *suite) orderWhileOthersSubscribe(t *testing.T) {
	nodes := s.start(t, 0)
	for _, n := range nodes {
		n.subscribe(t, "r:chat:lobby", "r:chat:other")
	}
	stop := make(chan struct{})
	var churn sync.WaitGroup
	for _, n := range nodes {
		churn.Go(func() { churnSubscriptions(t, n, stop) })
	}
	publishConcurrently(t, nodes, "r:chat:lobby", "r:chat:other")
	close(stop)
	churn.Wait()
	expectOneOrder(t, nodes, "r:chat:lobby", "r:chat:other")
}

// churnSubscriptions subscribes and unsubscribes until stop is closed.
func churnSubscriptions(t testing.TB, n *node, stop <-chan struct{}) {
	for round := 0; ; round++ {
		select {
		case <-stop:
			return
		default:
		}
		channels := []string{fmt.Sprint("r:chat:churn", round%7), fmt.Sprint("r:chat:churn", round%7+1)}
		if err := n.Subscribe(t.Context(), channels...); err != nil {
			t.Errorf("Subscribe(%q) = %v, want nil", channels, err)
			return
		}
		if err := n.Unsubscribe(t.Context(), channels...); err != nil {
			t.Errorf("Unsubscribe(%q) = %v, want nil", channels, err)
			return
		}
	}
}

// publishConcurrently sends "<publisher>/<number>" from several goroutines of
// each node to the channels, and returns when all messages are published.
func publishConcurrently(t testing.TB, nodes []*node, channels ...string) {
	var publishers sync.WaitGroup
	for i, n := range nodes {
		for p := range publishersPerNode {
			publishers.Go(func() {
				for m := range perPublisher {
					for _, channel := range channels {
						n.publishText(t, channel, fmt.Sprintf("%d.%d/%d", i, p, m))
					}
				}
			})
		}
	}
	publishers.Wait()
}

// expectOneOrder waits for the messages of publishConcurrently and checks that
// all nodes saw them once, in one order, which keeps each publisher's order.
func expectOneOrder(t testing.TB, nodes []*node, channels ...string) {
	t.Helper()
	total := len(nodes) * publishersPerNode * perPublisher
	for _, n := range nodes {
		n.awaitCount(t, total*len(channels))
	}
	for _, channel := range channels {
		first := nodes[0].on(channel)
		if len(first) != total {
			t.Fatalf("%d messages delivered on %s, want %d", len(first), channel, total)
		}
		for i, n := range nodes[1:] {
			if got := n.on(channel); !slices.Equal(got, first) {
				t.Errorf("brokers 0 and %d saw different orders on %s", i+1, channel)
			}
		}
		next := make(map[string]int)
		for _, payload := range first {
			var publisher string
			var number int
			if _, err := fmt.Sscanf(payload, "%3s/%d", &publisher, &number); err != nil {
				t.Fatalf("unexpected message %q on %s", payload, channel)
			}
			if number != next[publisher] {
				t.Fatalf("publisher %s: message %d came on %s, want %d", publisher, number, channel, next[publisher])
			}
			next[publisher]++
		}
	}
}
