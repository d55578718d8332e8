package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/wire"
)

// This file tests the client against servers that misuse WebSocket frames.

func TestMalformedFramesEndTheConnection(t *testing.T) {
	tests := []struct {
		name string
		data []byte
		err  error
		code wire.Code // received by the server
	}{
		{"masked", raw(ws.MaskFrame(ws.NewTextFrame([]byte("a")))), client.ErrProtocol, wire.CodeProtocolError},
		{"no UTF-8", raw(ws.NewTextFrame([]byte("\xff"))), client.ErrProtocol, wire.CodeProtocolError},
		{"too big", raw(ws.NewTextFrame(make([]byte, 2000))), client.ErrTooBig, wire.CodeTooBig},
		{"a close frame of one byte", raw(ws.NewFrame(ws.OpClose, true, []byte{3})), client.ErrProtocol, wire.CodeProtocolError},
		{"a close code that must not travel", raw(closeFrame(1006, "")), client.ErrProtocol, wire.CodeProtocolError},
		{"a close reason that is no UTF-8", raw(closeFrame(1001, "\xff")), client.ErrProtocol, wire.CodeProtocolError},
		{"junk", bytes.Repeat([]byte{0xff}, 100), client.ErrProtocol, wire.CodeProtocolError},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			told := make(chan wire.Code, 1)
			url := startServer(t, func(number int, p *peer) {
				if !p.hello("id") || number > 0 {
					p.drain()
					return
				}
				p.write(test.data)
				for {
					f, err := p.next()
					if err != nil {
						t.Errorf("the client did not say why it closed: %v", err)
						return
					}
					if f.Header.OpCode == ws.OpClose {
						code, _ := ws.ParseCloseFrameData(f.Payload)
						told <- wire.Code(code)
						return
					}
				}
			})
			states := newStates()
			dial(t, url, client.Options{OnState: states.hear, ReadLimit: 1000})
			if tr := states.await(t, client.StateReconnecting); !errors.Is(tr.Err, test.err) || tr.Code != wire.CodeAbnormal {
				t.Errorf("the transition is %+v, want %v", tr, test.err)
			}
			if code := receive(t, "a close frame", told); code != test.code {
				t.Errorf("the server receives %d, want %d", code, test.code)
			}
			states.await(t, client.StateConnected)
		})
	}
}

func TestControlFramesAndFragments(t *testing.T) {
	pongs := make(chan string, 10)
	url := startServer(t, func(_ int, p *peer) {
		if !p.hello("id") {
			return
		}
		p.write(raw(
			ws.NewFrame(ws.OpText, false, []byte(";ns;;e")), ws.NewPingFrame([]byte("in the middle")),
			ws.NewFrame(ws.OpContinuation, false, []byte(";0;0;bo")), ws.NewFrame(ws.OpContinuation, true, []byte("dy")),
			ws.NewPongFrame([]byte("unasked")),
		))
		for {
			f, err := p.next()
			if err != nil || f.Header.OpCode == ws.OpClose {
				return
			}
			switch f.Header.OpCode {
			case ws.OpPong:
				pongs <- string(f.Payload)
			case ws.OpText:
				token, rest, _ := strings.Cut(string(f.Payload), ";")
				p.send(token + ";;;;;;")
				if strings.Contains(rest, "_OnNamespaceConnect;") {
					p.write(raw(ws.NewFrame(ws.OpText, false, []byte(";ns;;e;0;0;a")), ws.NewPingFrame([]byte("again")), ws.NewFrame(ws.OpContinuation, true, []byte("b"))))
				}
			}
		}
	})
	heard := newJournal()
	conn := dial(t, url, in("ns", heard.namespace()))
	if _, err := conn.Connect(background(t), "ns"); err != nil {
		t.Fatal(err)
	}
	heard.expect(t, "connected ns", "emit e ab")
	for {
		if got := receive(t, "the answer to the last ping", pongs); got == "again" {
			return
		} else if got != "in the middle" {
			t.Fatalf("a pong with %q", got)
		}
	}
}

func TestSilentServerIsAbandoned(t *testing.T) {
	url := startServer(t, func(number int, p *peer) {
		p.hello("id")
		if number == 0 {
			// It reads and sends nothing, not even a pong.
			for _, err := p.next(); err == nil; _, err = p.next() {
			}
		}
		p.grant(nil)
	})
	states := newStates()
	dial(t, url, client.Options{OnState: states.hear, IdleTimeout: 50 * time.Millisecond, Reconnect: quick})
	if tr := states.await(t, client.StateReconnecting); !errors.Is(tr.Err, client.ErrIdle) {
		t.Errorf("the transition is %+v, want %v", tr, client.ErrIdle)
	}
}

func TestQuietServerThatAnswersPingsIsKept(t *testing.T) {
	pinged := make(chan struct{}, 1000)
	url := startServer(t, func(_ int, p *peer) {
		p.hello("id")
		for f, err := p.next(); err == nil && f.Header.OpCode != ws.OpClose; f, err = p.next() {
			if f.Header.OpCode == ws.OpPing {
				pinged <- struct{}{}
				p.frame(ws.NewPongFrame(f.Payload))
			}
		}
	})
	conn := dial(t, url, client.Options{IdleTimeout: 2 * time.Second, Reconnect: client.Reconnect{Off: true}})
	for range 3 {
		receive(t, "a ping of the client", pinged)
	}
	if conn.IsClosed() {
		t.Errorf("the connection was given up: %v", conn.Err())
	}
}

