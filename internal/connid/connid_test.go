package connid_test

import (
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/connid"
)

const (
	lastLoop = 63
	lastSlot = 1<<26 - 2
)

func TestRoundTrip(t *testing.T) {
	for name, slot := range map[string]connid.SlotRef{
		"first loop, first slot": connid.SlotOf(0, 0),
		"first loop, last slot":  connid.SlotOf(0, lastSlot),
		"last loop, first slot":  connid.SlotOf(lastLoop, 0),
		"last loop, last slot":   connid.SlotOf(lastLoop, lastSlot),
		"in between":             connid.SlotOf(5, 123456),
	} {
		t.Run(name, func(t *testing.T) {
			want := connid.Ref{Slot: slot, Nonce: connid.NewNonce()}
			id := want.Text("node_1")
			if got, ok := connid.Parse("node_1", id); !ok || got != want {
				t.Errorf("Parse(%q) = %x, %v, want %x, true", id, got, ok, want)
			}
			if slot == connid.NoSlot {
				t.Error("the slot of a connection is NoSlot")
			}
			if node, ok := connid.NodeOf(id); !ok || node != "node_1" {
				t.Errorf("NodeOf(%q) = %q, %v", id, node, ok)
			}
		})
	}
}

// An ID is read from its end, so the node's ID may contain the separator.
func TestHostNamesAsNodeIDs(t *testing.T) {
	for _, node := range []string{"chat-7d9f-abc", "a.b-c.example.com", "-", strings.Repeat("x-", 32), "a-" + strings.Repeat("A", 22)} {
		want := connid.Ref{Slot: connid.SlotOf(1, 2), Nonce: connid.NewNonce()}
		id := want.Text(node)
		if !connid.ValidNodeID(node) {
			t.Errorf("the node ID %q is refused", node)
		}
		if got, ok := connid.NodeOf(id); !ok || got != node {
			t.Errorf("NodeOf(%q) = %q, %v, want %q", id, got, ok, node)
		}
		if got, ok := connid.Parse(node, id); !ok || got != want {
			t.Errorf("Parse(%q, %q) = %x, %v, want %x", node, id, got, ok, want)
		}
		if _, ok := connid.Parse(node[:1], id); ok && node != "-" {
			t.Errorf("node %q takes %q for its own", node[:1], id)
		}
	}
	for _, node := range []string{"", "a b", "a/b", "a:b", "ϟ", "a*", "a\n", strings.Repeat("x", 65)} {
		if connid.ValidNodeID(node) {
			t.Errorf("the node ID %q is valid", node)
		}
	}
	text := strings.Repeat("A", 22)
	for _, id := range []string{"", "n1", text, "-" + text, "n1_" + text, "n1-" + text[1:]} {
		if node, ok := connid.NodeOf(id); ok {
			t.Errorf("NodeOf(%q) = %q, want none", id, node)
		}
	}
}

func TestSlotRef(t *testing.T) {
	r := connid.SlotOf(lastLoop, lastSlot)
	if r.Loop() != lastLoop || r.Slot() != lastSlot {
		t.Errorf("loop %d slot %d, want %d and %d", r.Loop(), r.Slot(), lastLoop, lastSlot)
	}
}

func TestParseRefuses(t *testing.T) {
	good := connid.Ref{Slot: connid.SlotOf(1, 2), Nonce: connid.NewNonce()}.Text("n1")
	text := strings.TrimPrefix(good, "n1-")
	for name, id := range map[string]string{
		"empty":                        "",
		"node only":                    "n1",
		"no nonce":                     "n1-",
		"another node":                 "n2-" + text,
		"a node whose ID begins alike": "n10-" + text,
		"no dash":                      "n1" + text,
		"another dash":                 "n1_" + text,
		"too short":                    good[:len(good)-1],
		"too long":                     good + "A",
		"standard base64":              "n1-" + "+/" + text[2:],
		"padding":                      "n1-" + text[:20] + "==",
		"line breaks":                  "n1-" + text[:20] + "\r\n",
		"bits beyond the last byte":    "n1-" + text[:21] + "B",
		"semicolon":                    "n1-" + text[:21] + ";",
	} {
		t.Run(name, func(t *testing.T) {
			if r, ok := connid.Parse("n1", id); ok || r.Slot != connid.NoSlot {
				t.Errorf("Parse(%q) = slot %#x, %v, want NoSlot and false", id, r.Slot, ok)
			}
		})
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	id := connid.Ref{Slot: connid.SlotOf(1, 2), Nonce: connid.NewNonce()}.Text("node")
	allocs := testing.AllocsPerRun(100, func() {
		if _, ok := connid.Parse("node", id); !ok {
			t.Fatal("a good ID is refused")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

func TestNewNodeID(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := connid.NewNodeID()
		if len(id) != 8 || !connid.ValidNodeID(id) {
			t.Fatalf("node ID %q, want eight characters that a configured one may have", id)
		}
		if seen[id] {
			t.Fatalf("node ID %q came twice", id)
		}
		seen[id] = true
	}
}

func FuzzParseConnID(f *testing.F) {
	f.Add("n1", connid.Ref{Slot: connid.SlotOf(3, 4), Nonce: connid.NewNonce()}.Text("n1"))
	f.Add("n1", "n1-")
	f.Add("", "-AAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, node, id string) {
		r, ok := connid.Parse(node, id)
		if ok && r.Text(node) != id {
			t.Errorf("ID %q of node %q is parsed and built again as %q", id, node, r.Text(node))
		}
	})
}
