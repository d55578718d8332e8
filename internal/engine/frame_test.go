package engine

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/gobwas/ws"
)

func TestParseHeader(t *testing.T) {
	mask := [4]byte{0xde, 0xad, 0xbe, 0xef}
	for _, c := range []struct {
		name string
		data string
		want ws.Header
		size int
	}{
		{"short text", "\x81\x85\xde\xad\xbe\xefHello", ws.Header{Fin: true, OpCode: ws.OpText, Masked: true, Mask: mask, Length: 5}, 6},
		{"not masked", "\x82\x05Hello", ws.Header{Fin: true, OpCode: ws.OpBinary, Length: 5}, 2},
		{"empty", "\x89\x80\xde\xad\xbe\xef", ws.Header{Fin: true, OpCode: ws.OpPing, Masked: true, Mask: mask}, 6},
		{"first fragment", "\x01\x01a", ws.Header{OpCode: ws.OpText, Length: 1}, 2},
		{"last fragment", "\x80\x01a", ws.Header{Fin: true, OpCode: ws.OpContinuation, Length: 1}, 2},
		{"reserved bits", "\xf1\x00", ws.Header{Fin: true, Rsv: 7, OpCode: ws.OpText}, 2},
		{"reserved opcode", "\x8f\x00", ws.Header{Fin: true, OpCode: 0xf}, 2},
		{"longest 7 bits", "\x81\x7d", ws.Header{Fin: true, OpCode: ws.OpText, Length: 125}, 2},
		{"16 bits", "\x81\x7e\x01\x02", ws.Header{Fin: true, OpCode: ws.OpText, Length: 0x102}, 4},
		{"16 bits, not the shortest form", "\x81\x7e\x00\x05", ws.Header{Fin: true, OpCode: ws.OpText, Length: 5}, 4},
		{"16 bits, masked", "\x81\xfe\xff\xff\xde\xad\xbe\xef", ws.Header{Fin: true, OpCode: ws.OpText, Masked: true, Mask: mask, Length: 0xffff}, 8},
		{"64 bits", "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", ws.Header{Fin: true, OpCode: ws.OpText, Length: 1 << 16}, 10},
		{"64 bits, masked", "\x81\xff\x00\x00\x00\x00\x00\x01\x00\x00\xde\xad\xbe\xef", ws.Header{Fin: true, OpCode: ws.OpText, Masked: true, Mask: mask, Length: 1 << 16}, 14},
		{"largest length", "\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", ws.Header{Fin: true, OpCode: ws.OpText, Length: 1<<63 - 1}, 10},
		{"2^63", "\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00", ws.Header{Fin: true, OpCode: ws.OpText, Length: -1 << 63}, 10},
		{"2^64-1", "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", ws.Header{Fin: true, OpCode: ws.OpText, Length: -1}, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, size := parseHeader([]byte(c.data))
			if got != c.want || size != c.size {
				t.Errorf("got %+v, %d bytes, want %+v, %d bytes", got, size, c.want, c.size)
			}
			for n := range c.size {
				if _, size := parseHeader([]byte(c.data[:n])); size != 0 {
					t.Errorf("%d of %d bytes are taken for a header of %d", n, c.size, size)
				}
			}
		})
	}
}

// TestHeaderAgainstGobwas compares with gobwas/ws, which implements the same
// section of the RFC.
func TestHeaderAgainstGobwas(t *testing.T) {
	for _, length := range []int64{0, 1, 125, 126, 127, 255, 256, 65535, 65536, 1 << 20, 1 << 40} {
		for _, op := range []ws.OpCode{ws.OpContinuation, ws.OpText, ws.OpBinary, ws.OpClose, ws.OpPing, ws.OpPong} {
			for bits := range 4 {
				want := ws.Header{Fin: bits&1 != 0, OpCode: op, Length: length}
				if bits&2 != 0 {
					want.Masked, want.Mask = true, [4]byte{1, 2, 3, 4}
				}
				t.Run(fmt.Sprintf("%x %d %d", op, length, bits), func(t *testing.T) {
					var buffer bytes.Buffer
					if err := ws.WriteHeader(&buffer, want); err != nil {
						t.Fatal(err)
					}
					written := buffer.Len()
					buffer.WriteString("payload")
					got, size := parseHeader(buffer.Bytes())
					if got != want || size != written {
						t.Errorf("got %+v, %d bytes, want %+v, %d bytes", got, size, want, written)
					}
				})
			}
		}
	}
}

