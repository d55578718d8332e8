package engine

import (
	"testing"
	"unicode/utf8"
)

// FuzzFragments cuts a text into fragments: the whole passes if and only if it
// is valid, and a check fails only where no continuation makes the text valid.
func FuzzFragments(f *testing.F) {
	for _, text := range []string{"", "abc", "κόσμε", "柱廊 🏛️", "\xff", "a\xce", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80", "\xf0\x9f\x8f", "\x80"} {
		f.Add([]byte(text), uint8(1), uint8(2))
	}
	f.Fuzz(func(t *testing.T, text []byte, first, second uint8) {
		var whole fragment
		ok := true
		for rest, sizes := text, []int{int(first), int(second), len(text)}; ok && len(sizes) > 0; sizes = sizes[1:] {
			size := min(sizes[0], len(rest))
			whole.data, rest = append(whole.data, rest[:size]...), rest[size:]
			ok = whole.check()
			if so := canBeValid(whole.data); ok != so {
				t.Fatalf("check after %q is %t, want %t", whole.data, ok, so)
			}
		}
		if got, want := ok && whole.valid == len(text), utf8.Valid(text); got != want {
			t.Errorf("%q passes: %t, want %t", text, got, want)
		}
	})
}

// canBeValid reports whether a text is valid, except for a character at its end
// that is not complete.
func canBeValid(text []byte) bool {
	for len(text) > 0 && utf8.FullRune(text) {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			return false
		}
		text = text[size:]
	}
	return true
}
