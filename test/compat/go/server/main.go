package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/kataras/neffos"
	"github.com/kataras/neffos/gorilla"
)

// patience bounds the asks of the server.
const patience = 10 * time.Second

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	server := neffos.New(gorilla.DefaultUpgrader, namespaces())
	// The other broadcaster drops messages that follow each other quickly.
	server.SyncBroadcaster = true
	server.OnConnect = accept
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/ws", server)
	fmt.Printf("listening on ws://%s/ws\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}

func accept(c *neffos.Conn) error {
	query := c.Socket().Request().URL.Query()
	if reason := query.Get("refuse"); reason != "" {
		return errors.New(reason)
	}
	if namespace := query.Get("bring"); namespace != "" {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			// A client ignores a connect that arrives before its
			// acknowledgment.
			time.Sleep(100 * time.Millisecond)
			if _, err := c.Connect(ctx, namespace); err != nil {
				log.Printf("%s: not brought in: %v", c.ID(), err)
			}
		}()
	}
	return nil
}

func namespaces() neffos.Namespaces {
	echo := func(_ *neffos.NSConn, m neffos.Message) error { return neffos.Reply(m.Body) }
	return neffos.Namespaces{
		"default": events(),
		"second":  neffos.Events{"echo": echo},
		"brought": neffos.Events{"echo": echo},
		"deny": neffos.Events{neffos.OnNamespaceConnect: func(*neffos.NSConn, neffos.Message) error {
			return errors.New("not allowed")
		}},
		"n;s": neffos.Events{"e;v": echo},
		"":    neffos.Events{neffos.OnNativeMessage: native},
	}
}

func native(ns *neffos.NSConn, m neffos.Message) error {
	ns.Conn.Write(neffos.Message{IsNative: true, SetBinary: m.SetBinary, Body: append([]byte("native:"), m.Body...)})
	return nil
}

func events() neffos.Events {
	return neffos.Events{
		neffos.OnRoomJoin: func(_ *neffos.NSConn, m neffos.Message) error {
			if m.Room == "locked" {
				return errors.New("room is locked")
			}
			return nil
		},
		neffos.OnRoomLeave: func(_ *neffos.NSConn, m neffos.Message) error {
			if m.Room == "sticky" && !m.IsForced {
				return errors.New("cannot leave")
			}
			return nil
		},
		"chat": func(ns *neffos.NSConn, m neffos.Message) error {
			ns.Conn.Server().Broadcast(ns, neffos.Message{
				Namespace: m.Namespace, Room: m.Room, Event: m.Event, Body: m.Body, SetBinary: m.SetBinary,
			})
			return nil
		},
		"echo":   func(_ *neffos.NSConn, m neffos.Message) error { return neffos.Reply(m.Body) },
		"fail":   func(*neffos.NSConn, neffos.Message) error { return errors.New("boom;1") },
		"silent": func(*neffos.NSConn, neffos.Message) error { return nil },
		"header": func(ns *neffos.NSConn, m neffos.Message) error {
			return neffos.Reply([]byte(ns.Conn.Socket().Request().Header.Get(string(m.Body))))
		},
		"push": func(ns *neffos.NSConn, m neffos.Message) error {
			ns.Emit("pushed", m.Body)
			return nil
		},
		"push-binary": func(ns *neffos.NSConn, m neffos.Message) error {
			ns.EmitBinary("pushed", m.Body)
			return nil
		},
		"do": do,
		"end": func(ns *neffos.NSConn, _ neffos.Message) error {
			ns.Conn.Close()
			return nil
		},
	}
}

// do sends the request in the body to the client and emits the result. It runs
// inside the handler, where an ask of neffos reads the next frame itself; that is
// the answer as long as the client sends nothing else.
func do(ns *neffos.NSConn, m neffos.Message) error {
	var wanted, argument string
	if _, err := fmt.Sscan(string(m.Body), &wanted, &argument); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	result := "done"
	var err error
	switch wanted {
	case "ask":
		var answer neffos.Message
		if answer, err = ns.Ask(ctx, argument, []byte("from the server")); err == nil {
			result = string(answer.Body)
		}
	case "connect":
		_, err = ns.Conn.Connect(ctx, argument)
	case "join":
		_, err = ns.JoinRoom(ctx, argument)
	case "leave":
		if room := ns.Room(argument); room == nil {
			err = neffos.ErrBadRoom
		} else {
			err = room.Leave(ctx)
		}
	case "disconnect":
		if other := ns.Conn.Namespace(argument); other == nil {
			err = neffos.ErrBadNamespace
		} else {
			err = other.Disconnect(ctx)
		}
	default:
		err = errors.New("what?")
	}
	if err != nil {
		result = "error: " + err.Error()
	}
	ns.Emit("did", []byte(result))
	return nil
}
