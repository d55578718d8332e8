package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// joined is a script up to the join of the room.
func joined(number int) []string {
	recovery, answer := ",0,", "0,p0,0"
	if number > 0 {
		recovery, answer = fmt.Sprintf("p0,0,id%d", number-1), "1,p0,0"
	}
	return append(opening(fmt.Sprint("id", number)),
		">$2;a;r;_OnRoomRecover;0;0;"+recovery+";", "<$2;a;r;_OnRoomJoin;0;0;"+answer+";")
}

func publishScript(tb testing.TB, scripts ...[]string) *client.Room {
	tb.Helper()
	for i := range scripts {
		scripts[i] = append(joined(i), scripts[i]...)
	}
	room, _ := enter(tb, startScript(tb, scripts...), make(reports, 100), client.JoinOptions{})
	return room
}

// publishLater publishes from a goroutine. The calls are made in this order if
// the connection is not lost.
func publishLater(ctx context.Context, room *client.Room, id string) <-chan error {
	outcome := make(chan error, 1)
	go func() {
		_, err := room.Publish(ctx, "say", []byte("x"), client.PublishOptions{ID: id})
		outcome <- err
	}()
	return outcome
}

// The node of these tests publishes once, and has the position for the sender.
func TestPublish(t *testing.T) {
	n, _ := startNode(t, "", func(n *node.Node) {
		n.Namespace("kept", node.NamespaceOptions{Relay: node.RelayRooms, History: node.HistoryOptions{Messages: 10}})
	})
	heard := make(reports, 100)
	other := join(t, urlOf(n), client.Options{Namespaces: map[string]*client.Namespace{"kept": heard.namespace()}}, "kept", "r")
	room := join(t, urlOf(n), client.Options{}, "kept", "r")
	ctx := background(t)
	position, err := room.Publish(ctx, "say;this", []byte("one;two"), client.PublishOptions{ID: "1"})
	if err != nil || position == "" {
		t.Fatalf("Publish = %q, %v, want a position", position, err)
	}
	if again, err := room.Publish(ctx, "say;this", []byte("one;two"), client.PublishOptions{ID: "1"}); again != position || err != nil {
		t.Errorf("a second copy = %q, %v, want %q", again, err, position)
	}
	if _, err := room.Publish(ctx, "say", nil, client.PublishOptions{ID: "1"}); err != wire.ErrIDReused {
		t.Errorf("another message with the ID: %v, want %v", err, wire.ErrIDReused)
	}
	last, err := room.Publish(ctx, "raw", []byte("\xff"), client.PublishOptions{Binary: true})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := room.Publish(ctx, "raw", []byte("\xff"), client.PublishOptions{Binary: true}); again == last || err != nil {
		t.Errorf("another message without an ID = %q, %v, want a position of its own", again, err)
	}
	heard.expect(t, fmt.Sprintf("one;two at %q, room at %q", position, position), fmt.Sprintf("\xff at %q, room at %q", last, last))
	page, err := other.History(ctx, client.HistoryQuery{})
	if err != nil || len(page.Entries) != 3 || page.Entries[0].Position != position || page.Entries[0].Event != "say;this" {
		t.Errorf("the history is %+v, %v", page, err)
	}
	plain := join(t, urlOf(n), client.Options{}, "second", "r")
	if _, err := plain.Publish(ctx, "say", nil, client.PublishOptions{}); err != wire.ErrUnhandled {
		t.Errorf("in a room without history: %v, want %v", err, wire.ErrUnhandled)
	}
	for _, bad := range []struct {
		event, body, id string
		want            error
	}{
		{"_OnRoomJoin", "", "", wire.ErrInvalidName},
		{"say", "\xff", "", client.ErrNotText},
		{"say", "", "a,b", client.ErrOptions},
		{"say", "", strings.Repeat("x", 65), client.ErrOptions},
		{"say", strings.Repeat("x", 65536), "", client.ErrTooBig},
	} {
		if _, err := room.Publish(ctx, bad.event, []byte(bad.body), client.PublishOptions{ID: bad.id}); !errors.Is(err, bad.want) {
			t.Errorf("event %q, ID %q: %v, want %v", bad.event, bad.id, err, bad.want)
		}
	}
	if err := room.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := room.Publish(ctx, "say", nil, client.PublishOptions{}); err != wire.ErrBadRoom {
		t.Errorf("after the room: %v, want %v", err, wire.ErrBadRoom)
	}
}

