package main

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// startMember starts a node of the cluster over the server and waits until it
// is ready.
func startMember(t testing.TB, server *redistest.Server, args ...string) *clitest.Program {
	t.Helper()
	p := startProgram(t, append([]string{"--redis", server.URL()}, args...)...)
	awaitReady(t, p)
	return p
}

func awaitReady(t testing.TB, p *clitest.Program) {
	t.Helper()
	testkit.Eventually(t, "the node is ready", func() bool {
		response, _ := p.Get(t, http.MethodGet, "/readyz")
		return response.StatusCode == http.StatusOK
	})
}

// dialMember opens a WebSocket and joins the room "r" of the default namespace.
func dialMember(t testing.TB, p *clitest.Program) *clitest.Socket {
	t.Helper()
	s := clitest.DialSocket(t, p.Address, "/ws")
	s.Send(t, "$c;"+cli.DefaultNamespace+";;_OnNamespaceConnect;0;0;")
	s.Expect(t, "$c;;;;;;")
	s.Send(t, "$j;"+cli.DefaultNamespace+";r;_OnRoomJoin;0;0;")
	s.Expect(t, "$j;;;;;;")
	return s
}

// runProgram returns the exit code and the output.
func runProgram(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := launch(t, args...)
	code = p.Wait(t)
	return code, p.Stdout.String(), p.Stderr.String()
}

// listed returns the output of "stoa nodes".
func listed(t testing.TB, args ...string) []cluster.NodeInfo {
	t.Helper()
	code, stdout, stderr := runProgram(t, append([]string{"nodes", "--format", "json"}, args...)...)
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, want 0: %s", code, stderr)
	}
	var nodes []cluster.NodeInfo
	if err := json.Unmarshal([]byte(stdout), &nodes); err != nil {
		t.Fatalf("%v in:\n%s", err, stdout)
	}
	return nodes
}

func TestClusterOfTwo(t *testing.T) {
	redis := redistest.Start(t)
	one := startMember(t, redis, "--cluster-name", "chat", "--node-id", "one", "--advertise", "one.example.com:80")
	two := startMember(t, redis, "--cluster-name", "chat", "--node-id", "two")
	stranger := startMember(t, redis)

	a, b, elsewhere := dialMember(t, one), dialMember(t, two), dialMember(t, stranger)
	a.Send(t, ";default;r;chat;0;0;from one")
	b.Expect(t, ";default;r;chat;0;0;from one")
	// An ask in the room reaches the other member, which answers it.
	b.Send(t, "$q;default;r;time;0;0;")
	ask := string(a.ReadFrame(t).Payload)
	token, rest, _ := strings.Cut(ask, ";")
	if rest != "default;r;time;0;0;" {
		t.Fatalf("got %q, want the ask", ask)
	}
	a.Send(t, token+";default;r;time;0;0;late")
	b.Expect(t, "$q;default;r;time;0;0;late")
	// Another cluster on the same server receives nothing.
	elsewhere.Send(t, "$s;default;;sync;0;0;")
	if got := string(elsewhere.ReadFrame(t).Payload); !strings.HasPrefix(got, "$s;") {
		t.Errorf("a client of another cluster got %q", got)
	}

	testkit.Eventually(t, "both nodes are listed with a client each", func() bool {
		nodes := listed(t, "--redis", redis.URL(), "--cluster-name", "chat")
		return len(nodes) == 2 && nodes[0].ID == "one" && nodes[0].Address == "one.example.com:80" && nodes[0].Connections == 1 &&
			nodes[1].ID == "two" && nodes[1].Address == two.Address && nodes[1].Connections == 1 &&
			nodes[1].Version == cli.ReadBuild().Version && time.Since(nodes[1].Started) < testkit.Patience
	})
	for _, want := range []string{`stoa_known_nodes 2`, `stoa_broker_up{server="0"} 1`, `stoa_broker_congested{server="0"} 0`, `stoa_pending_calls 0`} {
		if _, body := one.Get(t, http.MethodGet, "/metrics"); !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("%q is not in the metrics", want)
		}
	}
	if want := `Cluster +"chat" on 1 Redis server: ` + regexp.QuoteMeta(redis.Addr()); !regexp.MustCompile(want).MatchString(one.Stdout.String()) {
		t.Errorf("want %q in:\n%s", want, one.Stdout)
	}

	if a.AnswerClose(t); one.Stop(t) != 0 {
		t.Errorf("the node failed to stop; its log:\n%s", one.Stderr)
	}
	if nodes := listed(t, "--redis", redis.URL(), "--cluster-name", "chat"); len(nodes) != 1 || nodes[0].ID != "two" {
		t.Errorf("%v are listed, want only the node that still runs", nodes)
	}
}

// Outside of a cluster there are no cluster metrics.
func TestNoClusterMetrics(t *testing.T) {
	p := startProgram(t)
	_, body := p.Get(t, http.MethodGet, "/metrics")
	if strings.Contains(body, "stoa_broker_") || strings.Contains(body, "stoa_known_nodes") {
		t.Error("cluster metrics outside of a cluster")
	}
	if strings.Contains(p.Stdout.String(), "Cluster") {
		t.Errorf("the banner mentions a cluster:\n%s", p.Stdout)
	}
}

