package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/client"
)

func TestRegistrationMistakesPanic(t *testing.T) {
	n, _ := startNode(t, "", nil)
	emit := func(context.Context, *client.EmitEvent) error { return nil }
	ask := func(context.Context, *client.AskRequest) error { return nil }
	used := new(client.Namespace)
	dial(t, urlOf(n), in("default", used))
	twice := declare(func(ns *client.Namespace) {
		ns.OnEmit("e", emit)
		ns.OnAsk("e", ask)
		ns.OnAnyEmit(emit)
	})
	for _, test := range []struct {
		name, want string
		register   func()
	}{
		{"nil", "is nil", func() { new(client.Namespace).OnJoin(nil) }},
		{"nil for an event", "is nil", func() { new(client.Namespace).OnEmit("e", nil) }},
		{"an emit twice", "already", func() { twice.OnEmit("e", emit) }},
		{"an ask twice", "already", func() { twice.OnAsk("e", ask) }},
		{"any emit twice", "already", func() { twice.OnAnyEmit(emit) }},
		{"a system event", "system event", func() { new(client.Namespace).OnAsk("_OnRoomJoin", ask) }},
		{"in use", "before Dial", func() { used.OnEmit("e", emit) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "client: ") || !strings.Contains(got, test.want) {
					t.Errorf("panic %q, want one about %q", got, test.want)
				}
			}()
			test.register()
		})
	}
}

// The bodies of requests and of their answers, in both directions and after a
// reconnect.
func TestRequestsCarryBodies(t *testing.T) {
	received := make(chan string, 100)
	url := startServer(t, func(number int, p *peer) {
		if !p.hello("id") {
			return
		}
		for range 2 {
			token, rest, _ := strings.Cut(p.text(), ";")
			received <- rest
			p.send(token + ";" + rest + "!" + strconv.Itoa(number))
		}
		if number == 0 {
			return
		}
		p.send("1;ns;;_OnNamespaceConnect;0;0;again")
		p.send("2;ns;bar;_OnRoomJoin;0;0;please")
		p.send("3;other;;_OnNamespaceConnect;0;0;")
		for range 3 {
			received <- p.text()
		}
		p.drain()
	})
	o := in("ns", declare(func(ns *client.Namespace) {
		ns.OnConnect(func(context.Context, *client.ConnectRequest) error { return errors.New("connected already") })
		ns.OnJoin(func(_ context.Context, r *client.JoinRequest) error {
			r.Reply([]byte(r.Room + ", " + string(r.Body)))
			return nil
		})
	}))
	o.Namespaces["other"] = declare(func(ns *client.Namespace) {
		ns.OnConnect(func(_ context.Context, r *client.ConnectRequest) error {
			r.Reply([]byte("welcome to " + r.Namespace))
			return nil
		})
	})
	states := newStates()
	o.OnState = states.hear
	conn := dial(t, url, o)
	ns, err := conn.ConnectWith(background(t), "ns", client.ConnectOptions{Body: []byte("token")})
	if err != nil {
		t.Fatalf("ConnectWith: %v", err)
	}
	room, err := ns.JoinRoomWith(background(t), "room", client.JoinOptions{Body: []byte("key")})
	if err != nil {
		t.Fatalf("JoinRoomWith: %v", err)
	}
	if same, err := ns.JoinRoomWith(background(t), "room", client.JoinOptions{}); same != room || err != nil {
		t.Errorf("JoinRoomWith of a joined room: %v, %v", same, err)
	}
	if _, err := ns.JoinRoomWith(background(t), "x", client.JoinOptions{Body: []byte{0xff}}); !errors.Is(err, client.ErrNotText) {
		t.Errorf("JoinRoomWith bytes: %v, want %v", err, client.ErrNotText)
	}
	for _, want := range []string{
		"ns;;_OnNamespaceConnect;0;0;token", "ns;room;_OnRoomJoin;0;0;key", // connected and joined
		"ns;;_OnNamespaceConnect;0;0;token", "ns;room;_OnRoomJoin;0;0;key", // restored
		"1;;;;;;", "2;ns;bar;_OnRoomJoin;0;0;bar, please", "3;other;;_OnNamespaceConnect;0;0;welcome to other",
	} {
		if got := receive(t, want, received); got != want {
			t.Errorf("the server received %q, want %q", got, want)
		}
	}
	if got, want := string(ns.Reply()), "token!1"; got != want {
		t.Errorf("the namespace has the reply %q, want %q", got, want)
	}
	if got, want := string(room.Reply()), "key!1"; got != want {
		t.Errorf("the room has the reply %q, want %q", got, want)
	}
	if got := ns.Room("bar").Reply(); len(got) > 0 {
		t.Errorf("a room joined by the server has the reply %q", got)
	}
}

func TestErrClosedMatchesThatOfPackageNet(t *testing.T) {
	n, _ := startNode(t, "", nil)
	conn := dial(t, urlOf(n), client.Options{})
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := conn.Connect(background(t), "default")
	if !errors.Is(err, client.ErrClosed) || !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v does not match client.ErrClosed and net.ErrClosed", err)
	}
	if errors.Is(net.ErrClosed, client.ErrClosed) || errors.Is(client.ErrDisconnected, net.ErrClosed) {
		t.Error("other errors match, too")
	}
}
