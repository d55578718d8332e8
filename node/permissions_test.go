package node_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/node"
)

// identities are those of the clients in these tests, by the name that they
// connect with.
var identities = map[string]access.Identity{
	"anonymous": {},
	"user":      {User: "ann"},
	"permitted": {User: "ann", Permissions: []access.Permission{
		{Namespace: "*", Rooms: []string{"r"}, Allow: access.Join | access.Emit | access.Ask},
		{Namespace: "*", Allow: access.Connect | access.Emit | access.Ask},
	}},
	"key": {Permissions: []access.Permission{{Namespace: "*", Rooms: []string{"*"}, Allow: access.AllActions}, {Namespace: "*", Allow: access.AllActions}}},
}

// acceptIdentities makes a node give its clients the identity that they name.
func acceptIdentities(n *node.Node) {
	n.OnAccept(func(_ context.Context, a *node.Accept) error {
		a.Identity = identities[a.Request.URL.Query().Get("as")]
		return nil
	})
}

// dialAs opens a connection with an identity.
func dialAs(tb testing.TB, n *node.Node, as string) *peer {
	tb.Helper()
	return helloAs(tb, n, as, "M")
}

// helloAs is dialAs with another hello.
func helloAs(tb testing.TB, n *node.Node, as, hello string) *peer {
	tb.Helper()
	p := connectTCP(tb, n)
	p.write(upgradeRequest("/ws?as=" + as))
	if response := p.response(); response.StatusCode != http.StatusSwitchingProtocols {
		tb.Fatalf("upgrade answered %s, want 101", response.Status)
	}
	p.send(hello)
	p.id = string(p.next().Payload[1:])
	return p
}

// joinAs is join with an identity.
func joinAs(tb testing.TB, n *node.Node, as, namespace string, rooms ...string) *peer {
	tb.Helper()
	p := dialAs(tb, n, as)
	p.ask("$c", namespace, "", "_OnNamespaceConnect", "$c;;;;;;")
	for _, room := range rooms {
		p.ask("$j", namespace, room, "_OnRoomJoin", "$j;;;;;;")
	}
	return p
}

// ask sends a message with a token and expects an answer.
func (p *peer) ask(token, namespace, room, event, answer string) {
	p.tb.Helper()
	p.send(token + ";" + namespace + ";" + room + ";" + event + ";0;0;")
	p.expect(answer)
}

// accessOf is the access of a namespace with one rule.
func accessOf(rule node.Rule, who node.Who) node.Access {
	var a node.Access
	*[...]*node.Who{&a.Connect, &a.Join, &a.Emit, &a.Ask, &a.EmitNamespace}[rule] = who
	return a
}

// Each rule refuses exactly the clients that it names, with a text that names
// the missing permission, for each way a message can take.
func TestAccess(t *testing.T) {
	refusals := map[string]map[node.Who]string{ // with an action and a place to follow
		"anonymous": {node.WhoUser: "unauthorized: needs a user to ", node.WhoPermitted: "unauthorized: needs "},
		"user":      {node.WhoPermitted: "forbidden: needs "},
		"permitted": {},
		"key":       {node.WhoUser: "unauthorized: needs a user to "},
	}
	emits := make(chan string, 1)
	name := func(rule node.Rule, who node.Who) string { return rule.String() + "-" + who.String() }
	accessRules := []node.Rule{node.RuleConnect, node.RuleJoin, node.RuleEmit, node.RuleAsk, node.RuleEmitNamespace}
	n := startHandling(t, nil, func(n *node.Node) {
		acceptIdentities(n)
		for _, rule := range accessRules {
			for who := node.WhoAnyone; who <= node.WhoNobody; who++ {
				ns := n.Namespace(name(rule, who), node.NamespaceOptions{
					Relay: node.RelayRooms | node.RelayNamespace | node.RelayAsks, Access: accessOf(rule, who),
				})
				ns.OnEmit("handled", func(_ context.Context, e *node.EmitEvent) error { emits <- e.Room; return nil })
				ns.OnAsk("handled", func(context.Context, *node.AskRequest) error { return nil })
			}
		}
	})
	for as := range identities {
		for _, rule := range accessRules {
			for who := node.WhoAnyone; who <= node.WhoNobody; who++ {
				t.Run(fmt.Sprint(as, " ", name(rule, who)), func(t *testing.T) {
					refusal := refusals[as][who]
					if who == node.WhoNobody {
						refusal = "forbidden: no client may "
					}
					before := n.Stats().Denied[node.DeniedKey{Namespace: name(rule, who), Rule: rule}]
					refused := tryAccess(t, n, as, name(rule, who), rule, refusal, emits)
					after := n.Stats().Denied[node.DeniedKey{Namespace: name(rule, who), Rule: rule}]
					if after-before != refused {
						t.Errorf("%d refusals are counted, want %d", after-before, refused)
					}
				})
			}
		}
	}
}