// The limit is that of the whole message.
func TestPublishAtTheLimit(t *testing.T) {
	n, _ := startNode(t, "", func(n *node.Node) {
		n.Namespace("kept", node.NamespaceOptions{Relay: node.RelayRooms, History: node.HistoryOptions{Messages: 10}})
	})
	room := join(t, urlOf(n), client.Options{}, "kept", "r")
	published := 0
	for size := 65536; published == 0; size-- {
		switch _, err := room.Publish(background(t), "a;b", make([]byte, size), client.PublishOptions{ID: "1"}); {
		case err == nil:
			published = size
		case !errors.Is(err, client.ErrTooBig):
			t.Fatalf("%d bytes: %v, want %v", size, err, client.ErrTooBig)
		}
	}
	if published < 65400 {
		t.Errorf("the largest body has %d bytes", published)
	}
}

const request = "a;r;_OnRoomPublish;0;0;"

// A message without an answer is sent again on the next connection, with the
// same ID.
func TestPublishAgainAfterALoss(t *testing.T) {
	room := publishScript(t,
		[]string{">$3;" + request + "i,say;x"},
		[]string{">$3;" + request + "i,say;x"},
		[]string{">$3;" + request + "i,say;x", "<$3;" + request + "p1"})
	position, err := room.Publish(background(t), "say", []byte("x"), client.PublishOptions{ID: "i"})
	if position != "p1" || err != nil {
		t.Errorf("Publish = %q, %v, want p1", position, err)
	}
}

func TestPublishAgainWhenUnavailable(t *testing.T) {
	room := publishScript(t, []string{
		">$3;" + request + "i,say;x", "<$3;a;r;_OnRoomPublish;1;0;unavailable",
		">$4;" + request + "i,say;x", "<$4;a;r;_OnRoomPublish;1;0;unavailable",
		">$5;" + request + "i,say;x", "<$5;" + request + "p1",
	})
	position, err := room.Publish(background(t), "say", []byte("x"), client.PublishOptions{ID: "i"})
	if position != "p1" || err != nil {
		t.Errorf("Publish = %q, %v, want p1", position, err)
	}
}

// A refusal of the first copy means that nothing was published, one of a later
// copy does not.
func TestRefusedPublish(t *testing.T) {
	room := publishScript(t,
		[]string{">$3;" + request + "1,say;x", "<$3;a;r;_OnRoomPublish;1;0;forbidden", ">$4;" + request + "2,say;x"},
		[]string{">$3;" + request + "2,say;x", "<$3;a;r;_OnRoomPublish;1;0;forbidden", ">$4;" + request + "3,say;x", "<$4;" + request + "no position"})
	if err := <-publishLater(background(t), room, "1"); err != wire.ErrForbidden {
		t.Errorf("a refusal: %v, want %v", err, wire.ErrForbidden)
	}
	if err := <-publishLater(background(t), room, "2"); !errors.Is(err, client.ErrUnconfirmed) || !errors.Is(err, wire.ErrForbidden) {
		t.Errorf("a refusal of the second copy: %v, want %v and %v", err, client.ErrUnconfirmed, wire.ErrForbidden)
	}
	if err := <-publishLater(background(t), room, "3"); !errors.Is(err, client.ErrUnconfirmed) || !errors.Is(err, wire.ErrInvalidPayload) {
		t.Errorf("an answer that is no position: %v, want %v and %v", err, client.ErrUnconfirmed, wire.ErrInvalidPayload)
	}
}

