package redisbroker_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

func rooms(count int) []string {
	var channels []string
	for i := range count {
		channels = append(channels, cluster.RoomChannel("chat", "room "+string(rune('a'+i))))
	}
	return channels
}

// repeated returns the same configuration several times.
func repeated(count int, config redisbroker.Config) []redisbroker.Config {
	configs := make([]redisbroker.Config, count)
	for i := range configs {
		configs[i] = config
	}
	return configs
}

func TestServerKilledAndRestarted(t *testing.T) {
	server := redistest.Start(t)
	f := startTraffic(t, rooms(4), repeated(3, redisbroker.Config{Servers: []string{server.URL()}})...)
	f.run(t, 1000)
	server.Kill()
	pass(1500 * time.Millisecond)
	server.Restart()
	f.run(t, 3000)
	f.expectNothingLost(t)
}

// TestOneOfTwoServersKilled: messages still pass in the rooms of the other
// server.
func TestOneOfTwoServersKilled(t *testing.T) {
	servers := []*redistest.Server{redistest.Start(t), redistest.Start(t)}
	config := redisbroker.Config{Servers: []string{servers[0].URL(), servers[1].URL()}}
	f := startTraffic(t, rooms(8), repeated(2, config)...)
	f.run(t, 1000)
	servers[0].Kill()
	f.run(t, 2000)
	for i, b := range f.nodes {
		if err := b.Ready(t.Context()); err != nil {
			t.Errorf("Ready of node %d = %v, want nil as long as one server works", i, err)
		}
		for _, server := range b.Stats().Servers {
			if killed := server.Server == servers[0].Addr(); server.Up == killed {
				t.Errorf("node %d: up %v for %s, of which killed is %v", i, server.Up, server.Server, killed)
			}
		}
	}
	servers[0].Restart()
	f.run(t, 3000)
	f.expectNothingLost(t)
}

func TestServerPaused(t *testing.T) {
	server := redistest.Start(t)
	f := startTraffic(t, rooms(4), repeated(3, redisbroker.Config{Servers: []string{server.URL()}})...)
	f.run(t, 1000)
	server.Pause()
	pass(2500 * time.Millisecond)
	server.Resume()
	f.run(t, 3000)
	f.expectNothingLost(t)
}

// TestServerStalls pauses the server for periods around those after which
// connections are dropped.
func TestServerStalls(t *testing.T) {
	server := redistest.Start(t)
	f := startTraffic(t, rooms(4), repeated(3, redisbroker.Config{Servers: []string{server.URL()}})...)
	for range 8 {
		f.run(t, 300)
		server.Pause()
		pass(250*time.Millisecond + rand.N(300*time.Millisecond))
		server.Resume()
	}
	f.expectNothingLost(t)
}

// TestNodeCutOff cuts one node off the server. It queues its publishes, and
// misses those of the others, which it counts.
func TestNodeCutOff(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	f := startTraffic(t, rooms(2),
		redisbroker.Config{Servers: []string{server.URL()}},
		redisbroker.Config{Servers: []string{proxy.URL()}})
	f.run(t, 500)
	proxy.Cut()
	cutOff := f.nodes[1]
	testkit.EventuallyWithin(t, "the node that is cut off is not ready", 2*time.Second, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		return cutOff.Ready(ctx) != nil
	})
	if err := f.nodes[0].Ready(t.Context()); err != nil {
		t.Errorf("Ready of the other node = %v, want nil", err)
	}
	pass(time.Second)
	proxy.Break()
	proxy.Heal()
	f.run(t, 1000)
	f.end(t)
	f.report(t)
	f.ledgers[0].expectAll(t, "the other node", f.published)
	missing := f.ledgers[1].expectOrder(t, "the node that was cut off", f.published)
	stats := cutOff.Stats().Servers[0]
	if missing == 0 || stats.Gaps == 0 || stats.MissedAtMost < uint64(missing) {
		t.Errorf("%d messages missed, %d gaps, at most %d missed; want some messages, one gap and a bound that holds",
			missing, stats.Gaps, stats.MissedAtMost)
	}
	if lost := f.ledgers[1].lost(); len(lost) != int(stats.Gaps) {
		t.Errorf("SubscriptionLost was called %d times for %d gaps", len(lost), stats.Gaps)
	}
}

