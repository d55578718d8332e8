package node_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
)

// One member of a large room does not read. It receives whole frames and a
// close frame at the end, and the other members every message.
func TestSlowMember(t *testing.T) {
	t.Parallel()
	const members = 30
	for _, loops := range []int{1, 2} {
		t.Run(fmt.Sprintf("loops=%d", loops), func(t *testing.T) {
			t.Parallel()
			n := startNode(t, func(cfg *node.Config) {
				cfg.Loops = loops
				cfg.Limits.SendQueue = 256 << 10
				cfg.Timeouts.Close = patience
			})
			publisher := join(t, n, "default", "r")
			var readers []*peer
			var slow *peer
			for i := range members {
				p := join(t, n, "default", "r")
				if i == members/2 {
					slow = p
				} else {
					readers = append(readers, p)
				}
			}
			// Two messages at a time are merged: the slow member must not get
			// the second after its close frame.
			sent := 0
			eventually(t, "the slow member is closed", func() bool {
				var out strings.Builder
				var want []string
				for range 2 {
					text := fmt.Sprintf(";default;r;chat;0;0;%d %s", sent, strings.Repeat("x", 20_000))
					want = append(want, text)
					out.WriteString(frame(ws.OpText, true, text))
					sent++
				}
				publisher.write(out.String())
				for _, p := range readers {
					p.expect(want...)
				}
				return n.Stats().Memberships == members
			})
			publisher.send(";default;r;chat;0;0;last")
			for _, p := range readers {
				p.expect(";default;r;chat;0;0;last")
			}
			for i := 0; ; i++ {
				f := slow.next()
				if f.Header.OpCode == ws.OpClose {
					if code, _ := ws.ParseCloseFrameData(f.Payload); code != 4000 {
						t.Errorf("closed with %s, want 4000", describe(f))
					}
					break
				}
				if prefix := fmt.Sprintf(";default;r;chat;0;0;%d x", i); !strings.HasPrefix(string(f.Payload), prefix) {
					t.Fatalf("got %s, want %q", describe(f), prefix)
				}
			}
			slow.write(frame(ws.OpClose, true, "\x0f\xa0"))
			slow.expectEnd()
			if s := n.Stats(); s.DroppedFrames == 0 || s.Closes[node.CloseKey{Code: "slow_consumer", Initiator: node.ByServer}] != 1 {
				t.Errorf("%d frames dropped, closes %v; want some, and one slow consumer", s.DroppedFrames, s.Closes)
			}
		})
	}
}

// All members of the room are slow in the same delivery, including the sender.
func TestAllMembersSlow(t *testing.T) {
	const members = 20
	n := startNode(t, func(cfg *node.Config) {
		cfg.Loops = 1
		cfg.Limits.SendQueue = 64 << 10
	})
	for range members {
		join(t, n, "default", "r")
	}
	publisher := join(t, n, "default", "r")
	eventually(t, "the members are closed", func() bool {
		var out strings.Builder
		for range 20 {
			out.WriteString(frame(ws.OpText, true, ";default;r;chat;0;0;"+strings.Repeat("x", 20_000)))
		}
		publisher.write(out.String())
		publisher.sync("default")
		return n.Stats().Memberships == 1
	})
	publisher.send("$l;default;r;_OnRoomLeave;0;0;")
	publisher.expect("$l;;;;;;")
	if s := n.Stats(); s.Rooms != 0 {
		t.Errorf("%d rooms, want none", s.Rooms)
	}
}
