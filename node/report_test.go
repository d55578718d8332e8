package node_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/node"
)

// A refused emit is reported to a client that has set its no-op flag, before
// the answer to a later request, and to no other client.
func TestRefusedEmitIsReported(t *testing.T) {
	refuse := errors.New("not now; later")
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("chat", node.NamespaceOptions{Relay: node.RelayRooms})
		ns.OnRelay("mute", func(context.Context, *node.RelayRequest) error { return refuse })
		ns.OnEmit("gag", func(context.Context, *node.EmitEvent) error { return refuse })
		ns.OnEmit("panic", func(context.Context, *node.EmitEvent) error { panic("a mistake") })
		ns.OnEmit("fine", func(context.Context, *node.EmitEvent) error { return nil })
	})
	p, other := join(t, n, "chat", "r"), join(t, n, "chat", "r")
	long := strings.Repeat("x", 200)
	cases := []struct{ name, emit, want string }{
		{"relay", ";chat;r;mute;0;%;x", ";chat;r;mute;1;1;not now; later"},
		{"handler", ";chat;r;gag;0;%;x", ";chat;r;gag;1;1;not now; later"},
		{"handler without a room", ";chat;;gag;0;%;x", ";chat;;gag;1;1;not now; later"},
		{"panic", ";chat;;panic;0;%;x", ";chat;;panic;1;1;internal error"},
		{"accepted", ";chat;;fine;0;%;x", ""},
		{"no handler", ";chat;;other;0;%;x", ";chat;;other;1;1;unhandled event"},
		{"room not joined", ";chat;s;mute;0;%;x", ";chat;s;mute;1;1;bad room"},
		{"namespace not connected", ";shop;;mute;0;%;x", ";shop;;mute;1;1;bad namespace"},
		{"long name", ";chat;;" + long + ";0;%;x", ";;;;1;1;name too long"},
		{"a report itself", ";chat;r;mute;1;%;x", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, flag := range []string{"1", "0"} {
				p.send(strings.Replace(c.emit, "%", flag, 1))
				p.send("$l;chat;unknown;_OnRoomLeave;0;0;")
				if c.want != "" && flag == "1" {
					p.expect(c.want)
				}
				p.expect("$l;;;;;;")
			}
		})
	}
	// Members receive the emit without the flag.
	p.send(";chat;r;said;0;1;hello")
	other.expect(";chat;r;said;0;0;hello")
}
