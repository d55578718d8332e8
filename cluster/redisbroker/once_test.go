package redisbroker_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// TestOnceRefused: a server does not store messages that are published once.
// They are not published, and their outcome has the reason. All other messages
// are not affected. Later the same ID works.
func TestOnceRefused(t *testing.T) {
	const channel = "r:chat:lobby"
	run := func(commands ...string) func(*refusing) {
		return func(r *refusing) { r.admin.must(commands...) }
	}
	for _, c := range []struct {
		name           string
		refuse, accept func(*refusing)
		want           string
		kept           bool // other messages are stored
	}{
		{"NOPERM eval", run("ACL SETUSER default -eval"), run("ACL SETUSER default +eval"), "NOPERM .*eval", true},
		{"NOPERM set", run("ACL SETUSER default -set"), run("ACL SETUSER default +set"), "user executing the script can't run", true},
		{"NOPERM xadd", run("ACL SETUSER default -xadd"), run("ACL SETUSER default +xadd"), "user executing the script can't run", false},
		{"OOM", run("CONFIG SET maxmemory 1"), run("CONFIG SET maxmemory 0"), "OOM", false},
		{"MISCONF", (*refusing).stopSaving, run("CONFIG SET stop-writes-on-bgsave-error no"), "MISCONF", false},
		{"NOREPLICAS", run("CONFIG SET min-replicas-to-write 1"), run("CONFIG SET min-replicas-to-write 0"), "NOREPLICAS", false},
		{
			"no scripts", func(r *refusing) { r.proxy.Refuse("ERR unknown command 'EVAL', with args beginning with: ", "eval") },
			func(r *refusing) { r.proxy.Accept() }, "unknown command", true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := startRefusing(t)
			nodes, ledgers := historyPair(t, channel, r.proxy.URL(), r.server.URL())
			confirmed(t, nodes[0], channel, "first", "first")
			ledgers[1].await(t, channel, 1)
			want, stored := []string{"first"}, []string{"first"}
			c.refuse(r)
			// Alone, and among other messages.
			outcomes := []<-chan onceOutcome{publishOnce(t, nodes[0], channel, "alone", "alone")}
			if o := awaitOnce(t, outcomes[0]); o.err == nil {
				t.Errorf("PublishOnce = %v, want an error with %s", o.position, c.want)
			} else if !matches(c.want, o.err.Error()) || !redisError(o.err) {
				t.Errorf("PublishOnce = %v, want an error with %s", o.err, c.want)
			}
			for i := range 30 {
				plain := fmt.Sprint("plain ", i)
				keep(t, nodes[0], channel, hour, plain)
				want = append(want, plain)
				outcomes = append(outcomes, publishOnce(t, nodes[0], channel, fmt.Sprint("id", i), fmt.Sprint("once ", i)))
			}
			for i, outcome := range outcomes[1:] {
				if o := awaitOnce(t, outcome); o.err == nil || !matches(c.want, o.err.Error()) {
					t.Errorf("PublishOnce %d = %v, %v, want an error with %s", i, o.position, o.err, c.want)
				}
			}
			ledgers[1].await(t, channel, len(want))
			if c.kept {
				stored = slices.Clone(want)
			}
			stats := nodes[0].Stats().Servers[0]
			if stats.OnceFailures != 31 || c.kept && stats.Unkept != 0 || stats.PublisherReconnects != 0 {
				t.Errorf("%d messages refused, %d not stored, %d reconnects, want 31, 0, 0", stats.OnceFailures, stats.Unkept, stats.PublisherReconnects)
			}
			if !matches("Redis refuses confirmed messages since .*"+c.want, nodes[0].Warnings()...) {
				t.Errorf("Warnings = %q, want %s", nodes[0].Warnings(), c.want)
			}
			c.accept(r)
			testkit.EventuallyWithin(t, "the node warns no longer", patience, func() bool { return len(nodes[0].Warnings()) == 0 })
			confirmed(t, nodes[1], channel, "alone", "alone")
			want, stored = append(want, "alone"), append(stored, "alone")
			for i, l := range ledgers {
				l.await(t, channel, len(want))
				if got, _ := l.on(channel); !slices.Equal(got, want) {
					t.Errorf("node %d has received %q, want %q", i, got, want)
				}
			}
			if _, got := readHistory(t, nodes[0], channel, cluster.HistoryQuery{}); !slices.Equal(got, stored) {
				t.Errorf("the history has %q, want %q", got, stored)
			}
		})
	}
}

