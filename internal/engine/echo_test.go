package engine_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/testkit"
)

// echoShard owns the connections of one loop of an echo server. It has no work
// of its own, so its inbox is the loop's.
type echoShard struct{ loop *engine.Loop }

func (s *echoShard) NewConn() *engine.Conn {
	c := new(echoConn)
	c.Init(c)
	return &c.Conn
}

func (s *echoShard) Post(task func()) bool { return s.loop.Post(task) }
func (*echoShard) Pending() bool           { return false }
func (*echoShard) QueuedBytes() int        { return 0 }
func (*echoShard) Work()                   {}
func (*echoShard) Stopped()                {}

// echoConn sends every message back.
type echoConn struct{ engine.Conn }

func (c *echoConn) Message(payload []byte, binary bool) {
	c.Send(engine.NewFrame(engine.Opcode(binary), payload), 1)
}

func (c *echoConn) ID() string                    { return fmt.Sprint(c.Slot()) }
func (c *echoConn) Opened(any)                    { c.SetDeadline(0) }
func (*echoConn) Awaits([]byte) bool              { return false }
func (*echoConn) HalfClosed()                     {}
func (*echoConn) Closing() bool                   { return false }
func (*echoConn) Draining() bool                  { return false }
func (*echoConn) Ended()                          {}
func (*echoConn) Closed(uint16, engine.Initiator) {}
func (*echoConn) Deadline()                       {}
func (*echoConn) Drained()                        {}
func (c *echoConn) Slow()                         { c.Close(1008, "slow consumer") }
func (*echoConn) Tick()                           {}
func (*echoConn) Alarm()                          {}

// startEcho runs an echo server until the test ends.
func startEcho(t *testing.T, blocking bool) net.Addr {
	t.Helper()
	s, address := startEchoServer(t, blocking)
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background(), "the test ends"); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := s.Wait(); err != nil {
			t.Errorf("Wait: %v", err)
		}
	})
	return address
}

// startEchoServer starts an echo server that the test ends.
func startEchoServer(t *testing.T, blocking bool) (*engine.Server, net.Addr) {
	t.Helper()
	s := engine.New(engine.Config{
		Loops: 2, Blocking: blocking, Endpoint: "/echo",
		Limits:   engine.Limits{Header: 4 << 10, Message: 64 << 10, SendQueue: 1 << 20},
		Timeouts: engine.Timeouts{Handshake: time.Minute, Ping: -1, Close: time.Second},
		NewShard: func(l *engine.Loop) engine.Shard { return &echoShard{l} },
		Base:     context.Background(),
		Logger:   slog.New(slog.DiscardHandler),
	})
	address, err := s.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return s, address
}

// eachEcho runs a test with an echo server of each transport.
func eachEcho(t *testing.T, test func(t *testing.T, blocking bool)) {
	for name, blocking := range map[string]bool{"epoll": false, "blocking": true} {
		t.Run(name, func(t *testing.T) { test(t, blocking) })
	}
}

// TestEchoServer runs a plain WebSocket server on the engine, without any of
// the message protocol: the engine does not know it.
func TestEchoServer(t *testing.T) {
	eachEcho(t, func(t *testing.T, blocking bool) {
		address := startEcho(t, blocking)
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() { talk(t, address) })
		}
		group.Wait()
	})
}

// talk sends messages of many sizes and reads them back, then closes.
func talk(t *testing.T, address net.Addr) {
	dialer := ws.Dialer{}
	conn, in, _, err := dialer.Dial(t.Context(), "ws://"+address.String()+"/echo")
	if err != nil {
		t.Errorf("dial: %v", err)
		return
	}
	defer func() { _ = conn.Close() }()
	var r io.Reader = conn
	if in != nil {
		r = in
	}
	r = bufio.NewReader(r)
	for _, size := range []int{0, 1, 125, 126, 4096, 65536} {
		sent := bytes.Repeat([]byte("x"), size)
		if err := ws.WriteFrame(conn, ws.MaskFrame(ws.NewTextFrame(bytes.Clone(sent)))); err != nil {
			t.Errorf("write: %v", err)
			return
		}
		got, err := testkit.ReadFrame(r)
		if err != nil || got.Header.OpCode != ws.OpText || !bytes.Equal(got.Payload, sent) {
			t.Errorf("%d bytes come back as %d: %v", size, len(got.Payload), err)
			return
		}
	}
	if err := ws.WriteFrame(conn, ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))); err != nil {
		t.Errorf("close: %v", err)
		return
	}
	if got, err := testkit.ReadFrame(r); err != nil || got.Header.OpCode != ws.OpClose {
		t.Errorf("the close frame is answered with %v, %v", got.Header.OpCode, err)
	}
}

// TestEchoServerServesHTTP: requests that are no upgrade go to net/http.
func TestEchoServerServesHTTP(t *testing.T) {
	address := startEcho(t, false)
	response, err := http.Get("http://" + address.String() + "/other")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("status %d, want 404", response.StatusCode)
	}
}
