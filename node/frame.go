package node

import (
	"encoding/binary"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/wire"
)

// maxHeader is the largest header of a server's frame: no mask.
const maxHeader = 10

// pingFrame is the same for everybody: the payload of a ping has no meaning here.
var pingFrame = ws.MustCompileFrame(ws.NewPingFrame(nil))

// parseHeader reads a frame header from the front of data, RFC 6455 section 5.2.
// It returns the header's size, 0 if it is not complete yet. gobwas/ws reads
// headers from an io.Reader only, and loses the bytes of a short read.
func parseHeader(data []byte) (h ws.Header, size int) {
	if len(data) < 2 {
		return h, 0
	}
	h.Fin = data[0]&0x80 != 0
	h.Rsv = data[0] >> 4 & 7
	h.OpCode = ws.OpCode(data[0] & 0x0f)
	h.Masked = data[1]&0x80 != 0
	size = 2
	switch length := data[1] & 0x7f; length {
	case 126:
		size = 4
	case 127:
		size = 10
	default:
		h.Length = int64(length)
	}
	extended := size
	if h.Masked {
		size += 4
	}
	if len(data) < size {
		return h, 0
	}
	switch extended {
	case 4:
		h.Length = int64(binary.BigEndian.Uint16(data[2:]))
	case 10:
		// The most significant bit must be 0; as a negative length it fails the
		// caller's check of the limit.
		h.Length = int64(binary.BigEndian.Uint64(data[2:]))
	}
	if h.Masked {
		copy(h.Mask[:], data[extended:])
	}
	return h, size
}

// appendHeader appends the header of an unmasked, final frame.
func appendHeader(dst []byte, op ws.OpCode, length int) []byte {
	dst = append(dst, 0x80|byte(op))
	switch {
	case length < 126:
		return append(dst, byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(length))
}

// newFrame builds a frame of its own: one allocation.
func newFrame(op ws.OpCode, payload []byte) []byte {
	frame := appendHeader(make([]byte, 0, maxHeader+len(payload)), op, len(payload))
	return append(frame, payload...)
}

// newMessageFrame builds the frame of a message, of its type: one allocation.
func newMessageFrame(m *wire.Message) []byte {
	return fillFrame(opcode(m.Binary), wire.Append(roomForFrame(m, len(m.Body)), m))
}

// newErrorFrame builds the frame of the negative answer to an ask.
func newErrorFrame(m *wire.Message, text string) []byte {
	return fillFrame(ws.OpText, wire.AppendError(roomForFrame(m, len(text)), m, text))
}

// roomForFrame returns a place for the header, with room for a message behind it
// unless its names have to be escaped.
func roomForFrame(m *wire.Message, body int) []byte {
	const separators = 8 // and the flags
	size := len(m.Token) + len(m.Namespace) + len(m.Room) + len(m.Event) + separators + body
	return make([]byte, maxHeader, maxHeader+size)
}

// fillFrame puts the header right before the payload, which begins at maxHeader.
func fillFrame(op ws.OpCode, data []byte) []byte {
	var header [maxHeader]byte
	h := appendHeader(header[:0], op, len(data)-maxHeader)
	frame := data[maxHeader-len(h):]
	copy(frame, h)
	return frame
}
