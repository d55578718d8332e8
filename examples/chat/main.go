package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"log"
	"regexp"
	"strings"

	"github.com/stoa-io/stoa/examples/internal/run"
	"github.com/stoa-io/stoa/node"
)

const (
	namespace  = "chat"
	maxName    = 40
	maxMessage = 500
)

// nameKey is the key of the client's name among its connection's values.
type nameKey struct{}

func nameOf(c *node.NSConn) string { return c.Conn().Value(nameKey{}).(string) }

var swearing = regexp.MustCompile(`(?i)\b(damn|bloody|crap)\b`)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	n, err := node.New(node.Config{})
	if err != nil {
		log.Fatal(err)
	}
	declare(n)
	run.Serve(run.Context(), n, *listen, "/ws?name=Ada")
}

func declare(n *node.Node) {
	// The accept handler sees the HTTP request and keeps the name for later. It
	// trusts the name in the URL; examples/mount checks a cookie.
	n.OnAccept(func(_ context.Context, a *node.Accept) error {
		name := strings.TrimSpace(a.Request.URL.Query().Get("name"))
		if len(name) > maxName {
			return node.Refuse(400, "this name is too long")
		}
		a.Set(nameKey{}, strings.ToValidUTF8(name, "?"))
		return nil
	})

	// Relay: what a member emits into a room goes to the room's other members.
	chat := n.Namespace(namespace).Configure(node.NamespaceOptions{Relay: true})

	// The error's text is what the client gets for its join.
	chat.OnJoin(func(_ context.Context, c *node.NSConn, _ string) error {
		if nameOf(c) == "" {
			return errors.New("say who you are: dial with ?name=")
		}
		return nil
	})

	// Broadcast reaches all members but the one whose room this is. Left is
	// called for every reason: the client has left the room, has disconnected,
	// or its connection is lost.
	chat.OnJoined(func(ctx context.Context, r *node.Room) { tell(ctx, r, "came") })
	chat.OnLeft(func(ctx context.Context, r *node.Room, _ bool) { tell(ctx, r, "went") })

	// This handler stands between the sender and the others.
	chat.OnRelay("chat", func(_ context.Context, c *node.NSConn, m *node.Message) error {
		text, err := tidy(m.Body)
		if err != nil {
			// An emit has no answer, so an event notifies the sender.
			refused := node.Message{Namespace: namespace, Room: m.Room, Event: "refused", Body: []byte(err.Error())}
			return errors.Join(err, c.Conn().Write(refused))
		}
		m.Body, m.Binary = []byte(nameOf(c)+": "+text), false
		return nil
	})

	// Every other event: else a client could say "came" in another name.
	chat.OnAnyRelay(func(context.Context, *node.NSConn, *node.Message) error {
		return errors.New(`only "chat" is relayed`)
	})
}

// tell tells a room's other members about one.
func tell(ctx context.Context, r *node.Room, event string) {
	if err := r.Broadcast(ctx, event, []byte(nameOf(r.NSConn()))); err != nil {
		log.Printf("%s: %v", event, err)
	}
}

// tidy returns the part of a text that may be relayed.
func tidy(body []byte) (string, error) {
	text := string(bytes.ToValidUTF8(bytes.TrimSpace(body), []byte("?")))
	switch {
	case text == "":
		return "", errors.New("there is nothing in it")
	case len(text) > maxMessage:
		return "", errors.New("that is too long")
	case swearing.MatchString(text):
		return "", errors.New("no swearing, please")
	}
	return text, nil
}
