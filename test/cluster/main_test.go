package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

const (
	patience = testkit.Patience
	// namespace is where the clients of these tests are: the one that the
	// program has.
	namespace = "default"
)

func TestMain(m *testing.M) {
	if os.Getenv(herdVariable) != "" {
		runHerd(os.Stdin, os.Stdout)
		return
	}
	os.Exit(testkit.Run(m, os.Stderr))
}

// testNode is a node with its broker.
type testNode struct {
	*node.Node
	broker *redisbroker.Broker
}

// nodeOptions are the differences between the nodes of a test.
type nodeOptions struct {
	id     string
	redis  redisbroker.Config
	change func(*node.Config)
	relay  node.RelayHandler // of all messages; nil: none
}

// startNode serves a node that relays and broadcasts on a free port until the
// test ends.
func startNode(t testing.TB, o nodeOptions) *testNode {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(testWriter{t}, nil))
	o.redis.NodeID, o.redis.Logger = o.id, logger
	broker, err := redisbroker.New(o.redis)
	if err != nil {
		t.Fatal(err)
	}
	config := node.Config{
		ID: o.id, Loops: 2, Broker: broker, Logger: logger,
		Namespaces: make(map[string]node.NamespaceOptions), // further ones
		Limits:     node.Limits{DrainPerSecond: -1},
	}
	if o.change != nil {
		o.change(&config)
	}
	made, err := node.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ns := made.Namespace(namespace, node.NamespaceOptions{Relay: node.RelayRooms | node.RelayNamespace | node.RelayAsks})
	if o.relay != nil {
		ns.OnAnyRelay(o.relay)
	}
	n := &testNode{Node: made, broker: broker}
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := n.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown of node %s = %v, want nil", n.ID(), err)
		}
		if err := <-served; !errors.Is(err, node.ErrClosed) {
			t.Errorf("Serve of node %s = %v, want ErrClosed", n.ID(), err)
		}
	})
	testkit.Eventually(t, "node "+n.ID()+" is ready", func() bool { return n.Ready(t.Context()) == nil })
	return n
}

// startNodes starts nodes n0, n1 and so on with the same configuration, and
// returns when all know each other.
func startNodes(t testing.TB, count int, config redisbroker.Config) []*testNode {
	t.Helper()
	nodes := make([]*testNode, count)
	for i := range nodes {
		nodes[i] = startNode(t, nodeOptions{id: "n" + strconv.Itoa(i), redis: config})
	}
	awaitMembers(t, nodes, count)
	return nodes
}

// awaitMembers waits until every node knows so many.
func awaitMembers(t testing.TB, nodes []*testNode, count int) {
	t.Helper()
	for _, n := range nodes {
		testkit.Eventually(t, fmt.Sprintf("node %s knows %d nodes", n.ID(), count), func() bool {
			return len(n.broker.Nodes()) == count
		})
	}
}

// outage lets an injected fault last.
func outage(period time.Duration) { <-time.After(period) }

// testWriter writes to the test's log.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Logf("%s %s", time.Now().Format("05.000"), line)
	return len(line), nil
}
