package rpc

import (
	"reflect"
	"testing"
)

func requestCases() []Request {
	return []Request{
		{Op: OpEmit, Payload: []byte(";n;r;e;0;0;body")},
		{Op: OpAsk, ID: 1 << 60, Timeout: 1<<32 - 1, From: "nodea", Target: "nodeb-0123456789012345678901", Payload: []byte(";;;;0;0;")},
		{Op: OpAskRoom, Binary: true, All: true, ID: 7, From: "a", Payload: []byte{0xff, 0}},
		{Op: OpAnswer, ID: 7, From: "a", Target: "b", Err: "bad; room", Payload: []byte{}},
		{Op: OpClose, Code: 4999, Payload: []byte("reason")},
		{Op: OpDone, ID: 1, From: "a"},
		{Op: OpProbe, ID: 1, From: "a"},
	}
}

func TestRequestEncoding(t *testing.T) {
	for _, want := range requestCases() {
		data := want.append([]byte("before"))[len("before"):]
		got, err := parse(data)
		if len(want.Payload) == 0 {
			want.Payload = nil
		}
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
}

func TestMalformedRequests(t *testing.T) {
	for name, data := range map[string][]byte{
		"empty":              {},
		"short":              {version, byte(OpEmit)},
		"unknown version":    (&Request{Op: OpDone}).append(nil)[1:],
		"no operation":       (&Request{}).append(nil),
		"unknown operation":  (&Request{Op: ops}).append(nil),
		"no numbers":         {version, byte(OpEmit), 0},
		"timeout of 33 bits": {version, byte(OpEmit), 0, 0, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0, 0, 0},
		"code of 17 bits":    {version, byte(OpEmit), 0, 0, 0, 0x80, 0x80, 0x04, 0, 0, 0},
		"no strings":         {version, byte(OpEmit), 0, 0, 0, 0},
		"cut string":         {version, byte(OpEmit), 0, 0, 0, 0, 200},
	} {
		if got, err := parse(data); err != errMalformed {
			t.Errorf("%s: got %+v, %v, want %v", name, got, err, errMalformed)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, r := range requestCases() {
		f.Add(r.append(nil))
	}
	f.Add([]byte{2, 1, 0})
	f.Add([]byte{1, byte(ops), 0})
	f.Add([]byte{1, 1, 0, 0, 0, 0, 200})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parse(data)
		if err != nil {
			return
		}
		again, err := parse(r.append(nil))
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}
