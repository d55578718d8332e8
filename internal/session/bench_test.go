package session_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stoa-io/stoa/internal/session"
)

// quiet is a driver that accepts everything, replies to every ask, and costs
// nothing itself.
type quiet struct {
	session   *session.Session
	namespace *place
	room      *place
	sent      int
}

func (d *quiet) Send(bytes []byte, _ bool)                        { d.sent += len(bytes) }
func (d *quiet) Hello()                                           { d.session.Acknowledge("id") }
func (d *quiet) Acknowledged(string)                              {}
func (d *quiet) Refused(string)                                   {}
func (d *quiet) Connected(session.Namespace, bool)                {}
func (d *quiet) Disconnected(session.Namespace, bool, bool)       {}
func (d *quiet) Joined(session.Namespace, session.Room, bool)     {}
func (d *quiet) Left(session.Namespace, session.Room, bool, bool) {}
func (d *quiet) Answered(*session.Answer)                         {}
func (d *quiet) Event(e *session.Event)                           { d.session.Reply(e.Message, e.Message.Body) }
func (d *quiet) Request(r *session.Request) {
	switch r.Kind {
	case session.Connect:
		d.session.AcceptConnect(r, d.namespace)
	case session.Disconnect:
		d.session.AcceptDisconnect(r)
	case session.Join:
		d.session.AcceptJoin(r, d.room)
	case session.Leave:
		d.session.AcceptLeave(r)
	}
}

var quietConfig = session.Config{Role: session.Server}.WithDefaults()

// joined returns a session in namespace "default" and room "room".
func joined(tb testing.TB) (*session.Session, *quiet) {
	tb.Helper()
	s := new(session.Session)
	d := &quiet{session: s, namespace: &place{name: "default"}, room: &place{name: "room"}}
	s.Init(&quietConfig, d)
	enter(tb, s)
	return s, d
}

func enter(tb testing.TB, s *session.Session) {
	tb.Helper()
	for _, text := range []string{"M", "$1;default;;_OnNamespaceConnect;0;0;", "$2;default;room;_OnRoomJoin;0;0;"} {
		if got := s.Receive([]byte(text), false); got != session.VerdictHandled {
			tb.Fatalf("Receive(%q) = %v, want %v", text, got, session.VerdictHandled)
		}
	}
}

func BenchmarkReceive(b *testing.B) {
	messages := map[string]string{
		"emit":     ";default;room;chat;0;0;hello",
		"ask":      "$12345;default;room;chat;0;0;hello",
		"answered": "$12345;default;room;_OnRoomJoin;0;0;",
	}
	for name, text := range messages {
		b.Run(name, func(b *testing.B) {
			s, _ := joined(b)
			payload := []byte(text)
			b.ReportAllocs()
			for b.Loop() {
				s.Receive(payload, false)
			}
		})
	}
}

func BenchmarkJoinLeave(b *testing.B) {
	s, _ := joined(b)
	leave, join := []byte("$1;default;room;_OnRoomLeave;0;0;"), []byte("$2;default;room;_OnRoomJoin;0;0;")
	b.ReportAllocs()
	for b.Loop() {
		s.Receive(leave, false)
		s.Receive(join, false)
	}
	if s.RoomCount() != 1 {
		b.Fatalf("%d rooms, want 1", s.RoomCount())
	}
}

func BenchmarkReceiveAmongRooms(b *testing.B) {
	for _, rooms := range []int{1, 16, 128} {
		b.Run(fmt.Sprint(rooms), func(b *testing.B) {
			s, d := joined(b)
			for i := 1; i < rooms; i++ {
				d.room = &place{name: fmt.Sprintf("room%d", i)}
				s.Receive(fmt.Appendf(nil, "$1;default;room%d;_OnRoomJoin;0;0;", i), false)
			}
			if s.RoomCount() != rooms {
				b.Fatalf("%d rooms, want %d", s.RoomCount(), rooms)
			}
			payload := fmt.Appendf(nil, ";default;%s;chat;0;0;hello", d.room.name)
			b.ReportAllocs()
			for b.Loop() {
				s.Receive(payload, false)
			}
		})
	}
}

// BenchmarkIdle reports what an idle session in one namespace and one room
// costs on the heap; the driver's values are shared here.
func BenchmarkIdle(b *testing.B) {
	const sessions = 10000
	d := &quiet{namespace: &place{name: "default"}, room: &place{name: "room"}}
	// Kept, so that no round gets back what an earlier one gave up.
	var kept [][]session.Session
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		all := make([]session.Session, sessions)
		for i := range all {
			d.session = &all[i]
			all[i].Init(&quietConfig, d)
			enter(b, &all[i])
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/sessions, "B/session")
		kept = append(kept, all)
	}
	runtime.KeepAlive(kept)
}
