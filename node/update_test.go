package node_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/stoa-io/stoa/node"
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

// An error names everything that cannot be, and nothing changes.
func TestUpdateIsAllOrNothing(t *testing.T) {
	n := startNode(t, nil)
	before := n.Settings()
	s := n.Settings()
	s.AllowHosts, s.AllowOrigins = []string{"good.example.com"}, []string{"bad"}
	s.Namespaces["added"] = node.NamespaceOptions{MaxMessage: -1}
	s.Namespaces["default"] = node.NamespaceOptions{}
	s.Limits.Asks, s.Limits.Header, s.Limits.Names.Room = 1, 1, 1
	err := n.Update(s)
	for _, want := range []string{`AllowOrigins "bad"`, `"added": MaxMessage -1`, "Limits.Header cannot change", "Limits.Names cannot change"} {
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
