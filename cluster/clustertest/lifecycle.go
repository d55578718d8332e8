package clustertest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stoa-io/stoa/cluster"
)

// calls are the methods that need a running broker.
var calls = []struct {
	name string
	call func(ctx context.Context, b cluster.Broker) error
}{
	{"Publish", func(_ context.Context, b cluster.Broker) error {
		return b.Publish("r:chat:lobby", &cluster.Envelope{Payload: []byte("x")})
	}},
	{"Subscribe", func(ctx context.Context, b cluster.Broker) error { return b.Subscribe(ctx, "r:chat:lobby") }},
	{"Unsubscribe", func(ctx context.Context, b cluster.Broker) error { return b.Unsubscribe(ctx, "r:chat:lobby") }},
	{"Ready", func(ctx context.Context, b cluster.Broker) error { return b.Ready(ctx) }},
}

func (s *suite) ready(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i, n := range s.start(t, 0) {
		if err := n.Ready(ctx); err != nil {
			t.Errorf("Ready of broker %d = %v, want nil", i, err)
		}
	}
}

func (s *suite) notStarted(t *testing.T) {
	for _, b := range s.factory(t) {
		for _, c := range calls {
			expectError(t, c.name+" before Start", c.call(t.Context(), b), cluster.ErrNotStarted)
		}
		expectError(t, "Close before Start", b.Close(t.Context()), nil)
		expectError(t, "Start after Close", b.Start(t.Context(), newRecorder(0)), cluster.ErrClosed)
	}
}

func (s *suite) startTwice(t *testing.T) {
	nodes := s.start(t, 0)
	other := newRecorder(0)
	expectError(t, "second Start", nodes[0].Start(t.Context(), other), cluster.ErrStarted)
	nodes[0].subscribe(t, "r:chat:lobby")
	nodes[0].publishText(t, "r:chat:lobby", "x")
	nodes[0].awaitPayload(t, "r:chat:lobby", "x")
	if other.count() != 0 {
		t.Errorf("the handler of the second Start got %d messages, want 0", other.count())
	}
}

func (s *suite) close(t *testing.T) {
	nodes := s.start(t, 0)
	n := nodes[0]
	n.subscribe(t, "r:chat:lobby")
	expectError(t, "Close", n.Close(t.Context()), nil)
	expectError(t, "second Close", n.Close(t.Context()), nil)
	for _, c := range calls {
		expectError(t, c.name+" after Close", c.call(t.Context(), n.Broker), cluster.ErrClosed)
	}
	expectError(t, "Start after Close", n.Start(t.Context(), newRecorder(0)), cluster.ErrClosed)
	if n.count() != 0 {
		t.Errorf("%d messages delivered, want 0", n.count())
	}
	for i, other := range nodes[1:] {
		expectError(t, "Ready of another broker", other.Ready(t.Context()), nil)
		other.subscribe(t, "r:chat:lobby")
		other.publishText(t, "r:chat:lobby", "x")
		other.awaitPayload(t, "r:chat:lobby", "x")
		if n.count() != 0 {
			t.Errorf("the closed broker delivered what broker %d published", i+1)
		}
	}
}

// closeUnderLoad closes while goroutines publish and subscribe: all of them
// must end with ErrClosed, and no delivery may follow.
func (s *suite) closeUnderLoad(t *testing.T) {
	n := s.start(t, 1)[0]
	n.subscribe(t, "r:chat:lobby")
	var users sync.WaitGroup
	for range 3 {
		users.Go(func() { useUntilClosed(t, n) })
	}
	n.awaitCount(t, 10)
	expectError(t, "Close", n.Close(t.Context()), nil)
	after := n.count()
	users.Wait()
	if n.count() != after {
		t.Errorf("%d messages delivered after Close returned, want 0", n.count()-after)
	}
}

func useUntilClosed(t testing.TB, n *node) {
	for {
		err := n.Publish("r:chat:lobby", &cluster.Envelope{Payload: []byte("x")})
		if errors.Is(err, cluster.ErrQueueFull) {
			err = nil
		}
		if err == nil {
			err = n.Subscribe(t.Context(), "r:chat:other")
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, cluster.ErrClosed) {
			t.Errorf("a call that Close interrupted = %v, want %v", err, cluster.ErrClosed)
		}
		return
	}
}

func (s *suite) canceledContext(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, b := range s.factory(t) {
		expectError(t, "Start with a canceled context", b.Start(canceled, newRecorder(0)), context.Canceled)
		expectError(t, "Close after a Start that failed", b.Close(t.Context()), nil)
	}
	n := s.start(t, 0)[0]
	for _, c := range calls {
		if c.name == "Publish" {
			continue // takes no context
		}
		expectError(t, c.name+" with a canceled context", c.call(canceled, n.Broker), context.Canceled)
	}
	n.subscribe(t, "r:chat:lobby")
	n.publishText(t, "r:chat:lobby", "x")
	n.awaitPayload(t, "r:chat:lobby", "x")
	if err := n.Close(canceled); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Close with a canceled context = %v, want nil or %v", err, context.Canceled)
	}
	for _, c := range calls {
		expectError(t, c.name+" after Close", c.call(t.Context(), n.Broker), cluster.ErrClosed)
	}
}

func expectError(t testing.TB, operation string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s = %v, want %v", operation, got, want)
	}
}