// If the server does not read, Emit blocks when the queue is full. Then the
// connection counts as lost; emits that were not being written are not.
func TestServerThatDoesNotReadIsAbandoned(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 100_000)
	arrived := make(chan string, 1000)
	release := make(chan struct{})
	url := startServer(t, func(number int, p *peer) {
		if !p.hello("id") {
			return
		}
		if number == 0 {
			p.answer(func(text string) (string, bool) {
				token, _, _ := strings.Cut(text, ";")
				return token + ";;;;;;", !strings.Contains(text, ";stop;")
			})
			<-release // reads nothing more, and keeps the connection
			return
		}
		p.answer(func(text string) (string, bool) {
			if strings.Contains(text, ";last;") {
				arrived <- "last"
			}
			token, _, _ := strings.Cut(text, ";")
			return token + ";;;;;;", true
		})
	})
	states := newStates()
	conn := dial(t, url, client.Options{
		OnState: states.hear, IdleTimeout: 300 * time.Millisecond, SendQueue: 300_000, ReadLimit: -1, MessageLimit: -1,
		Reconnect: quick, Buffer: client.Buffer{Messages: -1, Bytes: -1},
	})
	ns, err := conn.Connect(background(t), "ns")
	if err != nil {
		t.Fatal(err)
	}
	if err := ns.Emit("stop", nil); err != nil {
		t.Fatal(err)
	}
	for range 300 { // 30 MB fill every buffer on the way
		if err := ns.Emit("e", body); err != nil {
			t.Fatal(err)
		}
	}
	if err := ns.Emit("last", nil); err != nil {
		t.Fatal(err)
	}
	if tr := states.await(t, client.StateReconnecting); !errors.Is(tr.Err, client.ErrIdle) {
		t.Errorf("the transition is %+v, want %v", tr, client.ErrIdle)
	}
	receive(t, "the queued messages", arrived)
	close(release)
}

func TestCloseSendsQueuedEmits(t *testing.T) {
	const count = 2000
	got := make(chan int, 1)
	url := startServer(t, func(_ int, p *peer) {
		p.hello("id")
		seen := 0
		for {
			f, err := p.next()
			if err != nil || f.Header.OpCode == ws.OpClose {
				if err == nil {
					p.frame(closeFrame(1000, ""))
				}
				got <- seen
				return
			}
			text := string(f.Payload)
			if token, rest, _ := strings.Cut(text, ";"); token != "" {
				p.send(token + ";;;;;;")
			} else if strings.HasPrefix(rest, fmt.Sprintf("ns;;e;0;0;%d", seen)) {
				seen++
			}
		}
	})
	conn := dial(t, url, client.Options{})
	ns, err := conn.Connect(background(t), "ns")
	if err != nil {
		t.Fatal(err)
	}
	for i := range count {
		if err := ns.Emit("e", []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if seen := receive(t, "the close frame", got); seen != count {
		t.Errorf("%d emits arrived in order before the close frame, want %d", seen, count)
	}
}

func TestTheFirstAcknowledgement(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		url := startServer(t, func(_ int, p *peer) { p.text(); p.send("Hnot you"); p.drain() })
		_, err := client.Dial(background(t), url, client.Options{Reconnect: quick})
		var refused *client.RefusedError
		if !errors.As(err, &refused) || refused.Text != "not you" || !errors.Is(err, client.ErrRefused) || !errors.Is(err, wire.RemoteError("not you")) {
			t.Errorf("Dial: %v, want the refusal", err)
		}
	})
	t.Run("refused later", func(t *testing.T) {
		url := startServer(t, func(number int, p *peer) {
			if number == 0 {
				p.hello("id")
				return
			}
			p.text()
			p.send("Hforbidden")
			p.drain()
		})
		conn := dial(t, url, client.Options{})
		receive(t, "Done", conn.Done())
		if !errors.Is(conn.Err(), wire.ErrForbidden) {
			t.Errorf("Err is %v, want the refusal", conn.Err())
		}
	})
	t.Run("late", func(t *testing.T) {
		url := startServer(t, func(number int, p *peer) {
			if number == 0 {
				p.drain()
				return
			}
			p.hello("id")
			p.grant(nil)
		})
		states := newStates()
		dial(t, url, client.Options{OnState: states.hear, DialTimeout: time.Second})
		if tr := states.await(t, client.StateConnecting); !errors.Is(tr.Err, client.ErrAcknowledge) || tr.Attempt != 2 {
			t.Errorf("the transition is %+v, want %v and attempt 2", tr, client.ErrAcknowledge)
		}
	})
	t.Run("messages before it", func(t *testing.T) {
		url := startServer(t, func(_ int, p *peer) {
			p.text()
			p.send("7;ns;;_OnNamespaceConnect;0;0;")
			p.send("Aid")
			p.grant(nil)
		})
		conn := dial(t, url, client.Options{DefaultNamespace: &client.Namespace{}})
		if _, err := conn.WaitServerConnect(background(t), "ns"); err != nil {
			t.Errorf("WaitServerConnect: %v", err)
		}
	})
	t.Run("too much before it", func(t *testing.T) {
		url := startServer(t, func(_ int, p *peer) {
			for range 100 {
				p.send(";ns;;e;0;0;" + strings.Repeat("x", 1000))
			}
			p.drain()
		})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		_, err := client.Dial(ctx, url, client.Options{Reconnect: client.Reconnect{Off: true}})
		if !errors.Is(err, client.ErrProtocol) {
			t.Errorf("Dial: %v, want %v", err, client.ErrProtocol)
		}
	})
}
