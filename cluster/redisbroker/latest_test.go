package redisbroker_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// valued is a retention with many keys.
var valued = cluster.Retention{Messages: 1 << 20, Age: time.Hour, Bytes: 1 << 20, Keys: 1000}

// keepKeyed publishes messages "key=value".
func keepKeyed(t testing.TB, b *redisbroker.Broker, channel string, payloads ...string) {
	t.Helper()
	for _, payload := range payloads {
		key, _, _ := strings.Cut(payload, "=")
		if err := b.Publish(channel, &cluster.Envelope{Keep: &valued, Key: key, Payload: []byte(payload)}); err != nil {
			t.Fatalf("Publish = %v, want nil", err)
		}
	}
}

func readLatest(t testing.TB, b *redisbroker.Broker, channel string) (payloads []string) {
	t.Helper()
	page, _ := readHistory(t, b, channel, cluster.HistoryQuery{Retention: valued, Latest: true})
	for i := range page.Latest {
		payloads = append(payloads, string(page.Latest[i].Envelope.Payload))
	}
	return payloads
}

func expectLatest(t testing.TB, b *redisbroker.Broker, channel string, want ...string) {
	t.Helper()
	if got := readLatest(t, b, channel); !slices.Equal(got, want) {
		t.Errorf("the latest messages are %q, want %q", got, want)
	}
}

// latestOf are the newest messages of all keys among deliveries.
func latestOf(delivered []string) (latest []string) {
	for _, payload := range delivered {
		key, _, _ := strings.Cut(payload, "=")
		latest = slices.DeleteFunc(latest, func(other string) bool { return strings.HasPrefix(other, key+"=") })
		latest = append(latest, payload)
	}
	return latest
}

// TestLatestOutlivesARestart kills a server that writes its data, while
// messages are published. A node that starts later has the newest message of
// each key that the others have received.
func TestLatestOutlivesARestart(t *testing.T) {
	const channel = "r:chat:lobby"
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	nodes, ledgers := historyPair(t, channel, server.URL())
	count := 0
	publish := func() {
		for range 50 {
			for i, b := range nodes {
				keepKeyed(t, b, channel, fmt.Sprintf("%d=%d/%d", count%7, i, count))
			}
			count++
		}
	}
	publish()
	ledgers[0].await(t, channel, 2*count)
	server.Kill()
	publish()
	server.Restart()
	publish()
	for _, l := range ledgers {
		l.await(t, channel, 2*count)
	}
	publish() // after the messages that were sent again
	for _, l := range ledgers {
		l.await(t, channel, 2*count)
	}
	delivered, _ := ledgers[0].on(channel)
	later := startBroker(t, redisbroker.Config{Servers: []string{server.URL()}, NodeID: "later"}, newKeptLedger())
	expectLatest(t, later, channel, latestOf(delivered)...)
}

// TestLatestHasNoRepeats breaks the connection of a publisher until it has sent
// messages again that were stored: none takes the place of a newer message.
func TestLatestHasNoRepeats(t *testing.T) {
	const channel = "r:chat:lobby"
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	nodes, ledgers := historyPair(t, channel, proxy.URL(), server.URL())
	admin := newAdmin(t, server)
	count, repeats := 0, 0
	for deadline := time.Now().Add(patience); repeats == 0 && time.Now().Before(deadline); {
		for i := range 2 * valued.Keys {
			if i == valued.Keys {
				proxy.Break()
			}
			keepKeyed(t, nodes[i/valued.Keys], channel, fmt.Sprintf("%d=%d", i%valued.Keys, count))
			count++
		}
		ledgers[1].await(t, channel, count)
		settled := make(chan error, 1)
		nodes[0].PublishCount("r:chat:settled", &cluster.Envelope{}, func(_ int, err error) { settled <- err })
		if err := <-settled; err != nil {
			t.Fatalf("a message behind those that are sent again: %v", err)
		}
		delivered, _ := ledgers[1].on(channel)
		expectLatest(t, nodes[1], channel, latestOf(delivered)...)
		length, _ := strconv.Atoi(admin.do("XLEN stoa:h:" + channel)[1:])
		repeats = length - count
	}
	if repeats <= 0 {
		t.Error("no message was stored twice, so the test proves nothing")
	}
}

// TestLatestIsBounded: Redis has no more messages than the keys that are kept,
// and none of a channel without keys.
func TestLatestIsBounded(t *testing.T) {
	const channel = "r:chat:lobby"
	server := redistest.Start(t)
	admin := newAdmin(t, server)
	nodes, ledgers := historyPair(t, channel, server.URL())
	for i := range 3 * valued.Keys {
		keepKeyed(t, nodes[i%2], channel, fmt.Sprintf("%d=%d", i, i))
	}
	ledgers[0].await(t, channel, 3*valued.Keys)
	if got := admin.do("ZCARD stoa:ko:" + channel); got != fmt.Sprint(":", valued.Keys) {
		t.Errorf("Redis has %s keys, want %d", got, valued.Keys)
	}
	keep(t, nodes[0], "r:chat:other", hour, "a")
	if err := nodes[0].Publish("r:chat:other", &cluster.Envelope{Keep: &hour, Key: "a", Payload: []byte("a")}); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the messages are stored", func() bool { return admin.do("XLEN stoa:h:r:chat:other") == ":2" })
	if got := admin.do("EXISTS stoa:k:r:chat:other stoa:ko:r:chat:other"); got != ":0" {
		t.Errorf("Redis has %s keys for a channel without keys, want none", got)
	}
}

