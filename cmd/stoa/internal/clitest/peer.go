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
// handles the events below; "deny" refuses every client,
// "closed" relays nothing. The room "locked"
// refuses every member. An upgrade with the parameter "refuse" is refused.
//
// Asks: echo; fail, answered with an error that would clear the screen; silent,
// never answered; header, the value of the header or parameter that the body
// names. Emits: note is stored for Note; push is sent back; bye closes the
// connection with the code in the body; gag and mute are refused, the second
// one on its way to the other members.
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
	n.OnOpened(func(_ context.Context, e *node.OpenedEvent) {
		select {
		case p.Opened <- e.Conn:
		default: // the test does not use them
		}
	})
	n.Namespace("closed", node.NamespaceOptions{})
	deny := n.Namespace("deny", node.NamespaceOptions{})
	deny.OnConnect(func(context.Context, *node.ConnectRequest) error { return errors.New("not allowed") })
	p.declare(n.Namespace("default", node.NamespaceOptions{Relay: node.RelayRooms | node.RelayNamespace | node.RelayAsks}))
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
	ns.OnJoin(func(_ context.Context, r *node.JoinRequest) error {
		if r.Room == "locked" {
			return errors.New("room is locked")
		}
		return nil
	})
	ns.OnAsk("echo", func(_ context.Context, r *node.AskRequest) error {
		r.Reply(r.Body)
		return nil
	})
	ns.OnAsk("fail", func(context.Context, *node.AskRequest) error { return errors.New("no\x1b[2J") })
	ns.OnAsk("silent", func(ctx context.Context, _ *node.AskRequest) error {
		<-ctx.Done() // the connection is closed
		return ctx.Err()
	})
	ns.OnAsk("header", func(_ context.Context, r *node.AskRequest) error {
		upgrade, name := r.NSConn.Conn().Value(peerRequest{}).(*http.Request), string(r.Body)
		r.Reply([]byte(upgrade.Header.Get(name) + upgrade.URL.Query().Get(name)))
		return nil
	})
	ns.OnEmit("note", func(_ context.Context, e *node.EmitEvent) error {
		p.notes <- e.Message
		return nil
	})
	ns.OnEmit("push", func(_ context.Context, e *node.EmitEvent) error {
		return e.NSConn.Conn().Write(node.Message{Namespace: e.Namespace, Event: "pushed", Body: e.Body, Binary: e.Binary})
	})
	ns.OnEmit("gag", func(context.Context, *node.EmitEvent) error { return errors.New("no\x1b[2J") })
	ns.OnRelay("mute", func(context.Context, *node.RelayRequest) error { return errors.New("not now") })
	ns.OnEmit("bye", func(_ context.Context, e *node.EmitEvent) error {
		number, reason, _ := strings.Cut(string(e.Body), " ")
		code, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return err
		}
		return e.NSConn.Conn().Close(wire.Code(code), reason)
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