// The end of the call says whether the message may have been published.
func TestEndOfPublish(t *testing.T) {
	for name, test := range map[string]struct {
		end   func(room *client.Room, cancel context.CancelCauseFunc)
		cause error
	}{
		"context": {func(_ *client.Room, cancel context.CancelCauseFunc) { cancel(io.ErrNoProgress) }, io.ErrNoProgress},
		"close":   {func(room *client.Room, _ context.CancelCauseFunc) { _ = room.NSConn().Conn().Close() }, client.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan struct{})
			var once sync.Once
			room, states := enter(t, startServer(t, func(number int, p *peer) {
				if number > 0 {
					return // it never comes back
				}
				for i, line := range joined(0) {
					if text, sent := strings.CutPrefix(line, "<"); sent {
						p.send(text)
					} else if got := p.text(); got != line[1:] {
						t.Errorf("line %d is %q, want %q", i, got, line[1:])
					}
				}
				p.text()
				once.Do(func() { close(asked) })
			}), make(reports, 10), client.JoinOptions{})
			ctx, cancel := context.WithCancelCause(background(t))
			defer cancel(nil)
			sent := publishLater(ctx, room, "sent")
			<-asked
			for state := states.await(t, client.StateReconnecting); state.Attempt < 2; {
				state = states.await(t, client.StateReconnecting)
			}
			unsent := publishLater(ctx, room, "unsent")
			eventually(t, "the call is made", func() bool { return client.Publishing(room.NSConn().Conn()) == 2 })
			test.end(room, cancel)
			if err := <-sent; !errors.Is(err, client.ErrUnconfirmed) || !errors.Is(err, test.cause) {
				t.Errorf("a message that was sent: %v, want %v and %v", err, client.ErrUnconfirmed, test.cause)
			}
			if err := <-unsent; !errors.Is(err, client.ErrNotPublished) || !errors.Is(err, test.cause) {
				t.Errorf("a message that was not sent: %v, want %v and %v", err, client.ErrNotPublished, test.cause)
			}
		})
	}
}

// Messages that wait for a connection are sent in the order of the calls.
func TestOrderOfPublish(t *testing.T) {
	const count = 100 // more than may be in flight
	var received []string
	called, finished := make(chan struct{}), make(chan struct{})
	room, _ := enter(t, startServer(t, func(number int, p *peer) {
		for _, line := range joined(number) {
			if text, sent := strings.CutPrefix(line, "<"); sent {
				p.send(text)
			} else {
				p.text()
			}
		}
		if number == 0 {
			p.text()
			return
		}
		<-called
		for range count {
			token, rest, _ := strings.Cut(p.text(), ";")
			id, _, _ := strings.Cut(strings.TrimPrefix(rest, request), ",")
			received = append(received, id)
			p.send(token + ";" + request + "p" + id)
		}
		close(finished)
		p.drain()
	}), make(reports, 10), client.JoinOptions{})
	var outcomes []<-chan error
	for i := range count {
		outcomes = append(outcomes, publishLater(background(t), room, fmt.Sprint(i)))
		eventually(t, "the call is made", func() bool { return client.Publishing(room.NSConn().Conn()) > i })
	}
	close(called)
	for i, outcome := range outcomes {
		if err := receive(t, "the outcome", outcome); err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
	<-finished
	for i, id := range received {
		if id != fmt.Sprint(i) {
			t.Fatalf("received %q, want the order of the calls", received)
		}
	}
}

// After 90 seconds a message is not sent again, however patient the caller is.
func TestPublishWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, last, copies := time.Now(), time.Duration(0), 0
		serve := func(socket net.Conn) {
			defer func() { _ = socket.Close() }()
			p := &peer{tb: t, conn: socket, in: bufio.NewReader(socket)}
			if _, err := ws.Upgrade(struct {
				io.Reader
				io.Writer
			}{p.in, socket}); err != nil || !p.hello("id positions") {
				return
			}
			for {
				text := p.text()
				token, _, _ := strings.Cut(text, ";")
				switch {
				case text == "":
					return
				case strings.Contains(text, "_OnRoomPublish"):
					last = time.Since(begun)
					copies++
					p.send(token + ";a;r;_OnRoomPublish;1;0;unavailable")
				case strings.Contains(text, "_OnRoomRecover"):
					p.send(token + ";a;r;_OnRoomJoin;0;0;0,p0,0;")
				default:
					p.send(token + ";;;;;;")
				}
			}
		}
		room := join(t, "ws://stoa.test/ws", client.Options{DialContext: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go serve(far)
			return near, nil
		}}, "a", "r")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := room.Publish(ctx, "say", nil, client.PublishOptions{})
		if !errors.Is(err, client.ErrUnconfirmed) || !errors.Is(err, wire.ErrUnavailable) {
			t.Errorf("Publish = %v, want %v and %v", err, client.ErrUnconfirmed, wire.ErrUnavailable)
		}
		if ended := time.Since(begun); ended < 90*time.Second || ended > 100*time.Second || last >= 90*time.Second || copies < 10 {
			t.Errorf("%d copies, the last after %v, the end after %v; want the end after 90s", copies, last, ended)
		}
		_ = room.NSConn().Conn().Close()
		synctest.Wait()
	})
}
