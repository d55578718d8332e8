package client_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// patience is how long a test waits for something that must happen. No test
// depends on how long it took.
const patience = 30 * time.Second

// TestMain fails when a test leaves goroutines behind.
func TestMain(m *testing.M) {
	goroutines := runtime.NumGoroutine()
	code := m.Run()
	// The fuzzing engine leaves goroutines of its own.
	if fuzzed := flag.Lookup("test.fuzz"); code == 0 && fuzzed.Value.String() == "" {
		http.DefaultClient.CloseIdleConnections()
		if err := settled(goroutines); err != nil {
			fmt.Fprintln(os.Stderr, "after all tests:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// settled waits until there are no more goroutines than given.
func settled(goroutines int) error {
	deadline := time.Now().Add(patience)
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for runtime.NumGoroutine() > goroutines {
		if time.Now().After(deadline) {
			stacks := make([]byte, 64<<10)
			return fmt.Errorf("%d goroutines, want at most %d\n%s",
				runtime.NumGoroutine(), goroutines, stacks[:runtime.Stack(stacks, true)])
		}
		<-poll.C
	}
	return nil
}

// eventually waits for a condition that must come true.
func eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	deadline := time.Now().Add(patience)
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			tb.Fatalf("still waiting: %s", what)
		}
		<-poll.C
	}
}

// receive returns the next value of a channel.
func receive[T any](tb testing.TB, what string, from <-chan T) T {
	tb.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		tb.Fatalf("still waiting: %s", what)
		panic("unreachable")
	}
}

// background returns a context that is canceled after the test's patience.
func background(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	tb.Cleanup(cancel)
	return ctx
}

