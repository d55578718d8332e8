package main

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/clitest"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// TestRefusedEntry: Redis refuses the registry entries. The nodes know each
// other and are ready; /readyz and "stoa nodes" warn.
func TestRefusedEntry(t *testing.T) {
	redis := redistest.Start(t)
	one, two := startMember(t, redis, "--node-id", "one"), startMember(t, redis, "--node-id", "two")
	redis.Command("ACL SETUSER default -set")
	for _, p := range []*clitest.Program{one, two} {
		testkit.Eventually(t, "/readyz warns", func() bool {
			response, body := p.Get(t, http.MethodGet, "/readyz")
			return response.StatusCode == http.StatusOK && strings.HasPrefix(body, "ok\n") && strings.Contains(body, "\nwarning: redis "+
				redis.Addr()+": Redis refuses the node's registry entry since ") && strings.Contains(body, "NOPERM")
		})
		if _, body := p.Get(t, http.MethodGet, "/metrics"); !strings.Contains(body, "\nstoa_known_nodes 2\n") {
			t.Error("a node has forgotten the other")
		}
	}
	redis.Command("DEL stoa:node:one")
	code, stdout, stderr := runProgram(t, "nodes", "--redis", redis.URL())
	if code != 0 || !strings.Contains(stdout, "\ntwo ") || !strings.Contains(stderr, "not all nodes of the cluster are registered: 1 of 2") {
		t.Errorf("exit code %d, printed %q and %q; want 0, the other node and a warning", code, stdout, stderr)
	}
	redis.Command("ACL SETUSER default +set")
	testkit.Eventually(t, "/readyz warns no longer", func() bool {
		_, body := one.Get(t, http.MethodGet, "/readyz")
		return body == "ok\n"
	})
	if nodes := listed(t, "--redis", redis.URL()); len(nodes) != 2 {
		t.Errorf("%v are listed, want both nodes", nodes)
	}
}

// TestRefusedAtTheStart: problems that only a change of the configuration ends.
func TestRefusedAtTheStart(t *testing.T) {
	clustered := redistest.Start(t, "--cluster-enabled", "yes")
	denied := redistest.Start(t)
	denied.Command("ACL SETUSER default -publish")
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"cluster mode", []string{"--listen", "127.0.0.1:0", "--redis", clustered.URL()}, "runs in cluster mode (Redis Cluster), which is not supported"},
		{"nodes of cluster mode", []string{"nodes", "--redis", clustered.URL()}, "runs in cluster mode"},
		{"no right to publish", []string{"--listen", "127.0.0.1:0", "--redis", denied.URL()}, "NOPERM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, stderr := runProgram(t, c.args...)
			if code != cli.ExitFailure || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, want %d; want %q in:\n%s", code, cli.ExitFailure, c.want, stderr)
			}
		})
	}
}

// TestDatabases: clusters of one name in two databases of a server are two
// clusters.
func TestDatabases(t *testing.T) {
	redis := redistest.Start(t)
	zero := startMember(t, redis, "--node-id", "zero")
	one := startProgram(t, "--redis", redis.URL()+"/1", "--node-id", "one")
	awaitReady(t, one)
	a, b := dialMember(t, zero), dialMember(t, one)
	a.Send(t, ";default;r;chat;0;0;from database 0")
	b.Send(t, "$s;default;;sync;0;0;")
	if got := string(b.ReadFrame(t).Payload); !strings.HasPrefix(got, "$s;") {
		t.Errorf("a client of the other cluster got %q", got)
	}
	for url, want := range map[string]string{redis.URL(): "zero", redis.URL() + "/1": "one"} {
		if nodes := listed(t, "--redis", url); len(nodes) != 1 || nodes[0].ID != want {
			t.Errorf("%v are listed, want %s", nodes, want)
		}
	}
}

// TestUnreadLog: a log that no process reads stops neither the loops nor the
// end of the program.
func TestUnreadLog(t *testing.T) {
	clitest.RestoreProcessors(t)
	unread, stderr := io.Pipe()
	defer func() { _ = unread.Close() }()
	var stdout testkit.Output
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	exited := make(chan int, 1)
	go func() {
		exited <- run(ctx, []string{"--listen", "127.0.0.1:0", "--log-level", "debug"}, strings.NewReader(""), &stdout, stderr)
	}()
	address := stdout.Await(t, `Open +http://(\S+)/ `)
	for range 20 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/ws", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Connection", "close")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		clitest.DialSocket(t, address, "/ws").AnswerClose(t)
	}
	cancel()
	select {
	case code := <-exited:
		if code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
	case <-time.After(testkit.Patience):
		t.Error("the program does not end")
	}
}

// The reason follows the latest kind of error: after the password has changed,
// the log must not go on with the loss of the connection.
func TestLogFollowsTheReason(t *testing.T) {
	redis := redistest.Start(t)
	p := startMember(t, redis)
	// One connection sends all, because later ones need the password.
	redis.Command("CONFIG SET requirepass secret\r\nCLIENT KILL TYPE pubsub\r\nCLIENT KILL TYPE normal")
	p.Stderr.Await(t, `msg="not connected to Redis; trying again" server=`+regexp.QuoteMeta(redis.Addr())+` connection=publisher error="?[^\n]*NOAUTH`)
	p.Stderr.Await(t, `connection=subscriber error="?[^\n]*NOAUTH`)
}
