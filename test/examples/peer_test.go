package examples_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/testkit"
)

// peer is a client that breaks the rules.
type peer struct {
	t      testing.TB
	conn   net.Conn
	reader *bufio.Reader
}

// dial opens a WebSocket on some path, as a page of some origin.
func dial(t testing.TB, address string) *peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	dialer := ws.Dialer{Header: ws.HandshakeHeaderString("Origin: https://elsewhere.example\r\n")}
	conn, reader, _, err := dialer.Dial(ctx, "ws://"+address+"/any/path?agent=test")
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	if reader == nil {
		reader = bufio.NewReader(conn)
	}
	if err := conn.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &peer{t, conn, reader}
}

// encode makes bytes of masked frames.
func encode(frames ...ws.Frame) []byte {
	var buffer bytes.Buffer
	for _, f := range frames {
		masked := ws.MaskFrameWith(f, [4]byte{1, 2, 3, 4})
		_ = ws.WriteFrame(&buffer, masked) // into memory
	}
	return buffer.Bytes()
}

// send sends frames in one write.
func (p *peer) send(frames ...ws.Frame) {
	p.t.Helper()
	p.write(encode(frames...))
}

func (p *peer) write(data []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(data); err != nil {
		p.t.Fatalf("Write: %v", err)
	}
}

// receive reads one frame, which must be whole and unmasked.
func (p *peer) receive() ws.Frame {
	p.t.Helper()
	f, err := testkit.NextFrame(p.conn, p.reader) // on a slow machine a ping may come
	if err != nil {
		p.t.Fatalf("want a frame, got %v", err)
	}
	if !f.Header.Fin || f.Header.Rsv != 0 || f.Header.Masked {
		p.t.Fatalf("the header is %+v, want a whole frame without extensions and mask", f.Header)
	}
	return f
}

// expect reads frames and compares them.
func (p *peer) expect(want ...ws.Frame) {
	p.t.Helper()
	for i, w := range want {
		got := p.receive()
		if got.Header.OpCode != w.Header.OpCode || !bytes.Equal(got.Payload, w.Payload) {
			p.t.Fatalf("frame %d is %s, want %s", i, describe(got), describe(w))
		}
	}
}

// expectClose reads a close frame with this code, or with none if it is 0, and
// then the end of the connection.
func (p *peer) expectClose(code ws.StatusCode) {
	p.t.Helper()
	got := p.receive()
	if got.Header.OpCode != ws.OpClose {
		p.t.Fatalf("received %s, want a close frame with %d", describe(got), code)
	}
	if code == 0 && len(got.Payload) > 0 {
		p.t.Fatalf("the close frame has the payload %q, want none", got.Payload)
	}
	if have, _ := ws.ParseCloseFrameData(got.Payload); code != 0 && have != code {
		p.t.Fatalf("the close frame has code %d, want %d", have, code)
	}
	// The client of a failed connection may close first: the server then waits
	// for it until its time is up.
	if tcp, ok := p.conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	if rest, err := io.ReadAll(p.reader); len(rest) > 0 || err != nil && !isReset(err) {
		p.t.Fatalf("after the close frame came %q, %v; want nothing", rest, err)
	}
}

// isReset reports a reset: a server that closes with unread bytes in flight
// resets the connection.
func isReset(err error) bool {
	timeout, ok := err.(net.Error)
	return !ok || !timeout.Timeout()
}

func describe(f ws.Frame) string {
	payload := f.Payload
	if len(payload) > 40 {
		payload = payload[:40]
	}
	return fmt.Sprintf("opcode %d with %d bytes %q", f.Header.OpCode, len(f.Payload), payload)
}

// text, binary, part, rest and last are frames of messages; ping, pong and
// closing control frames.
func text(s string) ws.Frame                     { return ws.NewTextFrame([]byte(s)) }
func binary(b []byte) ws.Frame                   { return ws.NewBinaryFrame(b) }
func part(s string) ws.Frame                     { return ws.NewFrame(ws.OpText, false, []byte(s)) }
func rest(s string) ws.Frame                     { return ws.NewFrame(ws.OpContinuation, false, []byte(s)) }
func last(s string) ws.Frame                     { return ws.NewFrame(ws.OpContinuation, true, []byte(s)) }
func ping(s string) ws.Frame                     { return ws.NewPingFrame([]byte(s)) }
func pong(s string) ws.Frame                     { return ws.NewPongFrame([]byte(s)) }
func raw(op ws.OpCode, payload ...byte) ws.Frame { return ws.NewFrame(op, true, payload) }

func closing(code ws.StatusCode, reason string) ws.Frame {
	return ws.NewCloseFrame(ws.NewCloseFrameBody(code, reason))
}

// with changes a header.
func with(f ws.Frame, change func(*ws.Header)) ws.Frame {
	change(&f.Header)
	return f
}
