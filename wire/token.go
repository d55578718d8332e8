package wire

import (
	"math"
	"strconv"
)

// clientTokenMark starts every token that a client makes.
const clientTokenMark = '$'

// AppendClientToken appends a token made by a client: "$" and the decimal
// value of a counter that is unique per connection.
func AppendClientToken(dst []byte, counter uint64) []byte {
	return strconv.AppendUint(append(dst, clientTokenMark), counter, 10)
}

// ParseClientToken returns the counter of a token that AppendClientToken
// made; ok is false for any other token.
func ParseClientToken(token []byte) (counter uint64, ok bool) {
	if len(token) == 0 || token[0] != clientTokenMark {
		return 0, false
	}
	return parseCounter(token[1:])
}

// VolatileToken is the token field of a volatile emit, which a client sends to
// a server that has named FeatureVolatile. No answer is expected.
const VolatileToken = "~"

// IsVolatile reports whether a token field is that of a volatile emit.
func IsVolatile(token []byte) bool { return string(token) == VolatileToken }

// AppendServerToken appends a token made by a server: the decimal value of a
// counter that is unique per connection. Digits alone are never taken for a
// client's token or for one of the special forms of protocol.md section 4.
func AppendServerToken(dst []byte, counter uint64) []byte {
	return strconv.AppendUint(dst, counter, 10)
}

// ParseServerToken returns the counter of a token that AppendServerToken
// made; ok is false for any other token.
func ParseServerToken(token []byte) (counter uint64, ok bool) {
	return parseCounter(token)
}

// parseCounter accepts only what AppendUint writes: no sign, no leading zero,
// no overflow. So a token that parses was made from the result.
func parseCounter(digits []byte) (counter uint64, ok bool) {
	if len(digits) == 0 || digits[0] == '0' && len(digits) > 1 {
		return 0, false
	}
	for _, digit := range digits {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		value := uint64(digit - '0')
		if counter > (math.MaxUint64-value)/10 {
			return 0, false
		}
		counter = counter*10 + value
	}
	return counter, true
}