// startNode serves a node at the address, "" for a free port. Stop shuts it
// down; the end of the test does so too.
func startNode(tb testing.TB, address string, declare func(*node.Node)) (n *node.Node, stop func()) {
	tb.Helper()
	n, err := node.New(node.Config{Loops: 2, Namespaces: map[string]node.NamespaceOptions{
		"default": {Relay: node.RelayRooms | node.RelayAsks},
		"second":  {Relay: node.RelayRooms | node.RelayNamespace},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	if declare != nil {
		declare(n)
	}
	if address == "" {
		address = "127.0.0.1:0"
	}
	if err := n.Listen("tcp", address); err != nil {
		tb.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			if err := n.Close(); err != nil {
				tb.Errorf("Close: %v", err)
			}
			if err := <-served; !errors.Is(err, node.ErrClosed) {
				tb.Errorf("Serve returned %v, want ErrClosed", err)
			}
		})
	}
	tb.Cleanup(stop)
	eventually(tb, "the node is ready", func() bool { return n.Ready(context.Background()) == nil })
	return n, stop
}

func urlOf(n *node.Node) string { return "ws://" + n.Addr().String() + "/ws" }

// quick reconnects fast.
var quick = client.Reconnect{Base: time.Millisecond, Cap: 20 * time.Millisecond}

// dial connects, and closes at the end of the test.
func dial(tb testing.TB, address string, o client.Options) *client.Conn {
	tb.Helper()
	if o.Reconnect == (client.Reconnect{}) {
		o.Reconnect = quick
	}
	c, err := client.Dial(background(tb), address, o)
	if err != nil {
		tb.Fatalf("Dial: %v", err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// join dials, connects and joins.
func join(tb testing.TB, address string, o client.Options, namespace, room string) *client.Room {
	tb.Helper()
	ns, err := dial(tb, address, o).Connect(background(tb), namespace)
	if err != nil {
		tb.Fatalf("Connect: %v", err)
	}
	r, err := ns.JoinRoom(background(tb), room)
	if err != nil {
		tb.Fatalf("JoinRoom: %v", err)
	}
	return r
}

// in returns options with one declared namespace.
func in(name string, declared *client.Namespace) client.Options {
	return client.Options{Namespaces: map[string]*client.Namespace{name: declared}}
}

// declare returns a namespace with the handlers that register has registered.
func declare(register func(ns *client.Namespace)) *client.Namespace {
	ns := new(client.Namespace)
	register(ns)
	return ns
}

// states collects the changes of a Conn's state.
type states chan *client.StateEvent

func newStates() states { return make(states, 10000) }

func (s states) hear(_ context.Context, e *client.StateEvent) { s <- e }

// await returns the next change to a state; others are skipped.
func (s states) await(tb testing.TB, to client.State) *client.StateEvent {
	tb.Helper()
	for {
		if e := receive(tb, "the state "+to.String(), s); e.To == to {
			return e
		}
	}
}

// server accepts connections and lets the test play the server on each.
type server struct {
	tb       testing.TB
	listener net.Listener
	playing  sync.WaitGroup

	mu    sync.Mutex
	peers []*peer // guarded by mu
}

// peer is the server's end of one connection.
type peer struct {
	tb   testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// startServer upgrades every connection, and calls play with its number, from
// 0. The connection is closed when play returns.
func startServer(tb testing.TB, play func(number int, p *peer)) string {
	tb.Helper()
	return startRaw(tb, func(number int, p *peer) {
		if _, err := ws.Upgrade(struct {
			io.Reader
			io.Writer
		}{p.in, p.conn}); err == nil {
			play(number, p)
		}
	})
}

// startRaw is startServer without the upgrade.
func startRaw(tb testing.TB, play func(number int, p *peer)) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &server{tb: tb, listener: listener}
	s.playing.Go(func() {
		for number := 0; ; number++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p := &peer{tb: tb, conn: conn, in: bufio.NewReader(conn)}
			s.mu.Lock()
			s.peers = append(s.peers, p)
			s.mu.Unlock()
			s.playing.Go(func() {
				defer func() { _ = conn.Close() }()
				play(number, p)
			})
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		s.mu.Lock()
		for _, p := range s.peers {
			_ = p.conn.Close()
		}
		s.mu.Unlock()
		s.playing.Wait()
	})
	return "ws://" + listener.Addr().String() + "/ws"
}

// send writes a text message.
func (p *peer) send(text string) { p.frame(ws.NewTextFrame([]byte(text))) }

func (p *peer) frame(f ws.Frame) {
	var data bytes.Buffer
	_ = ws.WriteFrame(&data, f)
	p.write(data.Bytes())
}

// write sends raw bytes. It ignores errors: the client may have closed.
func (p *peer) write(data []byte) { _, _ = p.conn.Write(data) }

// readFrame reads a whole frame; no test has one of more than 1 MB.
func readFrame(r io.Reader) (ws.Frame, error) {
	header, err := ws.ReadHeader(r)
	if err != nil {
		return ws.Frame{Header: header}, err
	}
	if header.Length > 1<<20 {
		return ws.Frame{Header: header}, fmt.Errorf("a frame of %d bytes", header.Length)
	}
	payload := make([]byte, header.Length)
	_, err = io.ReadFull(r, payload)
	return ws.Frame{Header: header, Payload: payload}, err
}

// next reads the next frame, unmasked.
func (p *peer) next() (ws.Frame, error) {
	f, err := readFrame(p.in)
	if err == nil && !f.Header.Masked {
		p.tb.Errorf("a frame of the client is not masked")
	}
	return ws.UnmaskFrameInPlace(f), err
}

// text reads until the next text frame; "" at the end of the connection.
func (p *peer) text() string {
	for {
		f, err := p.next()
		switch {
		case err != nil || f.Header.OpCode == ws.OpClose:
			return ""
		case f.Header.OpCode == ws.OpText:
			return string(f.Payload)
		}
	}
}

// hello acknowledges the client.
func (p *peer) hello(id string) bool {
	if p.text() != "M positions volatile" {
		return false
	}
	p.send("A" + id)
	return true
}

// grant answers requests positively until the client goes, or stop returns
// true.
func (p *peer) grant(stop func(text string) bool) {
	p.answer(func(text string) (string, bool) {
		token, _, _ := strings.Cut(text, ";")
		return token + ";;;;;;", stop == nil || !stop(text)
	})
}

// answer answers asks until the client closes or how returns false.
func (p *peer) answer(how func(text string) (answer string, goOn bool)) {
	for {
		text := p.text()
		if text == "" {
			return
		}
		answer, goOn := how(text)
		if !goOn {
			return
		}
		if text[0] != ';' {
			p.send(answer)
		}
	}
}

// drain reads until the client closes.
func (p *peer) drain() {
	for {
		if f, err := p.next(); err != nil || f.Header.OpCode == ws.OpClose {
			return
		}
	}
}

func closeFrame(code wire.Code, reason string) ws.Frame {
	return ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), reason))
}
