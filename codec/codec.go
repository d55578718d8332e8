package body

import (
	"encoding/json"
	"fmt"
)

// Codec turns bodies into values and back. It must be safe for concurrent use.
type Codec interface {
	Marshal(value any) ([]byte, error)
	Unmarshal(body []byte, value any) error
}

// JSON is the codec of package encoding/json.
type JSON struct{}

// Marshal implements Codec.
func (JSON) Marshal(value any) ([]byte, error) { return json.Marshal(value) }

// Unmarshal implements Codec.
func (JSON) Unmarshal(body []byte, value any) error { return json.Unmarshal(body, value) }

// Error says that a body is not what a handler expects. Its text is the answer to an
// ask.
type Error struct {
	Event string
	Err   error // the codec's
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("bad body of %q: %v", e.Event, e.Err) }

// Unwrap returns the codec's error.
func (e *Error) Unwrap() error { return e.Err }

// Decode makes a value of the body of an event; the error is an Error.
func Decode[T any](codec Codec, event string, body []byte) (value T, err error) {
	if err = codec.Unmarshal(body, &value); err != nil {
		err = &Error{event, err}
	}
	return value, err
}
