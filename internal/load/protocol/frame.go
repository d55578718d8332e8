package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The opcodes of RFC 6455 that the load uses.
const (
	OpText  = 0x1
	OpClose = 0x8
	OpPing  = 0x9
	OpPong  = 0xa

	finalBit = 0x80
	maskBit  = 0x80
)

// maskKey masks all client frames. It is constant so that a frame is masked
// once and not once per message; it is not zero so that the server has to
// unmask.
var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// AppendFrame appends an unmasked frame, as a server sends it.
func AppendFrame(b []byte, opcode byte, payload []byte) []byte {
	b = AppendHeader(b, opcode, len(payload))
	return append(b, payload...)
}

// AppendMasked appends a masked frame, as a client must send it.
func AppendMasked(b []byte, opcode byte, payload []byte) []byte {
	b = appendHeader(b, opcode, maskBit, len(payload))
	b = append(b, maskKey[:]...)
	start := len(b)
	b = append(b, payload...)
	unmask(b[start:], maskKey)
	return b
}

// AppendHeader appends the header of an unmasked frame.
func AppendHeader(b []byte, opcode byte, length int) []byte {
	return appendHeader(b, opcode, 0, length)
}

func appendHeader(b []byte, opcode, mask byte, length int) []byte {
	if length < 126 {
		return append(b, finalBit|opcode, mask|byte(length))
	}
	b = append(b, finalBit|opcode, mask|126)
	return binary.BigEndian.AppendUint16(b, uint16(length))
}

func unmask(b []byte, key [4]byte) {
	for i := range b {
		b[i] ^= key[i&3]
	}
}

// A Frame is a received frame. Its payload is unmasked and aliases the bytes
// that it was parsed from.
type Frame struct {
	Opcode  byte
	Payload []byte
}

var errLongFrame = errors.New("protocol: frame above 65535 bytes")

// ParseFrame parses the first frame of data and returns its size, or zero if
// the frame is incomplete. Fragments and payloads above 65,535 bytes are
// errors: the load uses neither.
func ParseFrame(data []byte) (f Frame, size int, err error) {
	if len(data) < 2 {
		return Frame{}, 0, nil
	}
	if data[0]&0xf0 != finalBit {
		return Frame{}, 0, fmt.Errorf("protocol: unexpected first byte 0x%02x of a frame", data[0])
	}
	masked, length, start := data[1]&maskBit != 0, int(data[1]&^maskBit), 2
	switch {
	case length == 127:
		return Frame{}, 0, errLongFrame
	case length == 126:
		if len(data) < 4 {
			return Frame{}, 0, nil
		}
		length, start = int(binary.BigEndian.Uint16(data[2:])), 4
	}
	keyStart := start
	if masked {
		start += len(maskKey)
	}
	if len(data) < start+length {
		return Frame{}, 0, nil
	}
	payload := data[start : start+length]
	if masked {
		unmask(payload, [4]byte(data[keyStart:start]))
	}
	return Frame{Opcode: data[0] & 0xf, Payload: payload}, start + length, nil
}
