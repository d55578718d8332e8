package clitest

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/testkit"
)

// Socket is the client's end of a WebSocket. It answers no frame automatically,
// not even a close frame.
type Socket struct {
	conn   net.Conn
	reader *bufio.Reader
}

// DialSocket opens a WebSocket at an address and waits for the acknowledgment.
func DialSocket(t testing.TB, address, path string) *Socket {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, testkit.Patience)
	if err != nil {
		t.Fatal(err)
	}
	return OpenSocket(t, conn, address, path)
}

// OpenSocket opens a WebSocket over a connection and waits for the
// acknowledgment.
func OpenSocket(t testing.TB, conn net.Conn, address, path string) *Socket {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(testkit.Patience)); err != nil {
		t.Fatal(err)
	}
	request := "GET " + path + " HTTP/1.1\r\nHost: " + address + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	// A text frame "M" under a mask of zeros is the hello.
	if _, err := io.WriteString(conn, request+"\x81\x81\x00\x00\x00\x00M"); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %s, want 101", response.Status)
	}
	s := &Socket{conn, reader}
	frame := s.ReadFrame(t)
	if frame.Header.OpCode != ws.OpText || !bytes.HasPrefix(frame.Payload, []byte("A")) {
		t.Fatalf("first frame %q, want the acknowledgment", frame.Payload)
	}
	return s
}

// ReadFrame reads a frame.
func (s *Socket) ReadFrame(t testing.TB) ws.Frame {
	t.Helper()
	frame, err := testkit.ReadFrame(s.reader)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// Send sends a short text frame.
func (s *Socket) Send(t testing.TB, text string) {
	t.Helper()
	if len(text) > 125 {
		t.Fatalf("a text of %d bytes is too long for this", len(text))
	}
	// Under a mask of zeros.
	head := []byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}
	if _, err := s.conn.Write(append(head, text...)); err != nil {
		t.Fatal(err)
	}
}

// Expect reads a text frame.
func (s *Socket) Expect(t testing.TB, want string) {
	t.Helper()
	if frame := s.ReadFrame(t); frame.Header.OpCode != ws.OpText || string(frame.Payload) != want {
		t.Fatalf("got opcode %d with %q, want the text %q", frame.Header.OpCode, frame.Payload, want)
	}
}

// AnswerClose sends an empty close frame.
func (s *Socket) AnswerClose(t testing.TB) {
	t.Helper()
	if _, err := io.WriteString(s.conn, "\x88\x80\x00\x00\x00\x00"); err != nil {
		t.Fatal(err)
	}
}
