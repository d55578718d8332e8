package session_test

import (
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// publisher is a server with the room "r" of the namespace "a".
func newPublisher(t *testing.T) *probe {
	t.Helper()
	p := newServer(nil)
	connected(t, p)
	p.receive(t, "1;a;r;_OnRoomJoin;0;0;", session.VerdictHandled)
	p.calls = nil
	return p
}

// A request to publish is an event of the driver, with the emit apart from the
// message that is answered.
func TestPublishRequest(t *testing.T) {
	p := newPublisher(t)
	var seen []string
	p.onEvent = func(e *session.Event) {
		if e.Publish == nil || e.Reads || e.Room == nil {
			t.Fatalf("the event is %+v, want one to publish", e)
		}
		seen = append(seen, string(e.Publish.ID), string(e.Name()), string(e.Body()))
		plain := wire.Append(nil, &wire.Message{Namespace: []byte("a"), Room: []byte("r"), Event: e.Name(), Body: e.Body()})
		if e.Size() != len(plain) {
			t.Errorf("the size is %d, want that of %q, %d", e.Size(), plain, len(plain))
		}
		p.session.Reply(e.Message, []byte("p1"))
	}
	p.receive(t, "$7;a;r;_OnRoomPublish;0;0;id 1,chat;Hello;", session.VerdictEvent)
	if got := strings.Join(seen, "|"); got != "id 1|chat|Hello;" {
		t.Errorf("the driver saw %q", got)
	}
	if last := p.calls[len(p.calls)-1]; last != "send $7;a;r;_OnRoomPublish;0;0;p1" {
		t.Errorf("the last call is %q, want the answer", last)
	}
}

func TestPublishRequestErrors(t *testing.T) {
	p := newPublisher(t)
	for payload, want := range map[string]string{
		"$7;b;r;_OnRoomPublish;0;0;i,chat;x":                             "bad namespace",
		"$7;a;s;_OnRoomPublish;0;0;i,chat;x":                             "bad room",
		"$7;a;r;_OnRoomPublish;0;0;":                                     "invalid payload",
		"$7;a;r;_OnRoomPublish;0;0;i,_OnRoomJoin;":                       "invalid payload",
		"$7;a;r;_OnRoomPublish;0;0;i," + strings.Repeat("e", 200) + ";x": "name too long",
	} {
		p.calls = nil
		p.receive(t, payload, session.VerdictRefused)
		answer, _, _ := strings.Cut(payload, ";0;0;")
		if last := p.calls[len(p.calls)-1]; last != "send "+answer+";1;0;"+want {
			t.Errorf("%.40q: the last call is %q, want the error %q", payload, last, want)
		}
	}
	p.calls = nil
	p.receive(t, ";a;r;_OnRoomPublish;0;0;i,chat;x", session.VerdictIgnored)
	p.receive(t, "$7;a;r;_OnRoomPublish;0;1;i,chat;x", session.VerdictIgnored)
	p.expect(t)

	client := newClient()
	connected(t, client)
	client.receive(t, "7;a;;_OnRoomPublish;0;0;i,chat;x", session.VerdictIgnored)
	client.expect(t, "send 7;a;;_OnRoomPublish;1;0;unhandled event")
}

func TestAskPublish(t *testing.T) {
	o := newOnlooker(t)
	namespace := o.session.Namespace([]byte("a"))
	room := o.session.Room(namespace, []byte("r"))
	request := &wire.PublishRequest{ID: []byte("i"), Event: []byte("a;b"), Body: []byte("x;y")}
	if _, err := o.session.AskPublish(namespace, &place{name: "other"}, request, false); err != wire.ErrBadRoom {
		t.Errorf("in a room that is not joined: %v, want %v", err, wire.ErrBadRoom)
	}
	system := &wire.PublishRequest{ID: []byte("i"), Event: []byte("_OnRoomJoin")}
	if _, err := o.session.AskPublish(namespace, room, system, false); err != wire.ErrInvalidName {
		t.Errorf("a system event: %v, want %v", err, wire.ErrInvalidName)
	}
	must(t)(o.session.AskPublish(namespace, room, request, false))
	if last := o.calls[len(o.calls)-1]; last != "send $1;a;r;_OnRoomPublish;0;0;i,a@%!semicolon@%!b;x;y" {
		t.Errorf("the last call is %q", last)
	}
	o.receive(t, "$1;a;r;_OnRoomPublish;1;0;id reused", session.VerdictAnswer)
}
