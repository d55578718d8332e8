package node_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// update changes the settings of a node.
func update(tb testing.TB, n *node.Node, change func(*node.Settings)) {
	tb.Helper()
	s := n.Settings()
	change(&s)
	if err := n.Update(s); err != nil {
		tb.Fatal(err)
	}
}

// Namespaces are added, changed and removed while connections stay open.
func TestUpdateNamespaces(t *testing.T) {
	ended := make(chan bool, 10)
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("handled", node.NamespaceOptions{})
		ns.OnAsk("q", func(_ context.Context, r *node.AskRequest) error { r.Reply([]byte("a")); return nil })
		ns.OnDisconnected(func(_ context.Context, e *node.DisconnectedEvent) { ended <- e.Forced })
	})
	p, other := join(t, n, "default", "r"), join(t, n, "default", "r")
	p.ask("$c", "added", "", "_OnNamespaceConnect", "$c;added;;_OnNamespaceConnect;1;0;bad namespace")
	p.ask("$c", "handled", "", "_OnNamespaceConnect", "$c;;;;;;")
	p.ask("$q", "handled", "", "q", "$q;handled;;q;0;0;a")

	update(t, n, func(s *node.Settings) {
		s.Namespaces["added"] = node.NamespaceOptions{Relay: node.RelayRooms}
		s.Namespaces["default"] = node.NamespaceOptions{Relay: node.RelayNamespace}
		delete(s.Namespaces, "handled")
	})
	p.expect("1;handled;;_OnNamespaceDisconnect;0;0;")
	p.send("1;;;;;;")
	if forced := <-ended; !forced {
		t.Error("the disconnect is not reported as forced")
	}
	p.ask("$q", "handled", "", "q", "$q;handled;;q;1;0;bad namespace")
	p.ask("$c", "handled", "", "_OnNamespaceConnect", "$c;handled;;_OnNamespaceConnect;1;0;bad namespace")
	p.ask("$c", "added", "", "_OnNamespaceConnect", "$c;;;;;;")
	p.send(";default;r;no longer;0;1;")
	p.expect(";default;r;no longer;1;1;unhandled event")
	p.send(";default;;e;0;0;")
	other.expect(";default;;e;0;0;")
	if n.LookupNamespace("handled") != nil || n.LookupNamespace("added") == nil {
		t.Error("LookupNamespace does not follow")
	}

	update(t, n, func(s *node.Settings) { s.Namespaces["handled"] = node.NamespaceOptions{} })
	p.ask("$c", "handled", "", "_OnNamespaceConnect", "$c;;;;;;")
	p.ask("$q", "handled", "", "q", "$q;handled;;q;0;0;a")
}

// A client that is being connected to a namespace when it is removed is not in
// it afterwards, whichever side has begun.
func TestUpdateDuringAConnect(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	n := startHandling(t, nil, func(n *node.Node) {
		n.Namespace("slow", node.NamespaceOptions{}).OnConnect(func(context.Context, *node.ConnectRequest) error {
			close(entered)
			<-release
			return nil
		})
	})
	p, asked := dial(t, n), dial(t, n)
	p.send("$c;slow;;_OnNamespaceConnect;0;0;")
	<-entered
	connected := make(chan error, 1)
	go func() { connected <- n.Connect(context.Background(), asked.id, "closed") }()
	asked.expect("1;closed;;_OnNamespaceConnect;0;0;")
	update(t, n, func(s *node.Settings) {
		delete(s.Namespaces, "slow")
		delete(s.Namespaces, "closed")
	})
	close(release)
	p.expect("$c;slow;;_OnNamespaceConnect;1;0;bad namespace")
	asked.send("1;;;;;;")
	asked.expect("2;closed;;_OnNamespaceDisconnect;0;0;")
	if err := <-connected; err != nil {
		t.Error(err)
	}
}

