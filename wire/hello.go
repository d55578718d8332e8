package wire

import "bytes"

// Features is a set of what a client understands beyond the rules that all
// clients follow. Its hello names them, so a server sends nothing of them to a
// client that does not (protocol.md section 2, 9).
type Features uint8

// FeatureExpiry means that the client wants to know when its identity is about
// to end (EventAuthenticate).
const FeatureExpiry Features = 1 << 0

// featureNames are the names on the wire, by bit.
var featureNames = [...]string{"expiry"}

// maxHello is how much of a hello is read, in bytes: there is no use for more
// names.
const maxHello = 256

// AppendHello appends the hello of a client that understands these features.
func AppendHello(dst []byte, features Features) []byte {
	dst = append(dst, Hello...)
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
		for i, known := range featureNames {
			if string(name) == known {
				features |= 1 << i
			}
		}
	}
	return features, true
}
