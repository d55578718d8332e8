package jsonfield

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxText is the size of the longest text that Find returns, in bytes.
const MaxText = 128

// Find returns the text of a field at the top of a JSON object: the value of a
// string, or a number as it is written. If the object has the field more than
// once, the last one counts, as for other decoders. The text is empty if body
// is no object or lacks the field, if that has another type, or a text that is
// empty, too long or not valid UTF-8.
//
// Find looks at each byte of body once, and allocates only the text. It does
// not check values that it skips.
func Find(body []byte, name string) string {
	r := reader{rest: body}
	if !r.accept('{') {
		return ""
	}
	var found []byte
	for more := !r.accept('}'); more; {
		field := r.next()
		if !isString(field) || !r.accept(':') {
			return ""
		}
		value := r.next()
		if is(field[1:len(field)-1], name) {
			found = value
		}
		switch {
		case len(value) == 0:
			return ""
		case r.accept('}'):
			more = false
		case !r.accept(','):
			return ""
		}
	}
	return text(found)
}

// is compares the inside of a string with a name. It stops at the first
// difference, since any of many fields may have escapes.
func is(inside []byte, name string) bool {
	var text [utf8.UTFMax]byte
	for len(inside) > 0 {
		next, size := inside[:1], 1
		if inside[0] == '\\' {
			var r rune
			if r, size = unescape(inside); size == 0 {
				return false
			}
			next = utf8.AppendRune(text[:0], r)
		}
		if len(name) < len(next) || name[:len(next)] != string(next) {
			return false
		}
		inside, name = inside[size:], name[len(next):]
	}
	return name == ""
}

// unescape returns the character of the escape with which text begins, and the
// size of that, 0 if it is none.
func unescape(text []byte) (r rune, size int) {
	if len(text) < 2 {
		return 0, 0
	}
	if i := strings.IndexByte(`"\/bfnrt`, text[1]); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), 2
	}
	const length = len(`\u0000`)
	if r, size = codeUnit(text), length; r < 0 {
		return 0, 0
	}
	if utf16.IsSurrogate(r) {
		if r = utf16.DecodeRune(r, codeUnit(text[length:])); r != utf8.RuneError {
			size += length
		}
	}
	return r, size
}

// codeUnit returns the value of the escape \u with which text begins, -1 if it
// is none.
func codeUnit(text []byte) (unit rune) {
	const start, length = 2, len(`\u0000`)
	if len(text) < length || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	for _, c := range text[start:length] {
		digit := strings.IndexByte("0123456789abcdef", c|0x20) // c in lower case
		if digit < 0 || c < '0' {
			return -1
		}
		unit = unit<<4 | rune(digit)
	}
	return unit
}

func decode(value []byte) (text string, ok bool) {
	err := json.Unmarshal(value, &text)
	return text, err == nil
}

// text returns that of a string or number.
func text(value []byte) string {
	const longest = 2 + 6*MaxText // each byte escaped, in quotation marks
	if len(value) == 0 || len(value) > longest || !utf8.Valid(value) {
		return ""
	}
	var own string
	switch c := value[0]; {
	case isPlain(value):
		own = string(value[1 : len(value)-1])
	case c == '"':
		own, _ = decode(value)
	case (c == '-' || c >= '0' && c <= '9') && json.Valid(value):
		own = string(value)
	}
	if len(own) > MaxText {
		return ""
	}
	return own
}

// isPlain reports that a value is a string without escapes and errors.
func isPlain(value []byte) bool {
	escaped := func(c byte) bool { return c < ' ' || c == '\\' }
	return isString(value) && !slices.ContainsFunc(value, escaped)
}

func isString(value []byte) bool { return len(value) > 1 && value[0] == '"' }

// reader reads from the front of rest.
type reader struct{ rest []byte }

// accept reads a character, if it is the next one.
func (r *reader) accept(c byte) bool {
	r.skipSpace()
	if len(r.rest) == 0 || r.rest[0] != c {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

func (r *reader) skipSpace() {
	i := 0
	for i < len(r.rest) && isSpace(r.rest[i]) {
		i++
	}
	r.rest = r.rest[i:]
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isMark(c byte) bool { return c == ',' || c == ':' || c == ']' || c == '}' || c == '"' }

// next reads a value, and returns nothing if it has no end.
func (r *reader) next() (value []byte) {
	r.skipSpace()
	end := 0
	if len(r.rest) > 0 {
		switch r.rest[0] {
		case '"':
			end = endOfString(r.rest)
		case '{', '[':
			end = endOfNested(r.rest)
		default:
			for end < len(r.rest) && !isSpace(r.rest[end]) && !isMark(r.rest[end]) {
				end++
			}
		}
	}
	value, r.rest = r.rest[:end], r.rest[end:]
	return value
}

// endOfString returns the place behind the string with which data begins, 0 if
// it has no end.
func endOfString(data []byte) int {
	for at := 1; ; {
		i := bytes.IndexByte(data[at:], '"')
		if i < 0 {
			return 0
		}
		escapes := 0
		for escapes < i && data[at+i-1-escapes] == '\\' {
			escapes++
		}
		at += i + 1
		if escapes%2 == 0 {
			return at
		}
	}
}

// endOfNested is endOfString for an object or array.
func endOfNested(data []byte) int {
	depth := 0
	for at := 0; at < len(data); at++ {
		switch data[at] {
		case '"':
			end := endOfString(data[at:])
			if end == 0 {
				return 0
			}
			at += end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
		}
	}
	return 0
}