// Connections leave namespaces and rooms that are closed to them now, and no
// others.
func TestUpdateTakesPermissions(t *testing.T) {
	n := startHandling(t, nil, acceptIdentities)
	permitted, user := joinAs(t, n, "permitted", "rooms", "r"), joinAs(t, n, "user", "rooms", "r", "s")
	update(t, n, func(s *node.Settings) {
		o := s.Namespaces["rooms"]
		o.Access.Join, o.MembersPerRoom = node.WhoPermitted, 1
		s.Namespaces["rooms"] = o
	})
	leaves := map[string]bool{}
	for range 2 {
		token, rest, _ := strings.Cut(string(user.next().Payload), ";")
		leaves[rest] = true
		user.send(token + ";;;;;;")
	}
	if want := map[string]bool{"rooms;r;_OnRoomLeave;0;0;": true, "rooms;s;_OnRoomLeave;0;0;": true}; !reflect.DeepEqual(leaves, want) {
		t.Errorf("the user was asked %v, want %v", leaves, want)
	}
	user.ask("$j", "rooms", "r", "_OnRoomJoin", `$j;rooms;r;_OnRoomJoin;1;0;forbidden: needs join in room "r" of namespace "rooms"`)
	permitted.ask("$j", "rooms", "r", "_OnRoomJoin", "$j;;;;;;")
	// The members of before count.
	late := joinAs(t, n, "permitted", "rooms")
	late.ask("$j", "rooms", "r", "_OnRoomJoin", "$j;rooms;r;_OnRoomJoin;1;0;room full")
	permitted.ask("$l", "rooms", "r", "_OnRoomLeave", "$l;;;;;;")
	late.ask("$j", "rooms", "r", "_OnRoomJoin", "$j;;;;;;")
	update(t, n, func(s *node.Settings) {
		s.Namespaces["rooms"] = node.NamespaceOptions{Access: node.Access{Connect: node.WhoNobody}}
	})
	late.expect("1;rooms;;_OnNamespaceDisconnect;0;0;")
}

// Origins, hosts and limits count for later requests.
func TestUpdateOfRequests(t *testing.T) {
	n := startNode(t, nil)
	status := func(header ...string) int {
		p := connectTCP(t, n)
		p.write(upgradeRequest("/ws", header...))
		return p.response().StatusCode
	}
	const page = "Origin: https://app.example.com"
	if got := status(page); got != http.StatusForbidden {
		t.Fatalf("a page of another origin got %d, want 403", got)
	}
	update(t, n, func(s *node.Settings) { s.AllowOrigins = []string{"https://app.example.com"} })
	if got := status(page); got != http.StatusSwitchingProtocols {
		t.Errorf("a page of an allowed origin got %d, want 101", got)
	}
	update(t, n, func(s *node.Settings) { s.AllowHosts = []string{"chat.example.com"} })
	if got := status(); got != http.StatusMisdirectedRequest {
		t.Errorf("a request for another host got %d, want 421", got)
	}
	update(t, n, func(s *node.Settings) { s.AllowHosts, s.Limits.Connections = nil, 1 })
	p := dial(t, startNode(t, nil)) // of another node
	p.send("$c;default;;_OnNamespaceConnect;0;0;")
	p.expect("$c;;;;;;")
	open := n.Connections()
	if got := status(); open > 0 && got != http.StatusServiceUnavailable || n.ConnectionLimit() != 1 {
		t.Errorf("a connection too many got %d with a limit of %d, want 503 and 1", got, n.ConnectionLimit())
	}
	update(t, n, func(s *node.Settings) { s.Limits.Connections, s.Limits.Asks = -1, 1 })
	dial(t, n)
}

// Rates begin, change and end while a connection is above them. Those of a user
// hold for the connections that the user had before.
func TestUpdateOfRates(t *testing.T) {
	n := startHandling(t, nil, acceptIdentities)
	sender, listener := joinAs(t, n, "user", "rooms", "r"), joinAs(t, n, "permitted", "rooms", "r")
	send := func(count int) {
		t.Helper()
		sender.write(strings.Repeat(frame(1, true, ";rooms;r;e;0;0;"), count))
	}
	receive := func(count int) {
		t.Helper()
		listener.expect(slices.Repeat([]string{";rooms;r;e;0;0;"}, count)...)
	}
	send(10)
	receive(10)
	for kind, limit := range map[node.RateKind]func(*node.Limits, node.Rate){
		node.RateMessages:     func(l *node.Limits, r node.Rate) { l.Messages = r },
		node.RateUserMessages: func(l *node.Limits, r node.Rate) { l.UserMessages = r },
	} {
		change := func(r node.Rate) { update(t, n, func(s *node.Settings) { limit(&s.Limits, r) }) }
		change(burst(3))
		send(10)
		receive(3)
		expectOverRate(t, n, kind, 1)
		change(burst(8)) // of which 4 are used: one message waits
		receive(5)
		expectOverRate(t, n, kind, 1)
		change(node.Rate{})
		receive(2)
		expectOverRate(t, n, kind, 0)
		send(10)
		receive(10)
	}
}

