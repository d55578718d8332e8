package cluster_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

// hostile are names that would mean something to a pattern, to Redis' protocol,
// to a channel name, or to the messages of the clients, if they were not
// escaped.
var hostile = []string{
	"*", "?", "[a-z]", "a", "q", "h[^e]llo", "hello", `\*`, "*:*", "**",
	" ", "two words", "CR\rLF\n\r\n", "a\r\nPUBLISH stoa:r:x y\r\n", "\x00", "a\x00b", "\x00*",
	";", "a;b", ";;;;;;", "@", "%2A", "%", ":", "r:default:a", "stoa:", "default", "default:a", "a:b", "c",
	"$1", "+", "-1", "_", "_OnRoomJoin", "\u202e", "\ufeff", "e\u0301", "é",
	strings.Repeat("żółw", 28) + "=)", strings.Repeat("🐢", 50), strings.Repeat("🐢", 49) + "🐇",
}

// listener is a client that records its messages.
type listener struct {
	*client
	mu  sync.Mutex // guards got
	got []string
}

func (l *listener) received(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, text)
}

func (l *listener) messages() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.got)
}

func openListener(t testing.TB, address string) *listener {
	t.Helper()
	l := &listener{}
	var err error
	if l.client, err = openClient(address, l.received); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

// enterRoom opens a listener that is in a room.
func enterRoom(t testing.TB, address, room string) *listener {
	t.Helper()
	l := openListener(t, address)
	if err := l.connect(namespace); err != nil {
		t.Fatal(err)
	}
	if err := l.join(namespace, room); err != nil {
		t.Fatal(err)
	}
	return l
}

// expectAsk waits for an ask of the server.
func (l *listener) expectAsk(t testing.TB) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-l.replies:
	case <-l.gone:
		t.Fatalf("the connection ended before the ask arrived: %v", l.problem())
	case <-limit.C:
		t.Fatal("the ask did not arrive")
	}
}

// neffos row 10: no name reaches the messages of another. TestNames: for
// each name there is a room on one node, and a namespace with a room of the
// same name on the other one. Every client receives exactly its own messages.
func TestNames(t *testing.T) {
	t.Parallel()
	var namespaces []string
	config := redisbroker.Config{Servers: []string{redistest.Start(t).URL()}}
	var nodes []*testNode
	for _, name := range hostile {
		if len(name) <= 128 && name != namespace {
			namespaces = append(namespaces, name)
		}
	}
	for i := range 2 {
		nodes = append(nodes, startNode(t, nodeOptions{
			id: fmt.Sprint("n", i), redis: config,
			change: func(c *node.Config) {
				for _, name := range namespaces {
					c.Namespaces[name] = node.NamespaceOptions{Relay: node.RelayRooms | node.RelayNamespace}
				}
			},
		}))
	}
	awaitMembers(t, nodes, 2)
	type place struct{ namespace, room string }
	var places []place
	for _, name := range hostile {
		places = append(places, place{namespace, name})
	}
	for _, name := range namespaces {
		places = append(places, place{name, name})
		if name != "a" {
			places = append(places, place{name, "a"})
		}
	}
	// A listener and a speaker for each place, on different nodes.
	listeners, speakers := make([]*listener, len(places)), make([]*listener, len(places))
	want := make([][]string, len(places))
	for i, p := range places {
		listeners[i], speakers[i] = openListener(t, nodes[i%2].Addr().String()), openListener(t, nodes[1-i%2].Addr().String())
		for _, l := range []*listener{listeners[i], speakers[i]} {
			if err := l.connect(p.namespace); err != nil {
				t.Fatalf("namespace %q: %v", p.namespace, err)
			}
			if err := l.join(p.namespace, p.room); err != nil {
				t.Fatalf("room %q: %v", p.room, err)
			}
		}
	}
	for i, p := range places {
		event := "said"
		if len(p.room) <= 100 {
			event += p.room
		}
		message := emit(p.namespace, p.room, event, fmt.Sprintf("%d to %s", i, p.room))
		if err := speakers[i].send(message); err != nil {
			t.Fatal(err)
		}
		want[i] = append(want[i], message)
	}
	// A node publishes in one order, and there is one server: this message
	// arrives after everything that the speakers have sent.
	for i := range places {
		if err := speakers[i].sync(places[i].namespace); err != nil {
			t.Fatal(err)
		}
	}
	all := append([]string{namespace}, namespaces...)
	for _, n := range nodes {
		for _, name := range all {
			if err := n.EmitNamespace(t.Context(), node.Message{Namespace: name, Event: "end", Body: []byte(n.ID())}, node.EmitOptions{}); err != nil {
				t.Fatalf("Emit to namespace %q: %v", name, err)
			}
		}
	}
	for i, p := range places {
		expectMessages(t, fmt.Sprintf("the listener in room %q of namespace %q", p.room, p.namespace), listeners[i],
			want[i], emit(p.namespace, "", "end", "n0"), emit(p.namespace, "", "end", "n1"))
		expectMessages(t, fmt.Sprintf("the speaker in room %q of namespace %q", p.room, p.namespace), speakers[i],
			nil, emit(p.namespace, "", "end", "n0"), emit(p.namespace, "", "end", "n1"))
	}
}

// expectMessages checks that the listener got exactly these, and the ends of
// both nodes.
func expectMessages(t testing.TB, who string, l *listener, want []string, ends ...string) {
	t.Helper()
	testkit.Eventually(t, who+" has the last messages", func() bool {
		got := l.messages()
		return l.problem() != nil || slices.Contains(got, ends[0]) && slices.Contains(got, ends[1])
	})
	if err := l.problem(); err != nil {
		t.Errorf("%s lost the connection: %v", who, err)
	}
	want, got := slices.Concat(want, ends), l.messages()
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s received %q, want %q", who, got, want)
	}
}
