package cluster_test

import (
	"math"
	"testing"

	"github.com/stoa-io/stoa/cluster"
)

func TestPositionText(t *testing.T) {
	for _, p := range []cluster.Position{
		{}, {Number: 1}, {Incarnation: 1}, {Incarnation: 1 << 63, Number: 300}, {Incarnation: math.MaxUint64, Number: math.MaxUint64},
	} {
		text := p.String()
		if len(text) > cluster.MaxPositionText {
			t.Errorf("%v has the text %q of %d bytes, want at most %d", p, text, len(text), cluster.MaxPositionText)
		}
		if back, ok := cluster.ParsePosition([]byte(text)); !ok || back != p {
			t.Errorf("ParsePosition(%q) = %v, %v, want %v, true", text, back, ok, p)
		}
	}
}

func FuzzParsePosition(f *testing.F) {
	f.Add([]byte("AAAAAAAAAAE"))
	f.Add([]byte("AAAAAAAAAAEB"))
	f.Add([]byte("AAAAAAAAAAABgAA"))
	f.Add([]byte("AAAAAAAAAA\nEB"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, ok := cluster.ParsePosition(text)
		if ok && p.String() != string(text) {
			t.Errorf("ParsePosition(%q) = %v, whose text is %q, want an error or the same text", text, p, p)
		}
	})
}
