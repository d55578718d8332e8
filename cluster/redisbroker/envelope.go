package redisbroker

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/stoa-io/stoa/cluster"
)

// The form of an envelope between nodes. Lengths and the number are unsigned
// varints as in encoding/binary.
//
//	| version | flags | number | incarnation | len node | len origin |  node  | origin | except | user | key  | payload |
//	|    1    |   1   |   v    |      8      |    v     |     v      | 0..n   | 0..n   |  0..n  | 0..n | 0..n |  0..n   |
//
//	except: | count v | (length v, ID)... |   only with flagExcept
//	user:   | length v, ID |                  only with flagKept
//	key:    | length v, key |                 only with version 2, which has flagKept
//
// The number counts the messages that a node has published over one server,
// from 1; 0 is a message without a number, whose repeats are not noticed. The
// incarnation is drawn at random when a broker is made, so that the numbers of
// a restarted node do not look like repeats.
//
// All bits of the flags have a meaning: a further one takes another version.
// Volatile messages are never kept, so they have the combination that otherwise
// could not be. Nodes from before they existed count it as malformed.
//
// Node and origin are adjacent because a connection's ID begins with the ID of
// its node: then both together are the origin's ID, and a decoder takes it
// without a copy.
const (
	envelopeVersion = 1
	// keyedVersion is that of envelopes with a key. Nodes that do not know it
	// drop them.
	keyedVersion = 2

	flagBinary       = 1 << 0
	flagOrigin       = 1 << 1 // there is an origin
	flagOriginSuffix = 1 << 2 // the origin's ID is the node's ID and the bytes of origin
	flagExcept       = 1 << 3
	flagControl      = 1 << 4
	flagInternal     = 1 << 5 // for the brokers themselves, never for a handler
	flagKept         = 1 << 6 // the message is part of its channel's history
	flagResent       = 1 << 7 // see markResent; without flagKept: the message is volatile

	// maxExcept bounds the memory that a decoder allocates for the list.
	maxExcept = 1 << 16
	// maxIDBytes bounds the lengths of IDs; the payload is the rest.
	maxIDBytes = 1 << 16
)

var (
	errEnvelopeVersion   = errors.New("redisbroker: envelope of an unknown version")
	errEnvelopeMalformed = errors.New("redisbroker: malformed envelope")
)

// header is the part that brokers add to an envelope.
type header struct {
	node        string // the publishing node
	incarnation uint64
	number      uint64
	internal    bool
}

// envelopeSize is an upper bound of the size of an encoding.
func envelopeSize(s *header, env *cluster.Envelope) int {
	size := 2 + 8 + 3*binary.MaxVarintLen64 + len(s.node) + len(env.Origin) + len(env.Payload)
	if len(env.Except) > 0 {
		size += binary.MaxVarintLen64
		for _, id := range env.Except {
			size += binary.MaxVarintLen64 + len(id)
		}
	}
	if env.Keep != nil {
		size += 2*binary.MaxVarintLen64 + len(env.User) + len(env.Key)
	}
	return size
}

// appendEnvelope appends the encoding of an envelope.
func appendEnvelope(dst []byte, s *header, env *cluster.Envelope) []byte {
	flags, origin := byte(0), env.Origin
	if env.Binary {
		flags |= flagBinary
	}
	if origin != "" {
		flags |= flagOrigin
		if suffix, is := strings.CutPrefix(origin, s.node); is && s.node != "" {
			flags |= flagOriginSuffix
			origin = suffix
		}
	}
	if len(env.Except) > 0 {
		flags |= flagExcept
	}
	if env.Kind == cluster.EnvelopeControl {
		flags |= flagControl
	}
	if s.internal {
		flags |= flagInternal
	}
	if env.Keep != nil {
		flags |= flagKept
	}
	if env.Resent && env.Keep != nil || isVolatile(s, env) {
		flags |= flagResent
	}
	version, keyed := byte(envelopeVersion), env.Keep != nil && env.Key != ""
	if keyed {
		version = keyedVersion
	}
	dst = append(dst, version, flags)
	dst = binary.AppendUvarint(dst, s.number)
	dst = binary.BigEndian.AppendUint64(dst, s.incarnation)
	dst = binary.AppendUvarint(dst, uint64(len(s.node)))
	dst = binary.AppendUvarint(dst, uint64(len(origin)))
	dst = append(dst, s.node...)
	dst = append(dst, origin...)
	if len(env.Except) > 0 {
		dst = binary.AppendUvarint(dst, uint64(len(env.Except)))
		for _, id := range env.Except {
			dst = binary.AppendUvarint(dst, uint64(len(id)))
			dst = append(dst, id...)
		}
	}
	if env.Keep != nil {
		dst = binary.AppendUvarint(dst, uint64(len(env.User)))
		dst = append(dst, env.User...)
	}
	if keyed {
		dst = binary.AppendUvarint(dst, uint64(len(env.Key)))
		dst = append(dst, env.Key...)
	}
	return append(dst, env.Payload...)
}

