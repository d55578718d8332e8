package redisbroker_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// silentPair is two nodes that know each other, the second one behind a proxy.
// Only the test publishes.
func silentPair(t *testing.T, channel string, config redisbroker.Config) (
	proxies [2]*redistest.Proxy, nodes [2]*redisbroker.Broker, ledgers [2]*ledger, client *redis.Client,
) {
	t.Helper()
	server := redistest.Start(t)
	for i := range nodes {
		proxies[i] = redistest.StartProxy(t, server)
		ledgers[i] = newLedger()
		config.Servers, config.NodeID = []string{proxies[i].URL()}, "node"+string(rune('0'+i))
		nodes[i] = startBroker(t, config, ledgers[i])
		if err := nodes[i].Subscribe(t.Context(), channel); err != nil {
			t.Fatalf("Subscribe = %v, want nil", err)
		}
	}
	for _, b := range nodes {
		testkit.Eventually(t, "the nodes know each other", func() bool { return len(b.Nodes()) == len(nodes) })
	}
	return proxies, nodes, ledgers, foreignClient(t, server)
}

// awaitSubscriptions waits until the server counts as many subscriptions of the
// cluster's channel, which is the last one of a connection.
func awaitSubscriptions(t *testing.T, client *redis.Client, want int64) {
	t.Helper()
	testkit.Eventually(t, "the nodes have subscribed", func() bool {
		n, err := client.PubSubNumSub(t.Context(), "stoa:"+redisbroker.ClusterChannel).Result()
		return err == nil && n["stoa:"+redisbroker.ClusterChannel] == want
	})
}

// TestSilentSubscriptionIsReadToItsEnd: a subscription that is silent for a
// while loses nothing, although its successor was ready.
func TestSilentSubscriptionIsReadToItsEnd(t *testing.T) {
	channel := rooms(1)[0]
	proxies, nodes, ledgers, client := silentPair(t, channel, redisbroker.Config{ProbeInterval: 2 * time.Second})
	publishAcknowledged(t, nodes[0], channel, 0, 100)
	proxies[1].Stall()
	publishAcknowledged(t, nodes[0], channel, 100, 200)
	awaitSubscriptions(t, client, 3)
	publishAcknowledged(t, nodes[0], channel, 200, 300)
	proxies[1].Heal()
	testkit.EventuallyWithin(t, "the stalled node has everything", patience, func() bool { return ledgers[1].count() == 300 })
	awaitSubscriptions(t, client, 2)
	publishAcknowledged(t, nodes[0], channel, 300, 400)
	for i, l := range ledgers {
		testkit.Eventually(t, "the last messages arrive", func() bool { return l.count() == 400 })
		l.expectAll(t, "the node", map[string]int{channel + " publisher": 400})
		if stats := nodes[i].Stats().Servers[0]; stats.Gaps != 0 {
			t.Errorf("node %d: %d gaps, want none", i, stats.Gaps)
		}
	}
}

// TestDeadSubscriptionIsReplaced: messages that are published after the
// successor was ready arrive, in order and once.
func TestDeadSubscriptionIsReplaced(t *testing.T) {
	channel := rooms(1)[0]
	proxies, nodes, ledgers, client := silentPair(t, channel, redisbroker.Config{})
	publishAcknowledged(t, nodes[0], channel, 0, 100)
	testkit.Eventually(t, "the first messages arrive", func() bool { return ledgers[1].count() == 100 })
	proxies[1].Stall()
	awaitSubscriptions(t, client, 3)
	publishAcknowledged(t, nodes[0], channel, 100, 300)
	testkit.EventuallyWithin(t, "the successor delivers", patience, func() bool { return ledgers[1].count() == 300 })
	for _, l := range ledgers {
		l.expectAll(t, "the node", map[string]int{channel + " publisher": 300})
	}
	if stats := nodes[1].Stats().Servers[0]; stats.Gaps != 1 {
		t.Errorf("%d gaps, want 1", stats.Gaps)
	}
	if lost := ledgers[1].lost(); len(lost) != 1 || lost[0] != 100 {
		t.Errorf("SubscriptionLost after %d messages, want once after the 100 of the dead connection", lost)
	}
	if lost := ledgers[0].lost(); len(lost) != 0 {
		t.Errorf("SubscriptionLost after %d messages on the other node, want no call", lost)
	}
	awaitSubscriptions(t, client, 2) // the server has ended the dead one
	// Another one, to see that the successor is watched as well.
	proxies[1].Stall()
	awaitSubscriptions(t, client, 3)
	publishAcknowledged(t, nodes[0], channel, 300, 400)
	testkit.EventuallyWithin(t, "the next successor delivers", patience, func() bool { return ledgers[1].count() == 400 })
	ledgers[1].expectAll(t, "the node", map[string]int{channel + " publisher": 400})
}

