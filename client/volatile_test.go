package client_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/wire"
)

// While the server does not read, volatile emits are dropped and do not block,
// and other emits wait.
func TestVolatileWaitsForNothing(t *testing.T) {
	release, arrived := make(chan struct{}), make(chan string, 100)
	address := startServer(t, func(_ int, p *peer) {
		p.hello("id volatile")
		p.grant(func(text string) bool { return text == "~;a;r;first;0;0;x" })
		<-release
		for text := p.text(); text != ""; text = p.text() {
			if !strings.HasPrefix(text, ";a;r;plain;") {
				arrived <- text
			}
		}
	})
	room := join(t, address, client.Options{SendQueue: -1}, "a", "r")
	if err := room.EmitVolatile("first", []byte("x")); err != nil {
		t.Fatal(err)
	}
	const many = 400 // more than the sockets take
	for range many {
		if err := room.Emit("plain", make([]byte, 60_000)); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		if err := room.EmitVolatile("late", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := room.Emit("end", nil); err != nil {
		t.Fatal(err)
	}
	close(release)
	if got := receive(t, "the next message", arrived); got != ";a;r;end;0;0;" {
		t.Errorf("received %q, want the end", got)
	}
	m := client.Message{Namespace: "a", Room: "r", Event: "later", Body: []byte{0xff}, Binary: true, Volatile: true}
	eventually(t, "a volatile emit is sent again", func() bool {
		if err := errors.Join(room.EmitVolatile("later", nil), room.NSConn().EmitVolatile("later", nil)); err != nil {
			t.Fatal(err)
		}
		return len(arrived) > 1
	})
	if err := room.NSConn().Conn().Write(m); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"~;a;r;later;0;0;", "~;a;;later;0;0;"} {
		if got := receive(t, "a volatile message", arrived); got != want {
			t.Errorf("received %q, want %q", got, want)
		}
	}
}

// A message that can be sent at no time is an error, and a dropped one is none.
func TestVolatileErrors(t *testing.T) {
	address := startServer(t, func(_ int, p *peer) {
		p.hello("id")
		p.grant(nil)
	})
	room := join(t, address, client.Options{}, "a", "r")
	conn := room.NSConn().Conn()
	for name, test := range map[string]struct{ got, want error }{
		"a system event": {room.EmitVolatile(wire.EventRoomLeave, nil), wire.ErrInvalidName},
		"not UTF-8":      {room.EmitVolatile("e", []byte{0xff}), client.ErrNotText},
		"too big":        {room.EmitVolatile("e", make([]byte, client.DefaultMessageLimit)), client.ErrTooBig},
		"no namespace":   {conn.Write(client.Message{Namespace: "b", Event: "e", Volatile: true}), wire.ErrBadNamespace},
		"no room":        {conn.Write(client.Message{Namespace: "a", Room: "s", Event: "e", Volatile: true}), wire.ErrBadRoom},
	} {
		if !errors.Is(test.got, test.want) {
			t.Errorf("%s: %v, want %v", name, test.got, test.want)
		}
	}
	if err := room.Leave(background(t)); err != nil {
		t.Fatal(err)
	}
	if err := room.EmitVolatile("e", nil); err != wire.ErrBadRoom {
		t.Errorf("after the room was left: %v", err)
	}
	_ = conn.Close()
	if err := room.NSConn().EmitVolatile("e", nil); err != client.ErrClosed {
		t.Errorf("after Close: %v", err)
	}
}
