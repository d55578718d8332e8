package hostile_test

import (
	"bufio"
	"bytes"
	"errors"
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

func TestMain(m *testing.M) { os.Exit(testkit.Run(m, os.Stderr)) }

// startNode serves a node whose namespace relays everything.
func startNode(t *testing.T, configure func(*node.Config)) *node.Node {
	t.Helper()
	cfg := node.Config{
		Loops:      2,
		Namespaces: map[string]node.NamespaceOptions{"default": {Relay: node.RelayRooms | node.RelayAsks}},
	}
	if configure != nil {
		configure(&cfg)
	}
	n, err := node.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		<-served
	})
	testkit.Eventually(t, "the node serves", func() bool { return n.Ready(t.Context()) == nil })
	return n
}

// peer is a client of bare frames.
type peer struct {
	conn net.Conn
	in   *bufio.Reader
	id   string
}

// join opens a connection that is in one room.
func join(t *testing.T, n *node.Node, room string) *peer {
	t.Helper()
	p := dial(t, n)
	p.connect(t, "default")
	p.join(t, room)
	return p
}

// dial opens a connection.
func dial(t *testing.T, n *node.Node) *peer {
	t.Helper()
	p, err := open(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.conn.Close() })
	return p
}

// connect connects to a namespace.
func (p *peer) connect(t testing.TB, namespace string) {
	t.Helper()
	p.send(t, "$c;"+namespace+";;_OnNamespaceConnect;0;0;")
	p.next(t)
}

// join joins a room.
func (p *peer) join(t testing.TB, room string) {
	t.Helper()
	p.send(t, "$j;default;"+room+";_OnRoomJoin;0;0;")
	p.next(t)
}

func open(n *node.Node) (*peer, error) { return openAs(n, "M") }

// openAs opens a connection with a hello.
func openAs(n *node.Node, hello string) (*peer, error) {
	conn, err := net.Dial("tcp", n.Addr().String())
	if err != nil {
		return nil, err
	}
	p := &peer{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	_, err = io.WriteString(conn, testkit.UpgradeRequest("/ws"))
	if err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("upgrade: %s", response.Status)
	}
	if _, err := conn.Write(textFrame(hello)); err != nil {
		return nil, err
	}
	acknowledged, err := p.read()
	if err != nil {
		return nil, err
	}
	p.id = strings.TrimPrefix(acknowledged, "A")
	return p, nil
}

// textFrame is a masked text frame.
func textFrame(text string) []byte { return testkit.ClientFrame(ws.OpText, true, text) }

func (p *peer) send(t testing.TB, text string) {
	t.Helper()
	if _, err := p.conn.Write(textFrame(text)); err != nil {
		t.Errorf("write: %v", err)
	}
}

// read returns the next text; pings are skipped.
func (p *peer) read() (string, error) {
	f, err := testkit.NextFrame(p.conn, p.in)
	switch {
	case err != nil:
		return "", err
	case f.Header.OpCode != ws.OpText:
		return "", errors.New(testkit.DescribeFrame(f))
	}
	return string(f.Payload), nil
}

func (p *peer) next(t testing.TB) string {
	t.Helper()
	text, err := p.read()
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return text
}

func dialRaw(n *node.Node) (net.Conn, error) { return net.Dial("tcp", n.Addr().String()) }

// skipTo discards everything up to a text, at little cost: an attacker must not
// take the processor that the node and the innocent clients need.
func (p *peer) skipTo(text string) error {
	_ = p.conn.SetReadDeadline(time.Now().Add(testkit.Patience))
	for {
		if _, err := p.in.Peek(len(text)); err != nil {
			return err
		}
		data, _ := p.in.Peek(p.in.Buffered())
		if i := bytes.Index(data, []byte(text)); i >= 0 {
			_, _ = p.in.Discard(i + len(text))
			return nil
		}
		_, _ = p.in.Discard(len(data) - len(text) + 1)
	}
}
