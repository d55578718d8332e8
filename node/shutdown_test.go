package node_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/node"
)

// answerClose reads up to the close frame, answers it, and returns its code; 0
// if the connection closed without one.
func answerClose(p *peer) ws.StatusCode {
	for {
		f, err := p.tryNext()
		if err != nil {
			return 0
		}
		if f.Header.OpCode == ws.OpClose {
			code, _ := ws.ParseCloseFrameData(f.Payload)
			_, _ = io.WriteString(p.conn, frame(ws.OpClose, true, string(f.Payload[:2])))
			_, _ = io.Copy(io.Discard, p.in)
			return code
		}
	}
}

func TestShutdownClosesAllConnections(t *testing.T) {
	n := startNode(t, nil)
	peers := []*peer{dial(t, n), upgrade(t, n)}
	for range 50 {
		peers = append(peers, join(t, n, "default", "r"))
	}
	var readers sync.WaitGroup
	for i, p := range peers {
		readers.Go(func() {
			if code := answerClose(p); code != 1001 {
				t.Errorf("connection %d was closed with %d, want 1001", i, code)
			}
		})
	}
	idle := connectTCP(t, n)
	eventually(t, "all are accepted", func() bool { return n.Stats().Pending == 1 })
	if err := n.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	readers.Wait()
	idle.expectEnd()
	s := n.Stats()
	if got := s.Closes[node.CloseKey{Code: "going_away", Initiator: node.ByServer}]; got != uint64(len(peers)) {
		t.Errorf("closes %v, want %d going away by the server", s.Closes, len(peers))
	}
	if s.Connections != 0 || s.Pending != 0 || s.Rooms != 0 || s.Memberships != 0 || s.QueueBytes != 0 || !s.Draining {
		t.Errorf("after Shutdown: %+v", s)
	}
}

// During a paced drain, open connections are served as before, the node is not
// ready, and it accepts no connection.
func TestPacedDrain(t *testing.T) {
	for _, cut := range []struct {
		name string
		do   func(n *node.Node, cancel func()) error // ends the drain
	}{
		{"its context ends", func(_ *node.Node, cancel func()) error { cancel(); return nil }},
		{"Close is called", func(n *node.Node, _ func()) error { return n.Close() }},
		{"a second Shutdown is impatient", func(n *node.Node, _ func()) error {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := n.Shutdown(ctx); !errors.Is(err, context.Canceled) {
				return errors.Join(errors.New("want context.Canceled, got"), err)
			}
			return nil
		}},
	} {
		t.Run(cut.name, func(t *testing.T) {
			n := startNode(t, func(cfg *node.Config) {
				cfg.Loops = 1
				cfg.Limits.DrainPerSecond = 1
			})
			const count = 60
			var peers []*peer
			for range count {
				peers = append(peers, join(t, n, "default", "r"))
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			shutdown := make(chan error, 1)
			go func() { shutdown <- n.Shutdown(ctx) }()
			// Connections are closed in the order of their slots.
			if code := answerClose(peers[0]); code != 1001 {
				t.Fatalf("the first connection was closed with %d, want 1001", code)
			}
			if err := n.Ready(context.Background()); !errors.Is(err, node.ErrDraining) {
				t.Errorf("Ready returned %v, want ErrDraining", err)
			}
			if conn, err := net.Dial("tcp", n.Addr().String()); err == nil {
				_ = conn.Close()
				t.Error("a connection was accepted while draining")
			}
			a, b := peers[count-2], peers[count-1]
			for range 100 {
				a.send(";default;r;chat;0;0;still here")
				b.expect(";default;r;chat;0;0;still here")
			}
			select {
			case err := <-shutdown:
				t.Fatalf("Shutdown returned %v with connections open", err)
			default:
			}
			if err := cut.do(n, cancel); err != nil {
				t.Error(err)
			}
			if err := <-shutdown; err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("Shutdown: %v, want nothing or context.Canceled", err)
			}
			b.expectEnd()
			if s := n.Stats(); s.Connections != 0 || s.Memberships != 0 {
				t.Errorf("%d connections and %d memberships left, want none", s.Connections, s.Memberships)
			}
		})
	}
}

// During the delay before a drain, the node is not ready, and it accepts and
// serves connections as before.
func TestDrainDelay(t *testing.T) {
	n := startNode(t, func(cfg *node.Config) { cfg.DrainDelay = 50 * patience })
	before := join(t, n, "default", "r")
	shutdown := make(chan error, 1)
	go func() { shutdown <- n.Shutdown(context.Background()) }()
	eventually(t, "the node is not ready", func() bool { return errors.Is(n.Ready(context.Background()), node.ErrDraining) })
	after := join(t, n, "default", "r")
	for _, pair := range [][2]*peer{{before, after}, {after, before}} {
		pair[0].send(";default;r;chat;0;0;still here")
		pair[1].expect(";default;r;chat;0;0;still here")
	}
	page := connectTCP(t, n)
	page.write(plainGet)
	if got := page.response().StatusCode; got != http.StatusNotFound {
		t.Errorf("a page was answered with %d, want %d", got, http.StatusNotFound)
	}
	select {
	case err := <-shutdown:
		t.Fatalf("Shutdown returned %v during the delay", err)
	default:
	}
	if err := n.Close(); err != nil {
		t.Errorf("Close during the delay: %v", err)
	}
	if err := <-shutdown; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// The drain follows the delay, and a context bounds both together.
func TestDrainAfterDelay(t *testing.T) {
	for _, c := range []struct {
		name           string
		delay, timeout time.Duration
	}{{"the delay ends", 10 * time.Millisecond, patience}, {"the context ends", patience, 10 * time.Millisecond}} {
		t.Run(c.name, func(t *testing.T) {
			n := startNode(t, func(cfg *node.Config) { cfg.DrainDelay = c.delay })
			p := join(t, n, "default", "r")
			closed := make(chan ws.StatusCode, 1)
			go func() { closed <- answerClose(p) }()
			ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
			defer cancel()
			if err := n.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown: %v", err)
			}
			if code := <-closed; code != 1001 && c.timeout == patience {
				t.Errorf("closed with %d, want 1001", code)
			}
		})
	}
}

