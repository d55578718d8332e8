package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// object has the members of a JSON object, as encoding/json would put them into
// a map of json.RawMessage, but without a copy of each.
type object struct {
	members []member
	first   [10]member // memory for most objects
}

type member struct {
	name  []byte
	value json.RawMessage // a view into the text
}

// unmarshal reads an object, or null, which has no members. The values are
// views into content.
func (o *object) unmarshal(content []byte) error {
	o.members = o.first[:0]
	if !json.Valid(content) {
		return errors.New("malformed JSON")
	}
	rest := skipSpace(content)
	if rest[0] != '{' {
		var none map[string]json.RawMessage
		return json.Unmarshal(content, &none) // an error unless it is null
	}
	// The text is valid, so every name ends, and has a value.
	for rest = skipSpace(rest[1:]); rest[0] != '}'; rest = skipSpace(rest) {
		if rest[0] == ',' {
			rest = skipSpace(rest[1:])
		}
		end := valueEnd(rest)
		name, err := memberName(rest[:end])
		if err != nil {
			return err
		}
		rest = skipSpace(skipSpace(rest[end:])[1:]) // the colon
		end = valueEnd(rest)
		o.members = append(o.members, member{name, json.RawMessage(rest[:end])})
		rest = rest[end:]
	}
	return nil
}

// get returns the value of the last member of that name.
func (o *object) get(name string) (json.RawMessage, bool) {
	for i := len(o.members) - 1; i >= 0; i-- {
		if string(o.members[i].name) == name {
			return o.members[i].value, true
		}
	}
	return nil, false
}

// memberName returns the name in a text with its quotes.
func memberName(quoted []byte) ([]byte, error) {
	if bytes.IndexByte(quoted, '\\') < 0 && utf8.Valid(quoted) {
		return quoted[1 : len(quoted)-1], nil
	}
	var name string
	err := json.Unmarshal(quoted, &name)
	return []byte(name), err
}

func skipSpace(text []byte) []byte { return bytes.TrimLeft(text, " \t\r\n") }

// valueEnd returns the size of the value at the front of a valid text.
func valueEnd(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i += textEnd(text[i:]) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		case ',', ' ', '\t', '\r', '\n', ':':
			continue
		default: // a number, or true, false or null
			for i+1 < len(text) && !bytes.ContainsRune([]byte(",]} \t\r\n"), rune(text[i+1])) {
				i++
			}
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(text)
}

// textEnd returns the size of the JSON string at the front of a valid text.
func textEnd(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}