// TestOnceWithoutTransactions: a script that is sent alone needs none. Messages
// without an ID are not stored in the meantime.
func TestOnceWithoutTransactions(t *testing.T) {
	const channel = "r:chat:lobby"
	r := startRefusing(t)
	r.admin.must("ACL SETUSER default -multi")
	nodes, ledgers := historyPair(t, channel, r.server.URL())
	var outcomes []<-chan onceOutcome
	for i := range 10 {
		keep(t, nodes[0], channel, hour, fmt.Sprint("plain ", i))
		outcomes = append(outcomes, publishOnce(t, nodes[0], channel, fmt.Sprint("id", i), fmt.Sprint("once ", i)))
	}
	var want, stored []string
	for i, outcome := range outcomes {
		if o := awaitOnce(t, outcome); o.err != nil {
			t.Errorf("PublishOnce = %v, want nil", o.err)
		}
		want = append(want, fmt.Sprint("plain ", i), fmt.Sprint("once ", i))
		stored = append(stored, fmt.Sprint("once ", i))
	}
	ledgers[1].await(t, channel, len(want))
	if got, _ := ledgers[1].on(channel); !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
	if _, got := readHistory(t, nodes[0], channel, cluster.HistoryQuery{}); !slices.Equal(got, stored) {
		t.Errorf("the history has %q, want %q", got, stored)
	}
	if stats := nodes[0].Stats().Servers[0]; stats.Unkept != 10 || stats.OnceFailures != 0 {
		t.Errorf("%d messages were not stored, %d refused, want 10 and 0", stats.Unkept, stats.OnceFailures)
	}
}

// TestOnceIsUndone: the server refuses a command of the script after others
// were executed. Nothing of them is left, and nothing is published.
func TestOnceIsUndone(t *testing.T) {
	const channel = "r:chat:lobby"
	r := startRefusing(t)
	nodes, ledgers := historyPair(t, channel, r.server.URL())
	r.admin.must("ACL SETUSER default -pexpire")
	for range 2 {
		if o := awaitOnce(t, publishOnce(t, nodes[0], channel, "id", "refused")); o.err == nil || !redisError(o.err) {
			t.Errorf("PublishOnce = %v, %v, want the error of Redis", o.position, o.err)
		}
	}
	expectHistory(t, nodes[1], channel, cluster.Position{}, true)
	if keys := r.admin.do("KEYS stoa:o:*"); keys != "" {
		t.Errorf("a message that was refused has left its ID: %s", keys)
	}
	r.admin.must("ACL SETUSER default +pexpire -get")
	position := confirmed(t, nodes[0], channel, "id", "message")
	// A copy cannot be recognized without GET.
	if o := awaitOnce(t, publishOnce(t, nodes[1], channel, "id", "message")); o.err == nil || !redisError(o.err) {
		t.Errorf("PublishOnce of a copy = %v, %v, want the error of Redis", o.position, o.err)
	}
	r.admin.must("ACL SETUSER default +get")
	if again := confirmed(t, nodes[1], channel, "id", "message"); again != position {
		t.Errorf("a copy has the position %v, want %v", again, position)
	}
	expectEverywhere(t, nodes[:], ledgers[:], channel, "message")
	if life := r.admin.do("PTTL stoa:h:" + channel); strings.HasPrefix(life, ":-") {
		t.Errorf("PTTL of the history = %s, want an expiry", life)
	}
}

// TestOnceKeyOfAnotherType: only the messages of the channel, or of the ID, are
// refused.
func TestOnceKeyOfAnotherType(t *testing.T) {
	const broken, channel = "r:chat:broken", "r:chat:lobby"
	server := redistest.Start(t)
	admin := newAdmin(t, server)
	nodes, ledgers := historyPair(t, channel, server.URL())
	admin.must("SET stoa:h:" + broken + " x")
	confirmed(t, nodes[0], channel, "first", "first")
	key := admin.do("KEYS stoa:o:*")
	if !regexp.MustCompile(`^stoa:o:r:chat:lobby:[0-9a-f]{32}$`).MatchString(key) {
		t.Fatalf("the key of an ID is %q", key)
	}
	admin.must("DEL "+key, "RPUSH "+key+" x")
	outcomes := []<-chan onceOutcome{
		publishOnce(t, nodes[0], broken, "id", "broken"), publishOnce(t, nodes[0], channel, "first", "again"),
		publishOnce(t, nodes[0], channel, "second", "second"),
	}
	for i, outcome := range outcomes {
		o := awaitOnce(t, outcome)
		if refused := o.err != nil && strings.Contains(o.err.Error(), "WRONGTYPE"); refused != (i < 2) {
			t.Errorf("PublishOnce %d = %v, %v, want WRONGTYPE for the first two only", i, o.position, o.err)
		}
	}
	admin.must("DEL "+key, "SET "+key+" x")
	if o := awaitOnce(t, publishOnce(t, nodes[0], channel, "first", "again")); o.err == nil || !strings.Contains(o.err.Error(), "unknown value") {
		t.Errorf("PublishOnce with a key that has a foreign value = %v, want an error", o.err)
	}
	if answer := admin.do("KEYS stoa:o:" + broken + ":*"); answer != "" {
		t.Errorf("a refused message has left %q", answer)
	}
	expectEverywhere(t, nodes[:], ledgers[:], channel, "first", "second")
}

