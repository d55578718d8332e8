package compat_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kataras/neffos"
	"github.com/kataras/neffos/gobwas"
	"github.com/kataras/neffos/gorilla"

	"github.com/stoa-io/stoa/node"
)

// deadline bounds every wait. It is long because only failing tests reach it.
const deadline = 20 * time.Second

// message is a message that a handler of the client received.
type message struct {
	namespace, room, event, body string
	binary                       bool
}

// person is a neffos client that records its messages.
type person struct {
	*neffos.Client
	name   string
	socket *watchedSocket

	mu       sync.Mutex
	messages []message
	system   []string
	changed  chan struct{}
}

// dialers are the socket libraries that neffos' Go client can use.
var dialers = map[string]neffos.Dialer{
	"gobwas":  gobwas.DefaultDialer,
	"gorilla": gorilla.DefaultDialer,
}

// eachClient runs a test for every transport of the node and dialer of the
// client.
func eachClient(t *testing.T, test func(t *testing.T, s *server, dial dialFunc)) {
	eachTransport(t, func(t *testing.T, transport node.Transport) {
		for name, dialer := range dialers {
			t.Run(name, func(t *testing.T) {
				test(t, startServer(t, transport, "127.0.0.1:0"), func(t testing.TB, s *server, name string) *person {
					t.Helper()
					return dial(t, dialer, s, name)
				})
			})
		}
	})
}

type dialFunc func(t testing.TB, s *server, name string) *person

func dial(t testing.TB, dialer neffos.Dialer, s *server, name string) *person {
	t.Helper()
	for range deadline / wakeUp {
		if p := tryDial(t, dialer, s, name); p != nil {
			return p
		}
	}
	t.Fatalf("%s: Dial never returns", name)
	return nil
}

// wakeUp is the limit after which a test repeats Dial. The client (v0.0.24) loses
// a wake-up if the acknowledgment arrives at the moment when Dial begins to wait
// (waiter_once.go checks ready before it takes the lock). Such a Dial never
// returns, and the server cannot change that.
const wakeUp = 2 * time.Second

// tryDial returns nil if Dial has not returned in time.
func tryDial(t testing.TB, dialer neffos.Dialer, s *server, name string) *person {
	t.Helper()
	p := &person{name: name, changed: make(chan struct{})}
	sockets := make(chan *watchedSocket, 1)
	watched := func(ctx context.Context, url string) (neffos.Socket, error) {
		socket, err := dialer(ctx, url)
		if err != nil {
			return nil, err
		}
		watched := newWatchedSocket(socket)
		sockets <- watched
		return watched, nil
	}
	events := neffos.Events{neffos.OnAnyEvent: p.receive}
	ctx := within(t)
	done := make(chan error, 1)
	go func() {
		var err error
		p.Client, err = neffos.Dial(ctx, watched, s.url(), neffos.Namespaces{
			namespace: events, oddName: events, "nowhere": events,
		})
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Fatalf("%s: Dial: %v", name, err)
		}
		p.socket = <-sockets
		t.Cleanup(p.Close)
		return p
	case <-time.After(wakeUp):
		select {
		case socket := <-sockets:
			socket.NetConn().Close()
		default:
		}
		return nil
	}
}

// receive is the handler of every event.
func (p *person) receive(_ *neffos.NSConn, m neffos.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if neffos.IsSystemEvent(m.Event) {
		p.system = append(p.system, m.Event+" "+m.Room)
	} else {
		p.messages = append(p.messages, message{m.Namespace, m.Room, m.Event, string(m.Body), m.SetBinary})
	}
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

// received waits for at least count messages and returns all.
func (p *person) received(t testing.TB, count int) []message {
	t.Helper()
	late := time.After(deadline)
	for {
		p.mu.Lock()
		messages, changed := slices.Clone(p.messages), p.changed
		p.mu.Unlock()
		if len(messages) >= count {
			return messages
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%s: want %d messages, have %d", p.name, count, len(messages))
		}
	}
}

// lifecycle returns the system events so far.
func (p *person) lifecycle() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.system)
}

// connect connects to the namespace and joins the rooms.
func (p *person) connect(t testing.TB, rooms ...string) *neffos.NSConn {
	t.Helper()
	p.socket.quiet(t)
	ns, err := p.Connect(within(t), namespace)
	if err != nil {
		t.Fatalf("%s: Connect: %v", p.name, err)
	}
	for _, room := range rooms {
		p.join(t, ns, room)
	}
	return ns
}

func (p *person) join(t testing.TB, ns *neffos.NSConn, room string) *neffos.Room {
	t.Helper()
	p.socket.quiet(t)
	joined, err := ns.JoinRoom(within(t), room)
	if err != nil {
		t.Fatalf("%s: JoinRoom(%q): %v", p.name, room, err)
	}
	return joined
}

// within returns a context for one call.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// watchedSocket knows when the client's reader waits for the next frame. The
// client (v0.0.24) marks "inside a handler" on the connection rather than on the
// goroutine. An ask right after another one may still see the mark; it then reads
// the socket itself and takes a frame from the reader. So a test waits for the
// reader before it asks.
type watchedSocket struct {
	neffos.Socket

	mu      sync.Mutex
	reading bool
	changed *sync.Cond
}

func newWatchedSocket(socket neffos.Socket) *watchedSocket {
	s := &watchedSocket{Socket: socket}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *watchedSocket) ReadData(timeout time.Duration) ([]byte, neffos.MessageType, error) {
	s.setReading(true)
	defer s.setReading(false)
	return s.Socket.ReadData(timeout)
}

func (s *watchedSocket) setReading(reading bool) {
	s.mu.Lock()
	s.reading = reading
	s.mu.Unlock()
	s.changed.Broadcast()
}

// quiet waits until the client's reader waits for a frame.
func (s *watchedSocket) quiet(t testing.TB) {
	t.Helper()
	late := time.AfterFunc(deadline, func() { s.setReading(true) })
	defer late.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.reading {
		s.changed.Wait()
	}
}
