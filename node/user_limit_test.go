package node_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

func limitUsers(limit int, overflow node.UserOverflow) func(*node.Config) {
	return func(cfg *node.Config) { cfg.Limits.ConnectionsPerUser, cfg.Limits.UserOverflow = limit, overflow }
}

// awaitConns waits until a user has these connections.
func awaitConns(tb testing.TB, n *node.Node, user string, peers ...*peer) {
	tb.Helper()
	eventually(tb, "only the right connections are left", func() bool {
		return slices.Equal(userConns(tb, n, user), ids(peers...))
	})
}

func TestUserLimitClosesTheOldest(t *testing.T) {
	for name, overRedis := range map[string]bool{"memory": false, "redis": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes, _ := startUserCluster(t, overRedis, limitUsers(2, node.UserOverflowClose))
			first, last := nodes[0], nodes[len(nodes)-1]
			a, b := dialUser(t, first, "ann"), dialUser(t, last, "ann")
			other := dialUser(t, first, "bob")
			awaitConns(t, last, "ann", a, b)
			c := dialUser(t, last, "ann")
			a.expectClose(ws.StatusCode(wire.CodeReplaced))
			awaitConns(t, first, "ann", b, c)
			d := dialUser(t, first, "ann")
			b.expectClose(ws.StatusCode(wire.CodeReplaced))
			awaitConns(t, first, "ann", c, d)
			for _, p := range []*peer{c, d, other} {
				p.expectPong()
			}
			closed := uint64(0)
			for _, n := range nodes {
				closed += n.Stats().UserRefusals[node.UserLimit]
			}
			if closed != 2 {
				t.Errorf("%d connections were closed, want 2", closed)
			}
		})
	}
}

func TestUserLimitRefusesTheNewest(t *testing.T) {
	for name, overRedis := range map[string]bool{"memory": false, "redis": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes, _ := startUserCluster(t, overRedis, limitUsers(2, node.UserOverflowRefuse))
			first, last := nodes[0], nodes[len(nodes)-1]
			a, b := dialUser(t, first, "ann"), dialUser(t, last, "ann")
			for _, n := range nodes {
				response := requestUser(t, n, "ann").response()
				if response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") == "" {
					t.Errorf("answered %s, want 429 with Retry-After", response.Status)
				}
				page := requestUser(t, n, "ann", "Origin: http://stoa.test")
				page.response()
				page.send("M")
				page.expect("Htoo many connections of this user")
				page.expectClose(ws.StatusCode(wire.CodeTryAgainLater))
			}
			dialUser(t, last, "bob")
			awaitConns(t, first, "ann", a, b)
			_ = a.conn.Close()
			awaitConns(t, first, "ann", b)
			dialUser(t, last, "ann")
		})
	}
}

// Clients of one user that connect to two nodes at the same time converge to
// the limit, with either outcome.
func TestUserLimitRace(t *testing.T) {
	const limit, clients = 3, 16
	for _, overflow := range []node.UserOverflow{node.UserOverflowClose, node.UserOverflowRefuse} {
		t.Run(overflow.String(), func(t *testing.T) {
			t.Parallel()
			nodes, _ := startUserCluster(t, true, limitUsers(limit, overflow))
			for _, user := range []string{"ann", "bob", "cid"} {
				var dialing sync.WaitGroup
				var mu sync.Mutex
				acknowledged := make(map[string]*peer)
				for i := range clients {
					p := requestUser(t, nodes[i%2], user)
					dialing.Go(func() {
						if response, err := http.ReadResponse(p.in, nil); err != nil || response.StatusCode != http.StatusSwitchingProtocols {
							return
						}
						if _, err := p.conn.Write([]byte(frame(ws.OpText, true, "M"))); err != nil {
							return
						}
						if f, err := p.tryNext(); err == nil && len(f.Payload) > 0 && f.Payload[0] == 'A' {
							mu.Lock()
							defer mu.Unlock()
							p.id = string(f.Payload[1:])
							acknowledged[p.id] = p
						}
					})
				}
				dialing.Wait()
				eventually(t, "as many as the limit are left", func() bool {
					return len(userConns(t, nodes[0], user)) == limit
				})
				left := userConns(t, nodes[1], user)
				for id, p := range acknowledged {
					if slices.Contains(left, id) {
						p.expectPong()
						continue
					}
					for f, err := p.tryNext(); err == nil && f.Header.OpCode != ws.OpClose; f, err = p.tryNext() {
						t.Errorf("got %s, want only a close frame", describe(f))
					}
				}
				if again := userConns(t, nodes[0], user); !slices.Equal(again, left) {
					t.Errorf("connections %q, want %q as before", again, left)
				}
			}
		})
	}
}

// While Redis is not reachable, the limit holds on the node: connections that
// it accepts until it notices replace those before, later ones are refused, as
// their channel cannot be subscribed.
func TestUserLimitWithoutRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	broker, err := redisbroker.New(redisbroker.Config{Servers: []string{proxy.URL()}, NodeID: "n0"})
	if err != nil {
		t.Fatal(err)
	}
	n := startUserNode(t, "n0", broker, func(cfg *node.Config) {
		limitUsers(1, node.UserOverflowClose)(cfg)
		cfg.Timeouts.Join = 100 * time.Millisecond
	})
	accepted := func() bool {
		p := requestUser(t, n, "ann")
		p.response()
		p.send("M")
		if strings.HasPrefix(string(p.next().Payload), "A") {
			return true
		}
		p.expectClose(ws.StatusCode(wire.CodeTryAgainLater))
		return false
	}
	one := func() bool { return n.Stats().UserConns == 1 }
	dialUser(t, n, "ann")
	proxy.Cut()
	for range 3 {
		accepted()
	}
	eventually(t, "one connection is left", one)
	eventually(t, "connections of the user are refused", func() bool { return !accepted() })
	eventually(t, "one connection is left", one)
	proxy.Heal()
	eventually(t, "the user can connect again", accepted)
	eventually(t, "one connection is left", one)
}
