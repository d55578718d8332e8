package testkit

import (
	"fmt"
	"io"

	"github.com/gobwas/ws"
)

// maxFrame is more than any test sends. A larger length means that the reader
// has lost its place in the stream.
const maxFrame = 64 << 20

// ReadFrame reads a frame with its payload, masked or not. On an error the
// frame holds the part that was read.
func ReadFrame(r io.Reader) (ws.Frame, error) {
	header, err := ws.ReadHeader(r)
	if err != nil {
		return ws.Frame{Header: header}, err
	}
	if header.Length > maxFrame {
		return ws.Frame{Header: header}, fmt.Errorf("a frame of %d bytes", header.Length)
	}
	payload := make([]byte, header.Length)
	_, err = io.ReadFull(r, payload)
	return ws.Frame{Header: header, Payload: payload}, err
}
