package redisbroker_test

import (
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

func TestSentinelFailover(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(master *redistest.Server)
		heal func(master *redistest.Server)
	}{
		{"master killed", (*redistest.Server).Kill, func(*redistest.Server) {}},
		// After the resume it still takes itself for the master for a moment.
		{"master stands still", (*redistest.Server).Pause, (*redistest.Server).Resume},
	} {
		t.Run(c.name, func(t *testing.T) {
			group := redistest.StartGroup(t, "stoa-master")
			f := startTraffic(t, rooms(2), repeated(2, redisbroker.Config{Servers: []string{group.URL()}})...)
			f.run(t, 300)
			awaitSentinels(t, group)
			c.fail(group.Master)
			f.run(t, 1000)
			c.heal(group.Master)
			f.run(t, 1000)
			f.expectNothingLost(t)
			for _, b := range f.nodes {
				if err := b.Ready(t.Context()); err != nil {
					t.Errorf("Ready = %v, want nil", err)
				}
			}
			for _, line := range redisLines(t, group.Replicas[0].Addr(), "PUBSUB NUMSUB stoa:c:") {
				if strings.HasPrefix(line, ":") && line != ":2" {
					t.Errorf("%s nodes on the new master, want :2", line)
				}
			}
		})
	}
}

// awaitSentinels waits until the Sentinels know the replica and each other:
// they cannot fail over before.
func awaitSentinels(t testing.TB, group *redistest.Group) {
	t.Helper()
	testkit.Eventually(t, "the Sentinels know the replica and each other", func() bool {
		for _, sentinel := range group.Sentinels {
			info := strings.Join(redisLines(t, sentinel.Addr(), "INFO sentinel"), "\n")
			if !strings.Contains(info, "slaves=1,sentinels=3") {
				return false
			}
		}
		return true
	})
}
