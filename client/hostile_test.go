package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/wire"
)

// This file tests the client against a server that wants its memory.

// force lets the server send requests, each with its number as the token, and
// counts the answers by their text; "" is a positive one.
func force(t *testing.T, p *peer, count int, request func(i int) string) map[string]int {
	t.Helper()
	go func() {
		for i := range count {
			p.send(fmt.Sprintf("%d%s", i+1, request(i)))
		}
	}()
	answers := make(map[string]int)
	for range count {
		text := p.text()
		m, err := wire.Parse([]byte(text), false)
		if err != nil {
			t.Errorf("the client answers %q: %v", text, err)
			return answers
		}
		answers[string(m.Body)]++
	}
	return answers
}

// A server can bring the client into a bounded number of namespaces and rooms,
// with names of bounded length. The application is not bounded.
func TestForcedNamespacesAndRoomsAreBounded(t *testing.T) {
	const forced = 5000
	type result = map[string]int
	results := make(chan result, 10)
	url := startServer(t, func(_ int, p *peer) {
		if !p.hello("id") {
			return
		}
		results <- force(t, p, forced, func(i int) string { return fmt.Sprintf(";n%d;;_OnNamespaceConnect;0;0;", i) })
		results <- force(t, p, forced, func(i int) string { return fmt.Sprintf(";n%d;r%d;_OnRoomJoin;0;0;", i%2, i) })
		results <- force(t, p, 1, func(int) string { return ";n0;r0;_OnRoomLeave;0;0;" })
		results <- force(t, p, 2, func(int) string { return ";n0;" + strings.Repeat("r", 2000) + ";_OnRoomJoin;0;0;" })
		results <- force(t, p, 2, func(i int) string { return fmt.Sprintf(";n0;again %d;_OnRoomJoin;0;0;", i) })
		p.grant(nil)
	})
	conn := dial(t, url, client.Options{DefaultNamespace: declare(func(*client.Namespace) {}), Reconnect: client.Reconnect{Off: true}})
	for i, want := range []result{
		{"": client.DefaultMaxNamespaces, "too many namespaces": forced - client.DefaultMaxNamespaces},
		{"": client.DefaultMaxRooms, "too many rooms": forced - client.DefaultMaxRooms},
		{"": 1},
		{"name too long": 2},
		{"": 1, "too many rooms": 1},
	} {
		if got := receive(t, "the answers", results); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("step %d: answers %v, want %v", i, got, want)
		}
	}
	if got := len(conn.Namespaces()); got != client.DefaultMaxNamespaces {
		t.Errorf("%d namespaces, want %d", got, client.DefaultMaxNamespaces)
	}
	rooms := len(conn.Namespace("n0").Rooms()) + len(conn.Namespace("n1").Rooms())
	if rooms != client.DefaultMaxRooms {
		t.Errorf("%d rooms, want %d", rooms, client.DefaultMaxRooms)
	}
	if _, err := conn.Connect(background(t), "own"); err != nil {
		t.Errorf("the application connects: %v", err)
	}
	if _, err := conn.Namespace("n0").JoinRoom(background(t), "own"); err != nil {
		t.Errorf("the application joins: %v", err)
	}
}

// The limits are options; a negative one is no limit.
func TestLimitsOfForcedRooms(t *testing.T) {
	for limit, want := range map[int]string{2: "map[:2 too many rooms:1998]", -1: "map[:2000]"} {
		results := make(chan string, 1)
		url := startServer(t, func(_ int, p *peer) {
			if p.hello("id") && len(force(t, p, 1, func(int) string { return ";n;;_OnNamespaceConnect;0;0;" })) == 1 {
				results <- fmt.Sprint(force(t, p, 2000, func(i int) string { return fmt.Sprintf(";n;r%d;_OnRoomJoin;0;0;", i) }))
			}
			p.drain()
		})
		o := in("n", declare(func(*client.Namespace) {}))
		o.MaxRooms = limit
		dial(t, url, o)
		if got := receive(t, "the answers", results); got != want {
			t.Errorf("with a limit of %d: %s, want %s", limit, got, want)
		}
	}
}

// Messages count with their names, tokens and bodies against the receive queue,
// also the requests that a handler decides about.
func TestQueuedMessagesCountWhole(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for name, message := range map[string]string{
		"the event of an emit": ";ns;;" + long + ";0;0;",
		"the room of an emit":  ";ns;" + long + ";e;0;0;",
		"the token of an ask":  long + ";ns;;e;0;0;",
		"the body of a join":   "1;ns;r;_OnRoomJoin;0;0;" + long,
	} {
		t.Run(name, func(t *testing.T) {
			url := startServer(t, func(_ int, p *peer) {
				if !p.hello("id") {
					return
				}
				go p.drain()
				p.send("1;ns;;_OnNamespaceConnect;0;0;")
				for i := range 50 {
					p.send(strings.Replace(message, "1;ns;r;", fmt.Sprintf("%d;ns;r%d;", i+2, i), 1))
				}
				<-t.Context().Done()
			})
			block := make(chan struct{})
			defer close(block)
			conn := dial(t, url, in("ns", declare(func(ns *client.Namespace) {
				ns.OnAnyEmit(func(context.Context, *client.EmitEvent) error { <-block; return nil })
				ns.OnAnyAsk(func(context.Context, *client.AskRequest) error { <-block; return nil })
				ns.OnJoin(func(context.Context, *client.JoinRequest) error { <-block; return nil })
			})))
			eventually(t, "the receive queue is full", func() bool { return client.Waiting(conn) > client.DefaultReceiveQueue })
		})
	}
}

// Fragments without an end, and a frame that promises exabytes, end at the read
// limit.
func TestEndlessMessages(t *testing.T) {
	for name, data := range map[string][]byte{
		"fragments": append(raw(ws.NewFrame(ws.OpText, false, []byte("begin"))), bytes.Repeat(raw(ws.NewFrame(ws.OpContinuation, false, make([]byte, 100))), 100)...),
		"length":    {0x82, 127, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3},
	} {
		t.Run(name, func(t *testing.T) {
			url := startServer(t, func(number int, p *peer) {
				if p.hello("id") && number == 0 {
					p.write(data)
				}
				p.drain()
			})
			states := newStates()
			dial(t, url, client.Options{OnState: states.hear, ReadLimit: 1000})
			if e := states.await(t, client.StateReconnecting); !errors.Is(e.Err, client.ErrTooBig) {
				t.Errorf("lost with %v, want %v", e.Err, client.ErrTooBig)
			}
		})
	}
}
