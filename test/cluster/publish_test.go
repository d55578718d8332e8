package cluster_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	stoaclient "github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/internal/redistest"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// TestPublish: clients publish while their connections are closed and while a
// node loses its connections to Redis. Every message is in the history once,
// in the order of its publisher, at the position that the client got.
func TestPublish(t *testing.T) {
	t.Parallel()
	const publishers, messages = 4, 60
	proxy, nodes := proxied(t, redistest.Start(t))
	var positions sync.Map
	var published atomic.Int64
	var group sync.WaitGroup
	for number := range publishers {
		conn, err := stoaclient.Dial(t.Context(), "ws://"+nodes[number%2].Addr().String()+"/ws", stoaclient.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		ns, err := conn.Connect(t.Context(), kept)
		if err != nil {
			t.Fatal(err)
		}
		room, err := ns.JoinRoom(t.Context(), "r")
		if err != nil {
			t.Fatal(err)
		}
		group.Go(func() {
			for i := range messages {
				body := fmt.Sprintf("%d %d", number, i)
				position, err := room.Publish(t.Context(), "e", []byte(body), stoaclient.PublishOptions{})
				if err != nil {
					t.Errorf("message %q: %v, want nil", body, err)
				}
				positions.Store(body, position)
				published.Add(1)
			}
		})
	}
	for round := range int64(5) {
		testkit.Eventually(t, "more messages are published", func() bool {
			return published.Load() >= (round+1)*publishers*messages/8
		})
		for _, n := range nodes[:2] {
			for c := range n.Conns() {
				if err := n.CloseConn(t.Context(), c.ID(), wire.CodeServiceRestart, "test"); err != nil && !errors.Is(err, wire.ErrGone) {
					t.Error(err)
				}
			}
		}
		proxy.Break()
	}
	group.Wait()
	page, err := nodes[2].History(t.Context(), kept, "r", node.HistoryQuery{Limit: 2 * publishers * messages})
	if err != nil {
		t.Fatal(err)
	}
	var next [publishers]int
	for _, entry := range page.Entries {
		body := string(entry.Body)
		number, i := 0, 0
		if _, err := fmt.Sscan(body, &number, &i); err != nil || i != next[number] {
			t.Fatalf("the history has %q, want message %d of publisher %d", body, next[number], number)
		}
		next[number]++
		if position, _ := positions.Load(body); position != string(entry.Position) {
			t.Errorf("the client got the position %v of %q, want %v", position, body, entry.Position)
		}
	}
	if got := fmt.Sprint(next); got != "["+strings.TrimSpace(strings.Repeat(fmt.Sprint(messages)+" ", publishers))+"]" {
		t.Errorf("the history has %s messages of the publishers, want %d of each", got, messages)
	}
}
