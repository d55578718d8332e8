package redisbroker_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// TestPreviousConnectionIsEnded: only the previous connection to the same
// process of the server is ended.
func TestPreviousConnectionIsEnded(t *testing.T) {
	server := redistest.Start(t)
	const name = "stoa.node.0.publisher"
	for _, c := range []struct {
		name     string
		change   func(previous *redisbroker.Trace)
		wantDead bool
	}{
		{"the same life", func(*redisbroker.Trace) {}, true},
		{"another life", func(p *redisbroker.Trace) { p.Run = strings.Repeat("0", 40) }, false},
		{"life not known", func(p *redisbroker.Trace) { p.Run = "" }, true},
		{"number of another sender", func(p *redisbroker.Trace) { p.Name = "other" }, false},
		// Numbers rise by one.
		{"its own number", func(p *redisbroker.Trace) { p.ID++ }, false},
		{"its own number, life not known", func(p *redisbroker.Trace) { p.ID++; p.Run = "" }, false},
		{"no number", func(p *redisbroker.Trace) { p.ID = 0 }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			open := func(previous redisbroker.Trace) (redisbroker.Trace, func() bool) {
				t.Helper()
				own, alive, end, err := redisbroker.Introduce(t.Context(), server.URL(), name, previous)
				if err != nil {
					t.Fatalf("a new connection fails with %v, want nil", err)
				}
				t.Cleanup(end)
				return own, alive
			}
			previous, previousAlive := open(redisbroker.Trace{})
			if len(previous.Run) != 40 || previous.ID == 0 {
				t.Fatalf("run ID %q, number %d; want 40 characters and a number", previous.Run, previous.ID)
			}
			before := previous
			c.change(&before)
			own, alive := open(before)
			if own.ID != previous.ID+1 {
				t.Fatalf("the numbers are %d and %d, want one after the other", previous.ID, own.ID)
			}
			if !alive() || previousAlive() == c.wantDead {
				t.Errorf("the new connection lives: %v, the one before: %v; want true, %v", alive(), previousAlive(), !c.wantDead)
			}
		})
	}
}

// TestReconnectAfterServerRestart reconnects repeatedly. The numbers of
// connections start again with every process of the server, so that the
// previous number is often the new connection's own.
func TestReconnectAfterServerRestart(t *testing.T) {
	server := redistest.Start(t)
	b := startBroker(t, redisbroker.Config{Servers: []string{server.URL()}}, newLedger())
	for range 10 {
		server.Restart()
		testkit.Eventually(t, "the node is ready again", func() bool { return b.Ready(t.Context()) == nil })
	}
	if stats := b.Stats().Servers[0]; stats.PublisherReconnects > 10 || stats.SubscriberReconnects > 10 {
		t.Errorf("%d and %d connections lost in 10 restarts", stats.PublisherReconnects, stats.SubscriberReconnects)
	}
}

// documentedUser is the rule in docs/cluster.md for a user with restricted
// rights.
func documentedUser(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```\nuser (stoa on >password .*?)\n```").FindSubmatch(text)
	if block == nil {
		t.Fatal("docs/cluster.md has no rule for a user")
	}
	return strings.Join(strings.Fields(string(block[1])), " ")
}

// TestRestrictedUser: the rights in docs/cluster.md are enough. Without INFO a
// node works too, and logs the possible cost.
func TestRestrictedUser(t *testing.T) {
	for _, c := range []struct {
		name, rule string
		wantDenied string
	}{
		{"as documented", documentedUser(t), ""},
		{"without INFO", strings.Replace(documentedUser(t), " +info", "", 1), "info"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := redistest.Start(t)
			if got := redisLines(t, server.Addr(), "ACL SETUSER "+c.rule); got[0] != "+OK" {
				t.Fatalf("ACL SETUSER = %q, want +OK", got)
			}
			proxy := redistest.StartProxy(t, server)
			url := strings.Replace(proxy.URL(), "redis://", "redis://stoa:password@", 1)
			f := startTraffic(t, rooms(2), repeated(2, redisbroker.Config{Servers: []string{url}})...)
			f.run(t, 100)
			proxy.Break()
			f.run(t, 100)
			f.end(t)
			f.ledgers[0].expectOrder(t, "a node", f.published)
			if err := f.nodes[0].Unsubscribe(t.Context(), f.channels...); err != nil {
				t.Errorf("Unsubscribe = %v, want nil", err)
			}
			if nodes, err := redisbroker.ListNodes(t.Context(), redisbroker.Config{Servers: []string{url}}); err != nil || len(nodes) != 2 {
				t.Errorf("ListNodes = %v, %v; want two nodes", nodes, err)
			}
			if err := f.nodes[0].Close(t.Context()); err != nil {
				t.Errorf("Close = %v, want nil", err)
			}
			denied := ""
			log := redisLines(t, server.Addr(), "ACL LOG")
			for i, line := range log {
				if line == "object" && i+2 < len(log) {
					denied = log[i+2]
				}
			}
			if denied != c.wantDenied {
				t.Errorf("the server has refused %q, want %q", denied, c.wantDenied)
			}
		})
	}
}
