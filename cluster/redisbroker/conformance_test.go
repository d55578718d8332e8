package redisbroker_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/clustertest"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
)

// patience is how long tests wait for an expected event.
const patience = 30 * time.Second

// newBroker makes a broker that is not started. It probes often, so that tests
// are fast.
func newBroker(t testing.TB, config redisbroker.Config) *redisbroker.Broker {
	t.Helper()
	if config.ProbeInterval == 0 {
		config.ProbeInterval = 200 * time.Millisecond
	}
	if config.RetryMax == 0 {
		config.RetryMax = 200 * time.Millisecond
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.NewTextHandler(testWriter{t}, nil))
	}
	b, err := redisbroker.New(config)
	if err != nil {
		t.Fatalf("New = %v, want nil", err)
	}
	return b
}

// testWriter writes to the test's log.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Logf("%s %s", time.Now().Format("05.000"), line)
	return len(line), nil
}

// startBroker makes a broker and starts it; it is closed after the test.
func startBroker(t testing.TB, config redisbroker.Config, handler cluster.Handler) *redisbroker.Broker {
	t.Helper()
	b := newBroker(t, config)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.Start(ctx, handler); err != nil {
		t.Fatalf("Start = %v, want nil", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("Close = %v, want nil", err)
		}
	})
	return b
}

func TestConformance(t *testing.T) {
	for _, c := range []struct {
		name    string
		servers int
		nodes   int
		socket  bool
	}{
		{"one node over a socket", 1, 1, true},
		{"three nodes", 1, 3, false},
		{"two nodes on two servers", 2, 2, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var urls []string
			for range c.servers {
				if c.socket {
					urls = append(urls, startOnSocket(t))
					continue
				}
				urls = append(urls, redistest.Start(t).URL())
			}
			clusters := 0
			clustertest.Run(t, func(t testing.TB) []cluster.Broker {
				clusters++
				var brokers []cluster.Broker
				for range c.nodes {
					brokers = append(brokers, newBroker(t, redisbroker.Config{
						Servers: urls,
						// A new name for every check separates it from the
						// previous one.
						Cluster: fmt.Sprint("conformance", clusters),
					}))
				}
				return brokers
			})
		})
	}
}

// startOnSocket starts a server, and returns the URL of its Unix socket.
func startOnSocket(t testing.TB) string {
	t.Helper()
	// The path of a socket is short, and t.TempDir is not.
	directory, err := os.MkdirTemp("", "stoa")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	path := filepath.Join(directory, "redis.sock")
	redistest.Start(t, "--unixsocket", path, "--requirepass", "se/cret")
	return "unix://:se%2Fcret@" + path
}
