package node_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/clustertest"
	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// startUserNode starts a node whose clients name their user in the URL. A nil
// broker is the memory broker.
func startUserNode(tb testing.TB, id string, broker cluster.Broker, change func(*node.Config)) *node.Node {
	tb.Helper()
	return startHandling(tb, func(cfg *node.Config) {
		cfg.ID, cfg.Broker = id, broker
		if change != nil {
			change(cfg)
		}
	}, func(n *node.Node) {
		n.OnAccept(func(_ context.Context, a *node.Accept) error {
			a.Identity.User = a.Request.URL.Query().Get("user")
			return nil
		})
	})
}

// startUserCluster starts nodes over one Redis server that know each other, or
// one node over the memory broker. more starts another one.
func startUserCluster(tb testing.TB, overRedis bool, change func(*node.Config)) (nodes []*node.Node, more func() *node.Node) {
	tb.Helper()
	if !overRedis {
		return []*node.Node{startUserNode(tb, "n0", nil, change)}, nil
	}
	server := redistest.Start(tb)
	var brokers []*redisbroker.Broker
	more = func() *node.Node {
		id := fmt.Sprint("n", len(brokers))
		broker, err := redisbroker.New(redisbroker.Config{Servers: []string{server.URL()}, NodeID: id})
		if err != nil {
			tb.Fatal(err)
		}
		brokers = append(brokers, broker)
		return startUserNode(tb, id, broker, change)
	}
	nodes = []*node.Node{more(), more()}
	awaitNodes(tb, len(nodes), brokers...)
	return nodes, more
}

// requestUser sends an upgrade request of a user.
func requestUser(tb testing.TB, n *node.Node, user string, lines ...string) *peer {
	tb.Helper()
	p := connectTCP(tb, n)
	p.write(upgradeRequest("/ws?user="+url.QueryEscape(user), lines...))
	return p
}

// dialUser opens a WebSocket of a user and waits for the acknowledgement.
func dialUser(tb testing.TB, n *node.Node, user string) *peer {
	tb.Helper()
	p := requestUser(tb, n, user)
	if response := p.response(); response.StatusCode != http.StatusSwitchingProtocols {
		tb.Fatalf("upgrade answered %s, want 101", response.Status)
	}
	p.send("M")
	ack := string(p.next().Payload)
	if !strings.HasPrefix(ack, "A") {
		tb.Fatalf("hello was answered %q, want A and an ID", ack)
	}
	p.id = ack[1:]
	return p
}

// joinUser is dialUser, and connects to a namespace.
func joinUser(tb testing.TB, n *node.Node, user, namespace string) *peer {
	tb.Helper()
	p := dialUser(tb, n, user)
	p.connect(namespace)
	return p
}

func (p *peer) connect(namespace string) {
	p.tb.Helper()
	p.send("$c;" + namespace + ";;_OnNamespaceConnect;0;0;")
	p.expect("$c;;;;;;")
}

func event(body string) node.Message {
	return node.Message{Namespace: "default", Event: "e", Body: []byte(body)}
}

