package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// A message that the server would not take is not sent; one at the limit is.
func TestMessageLimit(t *testing.T) {
	n, _ := startNode(t, "", func(n *node.Node) {
		echo(n)
		n.LookupNamespace("default").OnEmit("e", func(context.Context, *node.EmitEvent) error { return nil })
	})
	const most = wire.DefaultMessageLimit
	long := []byte(strings.Repeat("x", most))
	conn := dial(t, urlOf(n), in("default", declare(func(ns *client.Namespace) {
		ns.OnAsk("much", func(_ context.Context, r *client.AskRequest) error {
			r.Reply(long)
			return nil
		})
	})))
	ns, err := conn.Connect(background(t), "default")
	if err != nil {
		t.Fatal(err)
	}
	const head = len(";default;;e;0;0;")
	if err := ns.Emit("e", long[:most-head]); err != nil {
		t.Errorf("an emit at the limit: %v", err)
	}
	const asked = len("$123456789012345678901;default;;echo;0;0;") - 1
	if answer, err := ns.Ask(background(t), "echo", long[:most-asked]); err != nil || len(answer.Body) != most-asked {
		t.Errorf("an ask at the limit: %d bytes, %v", len(answer.Body), err)
	}
	_, ask := ns.Ask(background(t), "echo", long)
	_, join := ns.JoinRoomWith(background(t), "r", client.JoinOptions{Body: long})
	_, connect := conn.ConnectWith(background(t), "second", client.ConnectOptions{Body: long})
	for name, err := range map[string]error{
		"an emit": ns.Emit("e", long[:most-head+1]), "a binary emit": ns.EmitBinary("e", long),
		"a name that is escaped": ns.Emit(strings.Repeat(";", most/10), nil),
		"a whole message":        conn.Write(client.Message{Namespace: "default", Event: "e", Body: long}),
		"a native message":       conn.WriteNative(append([]byte("x"), long...), false),
		"an ask":                 ask, "a join": join, "a connect": connect,
	} {
		if !errors.Is(err, client.ErrTooBig) {
			t.Errorf("%s: %v, want %v", name, err, client.ErrTooBig)
		}
	}
	if _, err := n.Ask(background(t), conn.ID(), node.Message{Namespace: "default", Event: "much"}); !errors.Is(err, wire.RemoteError("remote: message too big")) {
		t.Errorf("the answer of a handler: %v", err)
	}
	if conn.State() != client.StateConnected {
		t.Errorf("the connection is %v", conn.State())
	}
}
