package node_test

import (
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

func TestRoomRelay(t *testing.T) {
	n := startNode(t, nil)
	a, b, c := join(t, n, "default", "r1"), join(t, n, "default", "r1"), join(t, n, "default", "r2")
	a.send(";default;r1;chat;0;0;hello;all")
	b.expect(";default;r1;chat;0;0;hello;all")
	for name, p := range map[string]*peer{"the sender": a, "another room's member": c} {
		if got := p.sync("default"); len(got) != 0 {
			t.Errorf("%s received %q, want nothing", name, got)
		}
	}
}

func TestRelayOfBodies(t *testing.T) {
	n := startNode(t, nil)
	a, b := join(t, n, "default", "r"), join(t, n, "default", "r")
	for name, body := range map[string]string{
		"empty":      "",
		"semicolons": ";;a;b;",
		"newlines":   "one\ntwo\r\n",
		"Unicode":    "ϟτοά 🏛",
		"60 KB":      strings.Repeat("0123456789", 6000),
	} {
		t.Run(name, func(t *testing.T) {
			a.send(";default;r;chat;0;0;" + body)
			b.expect(";default;r;chat;0;0;" + body)
		})
	}
	t.Run("binary", func(t *testing.T) {
		a.sendBinary(";default;r;chat;0;0;\x00\xff;\xfe")
		f := b.next()
		if f.Header.OpCode != ws.OpBinary || string(f.Payload) != ";default;r;chat;0;0;\x00\xff;\xfe" {
			t.Errorf("got %s, want the same binary frame", describe(f))
		}
	})
}