// userConns returns the IDs of a user's connections, sorted.
func userConns(tb testing.TB, n *node.Node, user string) []string {
	tb.Helper()
	found, err := n.User(user).Conns(within(tb))
	if err != nil || len(found.Missing) > 0 {
		tb.Errorf("Conns: %+v, %v, want all nodes", found, err)
	}
	ids := []string{}
	for _, c := range found.Conns {
		if !strings.HasPrefix(c.ID, c.Node+"-") || c.RemoteAddr == "" || time.Since(c.Since).Abs() > time.Hour {
			tb.Errorf("%+v is not described correctly", c)
		}
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	return ids
}

func ids(peers ...*peer) []string {
	all := []string{}
	for _, p := range peers {
		all = append(all, p.id)
	}
	slices.Sort(all)
	return all
}

// A user connected three times is found, receives one emit three times, answers
// an ask once, and is disconnected everywhere.
func TestUser(t *testing.T) {
	for name, overRedis := range map[string]bool{"memory": false, "redis": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes, _ := startUserCluster(t, overRedis, nil)
			first, last := nodes[0], nodes[len(nodes)-1]
			a, b, c := joinUser(t, first, "ann", "default"), joinUser(t, first, "ann", "default"), joinUser(t, last, "ann", "default")
			other, elsewhere := joinUser(t, last, "bob", "default"), dialUser(t, last, "ann")
			members := []*peer{a, b, c}
			for i, n := range nodes {
				if got, want := userConns(t, n, "ann"), ids(a, b, c, elsewhere); !slices.Equal(got, want) {
					t.Errorf("node %d: connections %q, want %q", i, got, want)
				}
				if err := n.User("ann").Emit(t.Context(), event("hello")); err != nil {
					t.Fatal(err)
				}
				for _, p := range members {
					p.expect(";default;;e;0;0;hello")
				}
				wait := async(func() (node.Answer, error) { return n.User("ann").Ask(within(t), event("who?")) })
				for _, p := range members {
					p.send(p.request(";default;;e;0;0;who?") + ";default;;e;0;0;" + p.id)
				}
				if answer, err := wait(); err != nil || string(answer.Body) != answer.Conn || !slices.Contains(ids(members...), answer.Conn) {
					t.Errorf("asked: %+v, %v, want the answer of one connection", answer, err)
				}
			}
			for _, p := range []*peer{a, b, c, other} {
				if got := p.sync("default"); len(got) > 0 {
					t.Errorf("received %q, want nothing more", got)
				}
			}
			elsewhere.expectPong()
			if _, err := first.User("eve").Ask(within(t), event("?")); !errors.Is(err, wire.ErrNobody) {
				t.Errorf("a user without connections: %v, want %v", err, wire.ErrNobody)
			}
			if closed, err := first.User("ann").Disconnect(within(t), 4321, "enough"); err != nil || closed.Conns != 4 || closed.Missing != nil {
				t.Errorf("Disconnect: %+v, %v, want 4 connections", closed, err)
			}
			for _, p := range []*peer{a, b, c, elsewhere} {
				p.expectClose(4321)
			}
			if got := userConns(t, last, "ann"); len(got) != 0 {
				t.Errorf("connections %q, want none", got)
			}
			if got := userConns(t, first, "bob"); !slices.Equal(got, ids(other)) {
				t.Errorf("connections of bob %q, want one", got)
			}
		})
	}
}

// Each user has a room of its own, with any ID that an identity can have.
func TestUserIDs(t *testing.T) {
	t.Parallel()
	nodes, _ := startUserCluster(t, true, nil)
	elsewhere := event("") // a late one must not arrive below
	elsewhere.Namespace = "elsewhere"
	var users []string
	for r := range rune(0x100) {
		if user := string(r); nodes[0].User(user).Emit(t.Context(), elsewhere) == nil {
			users = append(users, user)
		}
	}
	if len(users) != 0x100-0x21-0x20-1 { // the soft hyphen is invisible
		t.Errorf("%d users, want all without control or invisible characters", len(users))
	}
	users = append(users, "r:default:lobby", "n:default", "i:n1", "c:", "%61", strings.Repeat("é", 64), "😀")
	peers := make(map[string]*peer)
	for i, user := range users {
		peers[user] = joinUser(t, nodes[i%2], user, "default")
	}
	for i, user := range users {
		if err := nodes[1-i%2].User(user).Emit(t.Context(), event(user)); err != nil {
			t.Errorf("emit to %q: %v", user, err)
		}
	}
	for user, p := range peers {
		p.expect(";default;;e;0;0;" + user)
		p.expectPong()
	}
	for _, user := range []string{"", "a\n", "\x7f", "\u0085", "\xff", strings.Repeat("a", 129)} {
		u := nodes[0].User(user)
		_, asked := u.Ask(t.Context(), event(""))
		_, listed := u.Conns(t.Context())
		_, disconnected := u.Disconnect(t.Context(), 4321, "")
		_, blocked := u.Block(t.Context(), time.Hour, "")
		_, unblocked := u.Unblock(t.Context())
		for _, err := range []error{u.Emit(t.Context(), event("")), asked, listed, disconnected, blocked, unblocked} {
			if !errors.Is(err, node.ErrUser) {
				t.Errorf("user %q: %v, want %v", user, err, node.ErrUser)
			}
		}
	}
}

