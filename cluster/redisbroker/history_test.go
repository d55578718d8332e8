package redisbroker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// TestHistoryNeedsNoConnectionUntilItIsRead: neither unkept nor kept messages
// open the connection for reads. When it breaks, the next read opens another.
func TestHistoryNeedsNoConnectionUntilItIsRead(t *testing.T) {
	server := redistest.Start(t)
	admin := newAdmin(t, server)
	nodes, ledgers := historyPair(t, "r:chat:lobby", server.URL())
	keep(t, nodes[0], "r:chat:lobby", hour, "a")
	ledgers[1].await(t, "r:chat:lobby", 1)
	connections := func() int { return strings.Count(admin.do("CLIENT LIST"), ".history ") }
	if got := connections(); got != 0 {
		t.Errorf("%d connections for reads before the first one, want 0", got)
	}
	for range 3 {
		expectHistory(t, nodes[0], "r:chat:lobby", cluster.Position{}, true, "a")
		if got := connections(); got != 1 {
			t.Errorf("%d connections for reads, want 1", got)
		}
		admin.must(cutAll)
	}
}

// TestHistoryOutlivesARestart kills a server that writes its data, while
// messages are published. Afterwards each is in the history once.
func TestHistoryOutlivesARestart(t *testing.T) {
	const channel = "r:chat:lobby"
	server := redistest.Start(t, "--appendonly", "yes")
	nodes, ledgers := historyPair(t, channel, server.URL())
	begin, _ := readHistory(t, nodes[0], channel, cluster.HistoryQuery{})
	count := 0
	publish := func() {
		for range 50 {
			for i, b := range nodes {
				keep(t, b, channel, hour, fmt.Sprintf("%d/%d", i, count))
			}
			count++
		}
	}
	publish()
	before := ledgers[0].await(t, channel, 2*count)
	server.Kill()
	publish()
	server.Restart()
	publish()
	for _, l := range ledgers {
		l.await(t, channel, 2*count)
	}
	page, got := readHistory(t, nodes[0], channel, cluster.HistoryQuery{})
	if len(got) != 2*count || !page.Found {
		t.Fatalf("the history has %d messages, found %v, want %d", len(got), page.Found, 2*count)
	}
	numbers := map[string]int{}
	for i, payload := range got {
		publisher, number, _ := strings.Cut(payload, "/")
		if number != strconv.Itoa(numbers[publisher]) {
			t.Fatalf("message %d is %s, want number %d of the publisher", i, payload, numbers[publisher])
		}
		numbers[publisher]++
	}
	// Messages that were on their way may have been received before others.
	page, got = readHistory(t, nodes[1], channel, cluster.HistoryQuery{After: before})
	if page.Found && len(got) != 2*count-100 || !page.Found && len(got) != 2*count {
		t.Errorf("%d messages after the last one before the restart, found %v", len(got), page.Found)
	}
	_, positions := ledgers[1].on(channel)
	after := positions[len(positions)-1]
	keep(t, nodes[0], channel, hour, "end")
	ledgers[1].await(t, channel, 2*count+1)
	expectHistory(t, nodes[1], channel, after, true, "end")
	if page, _ := readHistory(t, nodes[1], channel, cluster.HistoryQuery{After: begin.Head}); page.Found {
		t.Error("a start position is found after a restart of the server")
	}
}

// TestHistoryAfterAnEmptyRestart: no position from before is found.
func TestHistoryAfterAnEmptyRestart(t *testing.T) {
	const channel = "r:chat:lobby"
	server := redistest.Start(t)
	nodes, ledgers := historyPair(t, channel, server.URL())
	begin, _ := readHistory(t, nodes[0], channel, cluster.HistoryQuery{})
	keep(t, nodes[0], channel, hour, "a")
	last := ledgers[1].await(t, channel, 1)
	// The publisher sends messages of the last moment again.
	testkit.Eventually(t, "the message would not be sent again", func() bool { return nodes[0].Suspects() == 0 })
	server.Restart()
	keep(t, nodes[0], channel, hour, "b")
	ledgers[1].await(t, channel, 2)
	expectHistory(t, nodes[1], channel, last, false, "b")
	expectHistory(t, nodes[1], channel, begin.Head, false, "b")
}

