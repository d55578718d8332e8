package node

import (
	"encoding/binary"
	"errors"
)

// commandKind is what one node wants of another.
type commandKind uint8

const (
	commandEmit       commandKind = iota + 1 // to one connection; answered when it is queued
	commandAsk                               // one connection; answered
	commandConnect                           // one connection to a namespace; answered
	commandDisconnect                        // one connection from a namespace; answered
	commandJoin                              // one connection to a room; answered
	commandLeave                             // one connection from a room; answered
	commandClose                             // one connection; answered
	commandAskRoom                           // the members of a room; each may answer, and then the node says done
	commandAnswer                            // of one connection, or why there is none
	commandDone                              // no more answers will come from this node
	commandFind                              // one connection; answered with what is known about it
	commandRollCall                          // whether a question to a room is still worked on; done if it is not
	commandKinds
)

// command is a message between two nodes, in a control envelope. It travels in a
// node's own channel, or, if it asks a room, in that room's.
//
//	version kind flags id timeout code from target err payload
//
// The first three are bytes, the next three unsigned varints, then strings with
// their length before them; the payload is the rest.
type command struct {
	kind    commandKind
	binary  bool
	every   bool   // commandAskRoom: all answers are wanted, not the first
	id      uint64 // of the question at the node that asks; 0: no answer is wanted
	timeout uint32 // milliseconds that the asking node waits
	code    uint16 // commandClose: the close code
	from    string // the node that asks, or answers
	target  string // the connection it is about; commandAskRoom: who must not be asked
	err     string // commandAnswer: the error's text, empty for a good answer
	payload []byte // a wire message; commandAnswer: the body; commandClose: the reason
}

const commandVersion = 1

// The flags of a command.
const (
	commandBinary = 1 << iota
	commandEvery
)

var errBadCommand = errors.New("node: malformed command")

// append encodes the command behind dst.
func (c *command) append(dst []byte) []byte {
	flags := byte(0)
	if c.binary {
		flags |= commandBinary
	}
	if c.every {
		flags |= commandEvery
	}
	dst = append(dst, commandVersion, byte(c.kind), flags)
	dst = binary.AppendUvarint(dst, c.id)
	dst = binary.AppendUvarint(dst, uint64(c.timeout))
	dst = binary.AppendUvarint(dst, uint64(c.code))
	for _, s := range []string{c.from, c.target, c.err} {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	return append(dst, c.payload...)
}

// parseCommand is the reverse; the command owns its memory. A version or kind
// that is not known is an error: the other node is newer.
func parseCommand(data []byte) (*command, error) {
	if len(data) < 3 || data[0] != commandVersion || data[1] == 0 || data[1] >= byte(commandKinds) {
		return nil, errBadCommand
	}
	c := &command{
		kind:   commandKind(data[1]),
		binary: data[2]&commandBinary != 0,
		every:  data[2]&commandEvery != 0,
	}
	rest := data[3:]
	var numbers [3]uint64
	for i := range numbers {
		value, n := binary.Uvarint(rest)
		if n <= 0 {
			return nil, errBadCommand
		}
		numbers[i], rest = value, rest[n:]
	}
	if numbers[1] > 1<<32-1 || numbers[2] > 1<<16-1 {
		return nil, errBadCommand
	}
	c.id, c.timeout, c.code = numbers[0], uint32(numbers[1]), uint16(numbers[2])
	for _, s := range []*string{&c.from, &c.target, &c.err} {
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > uint64(len(rest)-n) {
			return nil, errBadCommand
		}
		*s, rest = string(rest[n:n+int(length)]), rest[n+int(length):]
	}
	c.payload = append([]byte(nil), rest...)
	return c, nil
}
