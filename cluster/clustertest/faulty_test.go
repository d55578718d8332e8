package clustertest_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/clustertest"
)

// notice is one call of Congested.
type notice struct {
	partition int
	congested bool
}

// congestion records the calls of Congested.
type congestion struct {
	calls []notice
}

func (c *congestion) Deliver(string, *cluster.Envelope) {}

func (c *congestion) Congested(partition int, congested bool) {
	c.calls = append(c.calls, notice{partition, congested})
}

func TestFaulty(t *testing.T) {
	broken := errors.New("broken")
	f := clustertest.NewFaulty(cluster.NewMemory(cluster.MemoryConfig{}))
	var c congestion
	f.Congest(1, true)
	if err := f.Start(t.Context(), &c); err != nil {
		t.Fatal(err)
	}
	f.Congest(1, true)
	f.Congest(1, false)
	if want := []notice{{1, true}, {1, false}}; !slices.Equal(c.calls, want) {
		t.Errorf("Congested was called with %v, want %v", c.calls, want)
	}
	for name, call := range map[string]func() error{
		"Publish":     func() error { return f.Publish("n:chat", &cluster.Envelope{}) },
		"Subscribe":   func() error { return f.Subscribe(t.Context(), "n:chat") },
		"Unsubscribe": func() error { return f.Unsubscribe(t.Context(), "n:chat") },
		"Ready":       func() error { return f.Ready(t.Context()) },
	} {
		f.Set(clustertest.Faults{Publish: broken, Subscribe: broken, Unsubscribe: broken, Ready: broken})
		if err := call(); !errors.Is(err, broken) {
			t.Errorf("%s with a fault = %v, want %v", name, err, broken)
		}
		f.Set(clustertest.Faults{})
		if err := call(); err != nil {
			t.Errorf("%s without faults = %v, want nil", name, err)
		}
	}
	if err := f.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