// tryAccess does what a rule is about. Everything is refused with a text that
// begins so, or nothing if it is empty. It returns how much was refused.
func tryAccess(t *testing.T, n *node.Node, as, ns string, rule node.Rule, refusal string, emits chan string) (refused uint64) {
	inRoom, inNamespace := fmt.Sprintf(` in room "r" of namespace %q`, ns), fmt.Sprintf(" in namespace %q", ns)
	answer := func(message, accepted, action string) (string, bool) {
		if refusal == "" {
			return accepted, false
		}
		refused++
		return strings.Replace(message, ";0;0;", ";1;0;", 1) + refusal + action, true
	}
	p := dialAs(t, n, as)
	request := func(message, action string) bool {
		p.send(message)
		token, _, _ := strings.Cut(message, ";")
		want, no := answer(message, token+";;;;;;", action)
		p.expect(want)
		return no
	}
	connect, join := "$c;"+ns+";;_OnNamespaceConnect;0;0;", "$j;"+ns+";r;_OnRoomJoin;0;0;"
	switch rule {
	case node.RuleConnect:
		request(connect, "connect"+inNamespace)
		return refused
	case node.RuleJoin:
		p.ask("$c", ns, "", "_OnNamespaceConnect", "$c;;;;;;")
		request(join, "join"+inRoom)
		return refused
	}
	p = joinAs(t, n, as, ns, "r")
	other := joinAs(t, n, as, ns, "r")
	// emit sends an emit of which the client wants to know if it is refused.
	emit := func(room, event, action string) {
		p.send(";" + ns + ";" + room + ";" + event + ";0;1;body")
		p.send("$l;" + ns + ";none;_OnRoomLeave;0;0;")
		switch {
		case refusal != "":
			refused++
			p.expect(";" + ns + ";" + room + ";" + event + ";1;1;" + refusal + action)
		case event == "handled":
			if got := <-emits; got != room {
				t.Errorf("the handler got an emit in %q, want %q", got, room)
			}
		default:
			other.expect(";" + ns + ";" + room + ";" + event + ";0;0;body")
		}
		p.expect("$l;;;;;;")
	}
	switch rule {
	case node.RuleEmit:
		emit("r", "relayed", "emit"+inRoom)
		emit("r", "handled", "emit"+inRoom)
	case node.RuleEmitNamespace:
		emit("", "relayed", "emit"+inNamespace)
		emit("", "handled", "emit"+inNamespace)
	case node.RuleAsk:
		for room, action := range map[string]string{"": "ask" + inNamespace, "r": "ask" + inRoom} {
			message := "$q;" + ns + ";" + room + ";handled;0;0;"
			p.send(message)
			want, _ := answer(message, message, action)
			p.expect(want)
		}
		message := "$r;" + ns + ";r;relayed;0;0;"
		p.send(message)
		want, no := answer(message, message+"answer", "ask"+inRoom)
		if !no {
			asked := string(other.next().Payload)
			other.send(asked + "answer")
		}
		p.expect(want)
	}
	return refused
}