// TestLatestRefused: a server that refuses the script delivers the messages,
// and the node reports it.
func TestLatestRefused(t *testing.T) {
	const channel = "r:chat:lobby"
	for _, c := range []struct{ name, refuse, accept, want string }{
		{"another type", "SET stoa:k:" + channel + " x", "DEL stoa:k:" + channel, "WRONGTYPE"},
		{"NOPERM eval", "ACL SETUSER default -eval", "ACL SETUSER default +eval", "NOPERM .*eval"},
		{"NOPERM zadd", "ACL SETUSER default -zadd", "ACL SETUSER default +zadd", "(?i)permission|NOPERM|can't run"},
		{"OOM", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OOM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := redistest.Start(t)
			admin := newAdmin(t, server)
			nodes, ledgers := historyPair(t, channel, server.URL())
			keepKeyed(t, nodes[0], channel, "a=1")
			last := ledgers[1].await(t, channel, 1)
			admin.must(c.refuse)
			keepKeyed(t, nodes[0], channel, "a=2", "b=3")
			ledgers[1].await(t, channel, 3)
			testkit.Eventually(t, "the messages are counted", func() bool { return nodes[0].Stats().Servers[0].Unkept >= 2 })
			if !matches(c.want, nodes[0].Warnings()...) {
				t.Errorf("Warnings = %q, want %s", nodes[0].Warnings(), c.want)
			}
			admin.must(c.accept)
			testkit.EventuallyWithin(t, "the server stores messages again", patience, func() bool {
				keepKeyed(t, nodes[0], channel, "c=4")
				return slices.Contains(readLatest(t, nodes[1], channel), "c=4")
			})
			if page, _ := readHistory(t, nodes[1], channel, cluster.HistoryQuery{Retention: hour, After: last}); page.Found {
				t.Error("a position from before the refusal is found")
			}
		})
	}
}

// TestLatestWithRestrictedUser has the rights that the documentation names.
func TestLatestWithRestrictedUser(t *testing.T) {
	const channel = "r:chat:lobby"
	server := redistest.Start(t)
	newAdmin(t, server).must("ACL SETUSER stoa on >password resetkeys resetchannels ~stoa:* &stoa:* -@all +publish +subscribe " +
		"+unsubscribe +pubsub|numsub +ping +info +multi +exec +set +mget +del +sadd +srem +smembers +pexpire " +
		"+xadd +xrevrange +xrange +xlen +xdel +xtrim +time " +
		"+eval +get +hget +hmget +hset +hdel +hincrby +hlen +hkeys +hgetall +zadd +zrem +zpopmin +zcard")
	nodes, ledgers := historyPair(t, channel, "redis://stoa:password@"+server.Addr())
	keepKeyed(t, nodes[0], channel, "a=1", "b=2", "a=3")
	last := ledgers[1].await(t, channel, 3)
	expectLatest(t, nodes[1], channel, "b=2", "a=3")
	if removed, err := nodes[1].RemoveFromHistory(t.Context(), channel, last); !removed || err != nil {
		t.Errorf("RemoveFromHistory = %v, %v, want true, nil", removed, err)
	}
	expectLatest(t, nodes[1], channel, "b=2")
	if err := nodes[1].ClearHistory(t.Context(), channel); err != nil {
		t.Errorf("ClearHistory = %v, want nil", err)
	}
	expectLatest(t, nodes[1], channel)
	if warnings := nodes[0].Warnings(); len(warnings) != 0 {
		t.Errorf("Warnings = %q, want none", warnings)
	}
}

// TestLatestOfOnce: a message that is published once is the newest of its key,
// and a copy of it is not.
func TestLatestOfOnce(t *testing.T) {
	const channel = "r:chat:lobby"
	server := redistest.Start(t)
	nodes, ledgers := historyPair(t, channel, server.URL())
	publish := func(b *redisbroker.Broker, id, payload string) cluster.Position {
		t.Helper()
		outcome := make(chan onceOutcome, 1)
		env := &cluster.Envelope{Keep: &valued, Key: "a", Payload: []byte(payload)}
		b.PublishOnce(channel, env, cluster.Once{ID: id, Window: time.Hour}, func(p cluster.Position, err error) {
			outcome <- onceOutcome{p, err}
		})
		o := awaitOnce(t, outcome)
		if o.err != nil {
			t.Fatalf("PublishOnce(%q) = %v, want nil", id, o.err)
		}
		return o.position
	}
	first := publish(nodes[0], "first", "a=1")
	expectLatest(t, nodes[1], channel, "a=1")
	publish(nodes[1], "second", "a=2")
	if again := publish(nodes[1], "first", "a=1"); again != first {
		t.Errorf("a copy has the position %v, want %v", again, first)
	}
	expectLatest(t, nodes[1], channel, "a=2")
	keepKeyed(t, nodes[0], channel, "a=3")
	ledgers[1].await(t, channel, 3)
	expectLatest(t, nodes[1], channel, "a=3")
}