// TestOnceReplyLost: the server has executed a transaction or a script, but the
// publisher does not receive the reply. It sends the messages again. Each is
// stored once, and a node that has lost its subscription in the meantime
// receives it, too.
func TestOnceReplyLost(t *testing.T) {
	const channel = "r:chat:lobby"
	for _, command := range []string{"eval", "exec"} {
		t.Run(command, func(t *testing.T) {
			server := redistest.Start(t)
			refuser, proxy := redistest.StartRefuser(t, server), redistest.StartProxy(t, server)
			nodes, ledgers := historyPair(t, channel, refuser.URL(), proxy.URL())
			for i, b := range nodes {
				testkit.Eventually(t, fmt.Sprintf("node %d knows the other", i), func() bool { return len(b.Nodes()) == 2 })
			}
			confirmed(t, nodes[0], channel, "first", "first")
			ledgers[1].await(t, channel, 1)
			stored := func() int {
				count := 0
				_, _ = fmt.Sscanf(redisLines(t, server.Addr(), "XLEN stoa:h:"+channel)[0], ":%d", &count)
				return count
			}
			proxy.Cut()
			refuser.LoseReply(command)
			payloads := []string{"second"}
			if command == "exec" {
				// While one message is on its way, others gather.
				payloads = append(payloads, "third", "fourth")
				server.Pause()
				if err := nodes[0].Publish("r:chat:other", &cluster.Envelope{}); err != nil {
					t.Fatal(err)
				}
			}
			want, outcomes := []string{"first"}, []<-chan onceOutcome(nil)
			for _, payload := range payloads {
				outcomes = append(outcomes, publishOnce(t, nodes[0], channel, payload, payload))
				want = append(want, payload)
			}
			if command == "exec" {
				server.Resume()
			}
			testkit.Eventually(t, "the messages are stored", func() bool { return stored() == len(want) })
			proxy.Break()
			proxy.Heal()
			var positions []cluster.Position
			for _, outcome := range outcomes {
				o := awaitOnce(t, outcome)
				if o.err != nil {
					t.Errorf("PublishOnce = %v, want nil", o.err)
				}
				positions = append(positions, o.position)
			}
			expectEverywhere(t, nodes[:], ledgers[:], channel, want...)
			if _, got := ledgers[0].on(channel); !slices.Equal(got[1:], positions) {
				t.Errorf("delivered with the positions %v, want those of the outcomes, %v", got[1:], positions)
			}
			stats := nodes[0].Stats().Servers[0]
			if stored() != len(want) || stats.Resent == 0 || stats.OnceRepeats != 0 {
				t.Errorf("%d entries, %d messages sent again, %d repeats, want %d, some, 0", stored(), stats.Resent, stats.OnceRepeats, len(want))
			}
		})
	}
}

// TestOnceWindow: after the window an ID is free again.
func TestOnceWindow(t *testing.T) {
	const channel = "r:chat:lobby"
	server := redistest.Start(t)
	nodes, ledgers := historyPair(t, channel, server.URL())
	confirmed(t, nodes[0], channel, "long", "long")
	first := awaitOnce(t, publishOnceFor(t, nodes[0], channel, "short", "short", 50*time.Millisecond))
	if first.err != nil {
		t.Fatalf("PublishOnce = %v, want nil", first.err)
	}
	testkit.Eventually(t, "the ID is free again", func() bool {
		return awaitOnce(t, publishOnceFor(t, nodes[1], channel, "short", "short", time.Hour)).position != first.position
	})
	keep(t, nodes[1], channel, hour, "end")
	confirmed(t, nodes[1], channel, "long", "long")
	expectEverywhere(t, nodes[:], ledgers[:], channel, "long", "short", "short", "end")
	if keys := newAdmin(t, server).do("KEYS stoa:o:*"); len(strings.Fields(keys)) != 2 {
		t.Errorf("the keys are %q, want one for each ID", keys)
	}
}

