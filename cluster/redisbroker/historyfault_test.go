package redisbroker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// TestHistoryRefused: a server refuses to store messages. It delivers them, and
// no node takes a position from before as complete, also one that starts later.
func TestHistoryRefused(t *testing.T) {
	const channel = "r:chat:lobby"
	run := func(commands ...string) func(*refusing) {
		return func(r *refusing) { r.admin.must(commands...) }
	}
	for _, c := range []struct {
		name           string
		refuse, accept func(*refusing)
		want           string
	}{
		{"OOM", run("CONFIG SET maxmemory 1"), run("CONFIG SET maxmemory 0"), "OOM"},
		{"MISCONF", (*refusing).stopSaving, run("CONFIG SET stop-writes-on-bgsave-error no"), "MISCONF"},
		{"NOPERM xadd", run("ACL SETUSER default -xadd"), run("ACL SETUSER default +xadd"), "NOPERM .*xadd"},
		{"NOPERM multi", run("ACL SETUSER default -multi", cutAll), run("ACL SETUSER default +multi", cutAll), "NOPERM .*multi"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := startRefusing(t)
			nodes, ledgers := historyPair(t, channel, r.server.URL())
			begin, _ := readHistory(t, nodes[1], channel, cluster.HistoryQuery{})
			quiet, _ := readHistory(t, nodes[1], "r:chat:quiet", cluster.HistoryQuery{})
			keep(t, nodes[0], channel, hour, "a", "b")
			last := ledgers[1].await(t, channel, 2)
			expectHistory(t, nodes[1], channel, last, true)
			c.refuse(r)
			keep(t, nodes[0], channel, hour, "lost 1", "lost 2", "lost 3")
			lost := ledgers[1].await(t, channel, 5)
			testkit.Eventually(t, "the messages and the refusals are counted", func() bool {
				stats := nodes[0].Stats().Servers[0]
				return stats.Unkept >= 3 && stats.HistoryRefusals > 0
			})
			if !matches("Redis refuses to store messages in histories since .*"+c.want, nodes[0].Warnings()...) {
				t.Errorf("Warnings = %q, want %s", nodes[0].Warnings(), c.want)
			}
			expectNothingFound := func(node int) {
				t.Helper()
				for name, position := range map[string]cluster.Position{"the last message": last, "one that was not stored": lost, "the begin": begin.Head} {
					if page, _ := readHistory(t, nodes[node], channel, cluster.HistoryQuery{After: position}); page.Found {
						t.Errorf("node %d finds the position of %s", node, name)
					}
				}
				if page, _ := readHistory(t, nodes[node], "r:chat:quiet", cluster.HistoryQuery{After: quiet.Head}); page.Found {
					t.Errorf("node %d finds the begin of another channel", node)
				}
			}
			expectNothingFound(0)
			expectNothingFound(1)
			c.accept(r)
			testkit.EventuallyWithin(t, "the node warns no longer", patience, func() bool { return len(nodes[0].Warnings()) == 0 })
			expectNothingFound(0)
			expectNothingFound(1)
			keep(t, nodes[0], channel, hour, "c", "d")
			ledgers[1].await(t, channel, 7)
			_, positions := ledgers[1].on(channel)
			later := startBroker(t, redisbroker.Config{Servers: []string{r.server.URL()}, NodeID: "later"}, newKeptLedger())
			expectHistory(t, later, channel, last, false, "a", "b", "c", "d")
			// While notices may still be on their way, no position is found.
			testkit.EventuallyWithin(t, "the nodes find a position from after the gap", patience, func() bool {
				page, got := readHistory(t, nodes[1], channel, cluster.HistoryQuery{After: positions[5]})
				return page.Found && fmt.Sprint(got) == "[d]"
			})
			expectNothingFound(1)
		})
	}
}

// TestHistoryKeyOfAnotherType: the channel has no history, and the others are
// not affected.
func TestHistoryKeyOfAnotherType(t *testing.T) {
	const broken, other = "r:chat:broken", "r:chat:other"
	server := redistest.Start(t)
	admin := newAdmin(t, server)
	nodes, ledgers := historyPair(t, broken, server.URL())
	for _, b := range nodes {
		if err := b.Subscribe(t.Context(), other); err != nil {
			t.Fatal(err)
		}
	}
	keep(t, nodes[0], broken, hour, "a")
	keep(t, nodes[0], other, hour, "a")
	last, otherLast := ledgers[1].await(t, broken, 1), ledgers[1].await(t, other, 1)
	admin.must("SET stoa:h:" + broken + " x")
	for range 20 {
		keep(t, nodes[0], broken, hour, "lost")
		keep(t, nodes[0], other, hour, "b")
	}
	ledgers[1].await(t, broken, 21)
	ledgers[1].await(t, other, 21)
	testkit.Eventually(t, "the messages are counted", func() bool { return nodes[0].Stats().Servers[0].Unkept >= 20 })
	stats := nodes[0].Stats().Servers[0]
	if !matches("WRONGTYPE", nodes[0].Warnings()...) || stats.PublisherReconnects != 0 {
		t.Errorf("warnings %q, %d reconnects, want WRONGTYPE and 0", nodes[0].Warnings(), stats.PublisherReconnects)
	}
	if page, got := readHistory(t, nodes[1], other, cluster.HistoryQuery{After: otherLast}); !page.Found || len(got) != 20 {
		t.Errorf("the other channel has %d messages, found %v, want 20 and true", len(got), page.Found)
	}
	if _, _, err := tryHistory(nodes[1], broken, cluster.HistoryQuery{}); err == nil || !redisError(err) || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("History = %v, want WRONGTYPE", err)
	}
	admin.must("DEL stoa:h:" + broken)
	keep(t, nodes[0], broken, hour, "b")
	ledgers[1].await(t, broken, 22)
	expectHistory(t, nodes[1], broken, last, false, "b")
	_, positions := ledgers[1].on(broken)
	keep(t, nodes[0], broken, hour, "c")
	ledgers[1].await(t, broken, 23)
	testkit.Eventually(t, "the channel has a history again", func() bool {
		page, _ := readHistory(t, nodes[1], broken, cluster.HistoryQuery{After: positions[21]})
		return page.Found
	})
}

