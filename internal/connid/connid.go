package connid

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

const (
	slotBytes  = 4
	nonceBytes = 12
	textBytes  = 22 // 16 bytes in unpadded base64
)

// encoding is strict, so that each ID has one spelling.
var encoding = base64.RawURLEncoding.Strict()

// SlotRef is where a connection of a node is: the loop's number in the upper
// six bits, the slot in the lower 26.
type SlotRef uint32

const (
	slotBits = 26
	slotMask = 1<<slotBits - 1
	// NoSlot is never the slot of a connection, as the last slot is not used.
	NoSlot SlotRef = 1<<32 - 1
)

// SlotOf returns the reference of a slot.
func SlotOf(loop int, slot uint32) SlotRef { return SlotRef(loop)<<slotBits | SlotRef(slot) }

// Loop returns the loop's number.
func (r SlotRef) Loop() int { return int(r >> slotBits) }

// Slot returns the slot in the loop's table.
func (r SlotRef) Slot() uint32 { return uint32(r) & slotMask }

// Nonce is the random part of a connection's ID. It identifies the connection.
type Nonce [nonceBytes]byte

// NewNonce is unpredictable: an ID is all that is needed to address a
// connection.
func NewNonce() (n Nonce) {
	_, _ = rand.Read(n[:]) // never fails, see crypto/rand
	return n
}

// Ref is a connection of this node: the parts of its ID.
type Ref struct {
	Slot  SlotRef
	Nonce Nonce
}

// noRef is never a connection.
var noRef = Ref{Slot: NoSlot}

// Text builds the ID of a node's connection.
func (r Ref) Text(nodeID string) string {
	var raw [slotBytes + nonceBytes]byte
	binary.BigEndian.PutUint32(raw[:], uint32(r.Slot))
	copy(raw[slotBytes:], r.Nonce[:])
	text := make([]byte, 0, len(nodeID)+1+textBytes)
	text = append(text, nodeID...)
	text = append(text, '-')
	return string(encoding.AppendEncode(text, raw[:]))
}

// Parse is the reverse of Text. ok is false for an ID of another node and for a
// malformed one; the Ref then has NoSlot. It does not allocate.
func Parse(nodeID, id string) (r Ref, ok bool) {
	rest, found := strings.CutPrefix(id, nodeID)
	if !found || len(rest) != 1+textBytes || rest[0] != '-' {
		return noRef, false
	}
	var text [textBytes]byte
	copy(text[:], rest[1:])
	var raw [slotBytes + nonceBytes]byte
	// The decoder skips line breaks: a shorter result is no ID either.
	if n, err := encoding.Decode(raw[:], text[:]); err != nil || n != len(raw) {
		return noRef, false
	}
	copy(r.Nonce[:], raw[slotBytes:])
	r.Slot = SlotRef(binary.BigEndian.Uint32(raw[:]))
	return r, true
}

// NodeOf returns the ID of the node that holds a connection. It reads from the
// right, because a node's ID may contain "-".
func NodeOf(connID string) (nodeID string, ok bool) {
	end := len(connID) - 1 - textBytes
	if end < 1 || connID[end] != '-' {
		return "", false
	}
	return connID[:end], true
}

// MaxNodeID is the size of the longest node ID, in bytes: that of the longest
// host name on Linux.
const MaxNodeID = 64

// NodeIDRule describes the valid node IDs, for error messages.
const NodeIDRule = "want 1 to 64 of A-Z a-z 0-9 _ . -"

// ValidNodeID reports whether a node may have the ID: 1 to MaxNodeID of A-Z a-z
// 0-9 _ . and -, so host names are valid.
func ValidNodeID(id string) bool {
	return id != "" && len(id) <= MaxNodeID && !strings.ContainsFunc(id, func(r rune) bool {
		switch r {
		case '_', '.', '-':
			return false
		}
		return !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	})
}

// NewNodeID returns a random node ID of eight characters: enough that two nodes
// of one cluster never share it by chance, short enough to read aloud.
func NewNodeID() string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	var raw [8]byte
	_, _ = rand.Read(raw[:])
	for i, b := range raw {
		raw[i] = alphabet[b%32]
	}
	return string(raw[:])
}