// A context with a deadline raises the pace so that all connections get a close
// frame.
func TestDrainKeepsItsDeadline(t *testing.T) {
	t.Parallel()
	n := startNode(t, func(cfg *node.Config) {
		cfg.Limits.DrainPerSecond = 1
		cfg.Timeouts.Close = time.Second
	})
	var readers sync.WaitGroup
	for range 40 {
		p := join(t, n, "default", "r")
		readers.Go(func() {
			if code := answerClose(p); code != 1001 {
				t.Errorf("closed with %d, want 1001", code)
			}
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Second)
	defer cancel()
	if err := n.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	readers.Wait()
}

// A client that does not answer the close frame is dropped after the close
// timeout.
func TestShutdownWithSilentPeers(t *testing.T) {
	n := startNode(t, func(cfg *node.Config) { cfg.Timeouts.Close = 50 * time.Millisecond })
	for range 10 {
		join(t, n, "default", "r")
	}
	if err := n.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestCloseAtOnce(t *testing.T) {
	n := startNode(t, nil)
	p, pending := join(t, n, "default", "r"), connectTCP(t, n)
	eventually(t, "both are accepted", func() bool { return n.Stats().Pending == 1 })
	if err := n.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for _, p := range []*peer{p, pending} {
		for {
			f, err := p.tryNext()
			if err != nil {
				break
			}
			// The first connection of the drain may have received its close
			// frame.
			if f.Header.OpCode != ws.OpClose {
				t.Errorf("got %s, want the end", describe(f))
			}
		}
	}
	if err := n.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	if err := n.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown after Close: %v", err)
	}
	if err := n.Serve(); !errors.Is(err, node.ErrClosed) {
		t.Errorf("Serve after Close: %v, want ErrClosed", err)
	}
	if err := n.Listen("tcp", "127.0.0.1:0"); !errors.Is(err, node.ErrClosed) {
		t.Errorf("Listen after Close: %v, want ErrClosed", err)
	}
	if err := n.Ready(context.Background()); !errors.Is(err, node.ErrDraining) {
		t.Errorf("Ready after Close: %v, want ErrDraining", err)
	}
}

// Counters never decrease, at any time of a shutdown.
func TestStatsDuringShutdown(t *testing.T) {
	for range 10 {
		n := startNode(t, func(cfg *node.Config) { cfg.Loops = 4 })
		const count = 20
		for range count {
			p := join(t, n, "default", "r")
			go answerClose(p)
		}
		var ended atomic.Bool
		var readers sync.WaitGroup
		for range 3 {
			readers.Go(func() {
				for last := uint64(count); !ended.Load(); {
					s := n.Stats()
					if s.Accepted < last {
						t.Errorf("%d connections accepted, were %d before", s.Accepted, last)
						return
					}
					last = s.Accepted
				}
			})
		}
		if err := n.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		ended.Store(true)
		readers.Wait()
		if s := n.Stats(); s.Accepted < count || s.Connections != 0 {
			t.Errorf("%d accepted and %d connections after Shutdown, want at least %d and 0", s.Accepted, s.Connections, count)
		}
	}
}

// Connections that arrive during a shutdown are refused or closed; none hangs.
func TestConnectionsDuringShutdown(t *testing.T) {
	for range 5 {
		n := startNode(t, nil)
		address := n.Addr().String()
		var ended atomic.Bool
		var clients sync.WaitGroup
		var came atomic.Int64
		for i := range 8 {
			clients.Go(func() {
				for !ended.Load() {
					conn, err := net.Dial("tcp", address)
					if err != nil {
						return
					}
					came.Add(1)
					switch i % 3 {
					case 0:
						_, _ = io.WriteString(conn, upgradeRequest("/ws")+frame(ws.OpText, true, "M"))
					case 1:
						_, _ = io.WriteString(conn, "GET /nothing HTTP/1.1\r\nHost: stoa.test\r\nConnection: close\r\n\r\n")
					}
					_ = conn.SetReadDeadline(time.Now().Add(patience))
					if ended.Load() || i%3 == 0 {
						p := &peer{tb: t, conn: conn}
						p.readToEnd()
					}
					_ = conn.Close()
				}
			})
		}
		eventually(t, "connections arrive", func() bool { return came.Load() > 100 })
		err := n.Shutdown(context.Background())
		ended.Store(true)
		clients.Wait()
		if err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	}
}

// readToEnd reads until the node has closed the connection. It answers a close
// frame by closing.
func (p *peer) readToEnd() {
	buffer := make([]byte, 4096)
	for {
		n, err := p.conn.Read(buffer)
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				p.tb.Error("a connection that came during the shutdown hangs")
			}
			return
		}
		// An acknowledged WebSocket would stay open without the shutdown.
		if n > 0 && buffer[n-1] != '\n' {
			return
		}
	}
}
