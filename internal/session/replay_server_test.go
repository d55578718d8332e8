package session_test

import (
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// profileServer is the recorded server's program, as wire/testdata/golden/
// profile.json describes it.
type profileServer struct {
	*end
	id   string
	hold bool
	// inside are the asks that wait for an ask of ours.
	inside map[uint64]wire.Message
}

var _ session.Driver = (*profileServer)(nil)

func newProfileServer(e *end, id string) *profileServer {
	return &profileServer{end: e, id: id, inside: make(map[uint64]wire.Message)}
}

func (s *profileServer) Hello() {
	switch s.path {
	case "/reject":
		s.session.Refuse("go away; code=7")
	case "/rejectempty":
		s.session.Refuse("")
	case "/slowreject":
		s.session.Refuse("go away")
	case "/srvconnect":
		s.session.Acknowledge(s.id)
		s.log(line{event: wire.EventNamespaceConnect, namespace: "default", local: true})
		_, err := s.session.AskConnect(&place{name: "default"}, nil)
		s.must(err)
	default:
		s.session.Acknowledge(s.id)
	}
}

func (s *profileServer) Acknowledged(string) { s.player.t.Error("a server was acknowledged") }
func (s *profileServer) Refused(string)      { s.player.t.Error("a server was refused") }

func (s *profileServer) declares(namespace string) bool {
	switch s.path {
	case "/mixed":
		return namespace == "" || namespace == "default"
	}
	switch namespace {
	case "default", "other", "deny", "n;s", "any":
		return true
	}
	return false
}

func (s *profileServer) Request(r *session.Request) {
	namespace, room := string(r.Message.Namespace), string(r.Message.Room)
	if r.Kind == session.Connect && !s.declares(namespace) {
		s.session.Reject(r, wire.ErrBadNamespace.Error())
		return
	}
	event := map[session.Kind]string{
		session.Connect: wire.EventNamespaceConnect, session.Disconnect: wire.EventNamespaceDisconnect,
		session.Join: wire.EventRoomJoin, session.Leave: wire.EventRoomLeave,
	}[r.Kind]
	s.log(line{event: event, namespace: namespace, room: room})
	switch {
	case r.Kind == session.Connect && namespace == "deny":
		s.session.Reject(r, "not allowed")
	case r.Kind == session.Connect:
		s.session.AcceptConnect(r, &place{name: namespace})
	case r.Kind == session.Disconnect && s.hold:
		s.session.Reject(r, "stay; please")
	case r.Kind == session.Disconnect:
		s.session.AcceptDisconnect(r)
	case r.Kind == session.Join && room == "locked":
		s.session.Reject(r, "room is locked")
	case r.Kind == session.Join:
		s.session.AcceptJoin(r, &place{name: room})
	case r.Kind == session.Leave && room == "sticky":
		s.session.Reject(r, "cannot leave")
	case r.Kind == session.Leave:
		s.session.AcceptLeave(r)
	}
}

func (s *profileServer) Connected(n session.Namespace, local bool) {
	s.log(line{event: wire.EventNamespaceConnected, namespace: n.Name(), local: local})
}

// Disconnected: if the client asked, the callback ran with the request.
func (s *profileServer) Disconnected(n session.Namespace, local, forced bool) {
	if local {
		s.log(line{event: wire.EventNamespaceDisconnect, namespace: n.Name(), local: true, forced: forced})
	}
}

func (s *profileServer) Joined(n session.Namespace, r session.Room, local bool) {
	if local {
		s.log(line{event: wire.EventRoomJoin, namespace: n.Name(), room: r.Name(), local: true})
	}
	s.log(line{event: wire.EventRoomJoined, namespace: n.Name(), room: r.Name(), local: local})
}

func (s *profileServer) Left(n session.Namespace, r session.Room, local, forced bool) {
	if local || forced {
		s.log(line{event: wire.EventRoomLeave, namespace: n.Name(), room: r.Name(), local: local, forced: forced})
	}
	s.log(line{event: wire.EventRoomLeft, namespace: n.Name(), room: r.Name(), local: local, forced: forced})
}

func (s *profileServer) Answered(a *session.Answer) {
	if m, waits := s.inside[a.ID]; waits && a.Err == nil {
		s.session.Reply(&m, append([]byte("got:"), a.Message.Body...))
	}
}

func (s *profileServer) Event(e *session.Event) {
	m := e.Message
	event := string(m.Event)
	l := line{event: event, namespace: string(m.Namespace), room: string(m.Room)}
	if !m.Binary && len(m.Body) < 60000 {
		l.body = string(m.Body)
	}
	if e.Native {
		s.log(l)
		s.must(s.session.EmitNative(append([]byte("native:"), m.Body...), m.Binary && s.path == "/native"))
		return
	}
	if handled := s.run(e, event); handled {
		s.log(l)
	}
}

func (s *profileServer) run(e *session.Event, event string) (handled bool) {
	m := e.Message
	switch e.Namespace.Name() {
	case "any":
		s.reply(e, []byte("any:"+event))
		return true
	case "n;s":
		s.reply(e, m.Body)
		return event == "e;v"
	}
	switch event {
	case "chat", "relay-raw":
		s.relay(e)
	case "echo":
		s.reply(e, m.Body)
	case "fail":
		s.session.ReplyError(m, "boom;1")
	case "fail-known":
		s.session.ReplyError(m, "bad room")
	case "silent":
	case "reply-nil":
		s.reply(e, nil)
	case "hold":
		s.hold = string(m.Body) == "1"
		s.reply(e, nil)
	case "push", "push-bin":
		s.must(s.session.Emit(e.Namespace, nil, "pushed", m.Body, event == "push-bin"))
	case "ask-inside":
		id, err := s.session.Ask(e.Namespace, nil, "q", m.Body, false)
		s.must(err)
		s.inside[id] = m.Clone()
	default:
		return false
	}
	return true
}

// reply answers an ask; to an emit neffos emits the same event back, which is
// the program's choice here, not the session's.
func (s *profileServer) reply(e *session.Event, body []byte) {
	if len(e.Message.Token) > 0 {
		s.session.Reply(e.Message, body)
		return
	}
	s.must(s.session.Emit(e.Namespace, e.Room, string(e.Message.Event), body, e.Message.Binary))
}

// relay sends an emit to all other members of its namespace and room.
func (s *profileServer) relay(e *session.Event) {
	m := e.Message
	relayed := e.Payload
	if !m.Verbatim {
		relayed = wire.Append(nil, &wire.Message{Namespace: m.Namespace, Room: m.Room, Event: m.Event, Body: m.Body})
	}
	for name, other := range s.player.ends {
		namespace := other.session.Namespace(m.Namespace)
		if name == s.name || namespace == nil || len(m.Room) > 0 && other.session.Room(namespace, m.Room) == nil {
			continue
		}
		other.Send(relayed, m.Binary)
	}
}
