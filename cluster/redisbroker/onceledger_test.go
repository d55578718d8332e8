package redisbroker_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// confirmer publishes messages once, in the order of their numbers, each until
// it is confirmed.
type confirmer struct {
	name      string
	nodes     []*redisbroker.Broker // each message takes one of them
	copies    int                   // of each message, over as many nodes
	channel   string
	confirmed atomic.Int64
	retries   int
	positions []cluster.Position
}

// run publishes until stop.
func (c *confirmer) run(t testing.TB, stop *atomic.Bool) {
	for number := 0; !stop.Load(); number++ {
		payload := fmt.Sprintf("%s/%d", c.name, number)
		var outcomes []<-chan onceOutcome
		for i := range c.copies {
			outcomes = append(outcomes, publishOnce(t, c.nodes[(number+i)%len(c.nodes)], c.channel, payload, payload))
		}
		var positions []cluster.Position
		for i := 0; i < len(outcomes); i++ {
			o := <-outcomes[i]
			switch {
			case o.err == nil:
				positions = append(positions, o.position)
			case errors.Is(o.err, cluster.ErrClosed), errors.Is(o.err, cluster.ErrIDReused):
				t.Errorf("PublishOnce(%s) = %v", payload, o.err)
				return
			default:
				c.retries++
				outcomes = append(outcomes, publishOnce(t, c.nodes[(number+i)%len(c.nodes)], c.channel, payload, payload))
			}
		}
		if positions = slices.Compact(positions); len(positions) != 1 {
			t.Errorf("the copies of %s have the positions %v, want one", payload, positions)
		}
		c.positions = append(c.positions, positions[0])
		c.confirmed.Store(int64(number + 1))
	}
}

// confirmers are several of them in one channel, over three nodes.
type confirmers struct {
	channel string
	nodes   []*redisbroker.Broker
	ledgers []*keptLedger
	all     []*confirmer
	stop    atomic.Bool
	group   sync.WaitGroup
}

// startConfirmers starts the nodes and the publishers.
func startConfirmers(t *testing.T, url string, copies int) *confirmers {
	t.Helper()
	c := &confirmers{channel: "r:chat:lobby"}
	for i := range 3 {
		l := newKeptLedger()
		b := startBroker(t, redisbroker.Config{Servers: []string{url}, NodeID: fmt.Sprint("node", i)}, l)
		if err := b.Subscribe(t.Context(), c.channel); err != nil {
			t.Fatalf("Subscribe = %v, want nil", err)
		}
		c.nodes, c.ledgers = append(c.nodes, b), append(c.ledgers, l)
	}
	for i, b := range c.nodes {
		testkit.Eventually(t, fmt.Sprintf("node %d knows the others", i), func() bool { return len(b.Nodes()) == len(c.nodes) })
	}
	for i := range 2 * len(c.nodes) {
		p := &confirmer{name: fmt.Sprint("publisher", i), copies: copies, channel: c.channel}
		for j := range c.nodes {
			p.nodes = append(p.nodes, c.nodes[(i+j)%len(c.nodes)])
			if copies == 1 {
				break // the order of a publisher holds over one node only
			}
		}
		c.all = append(c.all, p)
		c.group.Go(func() { p.run(t, &c.stop) })
	}
	t.Cleanup(func() {
		c.stop.Store(true)
		c.group.Wait()
	})
	return c
}

// await waits until each publisher has so many messages more confirmed.
func (c *confirmers) await(t testing.TB, count int64) {
	t.Helper()
	for _, p := range c.all {
		want := p.confirmed.Load() + count
		testkit.EventuallyWithin(t, p.name+" has more messages confirmed", patience, func() bool { return p.confirmed.Load() >= want })
	}
}

// finish stops the publishers and checks that each message is in the history
// once, with the position of its outcome and in the order of the publishers,
// and was delivered on each node once, also in order if publishers have one
// node. A node that has missed messages of several others receives those of
// each in order.
func (c *confirmers) finish(t testing.TB) {
	t.Helper()
	c.stop.Store(true)
	c.group.Wait()
	messages, retries, want := 0, 0, make(map[string]cluster.Position)
	for _, p := range c.all {
		retries += p.retries
		for number, position := range p.positions {
			want[fmt.Sprintf("%s/%d", p.name, number)] = position
			messages++
		}
	}
	check := func(where string, ordered bool, payloads []string, positions []cluster.Position) {
		t.Helper()
		next, seen := make(map[string]int), make(map[string]bool)
		for i, payload := range payloads {
			if positions[i] != want[payload] || seen[payload] {
				t.Errorf("%s: %s has the position %v, seen before: %v, want that of its outcome, %v, and false",
					where, payload, positions[i], seen[payload], want[payload])
			}
			seen[payload] = true
			publisher, _, _ := strings.Cut(payload, "/")
			if ordered && payload != fmt.Sprintf("%s/%d", publisher, next[publisher]) {
				t.Fatalf("%s: message %d is %s, want number %d of the publisher", where, i, payload, next[publisher])
			}
			next[publisher]++
		}
		if len(payloads) != messages {
			t.Errorf("%s: %d messages, want %d", where, len(payloads), messages)
		}
	}
	for i, l := range c.ledgers {
		l.await(t, c.channel, messages)
		payloads, positions := l.on(c.channel)
		check(fmt.Sprint("node ", i), c.all[0].copies == 1, payloads, positions)
	}
	page, payloads := readHistory(t, c.nodes[0], c.channel, cluster.HistoryQuery{})
	var positions []cluster.Position
	for i := range page.Entries {
		positions = append(positions, page.Entries[i].Envelope.Position)
	}
	check("history", true, payloads, positions)
	var resent, repeats uint64
	for _, b := range c.nodes {
		resent, repeats = resent+b.Stats().Servers[0].Resent, repeats+b.Stats().Servers[0].OnceRepeats
	}
	t.Logf("%d messages, %d retries, %d messages sent again by the nodes, %d copies not published", messages, retries, resent, repeats)
}

