//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// The parts of RFC 6455 that the client and the floor need.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xa

	finalBit = 0x80
	maskBit  = 0x80
)

// maskKey masks all client frames. It is constant so that a frame is masked once
// and not once per message; it is not zero so that the server has to unmask.
var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// appendFrame appends an unmasked frame.
func appendFrame(b []byte, opcode byte, payload []byte) []byte {
	b = appendHeader(b, opcode, 0, len(payload))
	return append(b, payload...)
}

// appendMasked appends a frame as a client has to send it.
func appendMasked(b []byte, opcode byte, payload []byte) []byte {
	b = appendHeader(b, opcode, maskBit, len(payload))
	b = append(b, maskKey[:]...)
	start := len(b)
	b = append(b, payload...)
	unmask(b[start:], maskKey)
	return b
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

// A frame is one that was read; the payload is a piece of the bytes it was read
// from, already unmasked.
type frame struct {
	opcode  byte
	payload []byte
}

// parseFrame takes the first frame off data and returns its size, or zero if data
// does not hold all of it. Fragments and payloads above 65,535 bytes are not sent
// in a benchmark and are errors.
func parseFrame(data []byte) (f frame, size int, err error) {
	if len(data) < 2 {
		return frame{}, 0, nil
	}
	if data[0]&0xf0 != finalBit {
		return frame{}, 0, fmt.Errorf("bench: a frame that starts with 0x%02x", data[0])
	}
	masked, length, start := data[1]&maskBit != 0, int(data[1]&^maskBit), 2
	switch {
	case length == 127:
		return frame{}, 0, fmt.Errorf("bench: a frame above 65535 bytes")
	case length == 126:
		if len(data) < 4 {
			return frame{}, 0, nil
		}
		length, start = int(binary.BigEndian.Uint16(data[2:])), 4
	}
	keyStart := start
	if masked {
		start += len(maskKey)
	}
	if len(data) < start+length {
		return frame{}, 0, nil
	}
	payload := data[start : start+length]
	if masked {
		unmask(payload, [4]byte(data[keyStart:start]))
	}
	return frame{opcode: data[0] & 0xf, payload: payload}, start + length, nil
}

// The opening handshake. The key is RFC 6455's own example, so the answer to it
// is known too.
const (
	upgradeKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	upgradeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
	// namespace and endpoint are those of stoa's demo configuration.
	namespace = "default"
	endpoint  = "/ws"
)

func upgradeRequest(host string) []byte {
	return []byte("GET " + endpoint + " HTTP/1.1\r\nHost: " + host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + upgradeKey + "\r\nSec-WebSocket-Version: 13\r\n\r\n")
}

// parseUpgrade returns the size of the answer to upgradeRequest, or zero if data
// does not hold all of it.
func parseUpgrade(data []byte) (int, error) {
	end := bytes.Index(data, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	head := data[:end]
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) || !bytes.Contains(head, []byte(": "+upgradeAccept)) {
		return 0, fmt.Errorf("bench: the upgrade was answered %q", head)
	}
	return end + 4, nil
}
