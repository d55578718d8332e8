package clustertest

import (
	"context"
	"testing"

	"github.com/stoa-io/stoa/cluster"
)

// Factory makes the brokers of a new cluster: at least one, not started.
// Messages of an earlier cluster must not reach it. The suite starts and closes
// the brokers; the factory releases other resources with t.Cleanup.
type Factory func(t testing.TB) []cluster.Broker

// Run checks that the factory's brokers keep the contract of cluster.Broker.
func Run(t *testing.T, factory Factory) {
	s := &suite{factory: factory}
	for _, check := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"Delivery", s.delivery},
		{"OnlyWhereSubscribed", s.onlyWhereSubscribed},
		{"NotBeforeSubscribe", s.notBeforeSubscribe},
		{"NotAfterUnsubscribe", s.notAfterUnsubscribe},
		{"SubscribeTwice", s.subscribeTwice},
		{"ManyChannels", s.manyChannels},
		{"AnyName", s.anyName},
		{"AnyPayload", s.anyPayload},
		{"FlagAndOrigin", s.flagAndOrigin},
		{"KindAndExcept", s.kindAndExcept},
		{"Volatile", s.volatile},
		{"PayloadReuse", s.payloadReuse},
		{"Count", s.count},
		{"Members", s.members},
		{"Order", s.order},
		{"OrderWhileOthersSubscribe", s.orderWhileOthersSubscribe},
		{"SlowHandler", s.slowHandler},
		{"HistoryOrder", s.historyOrder},
		{"HistoryFields", s.historyFields},
		{"HistoryWithoutSubscriber", s.historyWithoutSubscriber},
		{"HistoryPages", s.historyPages},
		{"HistoryNotFound", s.historyNotFound},
		{"HistoryForeign", s.historyForeign},
		{"HistoryRetention", s.historyRetention},
		{"HistoryBegin", s.historyBegin},
		{"HistoryRemoval", s.historyRemoval},
		{"HistoryCalls", s.historyCalls},
		{"Latest", s.latest},
		{"LatestOrder", s.latestOrder},
		{"LatestRetention", s.latestRetention},
		{"LatestRemoval", s.latestRemoval},
		{"Once", s.once},
		{"OnceByAll", s.onceByAll},
		{"OnceInvalid", s.onceInvalid},
		{"Ready", s.ready},
		{"NotStarted", s.notStarted},
		{"StartTwice", s.startTwice},
		{"Close", s.close},
		{"CloseUnderLoad", s.closeUnderLoad},
		{"CancelledContext", s.canceledContext},
	} {
		t.Run(check.name, check.run)
	}
}

// suite is one call of Run.
type suite struct {
	factory Factory
}

// start makes a cluster with running brokers. After the test it checks the
// invariants of every broker and closes it.
func (s *suite) start(t *testing.T, yields int) []*node {
	t.Helper()
	brokers := s.factory(t)
	if len(brokers) == 0 {
		t.Fatal("the factory made no broker")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	nodes := make([]*node, len(brokers))
	for i, b := range brokers {
		nodes[i] = &node{Broker: b, recorder: newRecorder(yields)}
		t.Cleanup(func() { nodes[i].finish(t) })
		if err := b.Start(ctx, nodes[i].recorder); err != nil {
			t.Fatalf("Start of broker %d = %v, want nil", i, err)
		}
	}
	return nodes
}

// finish closes the broker and checks the records of its handler.
func (n *node) finish(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		t.Errorf("Close = %v, want nil", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.overlapped {
		t.Error("Deliver was called for a channel during another call for it, want one at a time")
	}
	if n.repeated {
		t.Error("Congested was called twice with the same value for a partition, want alternating ones beginning with true")
	}
}
