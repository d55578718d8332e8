package engine

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// MaxHeader is the size of the largest header of a server's frame, in bytes: it
// has no mask.
const MaxHeader = 10

// pingFrame is shared by all connections: the payload of a ping has no meaning
// here.
var pingFrame = ws.MustCompileFrame(ws.NewPingFrame(nil))

// Opcode returns the opcode of a message.
func Opcode(binary bool) ws.OpCode {
	if binary {
		return ws.OpBinary
	}
	return ws.OpText
}

// parseHeader reads a frame header from the front of data, RFC 6455 section
// 5.2. It returns the header's size, 0 if it is not complete yet. gobwas/ws
// reads headers from an io.Reader only, and loses the bytes of a short read.
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

// AppendHeader appends the header of an unmasked, final frame.
func AppendHeader(dst []byte, op ws.OpCode, length int) []byte {
	dst = append(dst, 0x80|byte(op))
	switch {
	case length < 126:
		return append(dst, byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(length))
}

// NewFrame builds a frame with a copy of the payload: one allocation.
func NewFrame(op ws.OpCode, payload []byte) []byte {
	frame := AppendHeader(make([]byte, 0, MaxHeader+len(payload)), op, len(payload))
	return append(frame, payload...)
}

// PayloadOf returns the payload of a frame that NewFrame has built, a part of
// the frame.
func PayloadOf(frame []byte) []byte {
	switch frame[1] {
	case 126: // RFC 6455 section 5.2: two bytes of length follow
		return frame[4:]
	case 127:
		return frame[10:]
	}
	return frame[2:]
}

// OpcodeOf returns the opcode of a frame.
func OpcodeOf(frame []byte) ws.OpCode { return ws.OpCode(frame[0] & 0x0f) }

// NewFrameStart builds the start of a frame whose payload is start and so many
// bytes more.
func NewFrameStart(op ws.OpCode, start []byte, more int) []byte {
	frame := AppendHeader(make([]byte, 0, MaxHeader+len(start)), op, len(start)+more)
	return append(frame, start...)
}

// FillFrame puts the header right before the payload, which begins at
// data[MaxHeader], and returns the frame, a part of data.
func FillFrame(op ws.OpCode, data []byte) []byte {
	var header [MaxHeader]byte
	h := AppendHeader(header[:0], op, len(data)-MaxHeader)
	frame := data[MaxHeader-len(h):]
	copy(frame, h)
	return frame
}
