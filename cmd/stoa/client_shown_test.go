package main

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestShownBody(t *testing.T) {
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
			if got := shownBody([]byte(c.body), c.binary, c.limit); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestShownName(t *testing.T) {
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
		if got := shownName(c.name); got != c.want {
			t.Errorf("%q: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestShownError(t *testing.T) {
	cases := []struct{ text, want string }{
		{`not "allowed"`, `not "allowed"`},
		{"not \"allowed\"\x1b[2J", `not "allowed"\x1b[2J`},
		{"two\nlines", `two\nlines`},
	}
	for _, c := range cases {
		if got := shownError(c.text); got != c.want {
			t.Errorf("%q: got %s, want %s", c.text, got, c.want)
		}
	}
}

// Whatever a peer sends, nothing in a line drives the terminal.
func FuzzShown(f *testing.F) {
	for _, seed := range []string{"", "lobby", "\x1b[2J", "\u009b2J", "\u202e", "a\nb", "\xff", `"`, "\u2028", "\U000e0001"} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, binary bool) {
		name := string(text)
		r := record{Type: recordMessage, Namespace: name, Room: name, Event: name, Binary: binary, body: text, Error: name, ID: name}
		for _, kind := range []recordType{
			recordMessage, recordQuestion, recordNative, recordAnswer, recordConnected, recordLeft, recordState, recordStatus, recordError,
		} {
			r.Type = kind
			checkDrawn(t, human{}.line(r))
		}
		line := jsonLine(r)
		checkDrawn(t, line)
		var read record
		if err := json.Unmarshal(line, &read); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		want := name
		if binary {
			want = base64.StdEncoding.EncodeToString(text)
		}
		if utf8.Valid(text) && read.Body != want {
			t.Errorf("body %q, want %q", read.Body, want)
		}
	})
}

func checkDrawn(t *testing.T, line []byte) {
	t.Helper()
	text, ended := strings.CutSuffix(string(line), "\n")
	if !ended || !isShown(text) {
		t.Errorf("%q is not one line that a terminal simply draws", line)
	}
}

// Programs read the fields, so each of them is explained.
func TestFieldsAreDocumented(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", "command-line.md"))
	if err != nil {
		t.Fatal(err)
	}
	var wanted []string
	fields := reflect.TypeFor[record]()
	for i := range fields.NumField() {
		if name, _, _ := strings.Cut(fields.Field(i).Tag.Get("json"), ","); name != "" {
			wanted = append(wanted, name)
		}
	}
	for _, kind := range []recordType{
		recordMessage, recordQuestion, recordNative, recordAnswer, recordState, recordConnected, recordDisconnected,
		recordJoined, recordLeft, recordStatus, recordRooms, recordError,
	} {
		wanted = append(wanted, string(kind))
	}
	for _, name := range wanted {
		if !strings.Contains(string(content), "`"+name+"`") {
			t.Errorf("docs/command-line.md does not mention `%s`", name)
		}
	}
}
