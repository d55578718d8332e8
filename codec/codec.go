package codec

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
)

// Codec turns bodies into values and back. It must be safe for concurrent use.
type Codec interface {
	// Marshal returns the body of a value.
	Marshal(value any) ([]byte, error)
	// Unmarshal stores a body in the value that the pointer points to. It must
	// not keep the body.
	Unmarshal(body []byte, pointer any) error
}

// JSON is the codec of the TypeScript client: a string is the body itself, any
// other value is JSON as in package encoding/json. So a Go string is a
// TypeScript string, also inside of an event map. An empty body, which
// TypeScript sends for undefined and null, is the zero value of a pointer, an
// interface, a map, a slice and an empty struct. A type that has its own form
// in JSON keeps it, also if its kind is string. The zero value is ready to use.
type JSON struct{}

// Marshal implements Codec.
func (JSON) Marshal(value any) ([]byte, error) {
	if text, ok := value.(string); ok {
		return []byte(text), nil
	}
	if v := reflect.ValueOf(value); v.IsValid() && isText(v.Type()) {
		return []byte(v.String()), nil
	}
	return json.Marshal(value)
}

// Unmarshal implements Codec.
func (JSON) Unmarshal(body []byte, pointer any) error {
	if text, ok := pointer.(*string); ok && text != nil {
		*text = string(body)
		return nil
	}
	v := reflect.ValueOf(pointer)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return json.Unmarshal(body, pointer) // with an error about the pointer
	}
	switch target := v.Elem(); {
	case isText(target.Type()):
		target.SetString(string(body))
		return nil
	case len(body) == 0 && mayBeNothing(target.Type()):
		target.SetZero()
		return nil
	}
	return json.Unmarshal(body, pointer)
}

// isText reports whether the values of a type are bodies unchanged: strings
// without a form of their own in JSON.
func isText(t reflect.Type) bool {
	if t.Kind() != reflect.String || t == reflect.TypeFor[json.Number]() {
		return false
	}
	pointer := reflect.PointerTo(t) // has the methods of both
	for _, own := range []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	} {
		if pointer.Implements(own) {
			return false
		}
	}
	return true
}

// mayBeNothing reports whether an empty body is a value of the type.
func mayBeNothing(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return true
	case reflect.Struct:
		return t.NumField() == 0
	}
	return false
}

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