// TestReserveIsFull: a reserve that may hold only a few messages takes over,
// and delivers those that wait at the server, too.
func TestReserveIsFull(t *testing.T) {
	channel := rooms(1)[0]
	proxies, nodes, ledgers, client := silentPair(t, channel, redisbroker.Config{QueueBytes: 10_000})
	proxies[1].Stall()
	awaitSubscriptions(t, client, 3)
	const batches, size = 50, 20
	for i := range batches {
		publishAcknowledged(t, nodes[0], channel, size*i, size*(i+1))
	}
	testkit.EventuallyWithin(t, "the successor delivers", patience, func() bool { return ledgers[1].count() == batches*size })
	ledgers[1].expectAll(t, "the node", map[string]int{channel + " publisher": batches * size})
}

// TestAllSubscriptionsSilent: all nodes lose their connections for a while, and
// new ones work before the old ones do. Nothing is lost, and the order is kept.
func TestAllSubscriptionsSilent(t *testing.T) {
	const count = 3
	server := redistest.Start(t)
	var proxies []*redistest.Proxy
	var configs []redisbroker.Config
	for range count {
		proxies = append(proxies, redistest.StartProxy(t, server))
		configs = append(configs, redisbroker.Config{
			Servers: []string{proxies[len(proxies)-1].URL()}, ProbeInterval: 2 * time.Second, FlushWait: patience,
		})
	}
	f := startTraffic(t, rooms(2), configs...)
	f.run(t, 500)
	client := foreignClient(t, server)
	for _, proxy := range proxies {
		proxy.Stall()
	}
	awaitSubscriptions(t, client, 2*count)
	for _, proxy := range proxies {
		proxy.Heal()
	}
	f.run(t, 1000)
	f.expectNothingLost(t)
}

// TestSuccessorSubscribesAsNow: channels that were subscribed or unsubscribed
// while the successor took over are so with it, too.
func TestSuccessorSubscribesAsNow(t *testing.T) {
	channels := rooms(3)
	proxies, nodes, ledgers, client := silentPair(t, channels[0], redisbroker.Config{})
	if err := nodes[1].Subscribe(t.Context(), channels[1]); err != nil {
		t.Fatalf("Subscribe = %v, want nil", err)
	}
	proxies[1].Stall()
	awaitSubscriptions(t, client, 3)
	subscribed := make(chan error, 1)
	go func() { subscribed <- nodes[1].Subscribe(t.Context(), channels[2]) }()
	if err := nodes[1].Unsubscribe(t.Context(), channels[1]); err != nil {
		t.Errorf("Unsubscribe = %v, want nil", err)
	}
	if err := <-subscribed; err != nil {
		t.Fatalf("Subscribe = %v, want nil", err)
	}
	publishAcknowledged(t, nodes[0], channels[1], 0, 1)
	publishAcknowledged(t, nodes[0], channels[2], 0, 1)
	publishAcknowledged(t, nodes[0], channels[0], 0, 1)
	testkit.EventuallyWithin(t, "the messages arrive", patience, func() bool { return ledgers[1].count() >= 2 })
	ledgers[1].expectAll(t, "the node", map[string]int{
		channels[0] + " publisher": 1, channels[1] + " publisher": 0, channels[2] + " publisher": 1,
	})
	name := "stoa:" + channels[1]
	testkit.Eventually(t, "the channel is unsubscribed at the server, too", func() bool {
		return client.PubSubNumSub(t.Context(), name).Val()[name] == 0
	})
}

