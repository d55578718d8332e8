package clustertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cluster"
)

// kindAndExcept checks the parts of an envelope that most messages do not have.
func (s *suite) kindAndExcept(t *testing.T) {
	nodes := s.start(t, 0)
	subscriber, publisher := nodes[0], nodes[len(nodes)-1]
	subscriber.subscribe(t, "r:chat:lobby")
	envelopes := []cluster.Envelope{
		{Payload: []byte("message")},
		{Kind: cluster.EnvelopeMessage, Payload: []byte("message")},
		{Kind: cluster.EnvelopeControl, Payload: []byte("command")},
		{Except: []string{"node1.a", "node2.b"}, Payload: []byte("exceptions")},
		{Origin: "node1.a", Except: []string{"", "\x00*\r\n;\xff", strings.Repeat("語", 80)}, Payload: []byte("odd exceptions")},
		{Payload: []byte("end")},
	}
	var want []string
	for i := range envelopes {
		want = append(want, "")
		if envelopes[i].Kind == cluster.EnvelopeControl || len(envelopes[i].Except) > 0 {
			want[i] = describe(&envelopes[i])
		}
		publisher.publish(t, "r:chat:lobby", &envelopes[i])
	}
	subscriber.awaitCount(t, len(envelopes))
	subscriber.mu.Lock()
	defer subscriber.mu.Unlock()
	var got []string
	for _, d := range subscriber.delivered {
		got = append(got, d.description)
	}
	if !slices.Equal(got, want) {
		t.Errorf("delivered %q, want %q", got, want)
	}
}

// describe is used for control messages and those with exceptions.
func describe(env *cluster.Envelope) string {
	return fmt.Sprintf("%v except %q", env.Kind, slices.Concat(env.Except))
}

// count runs for brokers that implement cluster.CountingPublisher.
func (s *suite) count(t *testing.T) {
	nodes := s.start(t, 0)
	publisher, is := nodes[0].Broker.(cluster.CountingPublisher)
	if !is {
		return
	}
	for subscribed := range len(nodes) + 1 {
		if subscribed > 0 {
			nodes[subscribed-1].subscribe(t, "r:chat:lobby")
		}
		counted := make(chan int, 1)
		publisher.PublishCount("r:chat:lobby", &cluster.Envelope{Payload: []byte("x")}, func(nodes int, err error) {
			if err != nil {
				nodes = -1
			}
			counted <- nodes
		})
		if got := <-counted; got != subscribed {
			t.Errorf("%d nodes reached, want %d (-1 is an error)", got, subscribed)
		}
	}
	for i, n := range nodes {
		n.awaitCount(t, len(nodes)-i)
	}
}

// members runs for brokers that implement cluster.Membership, and checks only
// nodes that the broker returns.
func (s *suite) members(t *testing.T) {
	for i, n := range s.start(t, 0) {
		known, is := n.Broker.(cluster.Membership)
		if !is {
			return
		}
		ids := make(map[string]bool)
		for _, info := range known.Nodes() {
			if info.ID == "" || ids[info.ID] {
				t.Errorf("broker %d knows a node as %+v, want an ID of its own for each", i, info)
			}
			ids[info.ID] = true
		}
	}
}
