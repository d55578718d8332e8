package node

import (
	"strings"
	"testing"
)

func TestConnIDRoundTrip(t *testing.T) {
	for name, where := range map[string]place{
		"first loop, first slot": placeOf(0, 0),
		"first loop, last slot":  placeOf(0, maxSlots-1),
		"last loop, first slot":  placeOf(maxLoops-1, 0),
		"last loop, last slot":   placeOf(maxLoops-1, maxSlots-1),
		"in between":             placeOf(5, 123456),
	} {
		t.Run(name, func(t *testing.T) {
			secret := newSecret()
			id := connID("node_1", where, secret)
			gotPlace, gotSecret, ok := parseConnID("node_1", id)
			if !ok || gotPlace != where || gotSecret != secret {
				t.Errorf("parseConnID(%q) = %#x, %x, %v, want %#x, %x, true", id, gotPlace, gotSecret, ok, where, secret)
			}
			if where == noPlace {
				t.Error("the place of a connection is noPlace")
			}
		})
	}
}

func TestPlace(t *testing.T) {
	p := placeOf(maxLoops-1, maxSlots-1)
	if p.loop() != maxLoops-1 || p.slot() != maxSlots-1 {
		t.Errorf("loop %d slot %d, want %d and %d", p.loop(), p.slot(), maxLoops-1, maxSlots-1)
	}
}

func TestParseConnIDRefuses(t *testing.T) {
	good := connID("n1", placeOf(1, 2), newSecret())
	text := strings.TrimPrefix(good, "n1-")
	for name, id := range map[string]string{
		"empty":                        "",
		"node only":                    "n1",
		"no secret":                    "n1-",
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
			if p, _, ok := parseConnID("n1", id); ok || p != noPlace {
				t.Errorf("parseConnID(%q) = place %#x, %v, want noPlace and false", id, p, ok)
			}
		})
	}
}

func TestParseConnIDAllocatesNothing(t *testing.T) {
	id := connID("node", placeOf(1, 2), newSecret())
	allocs := testing.AllocsPerRun(100, func() {
		if _, _, ok := parseConnID("node", id); !ok {
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
		id := newNodeID()
		if len(id) != 8 || strings.ContainsFunc(id, notIDRune) {
			t.Fatalf("node ID %q, want eight characters that a configured one may have", id)
		}
		if seen[id] {
			t.Fatalf("node ID %q came twice", id)
		}
		seen[id] = true
	}
}

func FuzzParseConnID(f *testing.F) {
	f.Add("n1", connID("n1", placeOf(3, 4), newSecret()))
	f.Add("n1", "n1-")
	f.Add("", "-AAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, node, id string) {
		p, s, ok := parseConnID(node, id)
		if ok && connID(node, p, s) != id {
			t.Errorf("ID %q of node %q is parsed and built again as %q", id, node, connID(node, p, s))
		}
	})
}