func TestEnvironment(t *testing.T) {
	redis := redistest.Start(t)
	t.Setenv(cli.RedisVariable, " "+redis.URL()+"\n")
	t.Setenv(cli.ClusterNameVariable, "env")
	p := startProgram(t, "--node-id", "one")
	awaitReady(t, p)
	awaitReady(t, startProgram(t, "--node-id", "two", "--cluster-name", "flag"))
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "one"},
		{[]string{"--cluster-name", "flag"}, "two"},
		{[]string{"--redis", redis.URL(), "--cluster-name", "env"}, "one"},
	} {
		if nodes := listed(t, c.args...); len(nodes) != 1 || nodes[0].ID != c.want {
			t.Errorf("%q: %v are listed, want %s", c.args, nodes, c.want)
		}
	}
}

// A node starts without Redis, and its readiness follows that of Redis.
func TestReadyFollowsRedis(t *testing.T) {
	redis := redistest.Start(t)
	redis.Stop()
	p := startProgram(t, "--redis", redis.URL())
	p.Stderr.Await(t, `level=(WARN) msg="not connected to Redis; trying again" server=`+regexp.QuoteMeta(redis.Addr()))
	reason := "redis " + redis.Addr() + ": "
	awaitRed := func() {
		t.Helper()
		testkit.Eventually(t, "/readyz is red and says why", func() bool {
			response, body := p.Get(t, http.MethodGet, "/readyz")
			return response.StatusCode == http.StatusServiceUnavailable && strings.Contains(body, reason)
		})
		if _, body := p.Get(t, http.MethodGet, "/metrics"); !strings.Contains(body, "\nstoa_broker_up{server=\"0\"} 0\n") {
			t.Error("the metrics do not say that the server is down")
		}
		if response, _ := p.Get(t, http.MethodGet, "/healthz"); response.StatusCode != http.StatusOK {
			t.Errorf("/healthz: %s, want 200, because the process runs", response.Status)
		}
	}
	awaitRed()
	redis.Restart()
	awaitReady(t, p)
	client := dialMember(t, p)
	redis.Kill()
	awaitRed()
	redis.Restart()
	awaitReady(t, p)
	// The connection of the client has survived.
	client.Send(t, "$s;default;;sync;0;0;")
	if got := string(client.ReadFrame(t).Payload); !strings.HasPrefix(got, "$s;") {
		t.Errorf("the client got %q", got)
	}
}

// A wrong name of the cluster is no empty cluster.
func TestNodesOfAnotherCluster(t *testing.T) {
	redis := redistest.Start(t)
	startMember(t, redis, "--node-id", "one")
	for format, want := range map[string]string{"table": "", "json": "[]\n"} {
		code, stdout, stderr := runProgram(t, "nodes", "--redis", redis.URL(), "--cluster-name", "stao", "--format", format)
		if code != cli.ExitFailure || stdout != want || !strings.Contains(stderr, `no node of the cluster "stao"`) {
			t.Errorf("%s: exit code %d, printed %q and %q; want 1, %q and the reason", format, code, stdout, stderr, want)
		}
	}
}

func TestNodesThatCannotBeAsked(t *testing.T) {
	redis := redistest.Start(t)
	startMember(t, redis, "--node-id", "one")
	gone := redistest.Start(t)
	gone.Stop()
	code, stdout, stderr := runProgram(t, "nodes", "--redis", gone.URL())
	if code != cli.ExitFailure || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, gone.Addr()) {
		t.Errorf("exit code %d, printed %q and %q; want 1 and one line that names %s", code, stdout, stderr, gone.Addr())
	}
	code, stdout, stderr = runProgram(t, "nodes", "--redis", gone.URL(), "--redis", redis.URL())
	if code != cli.ExitFailure || !strings.Contains(stdout, "\none ") || !strings.Contains(stderr, gone.Addr()) {
		t.Errorf("exit code %d, printed %q and %q; want 1 and the nodes of the other server", code, stdout, stderr)
	}
}

func TestWriteNodes(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	nodes := []cluster.NodeInfo{
		{ID: "one", Address: "10.0.0.1:8080", Version: "v1.2.3", Connections: 12_345, Started: now.Add(-90 * time.Minute)},
		{ID: "two", Address: "a b\x1b[2J", Started: now.Add(time.Second)},
		{ID: "three"},
	}
	var table strings.Builder
	if err := writeNodes(&table, formatTable, nodes, now); err != nil {
		t.Fatal(err)
	}
	want := `NODE   ADDRESS        VERSION  CONNECTIONS  STARTED               UP
one    10.0.0.1:8080  v1.2.3   12345        2030-01-02T01:34:05Z  1h30m0s
two    "a b\x1b[2J"   -        0            2030-01-02T03:04:06Z  0s
three  -              -        0            -                     -
`
	if got := table.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	var list strings.Builder
	if err := writeNodes(&list, cli.FormatJSON, []cluster.NodeInfo{}, now); err != nil || list.String() != "[]\n" {
		t.Errorf("no nodes are %q, %v; want an empty list", list.String(), err)
	}
}
