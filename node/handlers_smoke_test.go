package node_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stoa-io/stoa/node"
)

func TestSmoke(t *testing.T) {
	closed := make(chan node.Closed, 1)
	left := make(chan string, 10)
	n := startHandling(t, nil, func(n *node.Node) {
		ns := n.Namespace("chat")
		ns.OnAsk("echo", func(ctx context.Context, c *node.NSConn, m *node.Message) ([]byte, error) { return m.Body, nil })
		ns.OnAsk("fail", func(ctx context.Context, c *node.NSConn, m *node.Message) ([]byte, error) {
			return nil, errors.New("no way")
		})
		ns.OnAsk("panic", func(ctx context.Context, c *node.NSConn, m *node.Message) ([]byte, error) { panic("x") })
		ns.OnAsk("back", func(ctx context.Context, c *node.NSConn, m *node.Message) ([]byte, error) {
			a, err := c.Ask(ctx, "q", []byte("who"))
			return a.Body, err
		})
		ns.OnJoin(func(ctx context.Context, c *node.NSConn, room string) error {
			if room == "secret" {
				return errors.New("keep out")
			}
			return nil
		})
		ns.OnLeft(func(ctx context.Context, r *node.Room, forced bool) { left <- r.Name() })
		n.OnClosed(func(ctx context.Context, c *node.Conn, how node.Closed) { closed <- how })
	})
	p := dial(t, n)
	p.send("$1;chat;;_OnNamespaceConnect;0;0;")
	p.expect("$1;;;;;;")
	p.send("$2;chat;;echo;0;0;hi")
	p.expect("$2;chat;;echo;0;0;hi")
	p.send("$3;chat;;fail;0;0;hi")
	p.expect("$3;chat;;fail;1;0;no way")
	p.send("$4;chat;;panic;0;0;hi")
	p.expect("$4;chat;;panic;1;0;internal error")
	p.send("$5;chat;;back;0;0;hi")
	p.expect("1;chat;;q;0;0;who")
	p.send("1;chat;;q;0;0;me")
	p.expect("$5;chat;;back;0;0;me")
	p.send("$6;chat;secret;_OnRoomJoin;0;0;")
	p.expect("$6;chat;secret;_OnRoomJoin;1;0;keep out")
	p.send("$6;chat;open;_OnRoomJoin;0;0;")
	p.expect("$6;;;;;;")
	p.conn.Close()
	if r := <-left; r != "open" {
		t.Fatal(r)
	}
	t.Log(<-closed)
}