// TestConnectionsBroken closes all connections of one node repeatedly. Its
// messages reach the other nodes. It may miss its own messages that the server
// had acknowledged and it had not received yet, like those of other nodes.
func TestConnectionsBroken(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	f := startTraffic(t, rooms(2),
		redisbroker.Config{Servers: []string{server.URL()}},
		redisbroker.Config{Servers: []string{proxy.URL()}})
	for range 8 {
		f.run(t, 200)
		proxy.Break()
	}
	f.run(t, 200)
	f.end(t)
	f.report(t)
	f.ledgers[0].expectAll(t, "the other node", f.published)
	missing := f.ledgers[1].expectOrder(t, "the node that was cut off", f.published)
	if stats := f.nodes[1].Stats().Servers[0]; stats.Gaps == 0 || stats.MissedAtMost < uint64(missing) {
		t.Errorf("%d messages missed, %d gaps, at most %d missed; want gaps and a bound that holds",
			missing, stats.Gaps, stats.MissedAtMost)
	}
}

func TestHalfDeadSubscriberIsReplaced(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	b := startBroker(t, redisbroker.Config{Servers: []string{proxy.URL()}}, newLedger())
	proxy.Cut()
	testkit.EventuallyWithin(t, "the silent connections are given up", 2*time.Second, func() bool {
		s := b.Stats().Servers[0]
		return s.SubscriberReconnects > 0 && s.PublisherReconnects > 0
	})
	err := b.Ready(t.Context())
	if err == nil || !strings.Contains(err.Error(), "redis "+proxy.Addr()+": ") ||
		!strings.Contains(err.Error(), "not connected since") {
		t.Errorf("Ready = %v, want which connection to %s does not work and since when", err, proxy.Addr())
	}
	proxy.Heal()
	testkit.Eventually(t, "the node is ready again", func() bool { return b.Ready(t.Context()) == nil })
}

// TestServerUnreachableFromTheStart starts a node before its server.
func TestServerUnreachableFromTheStart(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	l := newLedger()
	b := startBroker(t, redisbroker.Config{Servers: []string{server.URL()}}, l)
	if err := b.Ready(t.Context()); err == nil {
		t.Error("Ready = nil without a server, want an error")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := b.Subscribe(ctx, "r:chat:lobby"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Subscribe = %v, want %v", err, context.DeadlineExceeded)
	}
	if err := b.Unsubscribe(t.Context(), "r:chat:other"); err != nil {
		t.Errorf("Unsubscribe = %v, want nil", err)
	}
	if err := b.Publish("r:chat:lobby", &cluster.Envelope{Payload: []byte("early/0")}); err != nil {
		t.Errorf("Publish = %v, want nil", err)
	}
	server.Restart()
	if err := b.Subscribe(t.Context(), "r:chat:lobby"); err != nil {
		t.Errorf("Subscribe = %v, want nil", err)
	}
	testkit.Eventually(t, "the message that waited is delivered", func() bool { return l.count() == 1 })
}

// TestCloseWhileServerUnreachable: Close waits only for accepted messages.
func TestCloseWhileServerUnreachable(t *testing.T) {
	server := redistest.Start(t)
	config := redisbroker.Config{Servers: []string{server.URL()}, ProbeInterval: 20 * time.Millisecond}
	idle, busy := startBroker(t, config, newLedger()), startBroker(t, config, newLedger())
	server.Kill()
	testkit.Eventually(t, "a probe waits in the queues", func() bool {
		return idle.Stats().Servers[0].QueueBytes > 0 && busy.Stats().Servers[0].QueueBytes > 0
	})
	if err := idle.Close(t.Context()); err != nil {
		t.Errorf("Close without messages = %v, want nil", err)
	}
	ended := make(chan error, 1)
	busy.PublishCount("r:chat:lobby", &cluster.Envelope{}, func(_ int, err error) { ended <- err })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := busy.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close with a message = %v, want %v", err, context.DeadlineExceeded)
	}
	if err := <-ended; !errors.Is(err, cluster.ErrClosed) {
		t.Errorf("PublishCount reported %v, want %v", err, cluster.ErrClosed)
	}
}

