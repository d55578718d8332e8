package clients_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/internal/testkit"
)

// namespace is the only namespace of the program.
const namespace = "default"

// goGuest is a guest with package client.
type goGuest struct {
	*guest
	conn   *client.Conn
	joined []*client.Room

	emitting sync.Mutex // held during an emission; guards next
	next     int        // the number of the next emission
}

// enter connects a guest and lets it join its rooms.
func (g *goGuest) enter(ctx context.Context, address string, how habits) error {
	var declared client.Namespace
	declared.OnAnyEmit(func(_ context.Context, e *client.EmitEvent) error {
		g.hears(e.Room, e.Event, string(e.Body))
		return nil
	})
	conn, err := client.Dial(ctx, "ws://"+address+"/ws", client.Options{
		Namespaces: map[string]*client.Namespace{namespace: &declared},
		Authenticate: func(context.Context) (http.Header, error) {
			g.attempted(time.Now())
			return nil, nil
		},
		OnState:   func(_ context.Context, e *client.StateEvent) { g.turned(e, how.burst) },
		Reconnect: client.Reconnect{Base: how.base, Cap: how.cap},
		Buffer:    client.Buffer{Messages: how.kept},
	})
	if err != nil {
		return err
	}
	g.conn = conn
	g.connected(conn.ID())
	ns, err := conn.Connect(ctx, namespace)
	if err != nil {
		return err
	}
	for _, number := range g.rooms {
		room, err := ns.JoinRoom(ctx, roomName(number))
		if err != nil {
			return err
		}
		g.joined = append(g.joined, room)
	}
	return nil
}

// turned handles the changes of the state.
func (g *goGuest) turned(e *client.StateEvent, burst int) {
	switch {
	case e.To == client.StateReconnecting:
		g.waiting(wait{at: time.Now(), delay: e.Delay, first: e.From == client.StateConnected})
		if e.From == client.StateConnected {
			for range burst {
				g.emit()
			}
		}
	case e.To == client.StateClosed && !errors.Is(e.Err, client.ErrClosed):
		g.failed(fmt.Errorf("closed: %w", e.Err))
	case e.To == client.StateConnected && e.From == client.StateReconnecting:
		var names []string
		for _, room := range e.Conn.Namespace(namespace).Rooms() {
			names = append(names, room.Name())
		}
		g.emitting.Lock()
		defer g.emitting.Unlock()
		g.returned(back{at: time.Now(), number: g.next}, e.ID, names)
	}
}

// emit emits the next message, into one room after the other.
func (g *goGuest) emit() {
	g.emitting.Lock()
	defer g.emitting.Unlock()
	g.put(g.next%len(g.joined), eventMessage, fmt.Sprintf("%d.%d", g.place, g.next))
}

// mark emits a mark into every room.
func (g *goGuest) mark(round int) {
	g.emitting.Lock()
	defer g.emitting.Unlock()
	for i := range g.joined {
		g.put(i, eventMark, fmt.Sprintf("%d.%d.%d", g.place, g.next, round))
	}
}

// put is called with emitting held.
func (g *goGuest) put(room int, event, body string) {
	e := emission{At: time.Now(), Room: g.rooms[room], Mark: event == eventMark}
	away := g.conn.State() == client.StateReconnecting
	err := g.joined[room].Emit(event, []byte(body))
	e.Refused = errors.Is(err, client.ErrBufferFull)
	// A message that is emitted while the state changes counts as neither.
	e.Kept = err == nil && away && g.conn.State() == client.StateReconnecting
	if err != nil && !e.Refused {
		g.failed(fmt.Errorf("emission %d: %w", g.next, err))
	}
	g.emitted(g.next, e)
	g.next++
}

// run emits at intervals. The first one is shorter, by a part that differs
// between guests.
func (g *goGuest) run(pause time.Duration, guests int, stop <-chan struct{}) {
	next := time.NewTimer(pause * time.Duration(g.place) / time.Duration(guests))
	defer next.Stop()
	for {
		select {
		case <-stop:
			return
		case <-next.C:
		}
		next.Reset(pause)
		g.emit()
	}
}

// goGuests are all guests with package client.
type goGuests struct {
	guests []*goGuest
	habits habits
	stop   chan struct{}
	once   sync.Once // closes stop
	group  sync.WaitGroup
}

// enterGo connects all of them.
func enterGo(t testing.TB, address string, guests []*guest, h habits) *goGuests {
	t.Helper()
	all := &goGuests{habits: h, stop: make(chan struct{})}
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	for _, one := range guests {
		g := &goGuest{guest: one}
		all.guests = append(all.guests, g)
		all.group.Go(func() {
			if err := g.enter(ctx, address, h); err != nil {
				t.Errorf("%v: %v", g.guest, err)
			}
		})
	}
	all.group.Wait()
	t.Cleanup(func() {
		all.end()
		for _, g := range all.guests {
			if g.conn != nil {
				all.group.Go(func() { _ = g.conn.Close() }) // unsent messages no longer matter
			}
		}
		all.group.Wait()
	})
	if t.Failed() {
		t.FailNow()
	}
	return all
}

func (all *goGuests) begin(total int) {
	for _, g := range all.guests {
		all.group.Go(func() { g.run(all.habits.pause, total, all.stop) })
	}
}

func (all *goGuests) mark(round int) {
	for _, g := range all.guests {
		g.mark(round)
	}
}

// end is idempotent.
func (all *goGuests) end() {
	all.once.Do(func() { close(all.stop) })
	all.group.Wait()
}
