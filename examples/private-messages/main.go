package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/stoa-io/stoa/codec"
	"github.com/stoa-io/stoa/examples/internal/run"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

const (
	namespace = "private"
	// patience is how long a receiver may take to confirm.
	patience = 5 * time.Second
)

// letter is the body of a message: a client sends it with To and receives it
// with From.
type letter struct {
	To   string `json:"to,omitempty"`
	From string `json:"from,omitempty"`
	Text string `json:"text"`
}

var errOffline = errors.New("the user is not here")

// userKey is the key of the user's name among a connection's values.
type userKey struct{}

func user(c *node.NSConn) string { return c.Conn().Value(userKey{}).(string) }

// There are two ways to find a user's connections.
//
// A room per user: the application joins every connection of a user to it, and
// emits into the room. A message reaches all devices of the user, on every
// node. The application keeps no state, because the node removes a closed
// connection from its rooms. Prefer this way.
//
// A directory of connection IDs: it leads to one connection, here the latest.
// The application must keep it up to date. Here each node has its own users
// only; a cluster needs a shared database. An ID itself works on every node.

// roomOf returns the name of a user's room. OnJoin refuses the clients' own
// joins, or every client could read everything.
func roomOf(name string) string { return "user:" + name }

// directory maps a user to the user's latest connection.
type directory struct {
	mu  sync.Mutex
	ids map[string]string // guarded by mu; by name
}

func (d *directory) enter(name, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids[name] = id
}

// leave removes a connection, unless the user has a newer one.
func (d *directory) leave(name, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids[name] == id {
		delete(d.ids, name)
	}
}

func (d *directory) find(name string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ids[name]
}

func newNode() (*node.Node, error) {
	n, err := node.New(node.Config{})
	if err != nil {
		return nil, err
	}
	people := &directory{ids: make(map[string]string)}
	// The name in the URL is not checked. See examples/mount for a login.
	n.OnAccept(func(_ context.Context, a *node.Accept) error {
		name := a.Request.URL.Query().Get("user")
		if name == "" || len(name) > 64 || !utf8.ValidString(name) {
			return node.Refuse(http.StatusBadRequest, "want ?user= with 1 to 64 bytes of text")
		}
		a.Set(userKey{}, name)
		return nil
	})
	private := n.Namespace(namespace, node.NamespaceOptions{})
	private.OnJoin(func(context.Context, *node.JoinRequest) error { return wire.ErrForbidden })
	private.OnConnected(func(ctx context.Context, e *node.ConnectedEvent) {
		name, conn := user(e.NSConn), e.NSConn.Conn()
		people.enter(name, conn.ID())
		if _, err := e.NSConn.JoinRoom(ctx, roomOf(name)); err != nil {
			// Without its room the client would miss messages unnoticed.
			conn.Close(wire.CodeInternalError, "cannot join the room of the user")
		}
	})
	private.OnDisconnected(func(_ context.Context, e *node.DisconnectedEvent) {
		people.leave(user(e.NSConn), e.NSConn.Conn().ID())
	})
	declare(private, n, people)
	return n, nil
}

// declare registers the handlers of the clients' messages.
func declare(private *node.Namespace, n *node.Node, people *directory) {
	node.OnAsk(private, "send", codec.JSON{}, func(ctx context.Context, r *node.AskRequest, l letter) (string, error) {
		return confirmed(ctx, user(r.NSConn), l, func(ctx context.Context, m node.Message) (node.Answer, error) {
			m.Room = roomOf(l.To)
			// The first device that confirms is enough.
			return n.AskRoom(ctx, m)
		})
	})
	node.OnAsk(private, "whisper", codec.JSON{}, func(ctx context.Context, r *node.AskRequest, l letter) (string, error) {
		return confirmed(ctx, user(r.NSConn), l, func(ctx context.Context, m node.Message) (node.Answer, error) {
			return n.Ask(ctx, people.find(l.To), m)
		})
	})
	// An emit has no answer, so its sender gets no confirmation.
	node.OnEmit(private, "note", codec.JSON{}, func(ctx context.Context, e *node.EmitEvent, l letter) error {
		m := message(user(e.NSConn), l)
		m.Room = roomOf(l.To)
		return n.Emit(ctx, m, node.EmitOptions{})
	})
	// The same to the one connection of the directory. EmitTo fails if the
	// connection has closed.
	node.OnEmit(private, "murmur", codec.JSON{}, func(ctx context.Context, e *node.EmitEvent, l letter) error {
		return n.EmitTo(ctx, people.find(l.To), message(user(e.NSConn), l))
	})
}

// message returns the message for the receiver. The sender's name is that of
// its connection.
func message(from string, l letter) node.Message {
	body, _ := json.Marshal(letter{From: from, Text: l.Text}) // of strings only, so there is no error
	return node.Message{Namespace: namespace, Event: "message", Body: body}
}

// confirmed sends a letter as an ask and returns the receiver's answer. While
// the handler waits for it, only the sender's further messages are queued.
func confirmed(ctx context.Context, from string, l letter, ask func(context.Context, node.Message) (node.Answer, error)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := ask(ctx, message(from, l))
	switch {
	case errors.Is(err, wire.ErrNobody) || errors.Is(err, wire.ErrGone):
		return "", errOffline
	case errors.Is(err, context.DeadlineExceeded):
		return "", errors.New("sent, but not confirmed")
	case err != nil:
		return "", err
	}
	return string(answer.Body), nil
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	n, err := newNode()
	if err != nil {
		log.Fatal(err)
	}
	run.Serve(run.Context(), n, *listen, "/ws?user=NAME")
}