func TestQueueFullAndTooOld(t *testing.T) {
	server := redistest.Start(t)
	l := newLedger()
	b := startBroker(t, redisbroker.Config{
		Servers: []string{server.URL()}, QueueBytes: 100_000, QueueAge: 700 * time.Millisecond,
	}, l)
	server.Kill()
	expired := make(chan error, 1)
	b.PublishCount("r:chat:lobby", &cluster.Envelope{}, func(_ int, err error) { expired <- err })
	accepted := 1
	var err error
	for err == nil {
		if err = b.Publish("r:chat:lobby", &cluster.Envelope{Payload: make([]byte, 1000)}); err == nil {
			accepted++
		}
	}
	if !errors.Is(err, cluster.ErrQueueFull) || accepted < 80 || accepted > 110 {
		t.Errorf("Publish = %v after %d messages of 1,000 bytes, want %v after about 90", err, accepted, cluster.ErrQueueFull)
	}
	if stats := b.Stats(); !l.held(0) || !stats.Servers[0].Congested || stats.QueueFull != 1 {
		t.Errorf("congested: handler %v, stats %v, %d refused; want true, true, 1",
			l.held(0), stats.Servers[0].Congested, stats.QueueFull)
	}
	testkit.Eventually(t, "what waited too long is dropped", func() bool { return !l.held(0) })
	if err := <-expired; !errors.Is(err, cluster.ErrExpired) {
		t.Errorf("PublishCount reported %v, want %v", err, cluster.ErrExpired)
	}
	testkit.Eventually(t, "the queue is empty", func() bool {
		stats := b.Stats().Servers[0]
		return stats.QueueBytes < 1000 && stats.TooOld >= uint64(accepted)
	})
	server.Restart()
	testkit.Eventually(t, "messages flow again", func() bool { return b.Ready(t.Context()) == nil })
}

// TestVolatileDoesNotWait: volatile messages are refused before the queue is
// long enough for congestion, and while the server is down.
func TestVolatileDoesNotWait(t *testing.T) {
	server := redistest.Start(t)
	l := newLedger()
	config := redisbroker.Config{Servers: []string{server.URL()}, QueueBytes: 100_000, QueueAge: testkit.Patience}
	b, idle := startBroker(t, config, l), startBroker(t, config, newLedger())
	volatile := &cluster.Envelope{Volatile: true, Payload: make([]byte, 1000)}
	publish := func() error { return b.Publish("r:chat:lobby", volatile) }
	testkit.Eventually(t, "volatile messages are taken", func() bool {
		return publish() == nil && idle.Publish("r:chat:lobby", volatile) == nil
	})
	server.Pause()
	accepted := 0
	var err error
	for err == nil {
		if err = publish(); err == nil {
			accepted++
		}
	}
	if !errors.Is(err, cluster.ErrQueueFull) || accepted > 25 {
		t.Errorf("Publish = %v after %d messages of 1,000 bytes, want %v after about 22", err, accepted, cluster.ErrQueueFull)
	}
	if stats := b.Stats(); l.held(0) || stats.Servers[0].Congested || stats.QueueFull != 0 {
		t.Errorf("congested: handler %v, stats %v, %d refused; want false, false, 0", l.held(0), stats.Servers[0].Congested, stats.QueueFull)
	}
	if err := b.Publish("r:chat:lobby", &cluster.Envelope{Payload: make([]byte, 1000)}); err != nil {
		t.Errorf("Publish of another message = %v, want nil", err)
	}
	server.Kill()
	testkit.Eventually(t, "the server is known to be down", func() bool { return !idle.Stats().Servers[0].Up })
	if err := idle.Publish("r:chat:lobby", volatile); !errors.Is(err, cluster.ErrQueueFull) {
		t.Errorf("Publish without a server = %v, want %v", err, cluster.ErrQueueFull)
	}
	server.Restart()
	testkit.Eventually(t, "a volatile message is taken again", func() bool { return publish() == nil })
}

// TestTimeAsleepDoesNotCount: a process that was stopped does not drop the
// messages in its queue, and still drops those that have waited while it ran.
func TestTimeAsleepDoesNotCount(t *testing.T) {
	config := redisbroker.Config{Servers: []string{"redis://127.0.0.1:1"}, QueueAge: 30 * time.Second, Lease: 8 * time.Second}
	a, err := redisbroker.NewAsleep(config)
	if err != nil {
		t.Fatal(err)
	}
	a.Pass(time.Hour)
	if err := a.Queue(rooms(1)[0]); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		times int
		pass  time.Duration
		left  int
	}{{10, time.Second, 1}, {1, 40 * time.Second, 1}, {19, time.Second, 1}, {12, time.Second, 0}} {
		left := 0
		for range step.times {
			left = a.Pass(step.pass)
		}
		if left != step.left {
			t.Fatalf("after %d times %v %d messages are queued, want %d", step.times, step.pass, left, step.left)
		}
	}
}
