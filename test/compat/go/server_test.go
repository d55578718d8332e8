package compat_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stoa-io/stoa/node"
)

const (
	namespace = "default"
	oddName   = "semi;colon; στοά"
)

// server is a node on a port of its own.
type server struct {
	node   *node.Node
	served chan error
}

// startServer starts a node and closes it at the end of the test, unless the test
// has closed it.
func startServer(t testing.TB, transport node.Transport, address string) *server {
	t.Helper()
	return startConfigured(t, address, node.Config{
		Transport: transport,
		Namespaces: map[string]node.NamespaceOptions{
			namespace: {Relay: node.RelayRooms | node.RelayNamespace},
			oddName:   {Relay: node.RelayRooms},
		},
	})
}

func startConfigured(t testing.TB, address string, config node.Config) *server {
	t.Helper()
	n, err := node.New(config)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	if err := n.Listen("tcp", address); err != nil {
		t.Fatalf("Listen on %s: %v", address, err)
	}
	s := &server{node: n, served: make(chan error, 1)}
	go func() { s.served <- n.Serve() }()
	t.Cleanup(func() { s.close(t) })
	return s
}

func (s *server) address() string  { return s.node.Addr().String() }
func (s *server) url() string      { return "ws://" + s.address() + "/ws" }
func (s *server) id() string       { return s.node.ID() }
func (s *server) connections() int { return s.node.Stats().Connections }

// close closes the node at once. For clients it looks like a crash.
func (s *server) close(t testing.TB) {
	t.Helper()
	if s.served == nil {
		return
	}
	if err := s.node.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	s.wait(t)
}

// shutdown drains the node.
func (s *server) shutdown(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if err := s.node.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	s.wait(t)
}

func (s *server) wait(t testing.TB) {
	t.Helper()
	select {
	case err := <-s.served:
		if !errors.Is(err, node.ErrClosed) {
			t.Errorf("Serve returned %v, want ErrClosed", err)
		}
	case <-time.After(deadline):
		t.Error("Serve has not returned")
	}
	s.served = nil
}

// eachTransport runs a test over both transports.
func eachTransport(t *testing.T, test func(t *testing.T, transport node.Transport)) {
	for _, transport := range []node.Transport{node.TransportAuto, node.TransportBlocking} {
		t.Run(transport.String(), func(t *testing.T) { test(t, transport) })
	}
}
