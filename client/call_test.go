package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/client"
)

// lateContext has a deadline that passed long ago, and that is noticed when the
// test calls notice, as in a process that was suspended.
type lateContext struct {
	context.Context
	watch         sync.Once
	watched, done chan struct{}
}

func newLateContext() *lateContext {
	return &lateContext{Context: context.Background(), watched: make(chan struct{}), done: make(chan struct{})}
}

func (c *lateContext) Deadline() (time.Time, bool) { return time.Now().Add(-time.Hour), true }

func (c *lateContext) Done() <-chan struct{} {
	c.watch.Do(func() { close(c.watched) })
	return c.done
}

func (c *lateContext) Err() error {
	select {
	case <-c.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// notice makes the context done, once it is in use.
func (c *lateContext) notice() {
	<-c.watched
	close(c.done)
}

func TestAnswerThatHasArrivedComesBeforeALateDeadline(t *testing.T) {
	late := newLateContext()
	url := startServer(t, func(_ int, p *peer) {
		p.hello("id")
		p.answer(func(text string) (string, bool) {
			token, rest, _ := strings.Cut(text, ";")
			if !strings.Contains(rest, ";late;") {
				return token + ";;;;;;", true
			}
			late.notice()
			return token + ";ns;;late;0;0;answer", true
		})
	})
	ns, err := dial(t, url, client.Options{DefaultNamespace: new(client.Namespace)}).Connect(background(t), "ns")
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := ns.Ask(late, "late", nil); err != nil || string(answer.Body) != "answer" {
		t.Errorf("Ask: %q, %v, want the answer", answer.Body, err)
	}
	if _, err := ns.Ask(late, "e", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ask with a context that is done: %v, want %v", err, context.DeadlineExceeded)
	}
}

func TestAcknowledgementThatHasArrivedComesBeforeALateDeadline(t *testing.T) {
	late := newLateContext()
	url := startServer(t, func(_ int, p *peer) {
		p.text()
		late.notice()
		p.send("Aid")
		p.drain()
	})
	conn, err := client.Dial(late, url, client.Options{Reconnect: client.Reconnect{Off: true}})
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	_ = conn.Close()
}

func TestConnectThatHasArrivedComesBeforeALateDeadline(t *testing.T) {
	late := newLateContext()
	url := startServer(t, func(_ int, p *peer) {
		p.hello("id")
		late.notice()
		p.send("7;ns;;_OnNamespaceConnect;0;0;")
		p.drain()
	})
	conn := dial(t, url, client.Options{DefaultNamespace: new(client.Namespace)})
	if _, err := conn.WaitServerConnect(late, "ns"); err != nil {
		t.Errorf("WaitServerConnect: %v", err)
	}
}

// sleepySocket reports read deadlines although bytes have arrived, as in a
// process that was suspended.
type sleepySocket struct {
	net.Conn
	asleep atomic.Int32 // reads that fail
	first  []byte       // arrived before the failed read
}

func (s *sleepySocket) Read(p []byte) (int, error) {
	if len(s.first) == 0 {
		s.first = make([]byte, 1)
		if n, err := io.ReadFull(s.Conn, s.first); err != nil {
			s.first = nil
			return n, err
		}
	}
	if s.asleep.Add(-1) >= 0 {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p, s.first)
	s.first = nil
	return n, nil
}

func TestMessageThatHasArrivedComesBeforeALateIdleTimeout(t *testing.T) {
	url := startServer(t, func(_ int, p *peer) {
		p.hello("id")
		p.grant(nil)
	})
	var socket *sleepySocket
	conn := dial(t, url, client.Options{
		Reconnect: client.Reconnect{Off: true},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			raw, err := new(net.Dialer).DialContext(ctx, network, address)
			socket = &sleepySocket{Conn: raw}
			return socket, err
		},
		DefaultNamespace: new(client.Namespace),
	})
	socket.asleep.Store(2)
	if _, err := conn.Connect(background(t), "ns"); err != nil {
		t.Errorf("Connect: %v", err)
	}
}

// A long message takes longer than the idle timeout on a slow line; so the time
// runs for each part of it.
func TestLongMessageOnASlowLine(t *testing.T) {
	const parts = 8
	url := startServer(t, func(_ int, p *peer) {
		p.hello("id")
		p.grant(nil)
	})
	var writes atomic.Int32
	conn := dial(t, url, client.Options{
		Reconnect: client.Reconnect{Off: true}, MessageLimit: -1,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			raw, err := new(net.Dialer).DialContext(ctx, network, address)
			return &countingSocket{raw, &writes}, err
		},
		DefaultNamespace: new(client.Namespace),
	})
	ns, err := conn.Connect(background(t), "ns")
	if err != nil {
		t.Fatal(err)
	}
	writes.Store(0)
	if _, err := ns.Ask(background(t), "e", make([]byte, parts<<16)); err != nil {
		t.Fatal(err)
	}
	if n := writes.Load(); n < parts {
		t.Errorf("%d writes with a deadline each, want %d or more", n, parts)
	}
}

// countingSocket counts the writes.
type countingSocket struct {
	net.Conn
	writes *atomic.Int32
}

func (s *countingSocket) Write(p []byte) (int, error) {
	s.writes.Add(1)
	return s.Conn.Write(p)
}
