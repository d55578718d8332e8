package wire

import (
	"bytes"
	"unicode/utf8"
)

// MaxPublishID is the length of the longest ID of a confirmed emit, in bytes.
const MaxPublishID = 64

// PublishRequest is the body of EventRoomPublish: an emit that the server
// confirms when it is in the history of the room (protocol.md section 16).
type PublishRequest struct {
	// ID is the client's name for the message: a copy with the same ID is not
	// published again.
	ID []byte
	// Event and Body are those of the emit.
	Event, Body []byte
}

// IsPublishID reports whether a text can be the ID of a confirmed emit: 1 to
// MaxPublishID printable ASCII characters without comma and semicolon.
func IsPublishID[T ~string | ~[]byte](id T) bool {
	if len(id) == 0 || len(id) > MaxPublishID {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c < ' ' || c > '~' || c == ',' || c == ';' {
			return false
		}
	}
	return true
}

// AppendPublishRequest appends a request. The caller has checked the ID.
func AppendPublishRequest(dst []byte, r *PublishRequest) []byte {
	dst = append(append(dst, r.ID...), ',')
	dst = append(appendName(dst, r.Event), ';')
	return append(dst, r.Body...)
}

// ParsePublishRequest reads a request. ok is false if a part of it is not as
// AppendPublishRequest writes it, or if the event is not one of an emit: a
// system event, or not valid UTF-8. ID and Body are views into the body, and so
// is Event, unless it was escaped.
func ParsePublishRequest(body []byte) (r PublishRequest, ok bool) {
	parameters, message, found := bytes.Cut(body, []byte(";"))
	id, event, separated := bytes.Cut(parameters, []byte(","))
	event = unescape(event)
	if !found || !separated || !IsPublishID(id) || IsSystemEvent(event) || !utf8.Valid(event) {
		return PublishRequest{}, false
	}
	return PublishRequest{ID: id, Event: event, Body: message}, true
}
