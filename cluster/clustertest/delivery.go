package clustertest

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

func (s *suite) delivery(t *testing.T) {
	nodes := s.start(t, 0)
	const each = 50
	for _, n := range nodes {
		n.subscribe(t, "r:chat:lobby")
	}
	want := make(map[string]bool)
	for i, n := range nodes {
		for m := range each {
			payload := fmt.Sprintf("%d/%d", i, m)
			want[payload] = true
			n.publishText(t, "r:chat:lobby", payload)
		}
	}
	for i, n := range nodes {
		n.awaitCount(t, len(want))
		seen := make(map[string]int)
		for _, payload := range n.on("r:chat:lobby") {
			seen[payload]++
		}
		for payload := range want {
			if seen[payload] != 1 {
				t.Errorf("message %s was delivered %d times by broker %d, want once", payload, seen[payload], i)
			}
		}
	}
}

func (s *suite) onlyWhereSubscribed(t *testing.T) {
	nodes := s.start(t, 0)
	for i, n := range nodes {
		n.subscribe(t, "r:chat:all", fmt.Sprintf("r:chat:room%d", i))
	}
	publisher := nodes[0]
	for i := range nodes {
		publisher.publishText(t, fmt.Sprintf("r:chat:room%d", i), "private")
	}
	publisher.publishText(t, "r:chat:nobody", "private")
	publisher.publishText(t, "r:chat:all", "end")
	for i, n := range nodes {
		n.awaitPayload(t, "r:chat:all", "end")
		n.awaitPayload(t, fmt.Sprintf("r:chat:room%d", i), "private")
		if n.count() != 2 {
			t.Errorf("broker %d delivered %d messages, want the 2 of its own channels", i, n.count())
		}
	}
}

// notBeforeSubscribe uses another broker as a witness that the early message
// has passed. With a single broker, a later message on another channel is the
// witness.
func (s *suite) notBeforeSubscribe(t *testing.T) {
	nodes := s.start(t, 0)
	subscriber, publisher := nodes[0], nodes[len(nodes)-1]
	if len(nodes) > 1 {
		publisher.subscribe(t, "r:chat:lobby")
	}
	publisher.subscribe(t, "r:chat:witness")
	publisher.publishText(t, "r:chat:lobby", "early")
	publisher.publishText(t, "r:chat:witness", "end")
	publisher.awaitPayload(t, "r:chat:witness", "end")
	if len(nodes) > 1 {
		publisher.awaitPayload(t, "r:chat:lobby", "early")
	}
	subscriber.subscribe(t, "r:chat:lobby")
	publisher.publishText(t, "r:chat:lobby", "late")
	subscriber.awaitPayload(t, "r:chat:lobby", "late")
	if got := subscriber.on("r:chat:lobby"); !slices.Equal(got, []string{"late"}) {
		t.Errorf("delivered %q, want only the messages published after Subscribe returned: %q", got, []string{"late"})
	}
}

func (s *suite) notAfterUnsubscribe(t *testing.T) {
	nodes := s.start(t, 0)
	subscriber, publisher := nodes[0], nodes[len(nodes)-1]
	if len(nodes) > 1 {
		publisher.subscribe(t, "r:chat:lobby")
	}
	subscriber.subscribe(t, "r:chat:other")
	var want []string
	for round := range 20 {
		timely, late := fmt.Sprint("timely ", round), fmt.Sprint("late ", round)
		want = append(want, timely)
		subscriber.subscribe(t, "r:chat:lobby")
		publisher.publishText(t, "r:chat:lobby", timely)
		subscriber.awaitPayload(t, "r:chat:lobby", timely)
		subscriber.unsubscribe(t, "r:chat:lobby", "r:chat:never")
		publisher.publishText(t, "r:chat:lobby", late)
		publisher.publishText(t, "r:chat:other", late)
		subscriber.awaitPayload(t, "r:chat:other", late)
		if len(nodes) > 1 {
			publisher.awaitPayload(t, "r:chat:lobby", late)
		}
	}
	if got := subscriber.on("r:chat:lobby"); !slices.Equal(got, want) {
		t.Errorf("delivered %q, want nothing that was published after Unsubscribe returned: %q", got, want)
	}
}