// TestEveryReplacedSubscriptionEnds: a subscription may be replaced before the
// server has ended the one before, whose channels it would count for minutes.
func TestEveryReplacedSubscriptionEnds(t *testing.T) {
	server := redistest.Start(t)
	b := startBroker(t, redisbroker.Config{Servers: []string{server.URL()}, NodeID: "node"}, newLedger())
	var replaced []redisbroker.Trace
	var alive []func() bool
	for range 3 {
		trace, answers, end, err := redisbroker.Introduce(t.Context(), server.URL(), "replaced", redisbroker.Trace{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(end)
		replaced, alive = append(replaced, trace), append(alive, answers)
	}
	b.Replace(replaced...)
	for i, answers := range alive {
		testkit.Eventually(t, "the server has ended connection "+string(rune('0'+i)), func() bool { return !answers() })
	}
}

// slowHandler does not return from Deliver until it is released.
type slowHandler struct{ called, release chan struct{} }

func (h slowHandler) Deliver(string, *cluster.Envelope) {
	h.called <- struct{}{}
	<-h.release
}

func (slowHandler) Congested(int, bool) {}

// TestSlowHandlerIsNotSilence: while a handler takes long, nothing is read. The
// server is not silent for that, and the subscription is not replaced.
func TestSlowHandlerIsNotSilence(t *testing.T) {
	server := redistest.Start(t)
	h := slowHandler{called: make(chan struct{}), release: make(chan struct{})}
	b := startBroker(t, redisbroker.Config{Servers: []string{server.URL()}, NodeID: "node"}, h)
	if err := b.Subscribe(t.Context(), "r:chat:lobby"); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish("r:chat:lobby", &cluster.Envelope{}); err != nil {
		t.Fatal(err)
	}
	<-h.called
	probes := b.Stats().Servers[0].Published
	testkit.Eventually(t, "many intervals pass", func() bool { return b.Stats().Servers[0].Published > probes+8 })
	name := "stoa:" + redisbroker.ClusterChannel
	if n := foreignClient(t, server).PubSubNumSub(t.Context(), name).Val()[name]; n != 1 {
		t.Errorf("%d subscriptions of the node, want 1: no successor is looked for", n)
	}
	close(h.release)
	testkit.Eventually(t, "the node is ready", func() bool { return b.Ready(t.Context()) == nil })
	if stats := b.Stats().Servers[0]; stats.Gaps != 0 {
		t.Errorf("%d gaps, want none", stats.Gaps)
	}
}

// TestPublishingWaitsForSubscriptionsThatStay: after an outage of two nodes the
// first one that is back does not publish into the dead subscription of the
// other one, which the server still counts.
func TestPublishingWaitsForSubscriptionsThatStay(t *testing.T) {
	channel := rooms(1)[0]
	proxies, nodes, ledgers, client := silentPair(t, channel, redisbroker.Config{FlushWait: patience})
	publishAcknowledged(t, nodes[0], channel, 0, 100)
	testkit.Eventually(t, "the first messages arrive", func() bool { return ledgers[1].count() == 100 })
	proxies[1].Cut()
	proxies[0].Break()
	outcome := make(chan error, 1)
	testkit.Eventually(t, "the connections of the first node are new", func() bool {
		s := nodes[0].Stats().Servers[0]
		return s.Up && s.PublisherReconnects > 0 && s.SubscriberReconnects > 0
	})
	go func() {
		publishAcknowledged(t, nodes[0], channel, 100, 200)
		outcome <- nil
	}()
	if n := client.PubSubNumSub(t.Context(), "stoa:"+channel).Val()["stoa:"+channel]; n != 2 {
		t.Fatalf("%d subscriptions of the channel, want 2: the dead one must still be there", n)
	}
	select {
	case <-outcome:
		t.Error("the first node published before the other one was back")
	case <-time.After(time.Second): // many round trips
	}
	proxies[1].Break()
	proxies[1].Heal()
	testkit.EventuallyWithin(t, "the other node has everything", patience, func() bool { return ledgers[1].count() == 200 })
	ledgers[1].expectAll(t, "the other node", map[string]int{channel + " publisher": 200})
	if stats := nodes[0].Stats().Servers[0]; stats.FlushTimeouts != 0 {
		t.Errorf("%d flush timeouts, want none", stats.FlushTimeouts)
	}
}

// TestInterrupted: while the subscription is silent, and until it is restored,
// the node says so, and a Subscribe of a channel that it had waits.
func TestInterrupted(t *testing.T) {
	channel := rooms(1)[0]
	proxies, nodes, ledgers, _ := silentPair(t, channel, redisbroker.Config{})
	b := nodes[1]
	testkit.Eventually(t, "not interrupted", func() bool { return !b.Interrupted(0) })
	for _, interrupt := range []func(){proxies[1].Cut, func() { proxies[1].Cut(); proxies[1].Break() }} {
		before := ledgers[1].count()
		interrupt()
		testkit.Eventually(t, "interrupted", func() bool { return b.Interrupted(0) })
		subscribed := make(chan error, 1)
		go func() { subscribed <- b.Subscribe(t.Context(), channel) }()
		select {
		case err := <-subscribed:
			t.Fatalf("Subscribe = %v before the connection was back", err)
		case <-time.After(100 * time.Millisecond): // it would return at once
		}
		proxies[1].Heal()
		if err := <-subscribed; err != nil {
			t.Fatalf("Subscribe = %v, want nil", err)
		}
		publishAcknowledged(t, nodes[0], channel, before, before+10)
		testkit.Eventually(t, "later messages arrive", func() bool { return ledgers[1].count() == before+10 })
		testkit.Eventually(t, "not interrupted", func() bool { return !b.Interrupted(0) })
	}
}

// TestJoinReliesOnSignsOfLife: a join relies on a subscription for a moment
// after a sign of life. If the process was stopped, messages that arrived in
// the meantime are no such sign.
func TestJoinReliesOnSignsOfLife(t *testing.T) {
	node, err := redisbroker.NewAsleep(redisbroker.Config{Servers: []string{"redis://127.0.0.1:1"}, ProbeInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	s := node.Subscribe()
	expect := func(step string, want bool) {
		t.Helper()
		if got := s.Interrupted(); got != want {
			t.Errorf("%s: interrupted %v, want %v", step, got, want)
		}
	}
	expect("at first", false)
	node.Wait(7 * time.Minute)
	expect("a moment later", false)
	node.Wait(time.Minute)
	expect("after an eighth of the interval", true)
	s.Receive()
	expect("after a message", false)
	s.Check()
	if s.Pong() {
		t.Error("a ping is due although the process was not stopped")
	}
	node.Wait(time.Hour)
	s.Receive()
	expect("when the process continues", true)
	s.Check()
	s.Receive()
	expect("before the answer to a ping", true)
	if !s.Pong() {
		t.Error("no ping is due")
	}
	expect("after it", false)
}
