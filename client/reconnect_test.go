package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// neffos row 16: our clients reconnect automatically, with a back-off.
func TestComesBackAfterARestart(t *testing.T) {
	n, stop := startNode(t, "", echo)
	address, url := n.Addr().String(), urlOf(n)
	heard, states := newJournal(), newStates()
	room := join(t, url, client.Options{OnState: states.hear, Namespaces: map[string]*client.Namespace{"default": heard.namespace()}}, "default", "lobby")
	ns, conn := room.NSConn(), room.NSConn().Conn()
	if _, err := ns.JoinRoom(background(t), "bar"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Connect(background(t), "second"); err != nil {
		t.Fatal(err)
	}
	heard.expect(t, "connected default", "joined lobby", "joined bar")
	first := states.await(t, client.StateConnected)
	if first.From != client.StateConnecting || first.ID != conn.ID() || first.Conn != conn || first.Attempt != 1 {
		t.Errorf("the first transition is %+v", first)
	}
	for round := range 3 {
		stop()
		lost := states.await(t, client.StateReconnecting)
		if lost.From != client.StateConnected || lost.Err == nil || lost.Code == 0 || lost.Attempt != 1 {
			t.Errorf("round %d: the transition is %+v, want a reason, a code and attempt 1", round, lost)
		}
		if err := room.Emit("kept", []byte("x")); err != nil {
			t.Errorf("emitting while reconnecting: %v", err)
		}
		n, stop = startNode(t, address, echo)
		back := states.await(t, client.StateConnected)
		if back.From != client.StateReconnecting || back.ID == first.ID || back.Attempt < 1 {
			t.Errorf("round %d: the transition is %+v, want another ID", round, back)
		}
		answer, err := room.NSConn().Ask(background(t), "echo", []byte("again"))
		if err != nil || string(answer.Body) != "again" {
			t.Errorf("round %d: an ask after the reconnect: %q, %v", round, answer.Body, err)
		}
		if err := n.Emit(background(t), node.Message{Namespace: "default", Room: "lobby", Event: "news"}, node.EmitOptions{}); err != nil {
			t.Fatal(err)
		}
		heard.expect(t, "emit news ")
	}
	if ns.Room("lobby") != room || conn.Namespace("default") != ns || len(ns.Rooms()) != 2 || len(conn.Namespaces()) != 2 {
		t.Error("the namespaces and rooms are not those of before")
	}
}

func TestRejoinsInOrderThenSendsQueue(t *testing.T) {
	frames := make(chan string, 1000)
	url := startServer(t, func(number int, p *peer) {
		if !p.hello(fmt.Sprint("id", number)) {
			return
		}
		p.grant(func(text string) bool {
			_, rest, _ := strings.Cut(text, ";")
			frames <- fmt.Sprint(number, " ", rest)
			return number == 0 && strings.Contains(text, ";die;")
		})
	})
	states := newStates()
	conn := dial(t, url, client.Options{OnState: states.hear})
	ctx := background(t)
	for _, name := range []string{"z", "a"} {
		ns, err := conn.Connect(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, room := range []string{"2", "1"} {
			if _, err := ns.JoinRoom(ctx, room); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 6 {
		receive(t, "the requests of the first connection", frames)
	}
	if err := conn.Namespace("z").Emit("die", nil); err != nil {
		t.Fatal(err)
	}
	receive(t, "the last emit", frames)
	states.await(t, client.StateReconnecting)
	states.await(t, client.StateConnected)
	var got []string
	for range 6 {
		got = append(got, receive(t, "the requests of the second connection", frames))
	}
	want := []string{
		"1 z;;_OnNamespaceConnect;0;0;", "1 a;;_OnNamespaceConnect;0;0;",
		"1 z;2;_OnRoomJoin;0;0;", "1 z;1;_OnRoomJoin;0;0;", "1 a;2;_OnRoomJoin;0;0;", "1 a;1;_OnRoomJoin;0;0;",
	}
	if !slices.Equal(got, want) {
		t.Errorf("came back with\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if conn.ID() != "id1" {
		t.Errorf("the ID is %q, want that of the second connection", conn.ID())
	}
}

func TestBufferPolicies(t *testing.T) {
	tests := []struct {
		name   string
		buffer client.Buffer
		errs   []error  // of three emits
		want   []string // what arrives after the reconnect
	}{
		{"keep", client.Buffer{}, []error{nil, nil, nil}, []string{"1", "2", "3"}},
		{"keep two", client.Buffer{Messages: 2}, []error{nil, nil, client.ErrBufferFull}, []string{"1", "2"}},
		{"keep bytes", client.Buffer{Bytes: 25}, []error{nil, client.ErrBufferFull, client.ErrBufferFull}, []string{"1"}},
		{"drop", client.Buffer{Policy: client.BufferDrop}, []error{nil, nil, nil}, nil},
		{"fail", client.Buffer{Policy: client.BufferFail}, []error{client.ErrDisconnected, client.ErrDisconnected, client.ErrDisconnected}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			proceed, arrived := make(chan struct{}), make(chan string, 100)
			url := startServer(t, func(number int, p *peer) {
				if number == 1 {
					<-proceed
				}
				if !p.hello("id") {
					return
				}
				p.grant(func(text string) bool {
					if strings.HasPrefix(text, ";ns;room;e;") {
						arrived <- text[strings.LastIndexByte(text, ';')+1:]
					}
					return strings.Contains(text, ";die;")
				})
			})
			states := newStates()
			room := join(t, url, client.Options{OnState: states.hear, Buffer: test.buffer}, "ns", "room")
			if err := room.Emit("die", nil); err != nil {
				t.Fatal(err)
			}
			states.await(t, client.StateReconnecting)
			for i, want := range test.errs {
				if err := room.Emit("e", []byte(fmt.Sprint(i+1))); !errors.Is(err, want) {
					t.Errorf("emit %d: %v, want %v", i+1, err, want)
				}
			}
			close(proceed)
			states.await(t, client.StateConnected)
			if err := room.Emit("e", []byte("end")); err != nil {
				t.Fatal(err)
			}
			for _, want := range append(test.want, "end") {
				if got := receive(t, want, arrived); got != want {
					t.Errorf("%q arrived, want %q", got, want)
				}
			}
		})
	}
}

func TestRefusalAfterReconnectEnds(t *testing.T) {
	url := startServer(t, func(number int, p *peer) {
		if !p.hello("id") {
			return
		}
		p.answer(func(text string) (string, bool) {
			token, rest, _ := strings.Cut(text, ";")
			if number == 1 && (strings.HasPrefix(rest, "gone;") || strings.HasPrefix(rest, "ns;locked;")) {
				return token + ";" + strings.Replace(rest, ";0;0;", ";1;0;forbidden", 1), true
			}
			return token + ";;;;;;", !strings.Contains(text, ";die;")
		})
	})
	heard, states := newJournal(), newStates()
	room := join(t, url, client.Options{OnState: states.hear, DefaultNamespace: heard.namespace()}, "ns", "free")
	ns, conn := room.NSConn(), room.NSConn().Conn()
	locked, err := ns.JoinRoom(background(t), "locked")
	if err != nil {
		t.Fatal(err)
	}
	gone, err := conn.Connect(background(t), "gone")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.JoinRoom(background(t), "inner"); err != nil {
		t.Fatal(err)
	}
	heard.expect(t, "connected ns", "joined free", "joined locked", "connected gone", "joined inner")
	_ = room.Emit("die", nil)
	heard.expect(t, "left inner true forbidden", "disconnected gone true forbidden <nil>", "left locked true forbidden")
	states.await(t, client.StateReconnecting)
	states.await(t, client.StateConnected)
	if gone.IsConnected() || ns.Room("locked") != nil || ns.Room("free") != room || conn.Namespace("ns") != ns {
		t.Error("something else than the refused namespace or room has ended")
	}
	if err := locked.Emit("e", nil); !errors.Is(err, wire.ErrBadRoom) {
		t.Errorf("emitting into the refused room: %v, want %v", err, wire.ErrBadRoom)
	}
}

func TestAsksInFlightFail(t *testing.T) {
	asked := make(chan struct{}, 10)
	url := startServer(t, func(number int, p *peer) {
		if !p.hello("id") {
			return
		}
		p.grant(func(text string) bool {
			if strings.Contains(text, ";die;") {
				asked <- struct{}{}
				return true
			}
			return false
		})
	})
	states := newStates()
	conn := dial(t, url, client.Options{OnState: states.hear})
	ns, err := conn.Connect(background(t), "ns")
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := ns.Ask(background(t), "die", nil); !errors.Is(err, client.ErrDisconnected) {
			t.Errorf("an ask in flight: %v, want %v", err, client.ErrDisconnected)
		}
		if _, err := ns.JoinRoom(background(t), "after"); err != nil {
			t.Errorf("a join that waits for the connection: %v", err)
		}
	}
}

func TestCallsWaitForTheConnection(t *testing.T) {
	url := startServer(t, func(number int, p *peer) {
		if number == 0 && p.hello("id") {
			p.grant(func(text string) bool { return strings.Contains(text, ";die;") })
			return
		}
		p.drain() // later ones are never acknowledged
	})
	states := newStates()
	o := client.Options{OnState: states.hear, DialTimeout: -1}
	room := join(t, url, o, "ns", "room")
	ns, conn := room.NSConn(), room.NSConn().Conn()
	_ = room.Emit("die", nil)
	_ = states.await(t, client.StateReconnecting)
	ctx, cancel := context.WithCancelCause(context.Background())
	enough := errors.New("enough")
	errs := make(chan error, 4)
	go func() { _, err := ns.Ask(ctx, "e", nil); errs <- err }()
	go func() { _, err := conn.Connect(ctx, "other"); errs <- err }()
	go func() { _, err := ns.JoinRoom(ctx, "other"); errs <- err }()
	go func() { _, err := conn.WaitServerConnect(ctx, "other"); errs <- err }()
	cancel(enough)
	for range cap(errs) {
		if err := receive(t, "a call whose context has ended", errs); !errors.Is(err, enough) {
			t.Errorf("a call whose context has ended: %v, want its cause", err)
		}
	}
	// The closing of a Conn ends them as well.
	go func() { _, err := conn.Connect(context.Background(), "other"); errs <- err }()
	if err := room.Emit("kept", nil); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); !errors.Is(err, client.ErrUnsent) {
		t.Errorf("closing with something kept: %v, want %v", err, client.ErrUnsent)
	}
	if err := receive(t, "a call on a closed Conn", errs); !errors.Is(err, client.ErrClosed) {
		t.Errorf("a call on a closed Conn: %v, want %v", err, client.ErrClosed)
	}
}

func TestCloseCodesThatSayDoNotComeBack(t *testing.T) {
	for _, info := range wire.Codes() {
		if info.Sender == wire.SenderNone {
			continue
		}
		retries := info.Retry && info.Code != wire.CodeExpired // this client has no other credentials
		t.Run(info.Name, func(t *testing.T) {
			url := startServer(t, func(number int, p *peer) {
				if p.hello("id") && number == 0 {
					p.frame(closeFrame(info.Code, "because"))
				}
				p.drain()
			})
			states := newStates()
			conn := dial(t, url, client.Options{OnState: states.hear})
			to := client.StateClosed
			if retries {
				to = client.StateReconnecting
			}
			tr := states.await(t, to)
			var closed *client.CloseError
			if tr.Code != info.Code || tr.Reason != "because" || !errors.As(tr.Err, &closed) || closed.Code != info.Code {
				t.Errorf("the transition is %+v, want the code and the reason", tr)
			}
			if retries {
				states.await(t, client.StateConnected)
				return
			}
			receive(t, "Done", conn.Done())
			if !errors.As(conn.Err(), &closed) || closed.Reason != "because" {
				t.Errorf("Err is %v, want the close frame", conn.Err())
			}
		})
	}
}

func TestGivesUpAfterSoManyAttempts(t *testing.T) {
	n, stop := startNode(t, "", nil)
	states := newStates()
	reconnect := quick
	reconnect.Attempts = 3
	room := join(t, urlOf(n), client.Options{OnState: states.hear, Reconnect: reconnect}, "default", "lobby")
	stop()
	for want := 1; want <= 3; want++ {
		if tr := states.await(t, client.StateReconnecting); tr.Attempt != want {
			t.Errorf("attempt %d, want %d", tr.Attempt, want)
		}
	}
	if tr := states.await(t, client.StateClosed); !errors.Is(tr.Err, client.ErrGaveUp) {
		t.Errorf("closed with %v, want %v", tr.Err, client.ErrGaveUp)
	}
	if room.NSConn().IsConnected() {
		t.Error("the namespace is still connected")
	}
}

func TestWithoutReconnecting(t *testing.T) {
	n, stop := startNode(t, "", nil)
	conn := dial(t, urlOf(n), client.Options{Reconnect: client.Reconnect{Off: true}})
	stop()
	receive(t, "Done", conn.Done())
	if conn.Err() == nil || errors.Is(conn.Err(), client.ErrClosed) {
		t.Errorf("Err is %v, want why the connection was lost", conn.Err())
	}
	if _, err := client.Dial(background(t), urlOf(n), client.Options{Reconnect: client.Reconnect{Off: true}}); err == nil {
		t.Error("dialing a node that is gone succeeded")
	}
}
