package node

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// A connection's ID is the node's ID, "-", and 16 bytes in base64url: four bytes
// say on which loop and in which slot the connection is, so that it is found
// without a table of IDs, and twelve random ones make the ID impossible to
// guess. The random bytes alone identify the connection; the place is only
// where to look.
const (
	idPlaceBytes  = 4
	idSecretBytes = 12
	idTextBytes   = 22 // 16 bytes in unpadded base64
)

// idEncoding is strict, so that each ID has one spelling.
var idEncoding = base64.RawURLEncoding.Strict()

// place is where a connection of this node is: the loop's number in the upper
// six bits, the slot in the lower 26.
type place uint32

const (
	placeSlotBits = 26
	maxSlots      = 1<<placeSlotBits - 1
	// noPlace is never the place of a connection, as the last slot is not used.
	noPlace place = 1<<32 - 1
)

func placeOf(loop int, slot uint32) place { return place(loop)<<placeSlotBits | place(slot) }
func (p place) loop() int                 { return int(p >> placeSlotBits) }
func (p place) slot() uint32              { return uint32(p) & maxSlots }

// secret is the random part of a connection's ID.
type secret [idSecretBytes]byte

// newSecret is unpredictable: whoever knows an ID may address the connection.
func newSecret() (s secret) {
	_, _ = rand.Read(s[:]) // never fails, see crypto/rand
	return s
}

// connID builds the ID as text.
func connID(nodeID string, p place, s secret) string {
	var raw [idPlaceBytes + idSecretBytes]byte
	binary.BigEndian.PutUint32(raw[:], uint32(p))
	copy(raw[idPlaceBytes:], s[:])
	text := make([]byte, 0, len(nodeID)+1+idTextBytes)
	text = append(text, nodeID...)
	text = append(text, '-')
	return string(idEncoding.AppendEncode(text, raw[:]))
}

// parseConnID is the reverse; ok is false for an ID of another node and for what
// is no ID at all. It does not allocate.
func parseConnID(nodeID, id string) (p place, s secret, ok bool) {
	rest, found := strings.CutPrefix(id, nodeID)
	if !found || len(rest) != 1+idTextBytes || rest[0] != '-' {
		return noPlace, s, false
	}
	var text [idTextBytes]byte
	copy(text[:], rest[1:])
	var raw [idPlaceBytes + idSecretBytes]byte
	// The decoder skips line breaks: a shorter result is no ID either.
	if n, err := idEncoding.Decode(raw[:], text[:]); err != nil || n != len(raw) {
		return noPlace, s, false
	}
	copy(s[:], raw[idPlaceBytes:])
	return place(binary.BigEndian.Uint32(raw[:])), s, true
}

// newNodeID is eight characters: enough that two nodes of one cluster never
// share it by chance, short enough to read aloud.
func newNodeID() string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	var raw [8]byte
	_, _ = rand.Read(raw[:])
	for i, b := range raw {
		raw[i] = alphabet[b%32]
	}
	return string(raw[:])
}
