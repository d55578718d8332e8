package codec

import (
	"encoding/json"
	"fmt"
)

// Codec turns bodies into values and back. It must be safe for concurrent use.
type Codec interface {
	// Marshal returns the body of a value.
	Marshal(value any) ([]byte, error)
	// Unmarshal stores a body in the value that the pointer points to. It must
	// not keep the body.
	Unmarshal(body []byte, pointer any) error
}

// JSON is the codec of package encoding/json. Its zero value is ready to use.
type JSON struct{}

// Marshal implements Codec.
func (JSON) Marshal(value any) ([]byte, error) { return json.Marshal(value) }

// Unmarshal implements Codec.
func (JSON) Unmarshal(body []byte, pointer any) error { return json.Unmarshal(body, pointer) }

// DecodeError is returned for a body that a codec cannot decode. Its text is
// sent to the peer as the answer to an ask.
type DecodeError struct {
	Event string // of the message with the body
	Err   error  // the codec's
}

// Error implements error.
func (e *DecodeError) Error() string { return fmt.Sprintf("bad body of %q: %v", e.Event, e.Err) }

// Unwrap returns the codec's error.
func (e *DecodeError) Unwrap() error { return e.Err }

// Decode returns the value of an event's body. The error is a *DecodeError.
func Decode[T any](c Codec, event string, body []byte) (value T, err error) {
	if err = c.Unmarshal(body, &value); err != nil {
		err = &DecodeError{event, err}
	}
	return value, err
}

// Encode returns the body of an event. The error wraps the codec's.
func Encode(c Codec, event string, value any) ([]byte, error) {
	body, err := c.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("codec: encode the body of %q: %w", event, err)
	}
	return body, nil
}