// TestOnceOverFailures: connections and the server fail, while publishers send
// messages, in some cases over two nodes at a time. Each is published once.
func TestOnceOverFailures(t *testing.T) {
	for _, c := range []struct {
		name   string
		copies int
		rounds int
		fail   func(s *redistest.Server)
	}{
		{"server killed", 1, 10, func(s *redistest.Server) {
			s.Kill()
			s.Restart()
		}},
		{"server killed, and copies", 2, 10, func(s *redistest.Server) {
			s.Kill()
			s.Restart()
		}},
		{"connections killed", 2, 20, func(s *redistest.Server) {
			s.Command("CLIENT KILL TYPE normal SKIPME yes")
		}},
		{"server stands still", 2, 4, func(s *redistest.Server) {
			s.Pause()
			pass(600 * time.Millisecond)
			s.Resume()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
			f := startConfirmers(t, server.URL(), c.copies)
			for range c.rounds {
				f.await(t, 5)
				c.fail(server)
			}
			f.await(t, 5)
			f.finish(t)
		})
	}
}

// TestOnceOverFailover: the master dies, and Sentinels choose the replica. The
// nodes publish their last messages again.
func TestOnceOverFailover(t *testing.T) {
	group := redistest.StartGroup(t, "stoa-master")
	f := startConfirmers(t, group.URL(), 1)
	f.await(t, 50)
	awaitSentinels(t, group)
	testkit.EventuallyWithin(t, "the replica is in step", patience, func() bool {
		return slices.Contains(redisLines(t, group.Replicas[0].Addr(), "INFO replication"), "master_link_status:up")
	})
	f.await(t, 20)
	group.Master.Kill()
	f.await(t, 50)
	f.finish(t)
}

// TestOnceWaits: a server that is about to change its state does not take the
// message now. It waits, and is published once.
func TestOnceWaits(t *testing.T) {
	const channel = "r:chat:lobby"
	for name, reply := range map[string]string{
		"a replica": "READONLY You can't write against a read only replica.",
		"a replica of Redis 6": "ERR Error running script (call to f_4ff0): @user_script:1: @user_script: 1: " +
			"-READONLY You can't write against a read only replica.",
		"a replica without its master": "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"a script that runs for long":  "BUSY Redis is busy running a script.",
		"a server that reads its data": "LOADING Redis is loading the dataset in memory",
	} {
		t.Run(name, func(t *testing.T) {
			r := startRefusing(t)
			nodes, ledgers := historyPair(t, channel, r.proxy.URL(), r.server.URL())
			confirmed(t, nodes[0], channel, "first", "first")
			r.proxy.Refuse(reply, "eval")
			outcome := publishOnce(t, nodes[0], channel, "second", "second")
			testkit.Eventually(t, "the server has refused the message twice", func() bool {
				return nodes[0].Stats().Servers[0].PublisherRefusals >= 2
			})
			select {
			case o := <-outcome:
				t.Errorf("PublishOnce = %v, %v, want no outcome yet", o.position, o.err)
			default:
			}
			r.proxy.Accept()
			if o := awaitOnce(t, outcome); o.err != nil {
				t.Errorf("PublishOnce = %v, want nil", o.err)
			}
			expectEverywhere(t, nodes[:], ledgers[:], channel, "first", "second")
			if stats := nodes[0].Stats().Servers[0]; stats.OnceFailures != 0 {
				t.Errorf("%d messages are counted as refused, want 0", stats.OnceFailures)
			}
		})
	}
}

// TestOnceDoesNotWaitForever: a server reads its data for so long that other
// messages would expire. Those that are published once leave the queue.
func TestOnceDoesNotWaitForever(t *testing.T) {
	const channel = "r:chat:lobby"
	r := startRefusing(t)
	l := newKeptLedger()
	b := startBroker(t, redisbroker.Config{Servers: []string{r.proxy.URL()}, QueueAge: 2 * time.Second}, l)
	if err := b.Subscribe(t.Context(), channel); err != nil {
		t.Fatal(err)
	}
	r.proxy.Refuse("LOADING Redis is loading the dataset in memory", "eval")
	outcome := publishOnce(t, b, channel, "id", "refused")
	keep(t, b, channel, hour, "plain")
	if o := awaitOnce(t, outcome); o.err == nil || !strings.Contains(o.err.Error(), "LOADING") {
		t.Errorf("PublishOnce = %v, %v, want LOADING", o.position, o.err)
	}
	expectEverywhere(t, []*redisbroker.Broker{b}, []*keptLedger{l}, channel, "plain")
}
