package rpc

import (
	"encoding/binary"
	"errors"
)

// Op is the operation that a request asks of another node.
type Op uint8

// The operations.
const (
	OpEmit       Op = iota + 1 // to one connection; answered when it is queued
	OpAsk                      // one connection; answered
	OpConnect                  // one connection to a namespace; answered
	OpDisconnect               // one connection from a namespace; answered
	OpJoin                     // one connection to a room; answered
	OpLeave                    // one connection from a room; answered
	OpClose                    // one connection; answered
	OpAskRoom                  // the members of a room; each may answer, then the node sends OpDone
	OpAnswer                   // the answer of one connection, or why there is none
	OpDone                     // no more answers follow from this node
	OpFind                     // one connection; answered with a description
	OpProbe                    // whether a room call is still served; OpDone if it is not
	OpEnd                      // a room call has ended: no more answers are wanted; not answered
	OpAskUser                  // the connections of a user; otherwise as OpAskRoom
	OpUserConns                // the connections of a user; any number of answers list them, then OpDone
	OpCloseUser                // the connections of a user; answered with their number, then OpDone
	OpBlock                    // the blocks of users in the payload; answered with the number of closed connections, then OpDone
	OpBlocks                   // all blocks of users; sent with OpBlock, then OpDone
	OpDigest                   // of all blocks of users; not answered
	OpEvict                    // one connection that its user has too many of; not answered
	OpRemoved                  // a message was removed from a room's history, or all were; not answered
	OpPresence                 // an announcement of the members of a room; not answered
	OpMembers                  // the members of a room on one node; answered, then OpDone
	ops
)

// Request is a message between two nodes, in a control envelope. It travels in
// a node's own channel, or, with OpAskRoom, in the room's, or in the channel of
// a user or of the cluster.
//
//	version op flags id timeout code from target err payload
//
// The first three are bytes, the next three unsigned varints, then strings with
// their length before them; the payload is the rest.
type Request struct {
	Op      Op
	Binary  bool
	All     bool   // OpAskRoom: all answers are wanted, not the first
	ID      uint64 // of the call at the asking node; 0: no answer is wanted
	Timeout uint32 // milliseconds that the asking node waits
	Code    uint16 // OpClose, OpCloseUser, OpEvict: the close code
	From    string // the asking or answering node
	Target  string // the connection it is about; OpAskRoom: the connection that is not asked; the user; OpRemoved, OpPresence, OpMembers: the room's channel
	Err     string // OpAnswer: the error's text, empty for a good answer
	Payload []byte // a wire message; OpAnswer: the body; OpClose, OpCloseUser: the reason; OpRemoved: the position
}

const version = 1

// The flags of a request.
const (
	flagBinary = 1 << iota
	flagAll
)

var errMalformed = errors.New("rpc: malformed request")

// append encodes the request behind dst.
func (r *Request) append(dst []byte) []byte {
	flags := byte(0)
	if r.Binary {
		flags |= flagBinary
	}
	if r.All {
		flags |= flagAll
	}
	dst = append(dst, version, byte(r.Op), flags)
	dst = binary.AppendUvarint(dst, r.ID)
	dst = binary.AppendUvarint(dst, uint64(r.Timeout))
	dst = binary.AppendUvarint(dst, uint64(r.Code))
	for _, s := range []string{r.From, r.Target, r.Err} {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	return append(dst, r.Payload...)
}

// parse is the reverse of append; the request owns its memory. An unknown
// version or operation is an error: the other node is newer.
func parse(data []byte) (*Request, error) {
	if len(data) < 3 || data[0] != version || data[1] == 0 || data[1] >= byte(ops) {
		return nil, errMalformed
	}
	r := &Request{
		Op:     Op(data[1]),
		Binary: data[2]&flagBinary != 0,
		All:    data[2]&flagAll != 0,
	}
	rest := data[3:]
	var numbers [3]uint64
	for i := range numbers {
		value, n := binary.Uvarint(rest)
		if n <= 0 {
			return nil, errMalformed
		}
		numbers[i], rest = value, rest[n:]
	}
	if numbers[1] > 1<<32-1 || numbers[2] > 1<<16-1 {
		return nil, errMalformed
	}
	r.ID, r.Timeout, r.Code = numbers[0], uint32(numbers[1]), uint16(numbers[2])
	for _, s := range []*string{&r.From, &r.Target, &r.Err} {
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > uint64(len(rest)-n) {
			return nil, errMalformed
		}
		*s, rest = string(rest[n:n+int(length)]), rest[n+int(length):]
	}
	r.Payload = append([]byte(nil), rest...)
	return r, nil
}