// TestHistoryAfterFailover: the new master has the history.
func TestHistoryAfterFailover(t *testing.T) {
	const channel = "r:chat:lobby"
	group := redistest.StartGroup(t, "stoa-master")
	nodes, ledgers := historyPair(t, channel, group.URL())
	keep(t, nodes[0], channel, hour, "a", "b")
	ledgers[1].await(t, channel, 2)
	_, positions := ledgers[1].on(channel)
	expectHistory(t, nodes[1], channel, positions[0], true, "b")
	awaitSentinels(t, group)
	testkit.Eventually(t, "the replica has the history, and it would not be sent again", func() bool {
		return redisLines(t, group.Replicas[0].Addr(), "XLEN stoa:h:"+channel)[0] == ":2" && nodes[0].Suspects() == 0
	})
	group.Master.Kill()
	awaitReady(t, "the failure is noticed", nodes[0], "not connected")
	testkit.EventuallyWithin(t, "the node has found the new master", patience, func() bool {
		return nodes[0].Ready(t.Context()) == nil
	})
	keep(t, nodes[0], channel, hour, "c")
	ledgers[1].await(t, channel, 3)
	expectHistory(t, nodes[1], channel, positions[0], true, "b", "c")
}

// TestHistoryHasNoRepeats breaks the connections of a publisher until it has
// sent messages again that were stored.
func TestHistoryHasNoRepeats(t *testing.T) {
	const channel = "r:chat:lobby"
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	nodes, ledgers := historyPair(t, channel, proxy.URL(), server.URL())
	client := foreignClient(t, server)
	count, repeats := 0, 0
	for deadline := time.Now().Add(patience); repeats == 0 && time.Now().Before(deadline); {
		for range 20 {
			keep(t, nodes[0], channel, hour, fmt.Sprint(count))
			keep(t, nodes[1], channel, hour, fmt.Sprint(count+1))
			count += 2
		}
		proxy.Break()
		ledgers[1].await(t, channel, count)
		length, err := client.XLen(t.Context(), "stoa:h:"+channel).Result()
		if err != nil {
			t.Fatal(err)
		}
		repeats = int(length) - count
	}
	if repeats == 0 {
		t.Fatal("no message was stored twice, so the test proves nothing")
	}
	want, positions := ledgers[1].on(channel)
	page, got := readHistory(t, nodes[1], channel, cluster.HistoryQuery{})
	if !slices.Equal(got, want) || page.Head != positions[len(positions)-1] {
		t.Errorf("the history has %d messages, and %d were delivered, with %d repeats stored; want the same", len(got), len(want), repeats)
	}
	for limit := 1; limit < count; limit += 1 + limit/3 {
		query := cluster.HistoryQuery{Limit: limit}
		if _, got := readHistory(t, nodes[1], channel, query); !slices.Equal(got, want[count-limit:]) {
			t.Errorf("the newest %d messages are %q, want %q", limit, got, want[count-limit:])
		}
	}
	if removed, err := nodes[1].RemoveFromHistory(t.Context(), channel, positions[0]); !removed || err != nil {
		t.Errorf("RemoveFromHistory = %v, %v, want true, nil", removed, err)
	}
	expectHistory(t, nodes[1], channel, positions[count-1], true)
	if _, got := readHistory(t, nodes[1], channel, cluster.HistoryQuery{}); !slices.Equal(got, want[1:]) {
		t.Errorf("the history has %d messages after one was removed, want %d", len(got), count-1)
	}
}