// decodeEnvelope reads an envelope. The strings of s and env are parts of data;
// the payload is copied to the end of scratch, which is returned for the next
// call. It allocates only for a list of exceptions and if scratch is too short.
func decodeEnvelope(data string, scratch []byte, s *header, env *cluster.Envelope) ([]byte, error) {
	*s, *env = header{}, cluster.Envelope{}
	if len(data) == 0 {
		return scratch, errEnvelopeMalformed
	}
	keyed := data[0] == keyedVersion
	if data[0] != envelopeVersion && !keyed {
		return scratch, errEnvelopeVersion
	}
	r := envelopeReader{rest: data[1:]}
	flags := r.byte()
	s.number = r.uvarint()
	s.incarnation = r.uint64()
	nodeLen, originLen := r.length(), r.length()
	both := r.take(nodeLen + originLen)
	if r.bad {
		return scratch, errEnvelopeMalformed
	}
	s.node = both[:nodeLen]
	s.internal = flags&flagInternal != 0
	env.Kind = cluster.EnvelopeMessage
	if flags&flagControl != 0 {
		env.Kind = cluster.EnvelopeControl
	}
	env.Binary = flags&flagBinary != 0
	switch {
	case flags&flagOriginSuffix != 0:
		env.Origin = both
	default:
		env.Origin = both[nodeLen:]
	}
	if (flags&flagOrigin != 0) != (env.Origin != "") || !canonicalOrigin(flags, s.node, env.Origin) {
		return scratch, errEnvelopeMalformed
	}
	if flags&flagExcept != 0 {
		env.Except = r.list()
	}
	if flags&flagKept != 0 {
		env.User = r.take(r.length())
		env.Position = cluster.Position{Incarnation: s.incarnation, Number: s.number}
	}
	if keyed {
		env.Key = r.take(r.length())
	}
	if keyed && (env.Key == "" || flags&flagKept == 0) {
		return scratch, errEnvelopeMalformed
	}
	if flags&flagResent != 0 {
		env.Resent, env.Volatile = flags&flagKept != 0, flags&flagKept == 0
	}
	if env.Volatile && flags&(flagControl|flagInternal) != 0 {
		return scratch, errEnvelopeMalformed
	}
	if r.bad || flags&flagKept != 0 && (s.number == 0 || env.Position.IsStart()) {
		return scratch, errEnvelopeMalformed
	}
	scratch = append(scratch[:0], r.rest...)
	env.Payload = scratch
	return scratch, nil
}

// isVolatile returns true for an envelope that travels as volatile: a message
// for members that is not kept.
func isVolatile(s *header, env *cluster.Envelope) bool {
	return env.Volatile && env.Keep == nil && env.Kind != cluster.EnvelopeControl && !s.internal
}

// markResent marks the encoding of a message that is sent again to another
// process of the server, or to another server in its place. The first may have
// lost it after some nodes had received it.
func markResent(data []byte) {
	if data[1]&flagKept != 0 {
		data[1] |= flagResent
	}
}

// isUnnumberedInternal returns true for the encoding of a message between
// brokers that has no number.
func isUnnumberedInternal(data string) bool {
	return len(data) > 2 && data[0] == envelopeVersion && data[1]&flagInternal != 0 && data[2] == 0
}

// canonicalOrigin returns false for encodings that appendEnvelope does not
// make: an envelope has only one form.
func canonicalOrigin(flags byte, node, origin string) bool {
	if flags&flagOriginSuffix != 0 {
		return flags&flagOrigin != 0 && node != ""
	}
	return node == "" || origin == "" || !strings.HasPrefix(origin, node)
}

// envelopeReader reads from the front of rest. After a failure bad is set and
// all results are zero.
type envelopeReader struct {
	rest string
	bad  bool
}

func (r *envelopeReader) byte() byte {
	taken := r.take(1)
	if r.bad {
		return 0
	}
	return taken[0]
}

func (r *envelopeReader) uint64() uint64 {
	taken := r.take(8)
	var value uint64
	for i := range len(taken) {
		value = value<<8 | uint64(taken[i])
	}
	return value
}

// uvarint accepts only the shortest form.
func (r *envelopeReader) uvarint() uint64 {
	var value uint64
	for i := 0; i < len(r.rest) && i < binary.MaxVarintLen64; i++ {
		c := r.rest[i]
		if i == binary.MaxVarintLen64-1 && c > 1 || i > 0 && c == 0 {
			break
		}
		value |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			r.rest = r.rest[i+1:]
			return value
		}
	}
	r.bad, r.rest = true, ""
	return 0
}

func (r *envelopeReader) length() int {
	value := r.uvarint()
	if value > maxIDBytes {
		r.bad, r.rest = true, ""
		return 0
	}
	return int(value)
}

func (r *envelopeReader) take(length int) string {
	if r.bad || length > len(r.rest) {
		r.bad, r.rest = true, ""
		return ""
	}
	taken := r.rest[:length]
	r.rest = r.rest[length:]
	return taken
}

func (r *envelopeReader) list() []string {
	count := r.uvarint()
	// Every entry takes at least one byte.
	if count == 0 || count > maxExcept || count > uint64(len(r.rest)) {
		r.bad, r.rest = true, ""
		return nil
	}
	list := make([]string, 0, count)
	for range count {
		list = append(list, r.take(r.length()))
	}
	return list
}