func (s *suite) subscribeTwice(t *testing.T) {
	nodes := s.start(t, 0)
	n := nodes[0]
	n.subscribe(t, "r:chat:lobby", "r:chat:lobby")
	n.subscribe(t, "r:chat:lobby", "r:chat:other")
	n.publishText(t, "r:chat:lobby", "first")
	n.publishText(t, "r:chat:lobby", "second")
	n.awaitPayload(t, "r:chat:lobby", "second")
	if got := n.on("r:chat:lobby"); !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("delivered %q, want each message once", got)
	}
	n.unsubscribe(t, "r:chat:lobby")
	n.publishText(t, "r:chat:lobby", "third")
	n.publishText(t, "r:chat:other", "end")
	n.awaitPayload(t, "r:chat:other", "end")
	if got := n.on("r:chat:lobby"); len(got) != 2 {
		t.Errorf("delivered %q, want nothing after one Unsubscribe", got)
	}
}

func (s *suite) manyChannels(t *testing.T) {
	nodes := s.start(t, 0)
	const count = 2_000
	channels := make([]string, count)
	for i := range channels {
		channels[i] = cluster.RoomChannel("chat", fmt.Sprint("room ", i))
	}
	subscriber, publisher := nodes[0], nodes[len(nodes)-1]
	subscriber.subscribe(t, channels...)
	for _, channel := range channels {
		publisher.publishText(t, channel, channel)
	}
	subscriber.awaitCount(t, count)
	subscriber.mu.Lock()
	seen := make(map[string]bool)
	for _, d := range subscriber.delivered {
		seen[d.channel] = true
		if d.channel != d.payload {
			t.Errorf("channel %s delivered the message of %s", d.channel, d.payload)
		}
	}
	subscriber.mu.Unlock()
	if len(seen) != count {
		t.Errorf("messages came on %d channels, want %d", len(seen), count)
	}
	subscriber.unsubscribe(t, channels[1:]...)
	publisher.publishText(t, channels[1], "too late")
	publisher.publishText(t, channels[0], "end")
	subscriber.awaitPayload(t, channels[0], "end")
	if subscriber.count() != count+1 {
		t.Errorf("%d messages delivered after unsubscribing all channels but one, want 1", subscriber.count()-count)
	}
}

func (s *suite) anyName(t *testing.T) {
	nodes := s.start(t, 0)
	names := []string{
		"", "*", "?", "[a-z]", "a", "b", "a b", "a\r\nb", "a\nPUBLISH a b", "\x00", ";", ":", "{a}", "{a}b",
		"r:", "r:chat:a", "%", "%2A", "\xff\xfe", "ünï", strings.Repeat("語", 70), strings.Repeat("x", 500),
	}
	var channels []string
	for _, name := range names {
		channels = append(channels, cluster.RoomChannel("chat", name), cluster.RoomChannel(name, "a"),
			cluster.NamespaceChannel(name))
	}
	slices.Sort(channels)
	channels = slices.Compact(channels)
	for _, n := range nodes {
		n.subscribe(t, channels...)
	}
	for _, n := range nodes {
		for _, channel := range channels {
			n.publishText(t, channel, channel)
		}
	}
	for i, n := range nodes {
		n.awaitCount(t, len(nodes)*len(channels))
		for _, channel := range channels {
			got := n.on(channel)
			if len(got) != len(nodes) {
				t.Errorf("broker %d delivered %d messages on %q, want %d", i, len(got), channel, len(nodes))
			}
			for _, payload := range got {
				if payload != channel {
					t.Errorf("broker %d delivered the message of %q on %q", i, payload, channel)
				}
			}
		}
	}
}

func (s *suite) anyPayload(t *testing.T) {
	nodes := s.start(t, 0)
	subscriber, publisher := nodes[0], nodes[len(nodes)-1]
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	payloads := []string{
		"", "\x00", "\r\n", "*1\r\n$4\r\nPING\r\n", string(every), "\xff\xff\xff\xff",
		strings.Repeat(string(every), 4*64),
	}
	subscriber.subscribe(t, "r:chat:lobby")
	for _, payload := range payloads {
		publisher.publish(t, "r:chat:lobby", &cluster.Envelope{Binary: true, Payload: []byte(payload)})
	}
	subscriber.awaitCount(t, len(payloads))
	if got := subscriber.on("r:chat:lobby"); !slices.Equal(got, payloads) {
		t.Errorf("delivered %.500q, want %.500q", got, payloads)
	}
}

