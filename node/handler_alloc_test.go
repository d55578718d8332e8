//go:build !race

package node

// The race detector makes sync.Pool drop values at random, so allocations
// cannot be counted.

import (
	"context"
	"runtime"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/engine"
)

// handledAllocs returns the allocations per message, or lines of messages, over
// a real node, with so many of them in flight. Neither the client nor the
// handlers allocate.
func handledAllocs(t *testing.T, message, answer string, together int) float64 {
	t.Helper()
	const rounds = 300
	n, err := New(Config{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	handled, done := 0, make(chan struct{}, 1)
	ns := n.Namespace("default", NamespaceOptions{})
	ns.OnAsk("q", func(_ context.Context, r *AskRequest) error { r.Reply(r.Body); return nil })
	ns.OnEmit("e", func(context.Context, *EmitEvent) error {
		if handled++; handled%together == 0 { // one at a time
			done <- struct{}{}
		}
		return nil
	})
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	defer func() {
		_ = n.Close()
		<-served
	}()
	c := dialClient(t, n)
	var batch []byte
	answers := 0
	for range together {
		for text := range strings.SplitSeq(message, "\n") {
			batch = append(batch, clientFrame(text)...)
		}
		for text := range strings.SplitSeq(answer, "\n") {
			answers += len(engine.NewFrame(ws.OpText, []byte(text)))
		}
	}
	round := func() {
		c.write(batch)
		if answer != "" {
			c.skip(answers)
		} else {
			<-done
		}
	}
	for range rounds { // buffers and queues find their sizes
		round()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		round()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(rounds*together)
}

// joinAndLeave is a room's whole life, without handlers for it.
const joinAndLeave = "$1;default;x;_OnRoomJoin;0;0;\n$2;default;x;_OnRoomLeave;0;0;"

// The limits are half an allocation above the measured numbers.
func TestHandlerAllocations(t *testing.T) {
	body := strings.Repeat("x", 64)
	for _, test := range []struct {
		name, message, answer string
		together              int
		limit                 float64
	}{
		{"emit", ";default;;e;0;0;" + body, "", 1, 3.5},
		{"emit", ";default;;e;0;0;" + body, "", 64, 2.5},
		{"emit to a room", ";default;r;e;0;0;" + body, "", 64, 2.5},
		{"ask", "$1;default;;q;0;0;" + body, "$1;default;;q;0;0;" + body, 1, 4.5},
		{"ask", "$1;default;;q;0;0;" + body, "$1;default;;q;0;0;" + body, 64, 3.5},
		{"join and leave", joinAndLeave, "$1;;;;;;\n$2;;;;;;", 1, 8.5},
	} {
		got := handledAllocs(t, test.message, test.answer, test.together)
		t.Logf("%s, %d together: %.2f allocations for each", test.name, test.together, got)
		if got > test.limit {
			t.Errorf("%s, %d together: %.2f allocations for each, want at most %.1f", test.name, test.together, got, test.limit)
		}
	}
}

// Neither the permission for a message nor its refusal costs an allocation.
func TestPermissionAllocations(t *testing.T) {
	const limit = 2
	options := NamespaceOptions{
		Relay: RelayRooms | RelayNamespace, Access: Access{Emit: WhoPermitted, EmitNamespace: WhoPermitted}, MaxMessage: 1000,
	}
	if got := relayAllocs(t, options, 1, 64, 10); got > limit {
		t.Errorf("%.2f allocations for a message that follows 10 that are refused, want at most %d", got, limit)
	}
}
