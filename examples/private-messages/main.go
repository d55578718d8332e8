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

// letter is what a client sends: to; and gets: from.
type letter struct {
	To   string `json:"to,omitempty"`
	From string `json:"from,omitempty"`
	Text string `json:"text"`
}

var errAway = errors.New("the user is not here")

// userKey is the key of the user's name among a connection's values.
type userKey struct{}

func user(c *node.NSConn) string { return c.Conn().Value(userKey{}).(string) }

// There are two ways to find a user's connections.
//
// A room per user: the program puts every connection of a user into it, and
// sends into the room. It reaches all devices of the user, whichever node they
// are connected to, and there is nothing to keep: the node takes a connection
// out of its rooms when it ends. This is the better one.
//
// A directory of connection IDs, which the program keeps: it reaches one
// certain connection, the latest here, and the program may decide which. It
// must be kept up to date, and each node knows its own users only; in a cluster
// it would have to live in a database. An ID itself works on every node.

// roomOf is the room of a user. Clients cannot join rooms here (see OnJoin), or
// every client could read everything.
func roomOf(name string) string { return "user:" + name }

// directory says which connection a user had last.
type directory struct {
	mu  sync.Mutex
	ids map[string]string // guarded by mu; by name
}

func (d *directory) enter(name, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids[name] = id
}

// leave forgets a connection, unless the user has come back with another one.
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
	private := n.Namespace(namespace)
	private.OnJoin(func(context.Context, *node.NSConn, string) error { return wire.ErrForbidden })
	private.OnConnected(func(ctx context.Context, c *node.NSConn) {
		people.enter(user(c), c.Conn().ID())
		if _, err := c.JoinRoom(ctx, roomOf(user(c))); err != nil {
			// Without its room it would miss messages and not know.
			c.Conn().Close(wire.CodeInternalError, "cannot join the room of the user")
		}
	})
	private.OnDisconnected(func(_ context.Context, c *node.NSConn, _ bool) {
		people.leave(user(c), c.Conn().ID())
	})

	node.TypedAsk(private, "send", codec.JSON{}, func(ctx context.Context, c *node.NSConn, l letter) (string, error) {
		return confirmed(ctx, user(c), l, func(ctx context.Context, m node.Message) (node.Answer, error) {
			m.Room = roomOf(l.To)
			// The first device that confirms is enough.
			return n.AskRoom(ctx, m)
		})
	})
	node.TypedAsk(private, "whisper", codec.JSON{}, func(ctx context.Context, c *node.NSConn, l letter) (string, error) {
		return confirmed(ctx, user(c), l, func(ctx context.Context, m node.Message) (node.Answer, error) {
			return n.Ask(ctx, people.find(l.To), m)
		})
	})
	// An emit has no confirmation: the sender does not learn whether it has
	// arrived.
	node.TypedEmit(private, "note", codec.JSON{}, func(ctx context.Context, c *node.NSConn, l letter) error {
		m := message(user(c), l)
		m.Room = roomOf(l.To)
		return n.Emit(ctx, m)
	})
	// The same to the one connection of the directory: the error says at least
	// that it is gone.
	node.TypedEmit(private, "murmur", codec.JSON{}, func(ctx context.Context, c *node.NSConn, l letter) error {
		return n.EmitTo(ctx, people.find(l.To), message(user(c), l))
	})
	return n, nil
}

// message is what the receiver gets. The sender is who the program knows it to
// be.
func message(from string, l letter) node.Message {
	body, _ := json.Marshal(letter{From: from, Text: l.Text}) // of strings only, so there is no error
	return node.Message{Namespace: namespace, Event: "message", Body: body}
}

// confirmed sends by asking, and returns the receiver's answer. The handler
// waits for it, and so do only the sender's further messages.
func confirmed(ctx context.Context, from string, l letter, ask func(context.Context, node.Message) (node.Answer, error)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := ask(ctx, message(from, l))
	switch {
	case errors.Is(err, wire.ErrNobody) || errors.Is(err, wire.ErrGone):
		return "", errAway
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