// No message of a client reaches the room of a user.
func TestClientsCannotReachUsers(t *testing.T) {
	n := startUserNode(t, "n0", nil, withAsks)
	victim, attacker := joinUser(t, n, "ann", "default"), joinUser(t, n, "eve", "default")
	for _, room := range []string{"u:ann", "ann", "u", "", ":ann"} {
		attacker.send(joinMessage("$1", room))
		attacker.next()
		attacker.send(";default;" + room + ";e;0;0;attack")
		attacker.send(";u:ann;;e;0;0;attack")
		attacker.send("$2;default;" + room + ";e;0;0;attack")
		attacker.next()
	}
	for _, got := range victim.sync("default") {
		if got != ";default;;e;0;0;attack" { // the namespace is relayed
			t.Errorf("received %q", got)
		}
	}
}

// A connection whose channel cannot be subscribed in time is refused, and
// leaves nothing behind.
func TestUserWithoutSubscription(t *testing.T) {
	for name, faults := range map[string]clustertest.Faults{
		"error": {Subscribe: errors.New("no")}, "timeout": {Hold: make(chan struct{})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faulty := clustertest.NewFaulty(newMemory())
			n := startUserNode(t, "n0", faulty, func(cfg *node.Config) { cfg.Timeouts.Join = 50 * time.Millisecond })
			faulty.Set(faults)
			p := requestUser(t, n, "ann")
			p.response()
			p.send("M")
			if refusal := string(p.next().Payload); refusal != "Hunavailable" && refusal != "Htimeout" {
				t.Errorf("answered %q, want a refusal", refusal)
			}
			p.expectClose(ws.StatusCode(wire.CodeTryAgainLater))
			dialUser(t, n, "") // a client without a user does not wait
			faulty.Set(clustertest.Faults{})
			var again *peer
			eventually(t, "the broker subscribes again", func() bool {
				again = requestUser(t, n, "ann")
				again.response()
				again.send("M")
				return again.next().Payload[0] == 'A'
			})
			again.connect("default")
			if err := n.User("ann").Emit(t.Context(), event("hello")); err != nil {
				t.Fatal(err)
			}
			again.expect(";default;;e;0;0;hello")
			if s := n.Stats(); s.Users != 1 || s.UserConns != 1 || s.UserRefusals[node.UserUnavailable] == 0 {
				t.Errorf("%d users, %d connections, %v, want 1, 1 and a refusal", s.Users, s.UserConns, s.UserRefusals)
			}
			_, _ = p.conn.Close(), again.conn.Close()
			eventually(t, "nothing is left", func() bool {
				s := n.Stats()
				return s.Users == 0 && s.UserConns == 0 && s.Subscriptions == 0
			})
		})
	}
}

// A client that closes while its node waits for the broker leaves nothing
// behind; a node that blocks the user in the meantime refuses it.
func TestUserWhileSubscribing(t *testing.T) {
	t.Parallel()
	faulty := clustertest.NewFaulty(newMemory())
	n := startUserNode(t, "n0", faulty, func(cfg *node.Config) { cfg.Timeouts.Join = time.Minute })
	release := blockSubscriptions(t, faulty)
	wait := func(user string) *peer {
		p := requestUser(t, n, user)
		p.response()
		p.send("M")
		awaitAsked(t, faulty, "u:ann")
		return p
	}
	gone, blocked := wait("ann"), wait("bob")
	_ = gone.conn.Close()
	if _, err := n.User("bob").Block(within(t), time.Hour, "spam"); err != nil {
		t.Fatal(err)
	}
	release()
	blocked.expect("Hspam")
	blocked.expectClose(ws.StatusCode(wire.CodeForbidden))
	eventually(t, "nothing is left", func() bool {
		s := n.Stats()
		return s.Connections == 0 && s.Users == 0 && s.UserConns == 0 && s.Subscriptions == 0
	})
}
