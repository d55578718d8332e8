package clitest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// Peer is a node for client commands. The namespace "default" relays and
// handles the events below; "deny" refuses every client. The room "locked"
// refuses every member. An upgrade with the parameter "refuse" is refused.
//
// Asks: echo; fail, answered with an error that would clear the screen; silent,
// never answered; header, the value of the header or parameter that the body
// names. Emits: note is stored for Note; push is sent back; bye closes the
// connection with the code in the body.
type Peer struct {
	Node    *node.Node
	Address string
	Opened  chan *node.Conn // the first connections
	notes   chan node.Message
}

type peerRequest struct{}

// StartPeer starts a peer for the duration of the test.
func StartPeer(t testing.TB) *Peer {
	t.Helper()
	n, err := node.New(node.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p := &Peer{Node: n, notes: make(chan node.Message, 10), Opened: make(chan *node.Conn, 10)}
	n.OnAccept(func(_ context.Context, a *node.Accept) error {
		if reason := a.Request.URL.Query().Get("refuse"); reason != "" {
			return node.Refuse(http.StatusForbidden, reason)
		}
		a.Set(peerRequest{}, a.Request)
		return nil
	})
	n.OnOpened(func(_ context.Context, c *node.Conn) {
		select {
		case p.Opened <- c:
		default: // the test does not use them
		}
	})
	n.Namespace("deny").OnConnect(func(context.Context, *node.Conn, []byte) error { return errors.New("not allowed") })
	p.declare(n.Namespace("default").Configure(node.NamespaceOptions{Relay: true, Broadcast: true, Asks: true}))
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	p.Address = n.Addr().String()
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	t.Cleanup(func() {
		_ = n.Close() // the test may have closed it
		if err := <-served; !errors.Is(err, node.ErrClosed) {
			t.Error(err)
		}
	})
	return p
}

func (p *Peer) declare(ns *node.Namespace) {
	ns.OnJoin(func(_ context.Context, _ *node.NSConn, room string) error {
		if room == "locked" {
			return errors.New("room is locked")
		}
		return nil
	})
	ns.OnAsk("echo", func(_ context.Context, _ *node.NSConn, m *node.Message) ([]byte, error) { return m.Body, nil })
	ns.OnAsk("fail", func(context.Context, *node.NSConn, *node.Message) ([]byte, error) {
		return nil, errors.New("no\x1b[2J")
	})
	ns.OnAsk("silent", func(ctx context.Context, _ *node.NSConn, _ *node.Message) ([]byte, error) {
		<-ctx.Done() // the connection is closed
		return nil, ctx.Err()
	})
	ns.OnAsk("header", func(_ context.Context, c *node.NSConn, m *node.Message) ([]byte, error) {
		r := c.Conn().Value(peerRequest{}).(*http.Request)
		return []byte(r.Header.Get(string(m.Body)) + r.URL.Query().Get(string(m.Body))), nil
	})
	ns.OnEmit("note", func(_ context.Context, _ *node.NSConn, m *node.Message) error {
		p.notes <- *m
		return nil
	})
	ns.OnEmit("push", func(_ context.Context, c *node.NSConn, m *node.Message) error {
		return c.Conn().Write(node.Message{Namespace: m.Namespace, Event: "pushed", Body: m.Body, Binary: m.Binary})
	})
	ns.OnEmit("bye", func(_ context.Context, c *node.NSConn, m *node.Message) error {
		number, reason, _ := strings.Cut(string(m.Body), " ")
		code, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return err
		}
		return c.Conn().Close(wire.Code(code), reason)
	})
}

// Note returns the next message with the event note.
func (p *Peer) Note(t testing.TB) node.Message {
	t.Helper()
	select {
	case m := <-p.notes:
		return m
	case <-time.After(testkit.Patience):
		t.Fatal("no message arrived")
		return node.Message{}
	}
}

// ClosedAddress returns an address without a listener.
func ClosedAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// OpenInput returns a standard input that stays open and empty until the test
// ends.
func OpenInput(t testing.TB) io.Reader {
	reader, writer := io.Pipe()
	t.Cleanup(func() { _ = writer.Close() }) // it cannot fail
	return reader
}
