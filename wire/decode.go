package wire

import (
	"bytes"
)

// separators is the number of semicolons in front of the body.
const separators = 6

// originPrefix starts the name that neffos servers put into the first field
// to say which connection a broadcast must skip (protocol.md section 4, 8).
var originPrefix = []byte("neffos(0x")

// Parse reads a message from a payload; binary is the type of the frame that
// carried it.
//
// The only error is ErrInvalidPayload: fewer than six semicolons. Flags other
// than "1" count as false (protocol.md section 3).
//
// Parse allocates only to unescape a name, and does not know any limits; it
// allocates no more than the payload's length. Limits.Parse looks at the
// lengths before it allocates.
func Parse(payload []byte, binary bool) (Message, error) {
	m, err := split(payload, binary)
	if err != nil {
		return Message{}, err
	}
	m.Namespace = unescape(m.Namespace)
	m.Room = unescape(m.Room)
	m.Event = unescape(m.Event)
	return m, nil
}

// split cuts the payload into its fields and leaves the names escaped.
func split(payload []byte, binary bool) (Message, error) {
	var fields [separators][]byte
	rest := payload
	for i := range fields {
		end := bytes.IndexByte(rest, ';')
		if end < 0 {
			return Message{}, ErrInvalidPayload
		}
		// The capacity ends with the field: an append to it must not
		// overwrite the rest of the payload.
		fields[i] = rest[:end:end]
		rest = rest[end+1:]
	}
	m := Message{
		Token:     fields[0],
		Namespace: fields[1],
		Room:      fields[2],
		Event:     fields[3],
		Error:     isTrue(fields[4]),
		NoOp:      isTrue(fields[5]),
		Body:      rest,
		Binary:    binary,
	}
	m.Verbatim = len(m.Token) == 0 && isZero(fields[4]) && isZero(fields[5])
	if bytes.HasPrefix(m.Token, originPrefix) {
		m.Token = nil
	}
	return m, nil
}

func isTrue(flag []byte) bool { return len(flag) == 1 && flag[0] == '1' }

func isZero(flag []byte) bool { return len(flag) == 1 && flag[0] == '0' }

// ParseAck returns the connection ID of an acknowledgement, a view into
// payload; ok is false if the payload is none.
func ParseAck(payload []byte) (id []byte, ok bool) {
	if len(payload) == 0 || payload[0] != ackMark {
		return nil, false
	}
	return payload[1:], true
}

// ParseRefusal returns the error text of a refusal, a view into payload; ok
// is false if the payload is none.
func ParseRefusal(payload []byte) (text []byte, ok bool) {
	if len(payload) == 0 || payload[0] != refusalMark {
		return nil, false
	}
	return payload[1:], true
}