// Names in an error are quoted and cut.
func TestDenialQuotesNames(t *testing.T) {
	n := startNode(t, func(cfg *node.Config) {
		cfg.Namespaces = map[string]node.NamespaceOptions{"chat": {Access: node.Access{Join: node.WhoNobody}}}
	})
	p := join(t, n, "chat")
	for room, shown := range map[string]string{
		`a"b` + "\n\u202e":               `"a\"b\n\u202e"`,
		strings.Repeat("x", 200):         `"` + strings.Repeat("x", 64) + `…"`,
		strings.Repeat("\U0001F600", 40): `"` + strings.Repeat("\U0001F600", 16) + `…"`,
		"x" + strings.Repeat("é", 40):    `"x` + strings.Repeat("é", 31) + `…"`,
	} {
		p.ask("$j", "chat", room, "_OnRoomJoin", "$j;chat;"+room+";_OnRoomJoin;1;0;forbidden: no client may join in room "+shown+` of namespace "chat"`)
	}
}

// A refused emit changes neither the order of the other emits nor that of the
// reports, also while a handler runs.
func TestRefusedEmitsKeepTheOrder(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("chat", node.NamespaceOptions{Relay: node.RelayRooms, Access: node.Access{Emit: node.WhoPermitted}})
		acceptIdentities(n)
		ns.OnEmit("slow", func(context.Context, *node.EmitEvent) error {
			entered <- struct{}{}
			<-release
			return errors.New("too slow")
		})
	})
	p := joinAs(t, n, "permitted", "chat", "r", "r")
	other := joinAs(t, n, "permitted", "chat", "r")
	refusedJoin := "forbidden: needs emit in room \"s\" of namespace \"chat\""
	p.ask("$j", "chat", "s", "_OnRoomJoin", "$j;;;;;;")
	p.send(";chat;r;first;0;1;")
	p.send(";chat;r;slow;0;1;")
	p.send(";chat;s;second;0;1;")
	p.send(";chat;r;third;0;1;")
	p.send(";chat;s;fourth;0;0;")
	p.send("$l;chat;s;_OnRoomLeave;0;0;")
	<-entered
	close(release)
	other.expect(";chat;r;first;0;0;", ";chat;r;third;0;0;")
	p.expect(";chat;r;slow;1;1;too slow", ";chat;s;second;1;1;"+refusedJoin, "$l;;;;;;")
}

// Rooms that clients join have names that match the namespace's rule. Those of
// the application are its own affair.
func TestRoomNames(t *testing.T) {
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("chat", node.NamespaceOptions{Rooms: node.RoomNames{MaxLength: 8, Pattern: "[a-z]+|é+"}})
		ns.OnConnected(func(ctx context.Context, e *node.ConnectedEvent) {
			_, _ = e.NSConn.JoinRoom(ctx, "Not Allowed")
		})
	})
	p := dial(t, n)
	p.ask("$c", "chat", "", "_OnNamespaceConnect", "$c;;;;;;")
	p.expect("1;chat;Not Allowed;_OnRoomJoin;0;0;")
	p.send("1;;;;;;")
	for room, allowed := range map[string]bool{
		"abcdefgh": true, "abcdefghi": false, "": false, "a1": false, "1a": false, "a\n": false, "éééé": true, "ééééé": false, "aé": false,
	} {
		want := "$j;;;;;;"
		if !allowed {
			want = "$j;chat;" + room + `;_OnRoomJoin;1;0;forbidden: not a name for rooms: in room ` + fmt.Sprintf("%q", room) + ` of namespace "chat"`
		}
		p.ask("$j", "chat", room, "_OnRoomJoin", want)
	}
	if got := n.Stats().Denied[node.DeniedKey{Namespace: "chat", Rule: node.RuleRoomName}]; got != 7 {
		t.Errorf("%d refusals are counted, want 7", got)
	}
}

