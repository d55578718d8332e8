package redisbroker_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// admin is a connection to a server that the refusals of a test do not affect.
type admin struct {
	t      testing.TB
	conn   net.Conn
	reader *bufio.Reader
}

func newAdmin(t testing.TB, server *redistest.Server) *admin {
	t.Helper()
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &admin{t: t, conn: conn, reader: bufio.NewReader(conn)}
}

// do sends a command and returns its answer, the parts of which are joined by
// spaces.
func (a *admin) do(command string) string {
	a.t.Helper()
	if err := a.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		a.t.Fatal(err)
	}
	if _, err := io.WriteString(a.conn, command+"\r\n"); err != nil {
		a.t.Fatalf("%s: %v", command, err)
	}
	answer, err := a.read()
	if err != nil {
		a.t.Fatalf("%s: %v", command, err)
	}
	return answer
}

func (a *admin) read() (string, error) {
	line, err := a.reader.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSpace(line)
	count, _ := strconv.Atoi(line[1:])
	switch line[0] {
	case '$':
		text := make([]byte, max(count, 0)+2)
		_, err := io.ReadFull(a.reader, text)
		return string(text[:len(text)-2]), err
	case '*':
		var parts []string
		for range count {
			part, err := a.read()
			if err != nil {
				return "", err
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, " "), nil
	}
	return line, nil
}

// must sends commands that the server accepts.
func (a *admin) must(commands ...string) {
	a.t.Helper()
	for _, command := range commands {
		if answer := a.do(command); strings.HasPrefix(answer, "-") {
			a.t.Fatalf("%s = %s", command, answer)
		}
	}
}

// refusing is a server with nodes that reach it through a proxy.
type refusing struct {
	server *redistest.Server
	proxy  *redistest.Refuser
	admin  *admin
}

func startRefusing(t testing.TB) *refusing {
	t.Helper()
	server := redistest.Start(t)
	return &refusing{server: server, proxy: redistest.StartRefuser(t, server), admin: newAdmin(t, server)}
}

const cutAll = "CLIENT KILL TYPE normal SKIPME yes"

// stopSaving makes the server refuse commands because it cannot save.
func (r *refusing) stopSaving() {
	directory := strings.TrimPrefix(r.admin.do("CONFIG GET dir"), "dir ")
	if err := os.RemoveAll(directory); err != nil {
		r.admin.t.Fatal(err)
	}
	r.admin.must("CONFIG SET save '3600 1'", "BGSAVE")
	testkit.Eventually(r.admin.t, "the server has failed to save", func() bool {
		return strings.Contains(r.admin.do("INFO persistence"), "rdb_last_bgsave_status:err")
	})
}

// TestRefusals: a server answers, but refuses. In every case the node queues
// its messages, gives the reason in Ready and in the log, and loses none. Where
// messages can still pass, they do. If only the subscriptions end, messages
// that Redis accepts before the publishers stop are lost.
func TestRefusals(t *testing.T) {
	run := func(commands ...string) func(*refusing) {
		return func(r *refusing) { r.admin.must(commands...) }
	}
	refuse := func(reply string, commands ...string) func(*refusing) {
		return func(r *refusing) { r.proxy.Refuse(reply, commands...) }
	}
	accept := func(r *refusing) { r.proxy.Accept() }
	for _, c := range []struct {
		name           string
		refuse, accept func(*refusing)
		want           string // in Ready and in the log; in Warnings if messages pass
		passes         bool
		interrupted    bool // only the subscriptions
	}{
		{"NOPERM publish", run("ACL SETUSER default -publish"), run("ACL SETUSER default +publish"), "NOPERM .*publish", false, false},
		{"NOPERM pubsub numsub", run("ACL SETUSER default -pubsub|numsub", cutAll), run("ACL SETUSER default +pubsub|numsub"), "NOPERM .*numsub", false, false},
		{"NOPERM subscribe", run("ACL SETUSER default -subscribe", "CLIENT KILL TYPE pubsub"), run("ACL SETUSER default +subscribe"), "NOPERM .*subscribe", false, true},
		{"NOPERM channels", run("ACL SETUSER default resetchannels"), run("ACL SETUSER default &*"), "NOPERM .*channels", false, true},
		{"NOPERM multi", run("ACL SETUSER default -multi", cutAll), run("ACL SETUSER default +multi", cutAll), "NOPERM .*multi", true, false},
		{"NOPERM set", run("ACL SETUSER default -set"), run("ACL SETUSER default +set"), "NOPERM .*set", true, false},
		{"NOPERM ping", run("ACL SETUSER default -ping"), run("ACL SETUSER default +ping"), "", true, false},
		{"NOAUTH", run("CONFIG SET requirepass secret", cutAll, "CLIENT KILL TYPE pubsub"), run("CONFIG SET requirepass ''"), "NOAUTH", false, false},
		{"MISCONF", (*refusing).stopSaving, run("CONFIG SET stop-writes-on-bgsave-error no"), "MISCONF", true, false},
		{"OOM", run("CONFIG SET maxmemory 1"), run("CONFIG SET maxmemory 0"), "OOM", true, false},
		{"READONLY", run("REPLICAOF 127.0.0.1 1"), run("REPLICAOF NO ONE"), "is a replica", false, false},
		{"MASTERDOWN", run("CONFIG SET replica-serve-stale-data no", "REPLICAOF 127.0.0.1 1"), run("REPLICAOF NO ONE"), "is a replica", false, false},
		{"maxclients", run("CONFIG SET maxclients 1", cutAll, "CLIENT KILL TYPE pubsub"), run("CONFIG SET maxclients 1000"), "max number of clients", false, false},
		{"LOADING", refuse("LOADING Redis is loading the dataset in memory", "publish", "set"), accept, "LOADING", false, false},
		{"unknown command", refuse("ERR unknown command 'PUBLISH'", "publish"), accept, "unknown command", false, false},
		{"CROSSSLOT", refuse("CROSSSLOT Keys in request don't hash to the same slot", "mget", "set"), accept, "cluster mode", false, false},
		{"MOVED", refuse("MOVED 1 127.0.0.1:1", "set"), accept, "cluster mode", false, false},
		{"CLUSTERDOWN", refuse("CLUSTERDOWN The cluster is down", "set"), accept, "cluster mode", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := startRefusing(t)
			var log testkit.Output
			f := startTraffic(t, rooms(2), repeated(2, redisbroker.Config{
				Servers: []string{r.proxy.URL()}, Logger: slog.New(slog.NewTextHandler(&log, nil)), Lease: 600 * time.Millisecond,
			})...)
			f.run(t, 200)
			c.refuse(r)
			for i, b := range f.nodes {
				switch {
				case !c.passes:
					awaitReady(t, fmt.Sprintf("node %d is not ready", i), b, c.want)
				case c.want != "":
					testkit.Eventually(t, fmt.Sprintf("node %d warns", i), func() bool { return matches(c.want, b.Warnings()...) })
				}
			}
			if c.passes {
				f.run(t, 500)
			}
			for i, b := range f.nodes {
				if err := b.Ready(t.Context()); c.passes && err != nil {
					t.Errorf("Ready of node %d = %v, want nil", i, err)
				}
				if got := len(b.Nodes()); got != 2 {
					t.Errorf("node %d knows %d nodes, want 2", i, got)
				}
				s := b.Stats().Servers[0]
				if c.want != "" && s.PublisherRefusals+s.SubscriberRefusals+s.RegistryRefusals+s.TransactionRefusals == 0 && c.want != "is a replica" {
					t.Errorf("node %d has counted no refusal", i)
				}
			}
			if c.want != "" {
				log.Await(t, c.want)
			}
			c.accept(r)
			for i, b := range f.nodes {
				awaitReady(t, fmt.Sprintf("node %d is ready again", i), b, "")
				testkit.Eventually(t, fmt.Sprintf("node %d warns no longer", i), func() bool { return len(b.Warnings()) == 0 })
			}
			f.run(t, 500)
			if c.interrupted {
				f.end(t)
				f.ledgers[0].expectOrder(t, "a node", f.published)
			} else {
				f.expectNothingLost(t)
			}
			for _, connection := range []string{"publisher", "subscriber"} {
				if got := strings.Count(log.String(), "connection="+connection); got > 2*redisbroker.LogBurst {
					t.Errorf("%d records about the %ss of two nodes, want at most %d", got, connection, 2*redisbroker.LogBurst)
				}
			}
		})
	}
}