// TestHistoryGetsRepeats: when a server comes back, it may have lost messages
// that this node has delivered. The handler receives those that are sent again,
// as repeats, and the history has each message once.
func TestHistoryGetsRepeats(t *testing.T) {
	const channel = "r:chat:lobby"
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	nodes, ledgers := historyPair(t, channel, server.URL())
	repeats := func() int {
		ledgers[1].mu.Lock()
		defer ledgers[1].mu.Unlock()
		return ledgers[1].repeats[channel]
	}
	count := 0
	for deadline := time.Now().Add(patience); repeats() == 0 && time.Now().Before(deadline); {
		keep(t, nodes[0], channel, hour, fmt.Sprint(count))
		count++
		ledgers[1].await(t, channel, count)
		server.Kill()
		server.Restart()
		keep(t, nodes[0], channel, hour, fmt.Sprint(count)) // the repeats precede it
		count++
		ledgers[1].await(t, channel, count)
	}
	if repeats() == 0 {
		t.Fatal("no repeat has reached the handler")
	}
	want, _ := ledgers[1].on(channel)
	if _, got := readHistory(t, nodes[1], channel, cluster.HistoryQuery{}); !slices.Equal(got, want) || len(got) != count {
		t.Errorf("the history is %q, and %q was delivered, want the same %d", got, want, count)
	}
}

// TestHistoryOverStalls stops the server for moments in which publishers give
// up connections and send messages again. The history has the order of the
// deliveries on both nodes.
func TestHistoryOverStalls(t *testing.T) {
	const channel = "r:chat:lobby"
	server := redistest.Start(t)
	nodes, ledgers := historyPair(t, channel, server.URL())
	count := 0
	for round := range 6 {
		for range 30 {
			for _, b := range nodes {
				keep(t, b, channel, hour, fmt.Sprint(count))
				count++
			}
			if count%20 == 0 {
				pass(time.Millisecond)
			}
		}
		server.Pause()
		pass(time.Duration(200+100*round) * time.Millisecond)
		server.Resume()
	}
	for _, l := range ledgers {
		l.await(t, channel, count)
	}
	_, got := readHistory(t, nodes[0], channel, cluster.HistoryQuery{})
	for i, l := range ledgers {
		if want, _ := l.on(channel); !slices.Equal(got, want) {
			t.Errorf("the history has %d messages in another order than the %d deliveries on node %d", len(got), len(want), i)
		}
	}
}

// TestHistoryExpires: the key of a history has an expiry, which further
// messages renew, also on a server that has lost it.
func TestHistoryExpires(t *testing.T) {
	const channel, key = "r:chat:lobby", "stoa:h:r:chat:lobby"
	server := redistest.Start(t)
	nodes, ledgers := historyPair(t, channel, server.URL())
	client := foreignClient(t, server)
	expect := func(when string, atLeast time.Duration) {
		t.Helper()
		life, err := client.PTTL(t.Context(), key).Result()
		if err != nil || life < atLeast-time.Minute || life > hour.Age+hour.Age/8+time.Second {
			t.Errorf("%s the key lives for %v (%v), want at least %v and an eighth more at most", when, life, err, hour.Age)
		}
	}
	keep(t, nodes[0], channel, hour, "a")
	ledgers[1].await(t, channel, 1)
	expect("after the first message", hour.Age+hour.Age/8)
	server.Restart()
	keep(t, nodes[0], channel, hour, "b")
	ledgers[1].await(t, channel, 2)
	expect("after a restart", hour.Age+hour.Age/8)

	short := cluster.Retention{Messages: 10_000, Age: time.Second, Bytes: 1 << 20}
	count := 2
	publish := func() {
		keep(t, nodes[0], channel, short, "c")
		count++
		ledgers[1].await(t, channel, count)
	}
	publish() // another retention renews the expiry at once
	if life := client.PTTL(t.Context(), key).Val(); life <= 0 || life > 2*time.Second {
		t.Errorf("the key lives for %v after the retention was changed, want about %v", life, short.Age)
	}
	if err := client.Persist(t.Context(), key).Err(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "further messages renew the expiry", func() bool {
		publish()
		return client.PTTL(t.Context(), key).Val() > 0
	})
	testkit.Eventually(t, "the key expires", func() bool { return client.Exists(t.Context(), key).Val() == 0 })
}

