package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// patience bounds everything that the server asks a client.
const patience = 10 * time.Second

// requestKey is the key of the client's HTTP request among its connection's
// values.
type requestKey struct{}

// request holds the headers and parameters of the dial.
type request struct {
	header http.Header
	query  url.Values
}

func requestOf(c *node.Conn) request { return c.Value(requestKey{}).(request) }

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	// Pages that are tested come from other servers.
	n, err := node.New(node.Config{AllowOrigins: []string{"*"}})
	if err != nil {
		log.Fatal(err)
	}
	declare(n)
	if err := n.Listen("tcp", *listen); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on ws://%s/ws\n", n.Addr())
	asked, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	drained := make(chan error, 1)
	context.AfterFunc(asked, func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		drained <- n.Shutdown(ctx)
	})
	if err := n.Serve(); !errors.Is(err, node.ErrClosed) {
		log.Fatal(err)
	}
	if err := <-drained; err != nil {
		log.Fatal(err)
	}
}

func declare(n *node.Node) {
	n.OnAccept(func(_ context.Context, a *node.Accept) error {
		query := a.Request.URL.Query()
		if reason := query.Get("refuse"); reason != "" {
			return node.Refuse(http.StatusForbidden, reason)
		}
		a.Set(requestKey{}, request{a.Request.Header, query})
		return nil
	})
	n.OnOpened(func(ctx context.Context, c *node.Conn) {
		namespace := requestOf(c).query.Get("bring")
		if namespace == "" {
			return
		}
		if _, err := c.Connect(ctx, namespace); err != nil {
			log.Printf("%s: not brought in: %v", c.ID(), err)
		}
	})
	for _, name := range []string{"second", "brought"} {
		n.Namespace(name).OnAsk("echo", echo)
	}
	n.Namespace("deny").OnConnect(func(context.Context, *node.Conn, []byte) error { return errors.New("not allowed") })
	n.Namespace("n;s").OnAsk("e;v", echo)
	n.Namespace("")
	n.OnNative(func(_ context.Context, c *node.Conn, payload []byte, binary bool) error {
		return c.WriteNative(append([]byte("native:"), payload...), binary)
	})
	declareDefault(n.Namespace("default").Configure(node.NamespaceOptions{Relay: true, Broadcast: true}))
}

func declareDefault(ns *node.Namespace) {
	ns.OnJoin(func(_ context.Context, _ *node.NSConn, room string) error {
		if room == "locked" {
			return errors.New("room is locked")
		}
		return nil
	})
	ns.OnLeave(func(_ context.Context, r *node.Room) error {
		if r.Name() == "sticky" {
			return errors.New("cannot leave")
		}
		return nil
	})
	ns.OnAsk("echo", echo)
	ns.OnAsk("fail", func(context.Context, *node.NSConn, *node.Message) ([]byte, error) {
		return nil, errors.New("boom;1")
	})
	ns.OnAsk("silent", func(ctx context.Context, _ *node.NSConn, _ *node.Message) ([]byte, error) {
		<-ctx.Done() // the connection has ended
		return nil, ctx.Err()
	})
	ns.OnAsk("header", func(_ context.Context, c *node.NSConn, m *node.Message) ([]byte, error) {
		r, name := requestOf(c.Conn()), string(m.Body)
		if value := r.header.Get(name); value != "" {
			return []byte(value), nil
		}
		return []byte(r.query.Get(name)), nil
	})
	ns.OnEmit("push", func(_ context.Context, c *node.NSConn, m *node.Message) error {
		return c.Emit("pushed", m.Body)
	})
	ns.OnEmit("push-binary", func(_ context.Context, c *node.NSConn, m *node.Message) error {
		return c.EmitBinary("pushed", m.Body)
	})
	ns.OnEmit("do", do)
	ns.OnEmit("end", end)
}

func echo(_ context.Context, _ *node.NSConn, m *node.Message) ([]byte, error) { return m.Body, nil }

// end closes the connection as the body says.
func end(_ context.Context, c *node.NSConn, m *node.Message) error {
	number, reason, _ := strings.Cut(string(m.Body), " ")
	code, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return err
	}
	return c.Conn().Close(wire.Code(code), reason)
}

// do sends the client the request in the body, and emits the result.
func do(ctx context.Context, c *node.NSConn, m *node.Message) error {
	wanted, argument, _ := strings.Cut(string(m.Body), " ")
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	result, err := execute(ctx, c, wanted, argument)
	if err != nil {
		result = fmt.Sprint("error: ", err)
	}
	return c.Emit("did", []byte(result))
}

func execute(ctx context.Context, c *node.NSConn, wanted, argument string) (string, error) {
	switch wanted {
	case "ask":
		answer, err := c.Ask(ctx, argument, []byte("from the server"))
		return string(answer.Body), err
	case "connect":
		_, err := c.Conn().Connect(ctx, argument)
		return "done", err
	case "join":
		_, err := c.JoinRoom(ctx, argument)
		return "done", err
	case "leave":
		room := c.Room(argument)
		if room == nil {
			return "", wire.ErrBadRoom
		}
		return "done", room.Leave(ctx)
	case "disconnect":
		other := c.Conn().Namespace(argument)
		if other == nil {
			return "", wire.ErrBadNamespace
		}
		return "done", other.Disconnect(ctx)
	default:
		return "", errors.New("what?")
	}
}
