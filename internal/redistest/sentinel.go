package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/testkit"
)

// Group is a master with replicas and the Sentinels that watch it.
type Group struct {
	Master    *Server
	Replicas  []*Server
	Sentinels []*Server
	Name      string
}

// StartGroup starts a master, one replica and three Sentinels, two of which
// suffice to fail over. It returns when the Sentinels know the replica and each
// other.
func StartGroup(t testing.TB, name string) *Group {
	t.Helper()
	g := &Group{Name: name, Master: Start(t)}
	g.Replicas = append(g.Replicas, Start(t, "--replicaof", fmt.Sprintf("127.0.0.1 %d", g.Master.Port())))
	for range 3 {
		g.Sentinels = append(g.Sentinels, startSentinel(t, g))
	}
	for _, s := range g.Sentinels {
		testkit.Eventually(t, "the Sentinels know the replica and each other", func() bool {
			info, err := s.ask("INFO sentinel")
			return err == nil && strings.Contains(info, "slaves=1,sentinels=3")
		})
	}
	return g
}

// URL is the redis+sentinel:// URL of the group.
func (g *Group) URL() string {
	addresses := make([]string, len(g.Sentinels))
	for i, s := range g.Sentinels {
		addresses[i] = s.Addr()
	}
	return "redis+sentinel://" + strings.Join(addresses, ",") + "/" + g.Name
}

// FailOver makes a replica the master although the master works, as an operator
// does.
func (g *Group) FailOver(t testing.TB) {
	t.Helper()
	testkit.Eventually(t, "the Sentinels accept a failover", func() bool {
		answer, err := g.Sentinels[0].ask("SENTINEL FAILOVER " + g.Name)
		return err == nil && strings.HasPrefix(answer, "+OK")
	})
}

func startSentinel(t testing.TB, g *Group) *Server {
	t.Helper()
	s := &Server{t: t, directory: t.TempDir()}
	t.Cleanup(s.Kill)
	for range attempts {
		s.port = freePort(t)
		file := filepath.Join(s.directory, "sentinel.conf")
		lines := []string{
			fmt.Sprintf("port %d", s.port),
			"bind 127.0.0.1",
			fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 2", g.Name, g.Master.Port()),
			fmt.Sprintf("sentinel down-after-milliseconds %s 1000", g.Name),
			fmt.Sprintf("sentinel failover-timeout %s 3000", g.Name),
			"",
		}
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		if s.execute([]string{file, "--sentinel"}) {
			return s
		}
	}
	t.Fatalf("a Sentinel does not start; it said:\n%s", s.said())
	return nil
}
