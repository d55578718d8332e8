package wire

import (
	"bytes"
	"strconv"
	"strings"
)

// A position is the place of a message in the history of its room: an opaque
// text, by which a client says later how far it has read (protocol.md section
// 14).

// MaxPosition is the length of the longest position, in bytes.
const MaxPosition = 24

// positionMark starts the token field of an emit that has a position.
const positionMark = '@'

// IsPosition reports whether a text can be a position: it consists of letters,
// digits, "-" and "_", and is not too long. The empty text is no position of a
// message, and passes: where a position is optional, it stands for none.
func IsPosition[T ~string | ~[]byte](text T) bool {
	if len(text) > MaxPosition {
		return false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// AppendPosition appends the token field of an emit with this position. The
// encoded emit follows, which begins with a semicolon since it has no token.
func AppendPosition[T ~string | ~[]byte](dst []byte, position T) []byte {
	return append(append(dst, positionMark), position...)
}

// ParsePosition returns the position of the emit with this token field, a view
// into it; ok is false if the message is no such emit. The position is nil if
// the server has sent none that IsPosition accepts.
func ParsePosition(token []byte) (position []byte, ok bool) {
	if len(token) == 0 || token[0] != positionMark {
		return nil, false
	}
	if position = token[1:]; len(position) == 0 || !IsPosition(position) {
		return nil, true
	}
	return position, true
}

// RecoveryRequest is the beginning of the body of EventRoomRecover; the body of
// the join follows.
type RecoveryRequest struct {
	// Position is that of the last message which the client has; empty if it
	// has none.
	Position string
	// Limit is how many of the newest messages the client wants if it has no
	// position, or if the messages after it are not all available.
	Limit int
	// ExceptID is the ID of the client's previous connection, whose own emits
	// do not follow; empty if it had none.
	ExceptID string
}

const (
	// MaxRecoveryLimit is the largest number that a RecoveryRequest may have as
	// its limit. Servers send fewer messages.
	MaxRecoveryLimit = 999_999_999
	// MaxRecoveryID is the length of the longest ID in a RecoveryRequest, in
	// bytes.
	MaxRecoveryID = 64

	// maxDigits is the length of the longest number in a request or an answer.
	maxDigits = 9
)

// AppendRecoveryRequest appends a request, and the semicolon that ends it. The
// caller has checked the position, and that the limit is not negative. An ID
// that is too long, or has a semicolon or anything but printable ASCII, is left
// out, and a larger limit is lowered.
func AppendRecoveryRequest(dst []byte, r *RecoveryRequest) []byte {
	dst = append(append(dst, r.Position...), ',')
	dst = strconv.AppendInt(dst, int64(min(r.Limit, MaxRecoveryLimit)), 10)
	dst = append(dst, ',')
	if isRecoveryID(r.ExceptID) {
		dst = append(dst, r.ExceptID...)
	}
	return append(dst, ';')
}

func isRecoveryID(id string) bool {
	return len(id) <= MaxRecoveryID && !strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r > '~' || r == ';' })
}

// ParseRecoveryRequest reads the request in front of a body. ok is false if
// there is none, or if a part of it is not as AppendRecoveryRequest writes it,
// but for the limit, which may be empty. It copies the texts.
func ParseRecoveryRequest(body []byte) (r RecoveryRequest, rest []byte, ok bool) {
	fields, rest, ok := cutParameters(body)
	if !ok || !IsPosition(fields[0]) || len(fields[2]) > MaxRecoveryID || !isRecoveryID(string(fields[2])) {
		return RecoveryRequest{}, nil, false
	}
	limit, ok := parseNumber(fields[1])
	if !ok {
		return RecoveryRequest{}, nil, false
	}
	return RecoveryRequest{Position: string(fields[0]), Limit: limit, ExceptID: string(fields[2])}, rest, true
}

// RecoveryAnswer is the beginning of the body of the positive answer to
// EventRoomRecover; the application's answer to the join follows.
type RecoveryAnswer struct {
	// Recovered: the request had a position, and all messages after it follow
	// the answer.
	Recovered bool
	// Position is that of the room at the join; empty if the room keeps no
	// history, or if the position is not known.
	Position string
	// Count is how many messages follow the answer before anything new.
	Count int
}

// AppendRecoveryAnswer appends an answer, and the semicolon that ends it. The
// caller has checked the position, and that the count is not negative and at
// most MaxRecoveryLimit.
func AppendRecoveryAnswer(dst []byte, a *RecoveryAnswer) []byte {
	dst = append(dst, flag(a.Recovered), ',')
	dst = append(append(dst, a.Position...), ',')
	dst = strconv.AppendInt(dst, int64(a.Count), 10)
	return append(dst, ';')
}

// ParseRecoveryAnswer reads the answer in front of a body. ok is false if there
// is none. Numbers may be empty, and are zero then. It copies the position.
func ParseRecoveryAnswer(body []byte) (a RecoveryAnswer, rest []byte, ok bool) {
	fields, rest, ok := cutParameters(body)
	if !ok || !isTrue(fields[0]) && !isZero(fields[0]) || !IsPosition(fields[1]) {
		return RecoveryAnswer{}, nil, false
	}
	count, ok := parseNumber(fields[2])
	if !ok {
		return RecoveryAnswer{}, nil, false
	}
	return RecoveryAnswer{Recovered: isTrue(fields[0]), Position: string(fields[1]), Count: count}, rest, true
}

// cutParameters splits the parameters in front of a body: three fields between
// commas, of which the last may contain more, up to a semicolon.
func cutParameters(body []byte) (fields [3][]byte, rest []byte, ok bool) {
	parameters, rest, ok := bytes.Cut(body, []byte(";"))
	for i := 0; ok && i < len(fields)-1; i++ {
		fields[i], parameters, ok = bytes.Cut(parameters, []byte(","))
	}
	fields[len(fields)-1] = parameters
	return fields, rest, ok
}

// parseNumber reads a number of at most maxDigits digits; none are zero.
func parseNumber(digits []byte) (number int, ok bool) {
	if len(digits) > maxDigits {
		return 0, false
	}
	for _, digit := range digits {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		number = number*10 + int(digit-'0')
	}
	return number, true
}
