package node_test

import (
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// protocol.md section 2.
func TestHello(t *testing.T) {
	t.Run("frames before it are answered after it", func(t *testing.T) {
		n := startNode(t, nil)
		p := upgrade(t, n)
		p.send("$c;default;;_OnNamespaceConnect;0;0;")
		p.sendBinary("$j;default;r;_OnRoomJoin;0;0;")
		p.send("$a;default;r;nobody;0;0;")
		p.send("M")
		if f := p.next(); f.Header.OpCode != ws.OpText || f.Payload[0] != 'A' {
			t.Errorf("got %s, want the acknowledgement first", describe(f))
		}
		p.expect("$c;;;;;;", "$j;;;;;;", "$a;default;r;nobody;1;0;unhandled event")
	})
	t.Run("only the first byte counts", func(t *testing.T) {
		n := startNode(t, nil)
		p := upgrade(t, n)
		p.sendBinary("Mellow")
		if f := p.next(); f.Header.OpCode != ws.OpText || f.Payload[0] != 'A' {
			t.Errorf("got %s, want the acknowledgement as text", describe(f))
		}
	})
	t.Run("empty frames are skipped", func(t *testing.T) {
		n := startNode(t, nil)
		p := upgrade(t, n)
		p.send("")
		p.send("M")
		p.send("")
		if f := p.next(); f.Payload[0] != 'A' {
			t.Errorf("got %s, want the acknowledgement", describe(f))
		}
		if got := p.sync("default"); len(got) != 0 {
			t.Errorf("got %q, want nothing", got)
		}
		expectMessages(t, n, node.MessageIgnored, 2)
	})
	t.Run("a client does not acknowledge itself", func(t *testing.T) {
		n := startNode(t, nil)
		p := upgrade(t, n)
		p.send("Aadmin")
		p.send("Hno")
		p.send("$c;default;;_OnNamespaceConnect;0;0;")
		p.send("M")
		f := p.next()
		id := string(f.Payload[1:])
		if f.Payload[0] != 'A' || id == "admin" || !strings.HasPrefix(id, n.ID()+"-") {
			t.Errorf("got %s, want an ID of the node's own", describe(f))
		}
		p.expect("$c;;;;;;")
		expectMessages(t, n, node.MessageIgnored, 2)
	})
	t.Run("a second one is an invalid payload", func(t *testing.T) {
		n := startNode(t, nil)
		p := dial(t, n)
		p.send("M")
		p.send("Aother")
		p.send("Hno")
		if got := p.sync("default"); len(got) != 0 {
			t.Errorf("got %q, want nothing", got)
		}
		expectMessages(t, n, node.MessageInvalid, 3)
	})
	t.Run("too much before it", func(t *testing.T) {
		n := startNode(t, nil)
		p := upgrade(t, n)
		p.send(strings.Repeat("x", 10<<10))
		p.send(strings.Repeat("x", 10<<10))
		p.expectClose(ws.StatusPolicyViolation)
		_ = p.conn.Close()
		expectCloses(t, n, wire.CodePolicy, node.ByServer, 1)
		expectMessages(t, n, node.MessageRefused, 1)
	})
	t.Run("IDs differ", func(t *testing.T) {
		n := startNode(t, nil)
		seen := make(map[string]bool)
		for range 20 {
			id := dial(t, n).id
			if seen[id] {
				t.Fatalf("ID %q came twice", id)
			}
			seen[id] = true
		}
	})
}