func TestAppendHeader(t *testing.T) {
	for _, length := range []int{0, 1, 125, 126, 65535, 65536, 1 << 24} {
		header := AppendHeader([]byte("before"), ws.OpBinary, length)
		got, err := ws.ReadHeader(bytes.NewReader(header[len("before"):]))
		want := ws.Header{Fin: true, OpCode: ws.OpBinary, Length: int64(length)}
		if err != nil || got != want {
			t.Errorf("length %d is read as %+v, %v, want %+v", length, got, err, want)
		}
		if size := ws.HeaderSize(want); len(header) != len("before")+size || size > MaxHeader {
			t.Errorf("length %d has a header of %d bytes, want %d, at most %d", length, len(header)-len("before"), size, MaxHeader)
		}
	}
}

func TestNewFrame(t *testing.T) {
	payload := bytes.Repeat([]byte("x"), 70_000)
	for _, length := range []int{0, 1, 125, 126, 65535, 65536, 70_000} {
		frame := NewFrame(ws.OpText, payload[:length])
		got, err := readFrame(bytes.NewReader(frame))
		if err != nil || got.Header.OpCode != ws.OpText || !got.Header.Fin || !bytes.Equal(got.Payload, payload[:length]) {
			t.Errorf("a frame of %d bytes is read as %+v, %v", length, got.Header, err)
		}
	}
	if allocs := testing.AllocsPerRun(100, func() { NewFrame(ws.OpText, payload[:300]) }); allocs != 1 {
		t.Errorf("%v allocations per frame, want 1", allocs)
	}
}

func TestFillFrame(t *testing.T) {
	payload := bytes.Repeat([]byte("x"), 70_000)
	for _, length := range []int{0, 1, 125, 126, 65535, 65536, 70_000} {
		frame := FillFrame(ws.OpText, append(make([]byte, MaxHeader), payload[:length]...))
		if want := NewFrame(ws.OpText, payload[:length]); !bytes.Equal(frame, want) {
			t.Errorf("a frame of %d bytes differs from that of NewFrame", length)
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add([]byte("\x81\x85\xde\xad\xbe\xefHello"))
	f.Add([]byte("\x81\x7e\x01\x02"))
	f.Add([]byte("\x88\xff\x80\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, size := parseHeader(data)
		rest := bytes.NewReader(data)
		want, err := ws.ReadHeader(rest)
		switch {
		case size == 0 && err == nil:
			t.Errorf("%x is not taken for a header, want %+v", data, want)
		case err == ws.ErrHeaderLengthMSB:
			if size != 0 && got.Length >= 0 {
				t.Errorf("%x: length %d, want a negative one", data, got.Length)
			}
		case size != 0 && (err != nil || got != want || size != len(data)-rest.Len()):
			t.Errorf("%x is read as %+v, %d bytes, want %+v, %v", data, got, size, want, err)
		}
	})
}

// readFrame reads a whole frame of at most 1 MB, the largest of the tests.
func readFrame(r io.Reader) (ws.Frame, error) {
	header, err := ws.ReadHeader(r)
	if err != nil {
		return ws.Frame{Header: header}, err
	}
	if header.Length > 1<<20 {
		return ws.Frame{Header: header}, fmt.Errorf("a frame of %d bytes", header.Length)
	}
	payload := make([]byte, header.Length)
	_, err = io.ReadFull(r, payload)
	return ws.Frame{Header: header, Payload: payload}, err
}
