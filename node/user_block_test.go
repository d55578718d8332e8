package node_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// A blocked user is disconnected and refused on every node, also on one that
// starts afterwards, until the block ends.
func TestUserBlock(t *testing.T) {
	for name, overRedis := range map[string]bool{"memory": false, "redis": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes, more := startUserCluster(t, overRedis, nil)
			a, b := dialUser(t, nodes[0], "ann"), dialUser(t, nodes[len(nodes)-1], "ann")
			other := dialUser(t, nodes[0], "bob")
			block := func(d time.Duration, reason string) (node.UserClosed, error) {
				return nodes[0].User("ann").Block(within(t), d, reason)
			}
			if closed, err := block(time.Hour, "spam"); err != nil || closed.Conns != 2 || closed.Missing != nil {
				t.Errorf("Block: %+v, %v, want 2 connections", closed, err)
			}
			for _, p := range []*peer{a, b} {
				p.expectClose(ws.StatusCode(wire.CodeForbidden))
			}
			if more != nil {
				nodes = append(nodes, more())
			}
			for _, n := range nodes {
				response := requestUser(t, n, "ann").response()
				if response.StatusCode != http.StatusForbidden {
					t.Errorf("node %s answered %s, want 403", n.ID(), response.Status)
				}
				page := requestUser(t, n, "ann", "Origin: http://stoa.test")
				page.response()
				page.send("M")
				page.expect("Hspam")
				page.expectClose(ws.StatusCode(wire.CodeForbidden))
				if s := n.Stats(); s.BlockedUsers != 1 || s.UserRefusals[node.UserBlocked] != 2 {
					t.Errorf("%d users are blocked and %d connections refused, want 1 and 2", s.BlockedUsers, s.UserRefusals[node.UserBlocked])
				}
			}
			other.expectPong()
			last := nodes[len(nodes)-1]
			if _, err := last.User("ann").Unblock(within(t)); err != nil {
				t.Errorf("Unblock: %v", err)
			}
			for _, n := range nodes {
				// Nodes that do not know each other yet learn it a little
				// later.
				eventually(t, "the block has ended", func() bool { return n.Stats().BlockedUsers == 0 })
				dialUser(t, n, "ann")
			}
			if _, err := block(50*time.Millisecond, ""); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the block has ended", func() bool {
				return requestUser(t, nodes[0], "ann").response().StatusCode == http.StatusSwitchingProtocols
			})
		})
	}
}

// A node that is cut off learns of a block when it is back.
func TestUserBlockReachesMissingNode(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	var brokers []*redisbroker.Broker
	start := func(id, url string) *node.Node {
		broker, err := redisbroker.New(redisbroker.Config{Servers: []string{url}, NodeID: id})
		if err != nil {
			t.Fatal(err)
		}
		brokers = append(brokers, broker)
		return startUserNode(t, id, broker, nil)
	}
	n, cut := start("n0", server.URL()), start("n1", proxy.URL())
	awaitNodes(t, 2, brokers...)
	a := dialUser(t, cut, "ann")
	proxy.Cut()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	closed, err := n.User("ann").Block(ctx, time.Hour, "spam")
	if err != nil || closed.Conns != 0 || !slices.Equal(closed.Missing, []string{"n1"}) {
		t.Errorf("Block: %+v, %v, want n1 missing", closed, err)
	}
	proxy.Heal()
	a.expectClose(ws.StatusCode(wire.CodeForbidden))
	if s := cut.Stats(); s.BlockedUsers != 1 || s.Users != 0 {
		t.Errorf("%d users are blocked and %d connected, want 1 and 0", s.BlockedUsers, s.Users)
	}
}
