package node_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stoa-io/stoa/cluster/clustertest"
	"github.com/stoa-io/stoa/node"
)

func TestShutdownBeforeServe(t *testing.T) {
	for _, c := range []struct {
		name   string
		listen bool
		end    func(n *node.Node) error
	}{
		{"Shutdown of a new node", false, func(n *node.Node) error { return n.Shutdown(context.Background()) }},
		{"Close of a new node", false, (*node.Node).Close},
		{"Shutdown of a listening node", true, func(n *node.Node) error { return n.Shutdown(context.Background()) }},
		{"Close of a listening node", true, (*node.Node).Close},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t, nil)
			var waiting *peer
			if c.listen {
				if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
					t.Fatal(err)
				}
				waiting = connectTCP(t, n)
			}
			if err := n.Ready(context.Background()); !errors.Is(err, node.ErrNotServing) {
				t.Errorf("Ready: %v, want ErrNotServing", err)
			}
			if err := c.end(n); err != nil {
				t.Error(err)
			}
			if waiting != nil {
				waiting.expectEnd()
			}
			if err := n.Serve(); !errors.Is(err, node.ErrClosed) {
				t.Errorf("Serve: %v, want ErrClosed", err)
			}
			if err := n.Listen("tcp", "127.0.0.1:0"); !errors.Is(err, node.ErrClosed) {
				t.Errorf("Listen: %v, want ErrClosed", err)
			}
			if s := n.Stats(); s.Connections != 0 || s.Accepted != 0 {
				t.Errorf("Stats: %+v, want nothing", s)
			}
			if err := c.end(n); err != nil {
				t.Errorf("the second time: %v", err)
			}
		})
	}
}

func TestServeNeedsListen(t *testing.T) {
	n := newNode(t, nil)
	if err := n.Serve(); !errors.Is(err, node.ErrNotListening) {
		t.Errorf("Serve: %v, want ErrNotListening", err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

// Shutdown, Close and Serve may all be called at the same time.
func TestServeAndShutdownTogether(t *testing.T) {
	for range 50 {
		n := newNode(t, nil)
		if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		var calls sync.WaitGroup
		calls.Go(func() {
			if err := n.Serve(); !errors.Is(err, node.ErrClosed) {
				t.Errorf("Serve: %v, want ErrClosed", err)
			}
		})
		for range 2 {
			calls.Go(func() {
				if err := n.Shutdown(context.Background()); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
			})
		}
		calls.Go(func() { n.Stats() })
		calls.Go(func() {
			if err := n.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		calls.Wait()
	}
}

// The broker is closed after the connections, with the rest of the context's
// time.
func TestShutdownEndsBroker(t *testing.T) {
	faulty := clustertest.NewFaulty(newMemory())
	n := startNode(t, func(cfg *node.Config) { cfg.Broker = faulty })
	p := join(t, n, "default", "r")
	go answerClose(p)
	if err := faulty.Ready(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := n.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := faulty.Ready(context.Background()); err == nil {
		t.Error("the broker still runs after Shutdown")
	}
}

// A broker that does not start makes Serve fail; Close still cleans up.
func TestBrokerDoesNotStart(t *testing.T) {
	broker := newMemory()
	if err := broker.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	n := newNode(t, func(cfg *node.Config) { cfg.Broker = broker })
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if err := n.Serve(); err == nil || errors.Is(err, node.ErrClosed) {
		t.Errorf("Serve: %v, want the broker's error", err)
	}
	if err := n.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