// Connections that were open before follow the limits of messages and names.
func TestUpdateOfMessages(t *testing.T) {
	n := startNode(t, nil)
	p, member := join(t, n, "default", "r"), join(t, n, "default", "r")
	update(t, n, func(s *node.Settings) { s.Limits.Rooms, s.Limits.Namespaces, s.Limits.Names.Room = 1, 1, 4 })
	p.ask("$j", "default", "s", "_OnRoomJoin", "$j;default;s;_OnRoomJoin;1;0;too many rooms")
	p.ask("$c", "rooms", "", "_OnNamespaceConnect", "$c;rooms;;_OnNamespaceConnect;1;0;too many namespaces")
	p.ask("$j", "default", "longer", "_OnRoomJoin", "$j;;;;1;0;name too long")
	update(t, n, func(s *node.Settings) { s.Limits.Rooms, s.Limits.Namespaces, s.Limits.Names.Room = -1, -1, -1 })
	p.ask("$j", "default", "longer", "_OnRoomJoin", "$j;;;;;;")
	p.ask("$c", "rooms", "", "_OnNamespaceConnect", "$c;;;;;;")

	large := ";default;r;e;0;0;" + strings.Repeat("x", 70<<10)
	update(t, n, func(s *node.Settings) { s.Limits.Message, s.Limits.SendQueue = 100<<10, 2<<20 })
	p.send(large)
	member.expect(large)
	update(t, n, func(s *node.Settings) { s.Limits.Message = 64 << 10 })
	p.send(large)
	p.expectClose(ws.StatusMessageTooBig)
	member.sync("default")
}

// The limits of users and addresses count for clients that connect later.
func TestUpdateOfLimitsOfClients(t *testing.T) {
	n := startHandling(t, nil, acceptIdentities)
	status := func() int {
		t.Helper()
		p := connectTCP(t, n)
		p.write(upgradeRequest("/ws"))
		return p.response().StatusCode
	}
	first, second := dialAs(t, n, "user"), dialAs(t, n, "user")
	update(t, n, func(s *node.Settings) { s.Limits.ConnectionsPerUser = 2 })
	third := dialAs(t, n, "user")
	first.expectClose(ws.StatusCode(wire.CodeReplaced))
	for _, p := range []*peer{second, third} {
		p.sync("default")
	}
	update(t, n, func(s *node.Settings) { s.Limits.UserOverflow = node.UserOverflowRefuse })
	p := connectTCP(t, n)
	p.write(upgradeRequest("/ws?as=user"))
	if got := p.response().StatusCode; got != http.StatusTooManyRequests {
		t.Errorf("one more connection of the user got %d, want 429", got)
	}
	update(t, n, func(s *node.Settings) { s.Limits.AddressConnections = 1 })
	if a, b := status(), status(); a != http.StatusSwitchingProtocols || b != http.StatusTooManyRequests {
		t.Errorf("two connections of an address got %d and %d, want 101 and 429", a, b)
	}
	update(t, n, func(s *node.Settings) { s.Limits.AddressConnections, s.Limits.AddressHandshakes = 0, burst(1) })
	if a, b := status(), status(); a != http.StatusSwitchingProtocols || b != http.StatusTooManyRequests {
		t.Errorf("two handshakes of an address got %d and %d, want 101 and 429", a, b)
	}
	update(t, n, func(s *node.Settings) { s.Limits.AddressHandshakes = node.Rate{} })
	if got := status(); got != http.StatusSwitchingProtocols {
		t.Errorf("without a limit a client got %d, want 101", got)
	}
}

