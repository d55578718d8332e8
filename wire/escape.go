package wire

import "bytes"

// escape stands for a semicolon inside a name. A name that really contains
// this text cannot be carried: the receiver turns it into a semicolon
// (protocol.md section 3).
const escape = "@%!semicolon@%!"

var escapeBytes = []byte(escape)

// appendName appends a name with each semicolon replaced by the escape.
func appendName(dst, name []byte) []byte {
	for {
		i := bytes.IndexByte(name, ';')
		if i < 0 {
			return append(dst, name...)
		}
		dst = append(dst, name[:i]...)
		dst = append(dst, escape...)
		name = name[i+1:]
	}
}

// escaped reports whether a name as it stands on the wire contains the escape.
func escaped(name []byte) bool {
	return len(name) >= len(escape) && bytes.Contains(name, escapeBytes)
}

// unescape returns name itself unless it contains the escape, else a copy
// with each escape replaced by a semicolon.
func unescape(name []byte) []byte {
	if !escaped(name) {
		return name
	}
	return bytes.ReplaceAll(name, escapeBytes, []byte{';'})
}

// unescapedLength is the length that unescape's result would have.
func unescapedLength(name []byte) int {
	if len(name) < len(escape) {
		return len(name)
	}
	return len(name) - bytes.Count(name, escapeBytes)*(len(escape)-1)
}
