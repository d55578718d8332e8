package node

import (
	"reflect"
	"testing"
)

func commandCases() []command {
	return []command{
		{kind: commandEmit, payload: []byte(";n;r;e;0;0;body")},
		{kind: commandAsk, id: 1 << 60, timeout: 1<<32 - 1, from: "nodea", target: "nodeb-0123456789012345678901", payload: []byte(";;;;0;0;")},
		{kind: commandAskRoom, binary: true, every: true, id: 7, from: "a", payload: []byte{0xff, 0}},
		{kind: commandAnswer, id: 7, from: "a", target: "b", err: "bad; room", payload: []byte{}},
		{kind: commandClose, code: 4999, payload: []byte("reason")},
		{kind: commandDone, id: 1, from: "a"},
		{kind: commandRollCall, id: 1, from: "a"},
	}
}

func TestCommandEncoding(t *testing.T) {
	for _, want := range commandCases() {
		data := want.append([]byte("before"))[len("before"):]
		got, err := parseCommand(data)
		if len(want.payload) == 0 {
			want.payload = nil
		}
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
}

func FuzzParseCommand(f *testing.F) {
	for _, c := range commandCases() {
		f.Add(c.append(nil))
	}
	f.Add([]byte{2, 1, 0})
	f.Add([]byte{1, byte(commandKinds), 0})
	f.Add([]byte{1, 1, 0, 0, 0, 0, 200})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseCommand(data)
		if err != nil {
			return
		}
		again, err := parseCommand(c.append(nil))
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Errorf("%+v became %+v, %v", c, again, err)
		}
	})
}
