package clustertest

import (
	"bytes"
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

// patience is how long the suite waits for an expected event. Only a broker
// that fails reaches it.
const patience = 20 * time.Second

// delivery is a message as a handler saw it.
type delivery struct {
	channel string
	binary  bool
	origin  string
	key     string
	payload string
	// volatile is that of the envelope.
	volatile bool
	// position is zero unless the message is kept.
	position cluster.Position
	// description holds kind and exceptions; it is empty if they are the usual
	// ones.
	description string
}

// recorder is the handler of one broker under test.
type recorder struct {
	yields int // how often Deliver yields the processor; makes a handler slow

	mu         sync.Mutex // guards the rest
	delivered  []delivery
	inside     map[string]bool
	overlapped bool         // two calls at a time for one channel
	congested  map[int]bool // by partition
	repeated   bool         // Congested did not alternate
	changed    chan struct{}
}

var _ cluster.Handler = (*recorder)(nil)

func newRecorder(yields int) *recorder {
	return &recorder{
		yields:    yields,
		inside:    make(map[string]bool),
		congested: make(map[int]bool),
		changed:   make(chan struct{}),
	}
}

func (r *recorder) Deliver(channel string, env *cluster.Envelope) {
	r.mu.Lock()
	if r.inside[channel] {
		r.overlapped = true
	}
	r.inside[channel] = true
	r.mu.Unlock()

	got := delivery{
		channel: channel, binary: env.Binary, origin: env.Origin, key: env.Key, payload: string(env.Payload),
		volatile: env.Volatile, position: env.Position,
	}
	if env.Kind == cluster.EnvelopeControl || len(env.Except) > 0 {
		got.description = describe(env)
	}
	for range r.yields {
		runtime.Gosched()
	}
	if !bytes.Equal(env.Payload, []byte(got.payload)) {
		got.payload = "changed during the call"
	}

	r.mu.Lock()
	r.inside[channel] = false
	r.delivered = append(r.delivered, got)
	r.notify()
	r.mu.Unlock()
}

func (r *recorder) Congested(partition int, congested bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.congested[partition] == congested {
		r.repeated = true
	}
	r.congested[partition] = congested
	r.notify()
}

// notify wakes the goroutines in await. It is called with mu held.
func (r *recorder) notify() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// await waits until done, which is called with mu held, and reports whether it
// returned true.
func (r *recorder) await(done func() bool) bool {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		r.mu.Lock()
		reached, changed := done(), r.changed
		r.mu.Unlock()
		if reached {
			return true
		}
		select {
		case <-changed:
		case <-deadline.C:
			return false
		}
	}
}

// on returns the payloads delivered on a channel so far.
func (r *recorder) on(channel string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.onLocked(channel)
}

func (r *recorder) onLocked(channel string) []string {
	var payloads []string
	for _, d := range r.delivered {
		if d.channel == channel {
			payloads = append(payloads, d.payload)
		}
	}
	return payloads
}

// count is the number of deliveries so far.
func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.delivered)
}

// awaitCount waits for a number of deliveries in total.
func (r *recorder) awaitCount(t testing.TB, count int) {
	t.Helper()
	if !r.await(func() bool { return len(r.delivered) >= count }) {
		t.Fatalf("%d messages delivered, want %d", r.count(), count)
	}
}

// awaitPayload waits until a payload was delivered on a channel.
func (r *recorder) awaitPayload(t testing.TB, channel, payload string) {
	t.Helper()
	found := r.await(func() bool {
		for _, d := range r.delivered {
			if d.channel == channel && d.payload == payload {
				return true
			}
		}
		return false
	})
	if !found {
		t.Fatalf("message %q was not delivered on %q; delivered there: %q", payload, channel, r.on(channel))
	}
}

// node is one broker of the cluster under test with its handler.
type node struct {
	cluster.Broker
	*recorder
}

// publish publishes as a node does, and waits while the channel's partition is
// congested. It may be called from any goroutine.
func (n *node) publish(t testing.TB, channel string, env *cluster.Envelope) {
	t.Helper()
	partition := 0
	if p, ok := n.Broker.(cluster.Partitioned); ok {
		partition = p.Partition(channel)
	}
	if !n.await(func() bool { return !n.congested[partition] }) {
		t.Errorf("partition %d stays congested", partition)
		return
	}
	if err := n.Publish(channel, env); err != nil {
		t.Errorf("Publish(%q) = %v, want nil", channel, err)
	}
}

func (n *node) publishText(t testing.TB, channel, payload string) {
	t.Helper()
	n.publish(t, channel, &cluster.Envelope{Payload: []byte(payload)})
}

func (n *node) subscribe(t testing.TB, channels ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.Subscribe(ctx, channels...); err != nil {
		t.Fatalf("Subscribe(%q) = %v, want nil", channels, err)
	}
}

func (n *node) unsubscribe(t testing.TB, channels ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.Unsubscribe(ctx, channels...); err != nil {
		t.Fatalf("Unsubscribe(%q) = %v, want nil", channels, err)
	}
}
