package codec_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stoa-io/stoa/codec"
)

type point struct{ X, Y int }

func TestJSON(t *testing.T) {
	body, err := codec.Encode(codec.JSON{}, "moved", point{1, 2})
	if err != nil || string(body) != `{"X":1,"Y":2}` {
		t.Fatalf("Encode: %s, %v", body, err)
	}
	if p, err := codec.Decode[point](codec.JSON{}, "moved", body); err != nil || p != (point{1, 2}) {
		t.Errorf("Decode: %v, %v", p, err)
	}
}

type (
	name    string
	decimal string // with a form of its own
	empty   struct{}
)

func (d decimal) MarshalText() ([]byte, error) { return []byte("d" + d), nil }

func (d *decimal) UnmarshalText(text []byte) error {
	*d = decimal(text[1:])
	return nil
}

// A string is the body itself, as in TypeScript.
func TestStrings(t *testing.T) {
	for _, text := range []string{"bob", `"quoted"`, "", "null", "7", "two\nlines", "λ"} {
		body, err := codec.Encode(codec.JSON{}, "kick", text)
		if err != nil || string(body) != text {
			t.Errorf("Encode: %q, %v; want %q", body, err, text)
		}
		if got, err := codec.Decode[string](codec.JSON{}, "kick", body); err != nil || got != text {
			t.Errorf("Decode: %q, %v; want %q", got, err, text)
		}
		body, err = codec.Encode(codec.JSON{}, "kick", name(text))
		if err != nil || string(body) != text {
			t.Errorf("Encode of a named type: %q, %v; want %q", body, err, text)
		}
		if got, err := codec.Decode[name](codec.JSON{}, "kick", body); err != nil || got != name(text) {
			t.Errorf("Decode of a named type: %q, %v; want %q", got, err, text)
		}
	}
	body, err := codec.Encode(codec.JSON{}, "price", decimal("1.50"))
	if err != nil || string(body) != `"d1.50"` {
		t.Errorf("Encode of a type with its own form: %s, %v", body, err)
	}
	if got, err := codec.Decode[decimal](codec.JSON{}, "price", body); err != nil || got != "1.50" {
		t.Errorf("Decode of a type with its own form: %q, %v", got, err)
	}
	body, err = codec.Encode(codec.JSON{}, "price", json.Number("1.50"))
	if got, bad := codec.Decode[json.Number](codec.JSON{}, "price", body); err != nil || bad != nil || string(body) != "1.50" || got != "1.50" {
		t.Errorf("a number: %s, %q, %v, %v", body, got, err, bad)
	}
}

// An empty body is nothing where the type has that, and an error elsewhere.
func TestNothing(t *testing.T) {
	if got, err := codec.Decode[*point](codec.JSON{}, "e", nil); err != nil || got != nil {
		t.Errorf("a pointer: %v, %v", got, err)
	}
	if got, err := codec.Decode[any](codec.JSON{}, "e", nil); err != nil || got != nil {
		t.Errorf("an interface: %v, %v", got, err)
	}
	if got, err := codec.Decode[[]point](codec.JSON{}, "e", nil); err != nil || got != nil {
		t.Errorf("a slice: %v, %v", got, err)
	}
	if got, err := codec.Decode[map[string]int](codec.JSON{}, "e", nil); err != nil || got != nil {
		t.Errorf("a map: %v, %v", got, err)
	}
	if _, err := codec.Decode[empty](codec.JSON{}, "e", nil); err != nil {
		t.Errorf("an empty struct: %v", err)
	}
	if _, err := codec.Decode[point](codec.JSON{}, "e", nil); err == nil {
		t.Error("a struct: no error")
	}
	if _, err := codec.Decode[int](codec.JSON{}, "e", nil); err == nil {
		t.Error("a number: no error")
	}
	if err := (codec.JSON{}).Unmarshal([]byte("1"), nil); err == nil {
		t.Error("no pointer: no error")
	}
	if body, err := codec.Encode(codec.JSON{}, "e", nil); err != nil || string(body) != "null" {
		t.Errorf("Encode of nil: %s, %v", body, err)
	}
}

func TestDecodeError(t *testing.T) {
	_, err := codec.Decode[point](codec.JSON{}, "moved", []byte(`"text"`))
	var bad *codec.DecodeError
	var cause *json.UnmarshalTypeError
	if !errors.As(err, &bad) || bad.Event != "moved" || !errors.As(err, &cause) {
		t.Fatalf("Decode: %#v, want a DecodeError with the codec's error", err)
	}
	if got, want := err.Error(), `bad body of "moved": `+cause.Error(); got != want {
		t.Errorf("%q, want %q: peers receive this text", got, want)
	}
}

func TestEncodeError(t *testing.T) {
	_, err := codec.Encode(codec.JSON{}, "moved", make(chan int))
	var cause *json.UnsupportedTypeError
	if !errors.As(err, &cause) {
		t.Errorf("Encode: %v, want the codec's error", err)
	}
}
