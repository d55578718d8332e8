package hostile_test

import (
	"bufio"
	"bytes"
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

const patience = 30 * time.Second

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
	p, err := open(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.conn.Close() })
	p.send(t, "$c;default;;_OnNamespaceConnect;0;0;")
	p.next(t)
	p.send(t, "$j;default;"+room+";_OnRoomJoin;0;0;")
	p.next(t)
	return p
}

func open(n *node.Node) (*peer, error) {
	conn, err := net.Dial("tcp", n.Addr().String())
	if err != nil {
		return nil, err
	}
	p := &peer{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	_, err = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: stoa.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
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
	if _, err := conn.Write(textFrame("M")); err != nil {
		return nil, err
	}
	hello, err := p.read()
	if err != nil {
		return nil, err
	}
	p.id = strings.TrimPrefix(hello, "A")
	return p, nil
}

// textFrame is a masked text frame.
func textFrame(text string) []byte {
	var b bytes.Buffer
	_ = ws.WriteFrame(&b, ws.MaskFrameInPlace(ws.NewTextFrame([]byte(text))))
	return b.Bytes()
}

func (p *peer) send(t testing.TB, text string) {
	t.Helper()
	if _, err := p.conn.Write(textFrame(text)); err != nil {
		t.Errorf("write: %v", err)
	}
}

// read returns the next text; pings are skipped.
func (p *peer) read() (string, error) {
	for {
		_ = p.conn.SetReadDeadline(time.Now().Add(patience))
		f, err := testkit.ReadFrame(p.in)
		switch {
		case err != nil:
			return "", err
		case f.Header.OpCode == ws.OpClose:
			code, reason := ws.ParseCloseFrameData(f.Payload)
			return "", fmt.Errorf("closed with %d %s", code, reason)
		case f.Header.OpCode == ws.OpText:
			return string(f.Payload), nil
		}
	}
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