// A namespace can be stricter about the size of messages than the node.
func TestMaxMessage(t *testing.T) {
	n := startNode(t, func(cfg *node.Config) {
		cfg.Namespaces = map[string]node.NamespaceOptions{"chat": {Relay: node.RelayRooms | node.RelayAsks, MaxMessage: 100}}
	})
	p, other := join(t, n, "chat", "r"), join(t, n, "chat", "r")
	sized := func(start string, size int) string { return start + strings.Repeat("x", size-len(start)) }
	p.send(sized(";chat;r;e;0;1;", 101))
	p.expect(";chat;r;e;1;1;message too big")
	p.send(sized(";chat;r;e;0;0;", 101))
	p.send(sized("$q;chat;r;e;0;0;", 101))
	p.expect("$q;chat;r;e;1;0;message too big")
	p.send(sized(";chat;r;e;0;0;", 100))
	other.expect(sized(";chat;r;e;0;0;", 100))
	if got := n.Stats().Denied[node.DeniedKey{Namespace: "chat", Rule: node.RuleMessageSize}]; got != 3 {
		t.Errorf("%d refusals are counted, want 3", got)
	}
}

// A room has as many members as its namespace allows, over all loops, and room
// for another one when one has left.
func TestMembersPerRoom(t *testing.T) {
	n := startNode(t, func(cfg *node.Config) {
		cfg.Loops = 4
		cfg.Namespaces = map[string]node.NamespaceOptions{"chat": {Relay: node.RelayRooms, MembersPerRoom: 3}}
	})
	var peers []*peer
	for range 8 {
		peers = append(peers, join(t, n, "chat"))
	}
	for round := range 3 {
		for _, p := range peers {
			p.send("$j;chat;r;_OnRoomJoin;0;0;")
		}
		var members, others []*peer
		for _, p := range peers {
			switch text := string(p.next().Payload); text {
			case "$j;;;;;;":
				members = append(members, p)
			case "$j;chat;r;_OnRoomJoin;1;0;room full":
				others = append(others, p)
			default:
				t.Fatalf("the join was answered %q", text)
			}
		}
		if len(members) != 3 {
			t.Fatalf("%d members in round %d, want 3", len(members), round)
		}
		members[0].ask("$j", "chat", "r", "_OnRoomJoin", "$j;;;;;;") // is a member already
		members[0].ask("$l", "chat", "r", "_OnRoomLeave", "$l;;;;;;")
		others[0].ask("$j", "chat", "r", "_OnRoomJoin", "$j;;;;;;")
		members[0].ask("$j", "chat", "r", "_OnRoomJoin", "$j;chat;r;_OnRoomJoin;1;0;room full")
		// The application may exceed the limit. Its member counts.
		joined := make(chan error, 1)
		go func() { joined <- n.Join(context.Background(), members[0].id, "chat", "r") }()
		asked := string(members[0].next().Payload)
		members[0].send(strings.TrimSuffix(asked, "chat;r;_OnRoomJoin;0;0;") + ";;;;;")
		if err := <-joined; err != nil {
			t.Fatal(err)
		}
		members[1].ask("$l", "chat", "r", "_OnRoomLeave", "$l;;;;;;")
		members[1].ask("$j", "chat", "r", "_OnRoomJoin", "$j;chat;r;_OnRoomJoin;1;0;room full")
		for _, p := range []*peer{members[0], members[2], others[0]} {
			p.ask("$l", "chat", "r", "_OnRoomLeave", "$l;;;;;;")
		}
	}
	if got := n.Stats().Denied[node.DeniedKey{Namespace: "chat", Rule: node.RuleRoomFull}]; got != 3*7 {
		t.Errorf("%d refusals are counted, want 21", got)
	}
}
