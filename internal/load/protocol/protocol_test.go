package protocol

import (
	"bytes"
	"strings"
	"testing"
)

func TestParseFrame(t *testing.T) {
	for _, test := range []struct {
		name    string
		data    []byte
		opcode  byte
		payload string
		size    int
		fails   bool
	}{
		{name: "empty"},
		{name: "half a header", data: []byte{0x81}},
		{name: "half a payload", data: []byte{0x81, 3, 'a', 'b'}},
		{name: "text", data: []byte{0x81, 2, 'a', 'b', 0x81}, opcode: OpText, payload: "ab", size: 4},
		{name: "masked", data: AppendMasked(nil, OpPing, []byte("hello")), opcode: OpPing, payload: "hello", size: 11},
		{name: "long", data: AppendFrame(nil, OpText, bytes.Repeat([]byte("x"), 300)), opcode: OpText, payload: strings.Repeat("x", 300), size: 304},
		{name: "half a long header", data: []byte{0x81, 126, 1}},
		{name: "very long", data: []byte{0x81, 127}, fails: true},
		{name: "fragment", data: []byte{0x01, 0}, fails: true},
		{name: "reserved bit", data: []byte{0xc1, 0}, fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, size, err := ParseFrame(test.data)
			if (err != nil) != test.fails {
				t.Fatalf("error %v, want one: %v", err, test.fails)
			}
			if size != test.size || f.Opcode != test.opcode || string(f.Payload) != test.payload {
				t.Errorf("got opcode %d, %q, size %d; want %d, %q, %d", f.Opcode, f.Payload, size, test.opcode, test.payload, test.size)
			}
		})
	}
}

func TestMessageTemplate(t *testing.T) {
	for _, room := range []string{"room-0", "room-14999", strings.Repeat("long", 40)} {
		template := NewMessageTemplate(room, EventMessage)
		for _, number := range []uint64{0, 7, 1234567890, 9999999999} {
			sent := template.Append([]byte("before"), number)[len("before"):]
			f, size, err := ParseFrame(sent)
			if err != nil || size != len(sent) {
				t.Fatalf("room %.10s, message %d: size %d of %d, %v", room, number, size, len(sent), err)
			}
			got, ok := template.Number(AppendFrame(nil, OpText, f.Payload))
			if !ok || got != number {
				t.Errorf("room %.10s: sent message %d and got %d, %v", room, number, got, ok)
			}
		}
		for _, number := range []uint64{0, 1234567890} {
			f, _, _ := ParseFrame(template.Append(nil, number))
			positioned := AppendFrame(nil, OpText, append([]byte("@Aa0-_f"), f.Payload...))
			if got, size := template.Positioned(append(positioned, "more"...)); got != number || size != len(positioned) {
				t.Errorf("room %.10s: sent message %d with a position and got %d, size %d", room, number, got, size)
			}
			for _, other := range [][]byte{f.Payload, append([]byte("@"), f.Payload...), append([]byte("1"), f.Payload...)} {
				if _, size := template.Positioned(AppendFrame(nil, OpText, other)); size != 0 {
					t.Errorf("room %.10s: %.20q has no position, but was taken", room, other)
				}
			}
			for at := bytes.IndexByte(positioned, ';'); at < len(positioned); at++ {
				positioned[at] ^= 1 << 6
				if _, size := template.Positioned(positioned); size != 0 {
					t.Errorf("room %.10s: a changed byte %d is not noticed", room, at)
				}
				positioned[at] ^= 1 << 6
			}
		}
		whole := bytes.Clone(template.received)
		if _, ok := template.Number(whole[:len(whole)-1]); ok {
			t.Errorf("room %.10s: a cut message is taken for a whole one", room)
		}
		for _, at := range []int{0, 1, template.before - 1, template.before, template.after, len(whole) - 1} {
			whole[at] ^= 1 << 6
			if _, ok := template.Number(whole); ok {
				t.Errorf("room %.10s: a changed byte %d is not noticed", room, at)
			}
			whole[at] ^= 1 << 6
		}
	}
}

func TestAskTemplate(t *testing.T) {
	template := NewAskTemplate(EventEcho)
	for _, number := range []uint64{0, 7, 1234567890, 9999999999} {
		sent := template.Append([]byte("before"), number)[len("before"):]
		f, size, err := ParseFrame(sent)
		if err != nil || size != len(sent) {
			t.Fatalf("ask %d: size %d of %d, %v", number, size, len(sent), err)
		}
		answer := AppendFrame(nil, OpText, f.Payload)
		if !template.Answers(append(answer, "more"...), number) {
			t.Errorf("ask %d: %q is not its answer", number, answer)
		}
		if template.Answers(answer, number+1) || template.Answers(answer[:len(answer)-1], number) {
			t.Errorf("ask %d: another answer, or a part of it, is taken for it", number)
		}
		for at := range answer {
			answer[at] ^= 1 << 6
			if template.Answers(answer, number) {
				t.Errorf("ask %d: a changed byte %d is not noticed", number, at)
			}
			answer[at] ^= 1 << 6
		}
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add([]byte{0x81, 2, 'a', 'b', 0x81})
	f.Add(AppendMasked(nil, OpClose, []byte("x")))
	f.Add(AppendFrame(nil, OpText, bytes.Repeat([]byte("x"), 300)))
	f.Fuzz(func(t *testing.T, data []byte) {
		in, size, err := ParseFrame(bytes.Clone(data))
		if size < 0 || size > len(data) || err == nil && len(in.Payload) > size {
			t.Fatalf("size %d, payload of %d, of %d bytes", size, len(in.Payload), len(data))
		}
		if size == 0 {
			return
		}
		again, _, err := ParseFrame(AppendMasked(nil, in.Opcode, in.Payload))
		if err != nil || again.Opcode != in.Opcode || !bytes.Equal(again.Payload, in.Payload) {
			t.Fatalf("%v became %v, %v", in, again, err)
		}
	})
}
