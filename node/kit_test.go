package node_test

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
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

const patience = testkit.Patience

// upgradeRequest is a valid request for path, with optional header lines.
var upgradeRequest = testkit.UpgradeRequest

var describe = testkit.DescribeFrame

func TestMain(m *testing.M) {
	// Tests that run in parallel wait most of the time, so there may be more of
	// them than processors. The flag on the command line has precedence.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(testkit.Run(m, os.Stderr))
}

// eventually waits until a condition is true.
func eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	testkit.Eventually(tb, what, condition)
}

// testTransport is the transport under test; the tests run once for each.
func testTransport(tb testing.TB) node.Transport {
	switch name := os.Getenv("STOA_TEST_TRANSPORT"); name {
	case "", "auto":
		return node.TransportAuto
	case "epoll":
		return node.TransportEpoll
	case "blocking", "stream":
		return node.TransportBlocking
	default:
		tb.Fatalf("STOA_TEST_TRANSPORT=%q: want auto, epoll or blocking", name)
		return 0
	}
}

// newNode makes a node that relays in "default" (rooms and namespace) and
// "rooms" (rooms only); its namespace "closed" relays nothing.
func newNode(tb testing.TB, change func(*node.Config)) *node.Node {
	tb.Helper()
	cfg := node.Config{
		Loops:     2,
		Transport: testTransport(tb),
		Namespaces: map[string]node.NamespaceOptions{
			"default": {Relay: node.RelayRooms | node.RelayNamespace},
			"rooms":   {Relay: node.RelayRooms},
			"closed":  {},
		},
	}
	if change != nil {
		change(&cfg)
	}
	n, err := node.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// startNode serves a node on a free port until the test ends.
func startNode(tb testing.TB, change func(*node.Config)) *node.Node {
	tb.Helper()
	return startHandling(tb, change, func(*node.Node) {})
}

// startHandling is startNode with handlers.
func startHandling(tb testing.TB, change func(*node.Config), declare func(*node.Node)) *node.Node {
	tb.Helper()
	n := newNode(tb, change)
	declare(n)
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	serve(tb, n)
	return n
}

// serve serves a listening node until the test ends.
func serve(tb testing.TB, n *node.Node) {
	tb.Helper()
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := n.Shutdown(ctx); err != nil {
			tb.Errorf("Shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, node.ErrClosed) {
			tb.Errorf("Serve returned %v, want ErrClosed", err)
		}
	})
	eventually(tb, "the node is ready", func() bool { return n.Ready(context.Background()) == nil })
}

// peer is a raw WebSocket client that sends and sees every byte.
type peer struct {
	tb   testing.TB
	conn net.Conn
	in   *bufio.Reader
	id   string
}

// connectTCP opens a connection and sends nothing.
func connectTCP(tb testing.TB, n *node.Node) *peer {
	tb.Helper()
	conn, err := net.Dial("tcp", n.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return &peer{tb: tb, conn: conn, in: bufio.NewReader(conn)}
}

// upgrade opens a WebSocket and sends no hello.
func upgrade(tb testing.TB, n *node.Node) *peer {
	tb.Helper()
	p := connectTCP(tb, n)
	p.write(upgradeRequest("/ws"))
	response := p.response()
	if response.StatusCode != http.StatusSwitchingProtocols {
		tb.Fatalf("upgrade answered %s, want 101", response.Status)
	}
	return p
}

// dial opens a WebSocket and waits for the acknowledgement.
func dial(tb testing.TB, n *node.Node) *peer {
	tb.Helper()
	p := upgrade(tb, n)
	p.send("M")
	ack := p.next()
	if ack.Header.OpCode != ws.OpText || len(ack.Payload) < 2 || ack.Payload[0] != 'A' {
		tb.Fatalf("hello was answered %s, want A and an ID", describe(ack))
	}
	p.id = string(ack.Payload[1:])
	return p
}

// join dials, connects to a namespace, and joins its rooms.
func join(tb testing.TB, n *node.Node, namespace string, rooms ...string) *peer {
	tb.Helper()
	p := dial(tb, n)
	p.send("$c;" + namespace + ";;_OnNamespaceConnect;0;0;")
	p.expect("$c;;;;;;")
	for i, room := range rooms {
		token := fmt.Sprintf("$j%d", i)
		p.send(token + ";" + namespace + ";" + room + ";_OnRoomJoin;0;0;")
		p.expect(token + ";;;;;;")
	}
	return p
}

// write sends raw bytes.
func (p *peer) write(data string) {
	p.tb.Helper()
	if _, err := io.WriteString(p.conn, data); err != nil {
		p.tb.Fatalf("write: %v", err)
	}
}

// frame is a masked frame as raw bytes.
func frame(op ws.OpCode, fin bool, payload string) string {
	return string(testkit.ClientFrame(op, fin, payload))
}

// send sends a text message, sendBinary a binary one.
func (p *peer) send(text string)       { p.tb.Helper(); p.write(frame(ws.OpText, true, text)) }
func (p *peer) sendBinary(data string) { p.tb.Helper(); p.write(frame(ws.OpBinary, true, data)) }

// response reads an HTTP response with its body.
func (p *peer) response() *http.Response {
	p.tb.Helper()
	p.deadline()
	response, err := http.ReadResponse(p.in, nil)
	if err != nil {
		p.tb.Fatalf("read response: %v", err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			p.tb.Fatalf("read response: %v", err)
		}
		response.Body = io.NopCloser(bytes.NewReader(body))
	}
	return response
}

func (p *peer) deadline() { _ = p.conn.SetReadDeadline(time.Now().Add(patience)) }

// tryNext reads the next frame that is not a ping.
func (p *peer) tryNext() (ws.Frame, error) { return testkit.NextFrame(p.conn, p.in) }

func (p *peer) next() ws.Frame {
	p.tb.Helper()
	f, err := p.tryNext()
	if err != nil {
		p.tb.Fatalf("read frame: %v", err)
	}
	return f
}

// expect reads frames and compares them with these texts, in this order.
func (p *peer) expect(texts ...string) {
	p.tb.Helper()
	for _, want := range texts {
		if f := p.next(); f.Header.OpCode != ws.OpText || string(f.Payload) != want {
			p.tb.Fatalf("got %s, want text %.200q", describe(f), want)
		}
	}
}

// expectClose reads a close frame with this code, then the end.
func (p *peer) expectClose(code ws.StatusCode) {
	p.tb.Helper()
	f := p.next()
	if f.Header.OpCode != ws.OpClose {
		p.tb.Fatalf("got %s, want a close frame with %d", describe(f), code)
	}
	got := ws.StatusNoStatusRcvd
	if len(f.Payload) > 0 {
		got, _ = ws.ParseCloseFrameData(f.Payload)
	}
	if got != code {
		p.tb.Fatalf("closed with %s, want %d", describe(f), code)
	}
}

// expectEnd reads the end of the connection.
func (p *peer) expectEnd() {
	p.tb.Helper()
	if f, err := p.tryNext(); err == nil {
		p.tb.Fatalf("got %s, want the end of the connection", describe(f))
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		p.tb.Fatal("the connection is still open")
	}
}

// sync waits until all earlier messages are handled and returns the messages
// that arrived before the answer. It asks an event without a handler, which is
// answered in order.
func (p *peer) sync(namespace string) []string {
	p.tb.Helper()
	p.send("$sync;" + namespace + ";;nobody;0;0;")
	var before []string
	for {
		text := string(p.next().Payload)
		if strings.HasPrefix(text, "$sync;") {
			return before
		}
		before = append(before, text)
	}
}
