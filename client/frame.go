package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/wire"
)

// firstPart bounds the memory that is allocated for the declared length of a
// frame; the rest is allocated as the bytes arrive.
const firstPart = 64 << 10

// frameReader assembles messages from the frames of a server.
type frameReader struct {
	reader io.Reader
	limit  int // bytes of a message; negative: none

	message []byte    // reused; the received part of a fragmented message
	opcode  ws.OpCode // of its first frame; 0: no message has begun
}

// next reads one frame. For a data frame that does not complete a message, ok
// is false. The payload is valid until the next call. Errors wrap ErrProtocol
// or ErrTooBig, or are the reader's.
func (f *frameReader) next() (op ws.OpCode, payload []byte, ok bool, err error) {
	header, err := ws.ReadHeader(f.reader)
	if err != nil {
		if errors.Is(err, ws.ErrHeaderLengthMSB) || errors.Is(err, ws.ErrHeaderLengthUnexpected) {
			err = fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		return 0, nil, false, err
	}
	state := ws.StateClientSide
	if f.opcode != 0 {
		state = state.Set(ws.StateFragmented)
	}
	if err := ws.CheckHeader(header, state); err != nil {
		return 0, nil, false, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if header.Masked {
		// CheckHeader does not check this: RFC 6455 section 5.1.
		return 0, nil, false, fmt.Errorf("%w: a masked frame", ErrProtocol)
	}
	if header.OpCode.IsControl() {
		control := make([]byte, header.Length)
		_, err := io.ReadFull(f.reader, control)
		return header.OpCode, control, err == nil, noEOF(err)
	}
	if header.OpCode != ws.OpContinuation {
		f.begin(header.OpCode)
	}
	if f.limit >= 0 && header.Length > int64(f.limit-len(f.message)) {
		return 0, nil, false, fmt.Errorf("%w: more than %d bytes", ErrTooBig, f.limit)
	}
	if err := f.body(header.Length); err != nil {
		return 0, nil, false, err
	}
	if !header.Fin {
		return f.opcode, nil, false, nil
	}
	op, f.opcode = f.opcode, 0
	if op == ws.OpText && !utf8.Valid(f.message) {
		return 0, nil, false, fmt.Errorf("%w: a text message that is not valid UTF-8", ErrProtocol)
	}
	return op, f.message, true, nil
}

// begin starts a new message. The buffer of a huge one is dropped.
func (f *frameReader) begin(op ws.OpCode) {
	f.opcode = op
	if cap(f.message) > firstPart {
		f.message = nil
	}
	f.message = f.message[:0]
}

// body appends the payload of a data frame. Memory is allocated for received
// bytes, not for the declared length.
func (f *frameReader) body(length int64) error {
	for length > 0 {
		part := int(min(length, firstPart))
		start := len(f.message)
		f.message = append(f.message, make([]byte, part)...)
		if _, err := io.ReadFull(f.reader, f.message[start:]); err != nil {
			return noEOF(err)
		}
		length -= int64(part)
	}
	return nil
}

// noEOF turns the end of the stream inside a frame into io.ErrUnexpectedEOF.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseClose decodes the payload of a close frame (RFC 6455 section 5.5.1).
func parseClose(payload []byte) (*CloseError, error) {
	if len(payload) == 0 {
		return &CloseError{Code: wire.CodeNoStatus}, nil
	}
	if len(payload) == 1 {
		return nil, errCloseFrame
	}
	code := wire.Code(binary.BigEndian.Uint16(payload))
	if !code.Sendable() || !utf8.Valid(payload[2:]) {
		return nil, errCloseFrame
	}
	return &CloseError{Code: code, Reason: string(payload[2:])}, nil
}

// appendFrame appends a complete final frame, masked with the key: RFC 6455
// sections 5.2 and 5.3.
func appendFrame(dst []byte, op ws.OpCode, payload []byte, mask [4]byte) []byte {
	const masked = 0x80
	dst = append(dst, 0x80|byte(op))
	switch length := len(payload); {
	case length < 126:
		dst = append(dst, masked|byte(length))
	case length <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, masked|126), uint16(length))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, masked|127), uint64(length))
	}
	dst = append(dst, mask[:]...)
	start := len(dst)
	dst = append(dst, payload...)
	ws.Cipher(dst[start:], mask, 0)
	return dst
}
