package compat_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/kataras/neffos"

	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/node"
)

func TestExampleScaleOut(t *testing.T) {
	redis, binary := redistest.Start(t), buildExample(t, "scale-out")
	people := make([]*person, 3)
	sides := make([]*neffos.NSConn, len(people))
	for i := range people {
		program := runBinary(t, binary, "-redis", redis.URL())
		people[i], sides[i] = enter(t, program.address, program.url(""), namespace, nil, neffos.Events{
			"question": func(_ *neffos.NSConn, m neffos.Message) error {
				return neffos.Reply(append([]byte("an answer to "), m.Body...))
			},
		})
	}
	one, near := people[0], sides[0]
	ask := func(event string, r request) string {
		t.Helper()
		answer, err := one.ask(t, near, event, r)
		if err != nil {
			t.Fatalf("%s: %v", event, err)
		}
		return answer
	}
	awaitMembers(t, len(people), func() string { return ask("nodes", request{}) })

	for i, other := range people[1:] {
		if got := ask("question", request{Conn: other.ID, Text: "what?"}); got != "an answer to what?" {
			t.Errorf("node %d: question: %q, want the other client's answer", i+2, got)
		}
		ask("tell", request{Conn: other.ID, Text: "a;b"})
		want := message{namespace: namespace, event: "told", body: "a;b"}
		if got := other.received(t, 1)[0]; got != want {
			t.Errorf("node %d: received %+v, want %+v", i+2, got, want)
		}
		ask("invite", request{Conn: other.ID, Room: "hall"})
		var found node.ConnInfo
		if err := json.Unmarshal([]byte(ask("find", request{Conn: other.ID})), &found); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(other.ID, found.Node+"-") || len(found.Namespaces[namespace]) != 1 || found.Namespaces[namespace][0] != "hall" {
			t.Errorf("node %d: found %+v, want it in the room hall", i+2, found)
		}
	}
	// The second node knows the third one by now, and emits to all nodes.
	want := message{namespace: namespace, room: "hall", event: "joined", body: people[2].ID}
	if got := people[1].received(t, 2)[1]; got != want {
		t.Errorf("received %+v, want %+v", got, want)
	}
	one.join(t, near, "hall")
	near.Room("hall").Emit("chat", []byte("to all nodes"))
	want = message{namespace: namespace, room: "hall", event: "chat", body: "to all nodes"}
	if got := people[1].received(t, 3)[2]; got != want {
		t.Errorf("received %+v, want %+v", got, want)
	}
	if got := people[2].received(t, 2)[1]; got != want {
		t.Errorf("received %+v, want %+v", got, want)
	}

	people[1].Close()
	gone := func() bool {
		_, err := one.ask(t, near, "tell", request{Conn: people[1].ID})
		return err != nil && err.Error() == "gone"
	}
	until(t, "a connection that has ended is gone on all nodes", gone)
}

// request is that of the example.
type request struct {
	Conn string `json:"conn"`
	Text string `json:"text,omitempty"`
	Room string `json:"room,omitempty"`
}

// awaitMembers waits until a node knows count nodes.
func awaitMembers(t testing.TB, want int, list func() string) {
	t.Helper()
	until(t, "the nodes know each other", func() bool {
		var nodes []struct{}
		if err := json.Unmarshal([]byte(list()), &nodes); err != nil {
			t.Fatal(err)
		}
		return len(nodes) == want
	})
}

// until waits for a condition that must come true.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(deadline)
	for !condition() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("still waiting: %s", what)
		}
	}
}
