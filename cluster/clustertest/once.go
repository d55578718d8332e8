package clustertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

// onceOutcome is the outcome of PublishOnce.
type onceOutcome struct {
	position cluster.Position
	err      error
}

// publishOnce starts to publish a message once, with a window of an hour.
func (n *node) publishOnce(channel, id, payload string) <-chan onceOutcome {
	outcome := make(chan onceOutcome, 2) // a second call of done must not block
	env := &cluster.Envelope{Keep: &roomy, Payload: []byte(payload)}
	n.Broker.(cluster.OncePublisher).PublishOnce(channel, env, cluster.Once{ID: id, Window: time.Hour},
		func(p cluster.Position, err error) { outcome <- onceOutcome{p, err} })
	return outcome
}

func awaitOutcome(t testing.TB, outcome <-chan onceOutcome) onceOutcome {
	t.Helper()
	select {
	case o := <-outcome:
		return o
	case <-time.After(patience):
		t.Fatal("PublishOnce has no outcome")
		return onceOutcome{}
	}
}

// awaitExactly waits for the last of the payloads, and compares all that were
// delivered on the channel.
func (n *node) awaitExactly(t testing.TB, channel string, want []string) {
	t.Helper()
	n.awaitPayload(t, channel, want[len(want)-1])
	if got := n.on(channel); !slices.Equal(got, want) {
		t.Errorf("delivered %q, want %q", got, want)
	}
}

// startOnce is startHistory for brokers that publish messages once.
func (s *suite) startOnce(t *testing.T, channels ...string) (nodes []*node, ok bool) {
	t.Helper()
	nodes, ok = s.startHistory(t, channels...)
	if ok {
		_, ok = nodes[0].Broker.(cluster.OncePublisher)
	}
	return nodes, ok
}

// once checks that a second copy of a message has no effect but its answer.
func (s *suite) once(t *testing.T) {
	channel, other := cluster.RoomChannel("app", "once"), cluster.RoomChannel("app", "once:too")
	nodes, ok := s.startOnce(t, channel, other)
	if !ok {
		return
	}
	first, last := nodes[0], nodes[len(nodes)-1]
	one := awaitOutcome(t, first.publishOnce(channel, "id-1", "one"))
	if one.err != nil || one.position.IsZero() {
		t.Fatalf("PublishOnce = %v, %v, want a position", one.position, one.err)
	}
	if again := awaitOutcome(t, last.publishOnce(channel, "id-1", "one")); again != one {
		t.Errorf("a second copy = %v, want the outcome of the first, %v", again, one)
	}
	if o := awaitOutcome(t, last.publishOnce(channel, "id-1", "another")); !errors.Is(o.err, cluster.ErrIDReused) {
		t.Errorf("another message with the same ID = %v, want ErrIDReused", o)
	}
	// The ID belongs to the channel, and is compared as a whole.
	for _, same := range []struct{ channel, id string }{{channel, "id-1:"}, {channel, "id-1\x00"}, {channel, "ID-1"}, {other, "id-1"}} {
		if o := awaitOutcome(t, first.publishOnce(same.channel, same.id, "one")); o.err != nil || same.channel == channel && o.position == one.position {
			t.Errorf("PublishOnce(%q, %q) = %v, want a position of its own", same.channel, same.id, o)
		}
	}
	first.awaitExactly(t, other, []string{"one"})
	last.keep(t, channel, roomy, "end")
	want := []string{"one", "one", "one", "one", "end"}
	for _, n := range nodes {
		n.awaitExactly(t, channel, want)
		page := n.awaitHistory(t, channel, cluster.HistoryQuery{}, want...)
		if got := page.Entries[0].Envelope.Position; got != one.position {
			t.Errorf("the history has the position %v, want that of the outcome, %v", got, one.position)
		}
	}
}

// onceInvalid checks that a message is refused at once if it cannot be
// published once.
func (s *suite) onceInvalid(t *testing.T) {
	room := cluster.RoomChannel("app", "invalid")
	nodes, ok := s.startOnce(t, room)
	if !ok {
		return
	}
	n := nodes[0]
	publish := func(channel string, env *cluster.Envelope, once cluster.Once) onceOutcome {
		outcome := make(chan onceOutcome, 2)
		n.Broker.(cluster.OncePublisher).PublishOnce(channel, env, once, func(p cluster.Position, err error) { outcome <- onceOutcome{p, err} })
		return awaitOutcome(t, outcome)
	}
	kept, valid := &cluster.Envelope{Keep: &roomy}, cluster.Once{ID: "id", Window: time.Hour}
	for _, c := range []struct {
		name    string
		channel string
		env     *cluster.Envelope
		once    cluster.Once
	}{
		{"no ID", room, kept, cluster.Once{Window: time.Hour}},
		{"a long ID", room, kept, cluster.Once{ID: strings.Repeat("x", cluster.MaxOnceID+1), Window: time.Hour}},
		{"no window", room, kept, cluster.Once{ID: "id"}},
		{"a negative window", room, kept, cluster.Once{ID: "id", Window: -1}},
		{"no history", room, &cluster.Envelope{}, valid},
		{"the channel of a node", cluster.NodeChannel("other"), kept, valid},
		{"the channel of the cluster", cluster.ClusterChannel(), kept, valid},
	} {
		if o := publish(c.channel, c.env, c.once); !errors.Is(o.err, cluster.ErrInvalidOnce) || !o.position.IsZero() {
			t.Errorf("PublishOnce with %s = %v, %v, want ErrInvalidOnce", c.name, o.position, o.err)
		}
	}
	longest := cluster.Once{ID: strings.Repeat("\xff", cluster.MaxOnceID), Window: 1}
	if o := publish(room, kept, longest); o.err != nil {
		t.Errorf("PublishOnce with the longest ID and the shortest window = %v, want nil", o.err)
	}
}

// onceByAll checks that of the copies which all nodes publish at once, one is
// published, and that they keep the order of each node.
func (s *suite) onceByAll(t *testing.T) {
	const count = 50
	channel := cluster.RoomChannel("app", "race")
	nodes, ok := s.startOnce(t, channel)
	if !ok {
		return
	}
	outcomes := make([][]<-chan onceOutcome, len(nodes))
	var want []string
	for i := range count {
		payload := fmt.Sprint(i)
		want = append(want, payload)
		for at, n := range nodes {
			outcomes[at] = append(outcomes[at], n.publishOnce(channel, "id"+payload, payload))
		}
	}
	for i := range count {
		one := awaitOutcome(t, outcomes[0][i])
		if one.err != nil {
			t.Fatalf("PublishOnce of %d = %v, want nil", i, one.err)
		}
		for at := 1; at < len(nodes); at++ {
			if o := awaitOutcome(t, outcomes[at][i]); o != one {
				t.Errorf("copy %d of message %d = %v, want the outcome of the first, %v", at, i, o, one)
			}
		}
	}
	nodes[0].keep(t, channel, roomy, "end")
	want = append(want, "end")
	for _, n := range nodes {
		n.awaitExactly(t, channel, want)
		n.awaitHistory(t, channel, cluster.HistoryQuery{}, want...)
	}
}
