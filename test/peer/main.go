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

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// patience bounds the requests of the server to a client.
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
	// The tested pages are served by other servers.
	n, err := node.New(node.Config{AllowOrigins: []string{"*"}, Subprotocols: []string{"chat.v1"}})
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
			return refuse(reason, query.Get("status"))
		}
		a.Set(requestKey{}, request{a.Request.Header, query})
		if life := query.Get("life"); life != "" {
			id, err := living(life)
			a.Identity = id
			return err
		}
		return nil
	})
	n.OnAuthenticate(func(_ context.Context, r *node.AuthenticateRequest) (access.Identity, error) { return living(r.Token) })
	n.OnOpened(func(ctx context.Context, e *node.OpenedEvent) {
		namespace := requestOf(e.Conn).query.Get("bring")
		if namespace == "" {
			return
		}
		if _, err := e.Conn.Connect(ctx, namespace); err != nil {
			log.Printf("%s: not brought in: %v", e.Conn.ID(), err)
		}
	})
	for _, name := range []string{"second", "brought"} {
		n.Namespace(name, node.NamespaceOptions{}).OnAsk("echo", echo)
	}
	n.Namespace("deny", node.NamespaceOptions{}).OnConnect(func(context.Context, *node.ConnectRequest) error {
		return errors.New("not allowed")
	})
	n.Namespace("n;s", node.NamespaceOptions{}).OnAsk("e;v", echo)
	n.Namespace("", node.NamespaceOptions{})
	n.OnNative(func(_ context.Context, e *node.NativeEvent) error {
		return e.Conn.WriteNative(append([]byte("native:"), e.Payload...), e.Binary)
	})
	n.Namespace("kept", node.NamespaceOptions{Relay: node.RelayRooms, History: node.HistoryOptions{Messages: 5}, Presence: node.PresenceRoster}).OnEmit("end", end)
	declareDefault(n.Namespace("default", node.NamespaceOptions{Relay: node.RelayRooms | node.RelayNamespace}))
}

func declareDefault(ns *node.Namespace) {
	ns.OnJoin(func(_ context.Context, r *node.JoinRequest) error {
		if r.Room == "locked" {
			return errors.New("room is locked")
		}
		return nil
	})
	ns.OnLeave(func(_ context.Context, r *node.LeaveRequest) error {
		if r.Room.Name() == "sticky" {
			return errors.New("cannot leave")
		}
		return nil
	})
	ns.OnAsk("echo", echo)
	ns.OnAsk("fail", func(context.Context, *node.AskRequest) error { return errors.New("boom;1") })
	ns.OnAsk("silent", func(ctx context.Context, _ *node.AskRequest) error {
		<-ctx.Done() // the connection has closed
		return ctx.Err()
	})
	ns.OnAsk("header", func(_ context.Context, r *node.AskRequest) error {
		upgrade, name := requestOf(r.NSConn.Conn()), string(r.Body)
		value := upgrade.header.Get(name)
		if value == "" {
			value = upgrade.query.Get(name)
		}
		r.Reply([]byte(value))
		return nil
	})
	ns.OnEmit("push", func(_ context.Context, e *node.EmitEvent) error {
		return e.NSConn.Emit("pushed", e.Body)
	})
	ns.OnEmit("push-binary", func(_ context.Context, e *node.EmitEvent) error {
		return e.NSConn.EmitBinary("pushed", e.Body)
	})
	ns.OnEmit("do", do)
	ns.OnEmit("end", end)
}

// living returns the identity of a user that ends after a duration.
func living(life string) (access.Identity, error) {
	d, err := time.ParseDuration(life)
	return access.Identity{User: "ann", Expires: time.Now().Add(d)}, err
}

// refuse refuses a client with the status, 403 unless it is a number. A client
// that may try again should wait for 300 ms.
func refuse(reason, status string) error {
	no := &node.Refusal{Status: http.StatusForbidden, Reason: reason, RetryAfter: 300 * time.Millisecond}
	if number, err := strconv.Atoi(status); err == nil {
		no.Status = number
	}
	return no
}

func echo(_ context.Context, r *node.AskRequest) error {
	r.Reply(r.Body)
	return nil
}

// end closes the connection with the code and the reason in the body.
func end(_ context.Context, e *node.EmitEvent) error {
	number, reason, _ := strings.Cut(string(e.Body), " ")
	code, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return err
	}
	return e.NSConn.Conn().Close(wire.Code(code), reason)
}

// do sends the client the request in the body, and emits the result.
func do(ctx context.Context, e *node.EmitEvent) error {
	name, argument, _ := strings.Cut(string(e.Body), " ")
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	result, err := execute(ctx, e.NSConn, name, argument)
	if err != nil {
		result = fmt.Sprint("error: ", err)
	}
	return e.NSConn.Emit("did", []byte(result))
}

func execute(ctx context.Context, c *node.NSConn, name, argument string) (string, error) {
	switch name {
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