// TestOnceAfterAnEmptyRestart: the acknowledged messages of the last moment are
// published again, in the place of those that the server has lost. Copies are
// not: nodes that have received the first one would receive another.
func TestOnceAfterAnEmptyRestart(t *testing.T) {
	const channel = "r:chat:lobby"
	server := redistest.Start(t)
	var nodes [2]*redisbroker.Broker
	var ledgers [2]*keptLedger
	for i := range nodes {
		ledgers[i] = newKeptLedger()
		nodes[i] = startBroker(t, redisbroker.Config{
			Servers: []string{server.URL()}, NodeID: fmt.Sprint("node", i), ProbeInterval: 2 * time.Second,
		}, ledgers[i])
		if err := nodes[i].Subscribe(t.Context(), channel); err != nil {
			t.Fatalf("Subscribe = %v, want nil", err)
		}
	}
	position := confirmed(t, nodes[0], channel, "id", "message")
	if again := confirmed(t, nodes[1], channel, "id", "message"); again != position {
		t.Errorf("a copy has the position %v, want %v", again, position)
	}
	for i, l := range ledgers {
		l.await(t, channel, 1)
		if nodes[i].Suspects() == 0 {
			t.Errorf("node %d would send nothing again, so the test proves nothing", i)
		}
	}
	server.Restart()
	for i, b := range nodes {
		awaitReady(t, fmt.Sprintf("node %d is back", i), b, "")
		confirmed(t, b, channel, fmt.Sprint("end", i), "end")
	}
	expectEverywhere(t, nodes[:], ledgers[:], channel, "message", "end", "end")
	if again := confirmed(t, nodes[1], channel, "id", "message"); again != position {
		t.Errorf("after the restart a copy has the position %v, want %v", again, position)
	}
}

// TestOnceReadOnly: a server that has become a replica takes no message. They
// wait for a master.
func TestOnceReadOnly(t *testing.T) {
	const channel = "r:chat:lobby"
	for _, alone := range []bool{true, false} {
		server := redistest.Start(t)
		admin := newAdmin(t, server)
		nodes, ledgers := historyPair(t, channel, server.URL())
		confirmed(t, nodes[0], channel, "first", "first")
		admin.must("REPLICAOF 127.0.0.1 1")
		want := []string{"first"}
		if !alone {
			want = append(want, "plain")
			if err := nodes[0].Publish("r:chat:other", &cluster.Envelope{}); err != nil {
				t.Fatal(err)
			}
			keep(t, nodes[0], channel, hour, "plain")
		}
		outcome := publishOnce(t, nodes[0], channel, "second", "second")
		awaitReady(t, "the replica is noticed", nodes[0], "is a replica")
		select {
		case o := <-outcome:
			t.Errorf("PublishOnce at a replica = %v, %v, want no outcome yet", o.position, o.err)
		default:
		}
		admin.must("REPLICAOF NO ONE")
		if o := awaitOnce(t, outcome); o.err != nil {
			t.Errorf("PublishOnce = %v, want nil", o.err)
		}
		expectEverywhere(t, nodes[:], ledgers[:], channel, append(want, "second")...)
	}
}

// TestOnceErrors: messages that never reach the server have an outcome, too.
func TestOnceErrors(t *testing.T) {
	const channel = "r:chat:lobby"
	server := redistest.Start(t)
	config := redisbroker.Config{
		Servers: []string{server.URL()}, QueueBytes: 10_000, MaxMessage: 5_000, QueueAge: 500 * time.Millisecond,
	}
	expect := func(what string, b *redisbroker.Broker, size int, want error) {
		t.Helper()
		if o := awaitOnce(t, publishOnce(t, b, channel, what, strings.Repeat("x", size))); !errors.Is(o.err, want) {
			t.Errorf("%s: PublishOnce = %v, %v, want %v", what, o.position, o.err, want)
		}
	}
	b := newBroker(t, config)
	expect("before Start", b, 1, cluster.ErrNotStarted)
	if err := b.Start(t.Context(), newKeptLedger()); err != nil {
		t.Fatal(err)
	}
	expect("a large message", b, 5_001, cluster.ErrTooLarge)
	server.Kill()
	waiting := publishOnce(t, b, channel, "waiting", "x")
	var full []<-chan onceOutcome
	for range 3 {
		full = append(full, publishOnce(t, b, channel, "full", strings.Repeat("x", 4_000)))
	}
	expect("a full queue", b, 4_000, cluster.ErrQueueFull)
	for _, outcome := range append(full, waiting) {
		if o := awaitOnce(t, outcome); !errors.Is(o.err, cluster.ErrExpired) {
			t.Errorf("PublishOnce with a server that is dead = %v, %v, want ErrExpired", o.position, o.err)
		}
	}
	left := publishOnce(t, b, channel, "left", "x")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_ = b.Close(ended) // it reports the message that is left
	if o := awaitOnce(t, left); !errors.Is(o.err, cluster.ErrClosed) {
		t.Errorf("PublishOnce of a message that is left at the end = %v, %v, want ErrClosed", o.position, o.err)
	}
	expect("after Close", b, 1, cluster.ErrClosed)
}