// matches returns true if one of the texts matches the pattern.
func matches(pattern string, texts ...string) bool {
	return slices.ContainsFunc(texts, regexp.MustCompile(pattern).MatchString)
}

// awaitReady waits until Ready fails with a reason, or with none if want is
// empty.
func awaitReady(t testing.TB, what string, b *redisbroker.Broker, want string) {
	t.Helper()
	testkit.Eventually(t, what, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := b.Ready(ctx)
		if want == "" || err == nil {
			return want == "" && err == nil
		}
		return matches(want, err.Error())
	})
}

// TestBusy: a script that runs for a long time makes the server refuse all
// commands. Nothing is lost.
func TestBusy(t *testing.T) {
	r := startRefusing(t)
	f := startTraffic(t, rooms(2), repeated(2, redisbroker.Config{Servers: []string{r.proxy.URL()}})...)
	f.run(t, 200)
	r.admin.must("CONFIG SET busy-reply-threshold 1")
	script := newAdmin(t, r.server)
	if _, err := io.WriteString(script.conn, "EVAL \"while true do end\" 0\r\n"); err != nil {
		t.Fatal(err)
	}
	for _, b := range f.nodes {
		awaitReady(t, "a node is not ready", b, "BUSY")
	}
	r.admin.must("SCRIPT KILL")
	f.run(t, 500)
	f.expectNothingLost(t)
}
