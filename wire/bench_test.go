package wire_test

import (
	"strings"
	"testing"

	"github.com/stoa-io/stoa/wire"
)

func BenchmarkParse(b *testing.B) {
	payloads := map[string]string{
		"emit 64 B":     ";default;lobby;chat;0;0;" + strings.Repeat("x", 64),
		"emit 4 KiB":    ";default;lobby;chat;0;0;" + strings.Repeat("x", 4096),
		"ask":           "$1234567;default;;echo;0;0;hello",
		"empty reply":   "$1234567;;;;;;",
		"escaped names": "$1;n@%!semicolon@%!s;r@%!semicolon@%!;e;0;0;hello",
		"invalid":       strings.Repeat("x", 64),
	}
	limits := wire.Limits{}.WithDefaults()
	for name, payload := range payloads {
		b.Run(name, func(b *testing.B) {
			bytes := []byte(payload)
			b.ReportAllocs()
			b.SetBytes(int64(len(bytes)))
			for b.Loop() {
				sink, _ = limits.Parse(bytes, false)
			}
		})
	}
}

// BenchmarkRelay is what a node does with the bytes of one emit: parse it,
// and write it again.
func BenchmarkRelay(b *testing.B) {
	payload := []byte(";default;lobby;chat;0;0;" + strings.Repeat("x", 64))
	buffer := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		m, err := wire.Parse(payload, false)
		if err != nil {
			b.Fatal(err)
		}
		buffer = wire.Append(buffer[:0], &m)
	}
}

func BenchmarkAppendError(b *testing.B) {
	m := wire.Message{Token: []byte("$1234567"), Namespace: []byte("default"), Room: []byte("lobby"), Event: []byte("chat")}
	buffer := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buffer = wire.AppendError(buffer[:0], &m, "bad room")
	}
}

func BenchmarkClone(b *testing.B) {
	m, err := wire.Parse([]byte("$1234567;default;lobby;echo;0;0;"+strings.Repeat("x", 64)), false)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		sink = m.Clone()
	}
}
