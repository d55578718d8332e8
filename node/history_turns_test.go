package node_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/wire"
)

// TestReadsTakeTurns sends more reads than may wait: the others are refused,
// and those that wait are answered in their order.
func TestReadsTakeTurns(t *testing.T) {
	const reads, most = 20, 16
	n := startNode(t, keeping(10))
	p := join(t, n, "kept", "r")
	say(t, n, "r", strings.Repeat("x", 20_000))
	p.next()
	var all strings.Builder
	for i := range reads {
		all.WriteString(frame(ws.OpText, true, fmt.Sprintf("$%d;kept;r;_OnHistory;0;0;", i)))
	}
	p.write(all.String())
	var served, refused []string
	for range reads {
		m, err := wire.Parse(p.next().Payload, false)
		switch {
		case err != nil:
			t.Fatal(err)
		case m.Error && string(m.Body) == wire.ErrUnavailable.Error():
			refused = append(refused, string(m.Token))
		case m.Error || !strings.Contains(string(m.Body), "xxx"):
			t.Fatalf("an answer is %.100q", m.Body)
		default:
			served = append(served, string(m.Token))
		}
	}
	inOrder := slices.IsSortedFunc(served, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	if len(served) < most || len(refused) == 0 || !inOrder {
		t.Errorf("%q were served and %q refused, want %d in order and the others", served, refused, most)
	}
}

// TestReadsEndWithTheRoom: reads that wait for their turn are not answered with
// messages of a room that the client has left, or was removed from.
func TestReadsEndWithTheRoom(t *testing.T) {
	n := startNode(t, keeping(10))
	p := join(t, n, "kept", "r")
	for range 10 {
		say(t, n, "r", strings.Repeat("x", 20_000))
		p.next()
	}
	var all strings.Builder
	for i := range 10 {
		all.WriteString(frame(ws.OpText, true, fmt.Sprintf("$%d;kept;r;_OnHistory;0;0;", i)))
	}
	all.WriteString(frame(ws.OpText, true, "$l;kept;r;_OnRoomLeave;0;0;"))
	p.write(all.String())
	left, pages := false, 0
	for range 11 {
		m, err := wire.Parse(p.next().Payload, false)
		switch {
		case err != nil:
			t.Fatal(err)
		case string(m.Token) == "$l":
			left = true
		case m.Error && string(m.Body) == wire.ErrBadRoom.Error():
		case left:
			t.Fatalf("a read is answered after the leave with %.100q", m.Body)
		default:
			pages++
		}
	}
	if pages == 10 {
		t.Error("all reads were answered before the leave: nothing is shown")
	}
}
