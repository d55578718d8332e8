package redisbroker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
)

// A node that lacks one of two servers is alive: messages to it, and from it,
// take the server that both nodes have, whichever it is.
func TestInboxOfNodeThatLacksAServer(t *testing.T) {
	for lacking := range 2 {
		t.Run(fmt.Sprint("server ", lacking), func(t *testing.T) {
			servers := []*redistest.Server{redistest.Start(t), redistest.Start(t)}
			var urls, restricted []string
			for _, s := range servers {
				redisLines(t, s.Addr(), "ACL SETUSER half on nopass ~* &* +@all")
				urls = append(urls, s.URL())
				restricted = append(restricted, "redis://half:any@"+s.Addr())
			}
			lease := 3 * time.Second
			ledgers := []*ledger{newLedger(), newLedger()}
			whole := startBroker(t, redisbroker.Config{Servers: urls, NodeID: "whole", Lease: lease}, ledgers[0])
			half := startBroker(t, redisbroker.Config{Servers: restricted, NodeID: "half", Lease: lease}, ledgers[1])
			for _, b := range []*redisbroker.Broker{whole, half} {
				if err := b.Subscribe(t.Context(), cluster.NodeChannel(b.NodeID())); err != nil {
					t.Fatal(err)
				}
				expectNodes(t, b.NodeID(), b.Nodes, "half", "whole")
			}
			redisLines(t, servers[lacking].Addr(), "ACL SETUSER half off")
			redisLines(t, servers[lacking].Addr(), "CLIENT KILL USER half")
			up := func(b *redisbroker.Broker) (count int) {
				for _, s := range b.Stats().Servers {
					if s.Up {
						count++
					}
				}
				return count
			}
			testkit.Eventually(t, "the node knows that it lacks a server", func() bool { return up(half) == 1 })
			if got := up(whole); got != 2 {
				t.Errorf("the other node has %d servers, want both", got)
			}
			// Again after the lease of the node on the server.
			for _, when := range []string{"at once", "after the lease"} {
				for from, to := range map[*redisbroker.Broker]string{whole: "half", half: "whole"} {
					reached := make(chan int, 1)
					from.PublishCount(cluster.NodeChannel(to), &cluster.Envelope{Kind: cluster.EnvelopeControl, Payload: []byte("x/0")}, func(nodes int, err error) {
						if err != nil {
							t.Errorf("PublishCount reported %v, want nil", err)
						}
						reached <- nodes
					})
					if got := <-reached; got != 1 {
						t.Errorf("%s: %d nodes reached in the inbox of %s, want 1", when, got, to)
					}
				}
				testkit.Eventually(t, "the node is forgotten on the server", func() bool {
					return len(redisLines(t, servers[lacking].Addr(), "GET stoa:node:half")) > 0 &&
						redisLines(t, servers[lacking].Addr(), "GET stoa:node:half")[0] == "$-1"
				})
				expectNodes(t, "whole", whole.Nodes, "half", "whole")
			}
			for i, l := range ledgers {
				testkit.Eventually(t, "the messages have arrived", func() bool { return l.count() >= 2 })
				if got := l.count(); got != 2 {
					t.Errorf("node %d received %d messages, want 2", i, got)
				}
			}
		})
	}
}