// TestHistoryGapOfAChannel: a start position from before messages that were not
// stored is not found, by any node.
func TestHistoryGapOfAChannel(t *testing.T) {
	const channel, key = "r:chat:lobby", "stoa:h:r:chat:lobby"
	server := redistest.Start(t)
	admin := newAdmin(t, server)
	nodes, ledgers := historyPair(t, channel, server.URL())
	begin, _ := readHistory(t, nodes[0], channel, cluster.HistoryQuery{})
	admin.must("SET " + key + " x")
	keep(t, nodes[0], channel, hour, "lost")
	ledgers[1].await(t, channel, 1)
	testkit.Eventually(t, "the gap is stored", func() bool { return admin.do("EXISTS stoa:hg:"+channel) == ":1" })
	if life := admin.do("PTTL stoa:hg:" + channel); strings.HasPrefix(life, ":-") {
		t.Errorf("PTTL of the gap = %s, want an expiry", life)
	}
	admin.must("DEL " + key)
	for _, b := range nodes {
		expectHistory(t, b, channel, begin.Head, false)
	}
}

// TestHistoryWithRestrictedUser has the rights that the documentation names.
func TestHistoryWithRestrictedUser(t *testing.T) {
	const channel = "r:chat:lobby"
	server := redistest.Start(t)
	newAdmin(t, server).must("ACL SETUSER stoa on >password resetkeys resetchannels ~stoa:* &stoa:* -@all +publish +subscribe " +
		"+unsubscribe +pubsub|numsub +ping +info +multi +exec +set +mget +del +sadd +srem +smembers +pexpire " +
		"+client|id +client|setname +client|list +client|kill +role " +
		"+xadd +xrevrange +xrange +xlen +xdel +xtrim +time +eval +get")
	nodes, ledgers := historyPair(t, channel, "redis://stoa:password@"+server.Addr())
	begin, _ := readHistory(t, nodes[0], channel, cluster.HistoryQuery{})
	keep(t, nodes[0], channel, hour, "a", "b")
	last := ledgers[1].await(t, channel, 2)
	expectHistory(t, nodes[1], channel, begin.Head, true, "a", "b")
	if removed, err := nodes[1].RemoveFromHistory(t.Context(), channel, last); !removed || err != nil {
		t.Errorf("RemoveFromHistory = %v, %v, want true, nil", removed, err)
	}
	if err := nodes[1].ClearHistory(t.Context(), channel); err != nil {
		t.Errorf("ClearHistory = %v, want nil", err)
	}
	expectHistory(t, nodes[1], channel, cluster.Position{}, true)
	confirmed(t, nodes[0], channel, "id", "once")
	expectHistory(t, nodes[1], channel, cluster.Position{}, true, "once")
	for _, b := range nodes {
		if warnings := b.Warnings(); len(warnings) != 0 {
			t.Errorf("Warnings = %q, want none", warnings)
		}
	}
}

// TestHistoryWhileLoading: a server that reads its data accepts messages, but
// does not store them. They wait for that.
func TestHistoryWhileLoading(t *testing.T) {
	const channel = "r:chat:lobby"
	server := redistest.Start(t, "--appendonly", "yes", "--key-load-delay", "50000", "--loading-process-events-interval-bytes", "1024",
		"--rdbcompression", "no")
	admin := newAdmin(t, server)
	for i := range 20 {
		admin.must(fmt.Sprintf("SET key%d %s", i, strings.Repeat("x", 8<<10)))
	}
	nodes, ledgers := historyPair(t, channel, server.URL())
	keep(t, nodes[0], channel, hour, "a")
	ledgers[1].await(t, channel, 1)
	admin.must("BGREWRITEAOF")
	testkit.Eventually(t, "the data is written in the form that takes time to read", func() bool {
		info := admin.do("INFO persistence")
		return strings.Contains(info, "aof_rewrite_in_progress:0") && strings.Contains(info, "aof_last_bgrewrite_status:ok") &&
			strings.Contains(info, "aof_rewrite_scheduled:0")
	})
	server.Kill()
	restarted := make(chan struct{})
	go func() {
		defer close(restarted)
		server.Restart()
	}()
	keep(t, nodes[0], channel, hour, "b")
	ledgers[1].await(t, channel, 2)
	<-restarted
	if stats := nodes[0].Stats().Servers[0]; stats.Unkept != 0 || stats.PublisherRefusals == 0 {
		t.Errorf("%d messages were not stored, %d refusals, want none and some", stats.Unkept, stats.PublisherRefusals)
	}
	expectHistory(t, nodes[1], channel, cluster.Position{}, true, "a", "b")
}
