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
