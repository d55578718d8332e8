package client_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/client"
)

// raw returns frames of a server as bytes.
func raw(frames ...ws.Frame) []byte {
	var data bytes.Buffer
	for _, f := range frames {
		_ = ws.WriteFrame(&data, f)
	}
	return data.Bytes()
}

var frameCases = []struct {
	name string
	data []byte
	want []string // opcode and payload
	err  error
}{
	{"nothing", nil, nil, io.EOF},
	{"text and binary", raw(ws.NewTextFrame([]byte("a")), ws.NewBinaryFrame([]byte("\xff"))), []string{"\x01a", "\x02\xff"}, io.EOF},
	{"empty", raw(ws.NewTextFrame(nil)), []string{"\x01"}, io.EOF},
	{"fragments around a ping", raw(ws.NewFrame(ws.OpText, false, []byte("a\xc3")), ws.NewPingFrame([]byte("p")),
		ws.NewFrame(ws.OpContinuation, false, []byte("\xa4")), ws.NewFrame(ws.OpContinuation, true, []byte("c"))), []string{"\x09p", "\x01aäc"}, io.EOF},
	{"at the limit", raw(ws.NewTextFrame(bytes.Repeat([]byte("x"), 1000))), []string{"\x01" + strings.Repeat("x", 1000)}, io.EOF},
	{"above the limit", raw(ws.NewTextFrame(bytes.Repeat([]byte("x"), 1001))), nil, client.ErrTooBig},
	{"fragments above the limit", raw(ws.NewFrame(ws.OpText, false, make([]byte, 600)), ws.NewFrame(ws.OpContinuation, true, make([]byte, 600))), nil, client.ErrTooBig},
	{"a declared length of 2^62", []byte{0x82, 127, 0x40, 0, 0, 0, 0, 0, 0, 0}, nil, client.ErrTooBig},
	{"a declared length of 2^63", []byte{0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0}, nil, client.ErrProtocol},
	{"masked", raw(ws.MaskFrame(ws.NewTextFrame([]byte("a")))), nil, client.ErrProtocol},
	{"a reserved bit", []byte{0xc1, 1, 'a'}, nil, client.ErrProtocol},
	{"a reserved opcode", []byte{0x83, 1, 'a'}, nil, client.ErrProtocol},
	{"a reserved control opcode", []byte{0x8b, 0}, nil, client.ErrProtocol},
	{"a continuation of nothing", raw(ws.NewFrame(ws.OpContinuation, true, []byte("a"))), nil, client.ErrProtocol},
	{"a message inside another", raw(ws.NewFrame(ws.OpText, false, []byte("a")), ws.NewTextFrame([]byte("b"))), nil, client.ErrProtocol},
	{"a fragmented ping", raw(ws.NewFrame(ws.OpPing, false, nil)), nil, client.ErrProtocol},
	{"a long ping", append([]byte{0x89, 126, 0, 126}, make([]byte, 126)...), nil, client.ErrProtocol},
	{"text that is no UTF-8", raw(ws.NewTextFrame([]byte("\xff"))), nil, client.ErrProtocol},
	{"cut in a header", []byte{0x81}, nil, io.ErrUnexpectedEOF},
	{"cut in a payload", []byte{0x81, 2, 'a'}, nil, io.ErrUnexpectedEOF},
	{"cut before a payload", []byte{0x81, 2}, nil, io.ErrUnexpectedEOF},
}

func TestFramesOfTheServer(t *testing.T) {
	for _, test := range frameCases {
		t.Run(test.name, func(t *testing.T) {
			for _, piece := range []int{1, 7, 1 << 20} {
				got, err := client.ReadFrames(test.data, 1000, piece)
				if !slices.Equal(got, test.want) || !errors.Is(err, test.err) {
					t.Errorf("in pieces of %d: %q, %v, want %q, %v", piece, got, err, test.want, test.err)
				}
			}
		})
	}
}

func TestFramesOfTheClient(t *testing.T) {
	for _, length := range []int{0, 1, 125, 126, 65535, 65536, 70000} {
		payload := bytes.Repeat([]byte("s"), length)
		data := client.AppendFrame([]byte("before"), ws.OpBinary, payload, [4]byte{1, 2, 3, 4})
		f, err := readFrame(bytes.NewReader(data[len("before"):]))
		if err != nil || !f.Header.Masked || !f.Header.Fin || f.Header.OpCode != ws.OpBinary {
			t.Fatalf("%d bytes: header %+v, %v", length, f.Header, err)
		}
		if got := ws.UnmaskFrame(f).Payload; !bytes.Equal(got, payload) {
			t.Errorf("%d bytes come back as %d others", length, len(got))
		}
	}
}

// FuzzFrames looks for panics, for memory allocated for a declared length
// alone, and for results that depend on how the bytes are split.
func FuzzFrames(f *testing.F) {
	for _, test := range frameCases {
		f.Add(test.data, 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		const limit = 1000
		whole, err := client.ReadFrames(data, limit, len(data)+1)
		inPieces, pieceErr := client.ReadFrames(data, limit, max(1, piece%50))
		if !slices.Equal(whole, inPieces) || err.Error() != pieceErr.Error() {
			t.Errorf("at once %q, %v, in pieces %q, %v", whole, err, inPieces, pieceErr)
		}
		for _, message := range whole {
			if len(message) > limit+1 {
				t.Errorf("a message of %d bytes", len(message)-1)
			}
		}
	})
}