func (s *suite) flagAndOrigin(t *testing.T) {
	nodes := s.start(t, 0)
	want := []delivery{
		{channel: "r:chat:lobby", payload: "text"},
		{channel: "r:chat:lobby", payload: "binary", binary: true},
		{channel: "r:chat:lobby", payload: "origin", origin: "node1.abc"},
		{channel: "r:chat:lobby", payload: "both", binary: true, origin: "node1.abc"},
		{channel: "r:chat:lobby", payload: "odd", origin: "\x00*\r\n;\xff"},
		{channel: "r:chat:lobby", payload: "long", origin: strings.Repeat("語", 80)},
		{channel: "r:chat:lobby", payload: "text"},
	}
	subscriber, publisher := nodes[0], nodes[len(nodes)-1]
	subscriber.subscribe(t, "r:chat:lobby")
	for _, d := range want {
		publisher.publish(t, d.channel, &cluster.Envelope{Binary: d.binary, Origin: d.origin, Payload: []byte(d.payload)})
	}
	subscriber.awaitCount(t, len(want))
	subscriber.mu.Lock()
	defer subscriber.mu.Unlock()
	if !slices.Equal(subscriber.delivered, want) {
		t.Errorf("delivered %+v, want %+v", subscriber.delivered, want)
	}
}

// volatile checks that the flag arrives, in the order of the channel. A broker
// may refuse such a message for a moment.
func (s *suite) volatile(t *testing.T) {
	nodes := s.start(t, 0)
	subscriber, publisher := nodes[0], nodes[len(nodes)-1]
	subscriber.subscribe(t, "r:chat:lobby")
	want := []delivery{
		{channel: "r:chat:lobby", payload: "plain"},
		{channel: "r:chat:lobby", payload: "volatile", volatile: true},
		{channel: "r:chat:lobby", payload: "both", volatile: true, binary: true, origin: "node1.abc"},
		{channel: "r:chat:lobby", payload: "end"},
	}
	for i, d := range want {
		env := &cluster.Envelope{Binary: d.binary, Origin: d.origin, Volatile: d.volatile, Payload: []byte(d.payload)}
		err := publisher.Publish(d.channel, env)
		for start := time.Now(); d.volatile && errors.Is(err, cluster.ErrQueueFull) && time.Since(start) < patience; {
			runtime.Gosched()
			err = publisher.Publish(d.channel, env)
		}
		if err != nil {
			t.Fatalf("Publish = %v, want nil", err)
		}
		subscriber.awaitCount(t, i+1)
	}
	subscriber.mu.Lock()
	defer subscriber.mu.Unlock()
	if !slices.Equal(subscriber.delivered, want) {
		t.Errorf("delivered %+v, want %+v", subscriber.delivered, want)
	}
}

func (s *suite) payloadReuse(t *testing.T) {
	nodes := s.start(t, 0)
	subscriber, publisher := nodes[0], nodes[len(nodes)-1]
	subscriber.subscribe(t, "r:chat:lobby")
	const count = 500
	env := &cluster.Envelope{}
	var want []string
	for i := range count {
		payload := fmt.Sprintf("message %d", i)
		want = append(want, payload)
		env.Payload = append(env.Payload[:0], payload...)
		env.Binary, env.Origin = i%2 == 0, payload
		publisher.publish(t, "r:chat:lobby", env)
		for j := range env.Payload {
			env.Payload[j] = 'x'
		}
		env.Binary, env.Origin = i%2 != 0, "changed"
	}
	subscriber.awaitCount(t, count)
	if got := subscriber.on("r:chat:lobby"); !slices.Equal(got, want) {
		t.Errorf("delivered %.300q, want %.300q", got, want)
	}
	subscriber.mu.Lock()
	defer subscriber.mu.Unlock()
	for i, d := range subscriber.delivered {
		if d.origin != d.payload || d.binary != (i%2 == 0) {
			t.Fatalf("message %d was delivered as %+v, want it unchanged", i, d)
		}
	}
}
