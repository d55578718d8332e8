package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// peer is a node that the commands which are clients are tried on. Namespaces:
// "default", which relays and has the events below, and "deny", which refuses. Nobody
// can join the room "locked". A connection with the parameter "refuse" is refused.
//
// Asks: echo, fail (answers with an error that would clear the screen), silent (never
// answers), header (the value of the header or parameter that the body names). Emits:
// note goes to notes, push comes back, bye closes the connection with the code in the
// body.
type peer struct {
	node    *node.Node
	address string
	notes   chan node.Message
	opened  chan *node.Conn // the first ones
}

type peerRequest struct{}

func startPeer(t testing.TB) *peer {
	t.Helper()
	n, err := node.New(node.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{node: n, notes: make(chan node.Message, 10), opened: make(chan *node.Conn, 10)}
	n.OnAccept(func(_ context.Context, a *node.Accept) error {
		if reason := a.Request.URL.Query().Get("refuse"); reason != "" {
			return node.Refuse(http.StatusForbidden, reason)
		}
		a.Set(peerRequest{}, a.Request)
		return nil
	})
	n.OnOpened(func(_ context.Context, c *node.Conn) {
		select {
		case p.opened <- c:
		default: // the test does not look at them
		}
	})
	n.Namespace("deny").OnConnect(func(context.Context, *node.Conn, []byte) error { return errors.New("not allowed") })
	p.declare(n.Namespace("default").Configure(node.NamespaceOptions{Relay: true, Broadcast: true, Asks: true}))
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	p.address = n.Addr().String()
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	t.Cleanup(func() {
		_ = n.Close() // a test may have closed it
		if err := <-served; !errors.Is(err, node.ErrClosed) {
			t.Error(err)
		}
	})
	return p
}

func (p *peer) declare(ns *node.Namespace) {
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
		<-ctx.Done() // the connection has ended
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

// note returns the next message that was noted.
func (p *peer) note(t testing.TB) node.Message {
	t.Helper()
	select {
	case m := <-p.notes:
		return m
	case <-time.After(patience):
		t.Fatal("no message has arrived")
		return node.Message{}
	}
}

// records are the JSON lines that were written.
func (p *program) records(t testing.TB) []record {
	t.Helper()
	var all []record
	decoder := json.NewDecoder(strings.NewReader(p.stdout.String()))
	for {
		var r record
		err := decoder.Decode(&r)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, p.stdout)
		}
		all = append(all, r)
	}
}

// find returns the only record that wanted accepts.
func find(t testing.TB, all []record, what string, wanted func(r *record) bool) record {
	t.Helper()
	var found []record
	for _, r := range all {
		if wanted(&r) {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s: got %d records, want one of:\n%+v", what, len(found), all)
	}
	return found[0]
}