// A proxy is believed once it is trusted.
func TestUpdateOfProxies(t *testing.T) {
	var seen *addresses
	n := startHandling(t, nil, func(n *node.Node) { seen = recordAddresses(n) })
	request := func(want string) {
		t.Helper()
		p := connectTCP(t, n)
		if want == "" {
			want = p.conn.LocalAddr().String()
		}
		p.write(upgradeRequest("/ws", "X-Forwarded-For: 203.0.113.5"))
		seen.expect(t, n, p, want)
	}
	request("")
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	update(t, n, func(s *node.Settings) { s.TrustedProxies = loopback })
	request("203.0.113.5:0")
	update(t, n, func(s *node.Settings) { s.TrustedProxies = nil })
	request("")
}

// An error names everything that cannot be, and nothing changes.
func TestUpdateIsAllOrNothing(t *testing.T) {
	n := startNode(t, nil)
	before := n.Settings()
	s := n.Settings()
	s.AllowHosts, s.AllowOrigins = []string{"good.example.com"}, []string{"bad"}
	s.Namespaces["added"] = node.NamespaceOptions{MaxMessage: -1}
	s.Namespaces["default"] = node.NamespaceOptions{}
	s.Limits.Asks, s.Limits.Header, s.Limits.QueueMemory = 1, 1, 1
	err := n.Update(s)
	for _, want := range []string{`AllowOrigins "bad"`, `"added": MaxMessage -1`, "Limits.Header cannot change", "Limits.QueueMemory cannot change"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %q, want one about %s", err, want)
		}
	}
	if after := n.Settings(); !reflect.DeepEqual(after, before) {
		t.Errorf("the settings are %+v, want %+v", after, before)
	}
	p, other := join(t, n, "default", "r"), join(t, n, "default", "r")
	p.send(";default;r;e;0;0;")
	other.expect(";default;r;e;0;0;")
	idle := newNode(t, nil)
	defer func() { _ = idle.Close() }()
	if err := idle.Update(before); !errors.Is(err, node.ErrNotServing) {
		t.Errorf("Update of a node that does not serve: %v, want %v", err, node.ErrNotServing)
	}
}

// Under load no message is lost or late because of updates.
func TestUpdateUnderLoad(t *testing.T) {
	const senders, messages = 4, 500
	n := startNode(t, nil)
	var running sync.WaitGroup
	for i := range senders {
		room := fmt.Sprintf("r%d", i)
		from, to := join(t, n, "default", room), join(t, n, "default", room)
		running.Go(func() {
			for m := range messages {
				if _, err := from.conn.Write([]byte(frame(1, true, fmt.Sprintf(";default;%s;e;0;0;%d", room, m)))); err != nil {
					t.Error(err)
					return
				}
			}
		})
		running.Go(func() {
			for m := range messages {
				f, err := to.tryNext()
				if want := fmt.Sprintf(";default;%s;e;0;0;%d", room, m); err != nil || string(f.Payload) != want {
					t.Errorf("got %s, %v, want %s", f.Payload, err, want)
					return
				}
			}
		})
	}
	moving := join(t, n, "closed", "r")
	stop := make(chan struct{})
	var updating sync.WaitGroup
	updating.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			s := n.Settings()
			s.Namespaces["default"] = node.NamespaceOptions{
				Relay: node.RelayRooms, Access: node.Access{EmitNamespace: node.Who(i % 4)}, MembersPerRoom: i % 3 * 10,
				MaxHandlers: i % 3,
			}
			delete(s.Namespaces, "closed")
			if i%2 == 1 {
				s.Namespaces["closed"] = node.NamespaceOptions{}
			}
			s.Limits.ReceiveQueue, s.Limits.LoopQueue = 64<<10+i, 16<<20+i
			if err := n.Update(s); err != nil {
				t.Error(err)
				return
			}
		}
	})
	moving.expect("1;closed;;_OnNamespaceDisconnect;0;0;")
	running.Wait()
	close(stop)
	updating.Wait()
}
