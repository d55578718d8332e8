package testkit

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// UpgradeRequest is a valid request for a WebSocket, with optional header
// lines.
func UpgradeRequest(path string, lines ...string) string {
	head := []string{
		"GET " + path + " HTTP/1.1", "Host: stoa.test", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}
	return strings.Join(append(head, lines...), "\r\n") + "\r\n\r\n"
}

// ClientFrame is a masked frame.
func ClientFrame(op ws.OpCode, fin bool, payload string) []byte {
	var buffer bytes.Buffer
	_ = ws.WriteFrame(&buffer, ws.MaskFrameInPlaceWith(ws.NewFrame(op, fin, []byte(payload)), [4]byte{1, 2, 3, 4}))
	return buffer.Bytes()
}

// NextFrame reads the next frame that is not a ping, within Patience. in reads
// from conn.
func NextFrame(conn net.Conn, in *bufio.Reader) (ws.Frame, error) {
	for {
		_ = conn.SetReadDeadline(time.Now().Add(Patience))
		f, err := ReadFrame(in)
		if err != nil || f.Header.OpCode != ws.OpPing {
			return f, err
		}
	}
}

// DescribeFrame is a frame as the message of a failing test shows it.
func DescribeFrame(f ws.Frame) string {
	if f.Header.OpCode == ws.OpClose && len(f.Payload) >= 2 {
		code, reason := ws.ParseCloseFrameData(f.Payload)
		return fmt.Sprintf("close %d %q", code, reason)
	}
	return fmt.Sprintf("frame %#x of %d bytes %q", f.Header.OpCode, len(f.Payload), f.Payload[:min(len(f.Payload), 200)])
}
