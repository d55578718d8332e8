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
	// The accept handler reads the HTTP request and keeps the name for later.
	// It trusts the name in the URL; examples/mount checks a cookie.
	n.OnAccept(func(_ context.Context, a *node.Accept) error {
		name := strings.TrimSpace(a.Request.URL.Query().Get("name"))
		if len(name) > maxName {
			return node.Refuse(400, "this name is too long")
		}
		a.Set(nameKey{}, strings.ToValidUTF8(name, "?"))
		return nil
	})

	// RelayRooms: an event that a member emits into a room reaches the room's
	// other members.
	chat := n.Namespace(namespace, node.NamespaceOptions{Relay: node.RelayRooms})

	// The client receives the error's text as the answer to its join.
	chat.OnJoin(func(_ context.Context, r *node.JoinRequest) error {
		if nameOf(r.NSConn) == "" {
			return errors.New("say who you are: dial with ?name=")
		}
		return nil
	})

	// OnLeft is called for every reason: the client left the room,
	// disconnected, or lost its connection.
	chat.OnJoined(func(ctx context.Context, e *node.JoinedEvent) { announce(ctx, e.Room, "came") })
	chat.OnLeft(func(ctx context.Context, e *node.LeftEvent) { announce(ctx, e.Room, "went") })

	// This handler checks and changes a message before the other members
	// receive it.
	chat.OnRelay("chat", func(_ context.Context, r *node.RelayRequest) error {
		text, err := tidy(r.Body)
		if err != nil {
			// An emit has no answer, so an event notifies the sender.
			refused := node.Message{Namespace: namespace, Room: r.Room, Event: "refused", Body: []byte(err.Error())}
			return errors.Join(err, r.NSConn.Conn().Write(refused))
		}
		r.Body, r.Binary = []byte(nameOf(r.NSConn)+": "+text), false
		return nil
	})

	// All other events are refused, or a client could emit "came" in another
	// name.
	chat.OnAnyRelay(func(context.Context, *node.RelayRequest) error {
		return errors.New(`only "chat" is relayed`)
	})
}

// announce emits an event about a member to the room's other members.
func announce(ctx context.Context, r *node.Room, event string) {
	if err := r.EmitToOthers(ctx, event, []byte(nameOf(r.NSConn()))); err != nil {
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
