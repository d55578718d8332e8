package cli

import "testing"

func TestSanitizeBody(t *testing.T) {
	cases := []struct {
		name   string
		body   string
		binary bool
		limit  int
		want   string
	}{
		{"plain", `{"a": "b"}`, false, 100, `{"a": "b"}`},
		{"empty", "", false, 100, ""},
		{"other scripts", "Γειά σου 世界", false, 100, "Γειά σου 世界"},
		{"emoji of several parts", "👩‍🚀", false, 100, "👩‍🚀"},
		{"escape sequence", "\x1b[2Jhi", false, 100, `"\x1b[2Jhi"`},
		{"line break", "a\nb", false, 100, `"a\nb"`},
		{"C1 control character", "a\u009b2J", false, 100, `"a\u009b2J"`},
		{"delete", "a\x7f", false, 100, `"a\x7f"`},
		{"right to left override", "a\u202eb", false, 100, `"a\u202eb"`},
		{"not UTF-8", "a\xff", false, 100, `"a\xff"`},
		{"binary", "a\x00é", true, 100, `binary "a\x00\u00e9"`},
		{"long", "abcdef", false, 3, "abc... (6 bytes in all)"},
		{"long, cut in a character", "abé", false, 3, "ab... (4 bytes in all)"},
		{"long binary", "ab\xff\xff", true, 3, `binary "ab\xff"... (4 bytes in all)`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := SanitizeBody([]byte(c.body), c.binary, c.limit); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestSanitizeName(t *testing.T) {
	cases := []struct{ name, want string }{
		{"lobby", "lobby"},
		{"", `""`},
		{"-", `"-"`},
		{"two words", `"two words"`},
		{`a"b`, `"a\"b"`},
		{"a\x1bb", `"a\x1bb"`},
		{`a\b`, `a\b`},
		{"#1", "#1"},
	}
	for _, c := range cases {
		if got := SanitizeName(c.name); got != c.want {
			t.Errorf("%q: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestSanitize(t *testing.T) {
	cases := []struct{ text, want string }{
		{`not "allowed"`, `not "allowed"`},
		{"not \"allowed\"\x1b[2J", `not "allowed"\x1b[2J`},
		{"two\nlines", `two\nlines`},
	}
	for _, c := range cases {
		if got := Sanitize(c.text); got != c.want {
			t.Errorf("%q: got %s, want %s", c.text, got, c.want)
		}
	}
}
