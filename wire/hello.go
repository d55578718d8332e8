package wire

import "bytes"

// Features is a set of optional parts of the protocol. A client names those
// that it understands in its hello; a server sends nothing of them to a client
// that does not (protocol.md section 2, 9).
type Features uint8

const (
	// FeatureExpiry means that the client wants to know when its identity is
	// about to end (EventAuthenticate).
	FeatureExpiry Features = 1 << 0
	// FeaturePositions means that messages of rooms with history carry their
	// positions. A server names it in its acknowledgement, too, if it keeps the
	// history of a room (protocol.md section 14).
	FeaturePositions Features = 1 << 1
	// FeaturePresence means that the client wants to know of joins and leaves
	// in its rooms, where the server keeps that (protocol.md section 15).
	FeaturePresence Features = 1 << 2
	// FeatureVolatile means that the client may send volatile emits
	// (VolatileToken). A server that understands them names it in its
	// acknowledgement, too (protocol.md section 17).
	FeatureVolatile Features = 1 << 3
)

// featureNames are the names on the wire, by bit.
var featureNames = [...]string{"expiry", "positions", "presence", "volatile"}

// maxHello is how much of a hello is read, in bytes: there is no use for more
// names.
const maxHello = 256

// AppendHello appends the hello of a client that understands these features.
func AppendHello(dst []byte, features Features) []byte {
	return AppendFeatures(append(dst, Hello...), features)
}

// AppendFeatures appends the names of features, each after a space: to a hello,
// or to an acknowledgement for a client whose hello has named them.
func AppendFeatures(dst []byte, features Features) []byte {
	for i, name := range featureNames {
		if features&(1<<i) != 0 {
			dst = append(append(dst, ' '), name...)
		}
	}
	return dst
}

// ParseHello returns the features that a hello names. Names that are not known
// are ignored: the client may be newer. ok is false if the payload, which has
// arrived before the acknowledgement, is no hello; only its first byte decides.
func ParseHello(payload []byte) (features Features, ok bool) {
	if len(payload) == 0 || payload[0] != Hello[0] {
		return 0, false
	}
	rest := payload[1:min(len(payload), maxHello)]
	for len(rest) > 0 {
		var name []byte
		name, rest, _ = bytes.Cut(rest, []byte(" "))
		features |= featureNamed(name)
	}
	return features, true
}

// CutFeatures cuts the names of features from the end of the ID that ParseAck
// has returned. Only those that the client has offered in its hello are names;
// the ID may contain spaces otherwise.
func CutFeatures(id []byte, offered Features) (rest []byte, features Features) {
	for {
		space := bytes.LastIndexByte(id, ' ')
		if space < 0 {
			return id, features
		}
		feature := featureNamed(id[space+1:]) & offered
		if feature == 0 {
			return id, features
		}
		id, features = id[:space], features|feature
	}
}

// featureNamed returns the feature of this name, 0 if it is not known.
func featureNamed(name []byte) Features {
	for i, known := range featureNames {
		if string(name) == known {
			return 1 << i
		}
	}
	return 0
}