// TestHistoryIsReadInParts: a page does not load a stream of large messages as
// a whole.
func TestHistoryIsReadInParts(t *testing.T) {
	const channel, size, count = "r:chat:lobby", 64 << 10, 200
	server := redistest.Start(t)
	admin := newAdmin(t, server)
	nodes, ledgers := historyPair(t, "r:chat:witness", server.URL())
	payload := strings.Repeat("x", size)
	for range count {
		keep(t, nodes[0], channel, hour, payload)
	}
	keep(t, nodes[0], "r:chat:witness", hour, "end")
	ledgers[1].await(t, "r:chat:witness", 1)
	sent := func() int {
		_, rest, _ := strings.Cut(admin.do("INFO stats"), "total_net_output_bytes:")
		number, _, _ := strings.Cut(rest, "\r")
		bytes, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	newest, _ := readHistory(t, nodes[0], channel, cluster.HistoryQuery{Limit: 6})
	few := hour
	few.Bytes = 5 * size
	for _, c := range []struct {
		name            string
		query           cluster.HistoryQuery
		messages, loads int
	}{
		{"the newest message", cluster.HistoryQuery{Limit: 1}, 1, 2},
		{"a few messages", cluster.HistoryQuery{Limit: 5}, 5, 6},
		{"more messages", cluster.HistoryQuery{Limit: 50}, 50, 60},
		{"those after a position", cluster.HistoryQuery{After: newest.Entries[0].Envelope.Position}, 5, 20},
		{"as many bytes as the retention has", cluster.HistoryQuery{Retention: few, Oldest: true}, 5, 20},
	} {
		before := sent()
		_, got := readHistory(t, nodes[0], channel, c.query)
		if loaded := sent() - before; len(got) != c.messages || loaded > c.loads*size+size {
			t.Errorf("%s: %d messages, for which the server sent %d KiB, want %d and at most %d KiB",
				c.name, len(got), loaded>>10, c.messages, (c.loads*size+size)>>10)
		}
	}
}

// TestHistoryCallEnds: a call for an unreachable server ends with its context,
// and a canceled call does not disturb the next one.
func TestHistoryCallEnds(t *testing.T) {
	server := redistest.Start(t)
	nodes, ledgers := historyPair(t, "r:chat:lobby", server.URL())
	keep(t, nodes[0], "r:chat:lobby", hour, "a")
	ledgers[1].await(t, "r:chat:lobby", 1)
	expectHistory(t, nodes[0], "r:chat:lobby", cluster.Position{}, true, "a")
	server.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := nodes[0].History(ctx, "r:chat:lobby", cluster.HistoryQuery{Retention: hour, Limit: 1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("History of a server that does not answer = %v, want %v", err, context.DeadlineExceeded)
	}
	server.Resume()
	expectHistory(t, nodes[0], "r:chat:lobby", cluster.Position{}, true, "a")
	server.Kill()
	answered := make(chan error, 1)
	go func() {
		_, _, err := tryHistory(nodes[1], "r:chat:lobby", cluster.HistoryQuery{})
		answered <- err
	}()
	server.Restart()
	if err := <-answered; err != nil {
		t.Errorf("History over a restart = %v, want nil", err)
	}
}

// TestHistoryOfEvictedKeys: a start position is not found after keys were
// evicted, of which the history may have been one.
func TestHistoryOfEvictedKeys(t *testing.T) {
	const channel = "r:chat:lobby"
	server := redistest.Start(t)
	nodes, ledgers := historyPair(t, channel, server.URL())
	client := foreignClient(t, server)
	begin, _ := readHistory(t, nodes[0], channel, cluster.HistoryQuery{})
	keep(t, nodes[0], channel, hour, "a")
	ledgers[1].await(t, channel, 1)
	expectHistory(t, nodes[1], channel, begin.Head, true, "a")
	if err := client.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the history is evicted", func() bool {
		return client.Exists(t.Context(), "stoa:h:"+channel).Val() == 0
	})
	if err := client.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	expectHistory(t, nodes[1], channel, begin.Head, false)
	again, _ := readHistory(t, nodes[1], channel, cluster.HistoryQuery{})
	expectHistory(t, nodes[0], channel, again.Head, true)
}
