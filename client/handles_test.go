package client_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/wire"
)

func TestNothingIsLeftAfterManyReconnects(t *testing.T) {
	var dropped atomic.Int32
	url := startServer(t, func(number int, p *peer) {
		if !p.hello("id") {
			return
		}
		joins := 0
		p.grant(func(text string) bool {
			if strings.Contains(text, "_OnRoomJoin") {
				joins++
			}
			if joins == 1 && dropped.Add(1) <= 200 {
				return true
			}
			return false
		})
	})
	before := testkit.CountResources()
	states := newStates()
	o := client.Options{OnState: states.hear, Reconnect: client.Reconnect{Base: 1, Cap: 1}}
	conn := dial(t, url, o)
	ns, err := conn.Connect(background(t), "ns")
	if err != nil {
		t.Fatal(err)
	}
	var room *client.Room
	eventually(t, "the join outlasts the reconnects", func() bool {
		room, err = ns.JoinRoom(background(t), "room")
		return err == nil
	})
	if ns.Room("room") != room || dropped.Load() < 200 {
		t.Errorf("%d connections were dropped, want 200", dropped.Load())
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	before.Goroutines++ // the server may still have its last connection
	before.Sockets++
	if err := before.AwaitAtMost(); err != nil {
		t.Error(err)
	}
}

func TestAServerThatCannotTellIsAskedAgain(t *testing.T) {
	url := startServer(t, func(number int, p *peer) {
		if !p.hello("id") {
			return
		}
		p.answer(func(text string) (string, bool) {
			token, rest, _ := strings.Cut(text, ";")
			if number > 0 && number < 4 && strings.Contains(rest, "_OnRoomJoin") {
				return token + ";" + strings.Replace(rest, ";0;0;", ";1;0;unavailable", 1), true
			}
			return token + ";;;;;;", !strings.Contains(text, ";die;")
		})
	})
	heard, states := newJournal(), newStates()
	room := join(t, url, client.Options{OnState: states.hear, DefaultNamespace: heard.namespace()}, "ns", "room")
	states.await(t, client.StateConnected)
	_ = room.Emit("die", nil)
	for want := 1; want <= 4; want++ {
		tr := states.await(t, client.StateReconnecting)
		if tr.Attempt != want || want > 1 && (!errors.Is(tr.Err, wire.ErrUnavailable) || tr.Code != 0) {
			t.Errorf("the transition is %+v, want attempt %d", tr, want)
		}
	}
	states.await(t, client.StateConnected)
	if room.NSConn().Room("room") != room {
		t.Error("the room has ended")
	}
	heard.expect(t, "connected ns", "joined room")
	_ = room.NSConn().Conn().Close()
	heard.expect(t, "left room true client: closed")
}

func TestLeavingWhileReconnecting(t *testing.T) {
	n, stop := startNode(t, "", nil)
	heard, states := newJournal(), newStates()
	room := join(t, urlOf(n), client.Options{
		OnState: states.hear, Namespaces: map[string]*client.Namespace{"default": heard.namespace()},
		Reconnect: client.Reconnect{Base: 3600e9, Cap: 3600e9},
	}, "default", "lobby")
	ns := room.NSConn()
	if _, err := ns.JoinRoom(background(t), "bar"); err != nil {
		t.Fatal(err)
	}
	stop()
	states.await(t, client.StateReconnecting)
	if err := room.Leave(background(t)); err != nil || ns.Room("lobby") != nil {
		t.Errorf("Leave: %v", err)
	}
	if err := room.Leave(background(t)); !errors.Is(err, wire.ErrBadRoom) {
		t.Errorf("leaving again: %v, want %v", err, wire.ErrBadRoom)
	}
	if err := ns.Disconnect(background(t)); err != nil || ns.IsConnected() {
		t.Errorf("Disconnect: %v", err)
	}
	heard.expect(t, "connected default", "joined lobby", "joined bar",
		"left lobby false <nil>", "left bar true <nil>", "disconnected default false <nil> <nil>")
	if err := ns.Emit("e", nil); !errors.Is(err, wire.ErrBadNamespace) {
		t.Errorf("emitting afterwards: %v, want %v", err, wire.ErrBadNamespace)
	}
}

func TestAsksThatTakeTooLong(t *testing.T) {
	requests := make(chan string, 100)
	url := startServer(t, func(_ int, p *peer) {
		if !p.hello("id") {
			return
		}
		var joining string // the token of the join that is answered late
		p.answer(func(text string) (string, bool) {
			token, rest, _ := strings.Cut(text, ";")
			requests <- rest
			switch {
			case strings.HasPrefix(rest, "ns;;silent;"):
				p.send(";ns;;heard;0;0;") // and no answer
				return ";ns;;nothing;0;0;", true
			case strings.Contains(rest, ";late;_OnRoomJoin;"):
				joining = token
				return ";ns;;nothing;0;0;", true
			case strings.HasPrefix(rest, "ns;;now;"):
				p.send(joining + ";;;;;;")
			}
			return token + ";;;;;;", true
		})
	})
	heard := make(chan struct{}, 10)
	o := in("ns", declare(func(ns *client.Namespace) {
		ns.OnEmit("heard", func(context.Context, *client.EmitEvent) error {
			heard <- struct{}{}
			return nil
		})
	}))
	o.AskTimeout = 50 * time.Millisecond
	conn := dial(t, url, o)
	ns, err := conn.Connect(background(t), "ns")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ns.Ask(context.Background(), "silent", nil); !errors.Is(err, wire.ErrTimeout) {
		t.Errorf("an ask without a deadline: %v, want %v", err, wire.ErrTimeout)
	}
	receive(t, "the server's event", heard)
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	go func() { _, err := ns.Ask(ctx, "silent", nil); failed <- err }()
	receive(t, "the server's event", heard)
	cancel()
	if err := receive(t, "the ask", failed); !errors.Is(err, context.Canceled) {
		t.Errorf("an ask whose context ends: %v, want %v", err, context.Canceled)
	}
	// A join that was given up and is granted after all is undone.
	if _, err := ns.JoinRoom(context.Background(), "late"); !errors.Is(err, wire.ErrTimeout) {
		t.Errorf("a join without an answer: %v, want %v", err, wire.ErrTimeout)
	}
	if _, err := ns.Ask(background(t), "now", nil); err != nil {
		t.Fatal(err)
	}
	for {
		if rest := receive(t, "the leave", requests); rest == "ns;late;_OnRoomLeave;0;0;" {
			break
		}
	}
	if ns.Room("late") != nil {
		t.Error("the room is joined although the join has failed")
	}
}

func TestARejoinThatIsNotAnsweredIsTriedAgain(t *testing.T) {
	url := startServer(t, func(number int, p *peer) {
		if !p.hello("id") {
			return
		}
		if number == 1 {
			p.drain()
			return
		}
		p.grant(func(text string) bool { return strings.Contains(text, ";die;") })
	})
	states := newStates()
	room := join(t, url, client.Options{OnState: states.hear, AskTimeout: 50 * time.Millisecond}, "ns", "room")
	if err := room.Emit("die", nil); err != nil {
		t.Fatal(err)
	}
	states.await(t, client.StateReconnecting)
	if tr := states.await(t, client.StateReconnecting); !errors.Is(tr.Err, wire.ErrTimeout) || tr.Attempt != 2 {
		t.Errorf("the transition is %+v, want %v and attempt 2", tr, wire.ErrTimeout)
	}
	states.await(t, client.StateConnected)
}
