package config

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse: any content is a configuration or a list of errors with places,
// and a configuration is the same when it is read again.
func FuzzParse(f *testing.F) {
	var file bytes.Buffer
	if err := WriteDefault(&file); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	for _, e := range effects {
		f.Add([]byte(nest(e.key, e.value)))
	}
	for _, content := range []string{"", "a: &a [*a]", "<<: {a: b}", "? [a]\n: b", "limits: {rooms: 1, rooms: 2}", "--- \n---\n", "namespaces: {a: , b: {relay: [asks]}}", "\xef\xbb\xbflog:\n"} {
		f.Add([]byte(content))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		first := parseFile("stoa.yaml", content)
		lines := 2 + bytes.Count(content, []byte("\n")) + bytes.Count(content, []byte("\r"))
		for _, mistake := range first.errors {
			if mistake.Origin.Line < 0 || mistake.Origin.Line > lines || mistake.Text == "" {
				t.Errorf("%+v in %d lines", mistake, lines)
			}
			if !utf8.ValidString(mistake.Error()) || strings.ContainsAny(mistake.Error(), "\n\x1b") {
				t.Errorf("the error is no line: %q", mistake.Error())
			}
		}
		if _, err := merge([]*layer{first}); err != nil {
			t.Errorf("%q cannot be merged: %v", content, err)
		}
	})
}

// FuzzValue: a value that a key accepts has one form, which it accepts, too.
func FuzzValue(f *testing.F) {
	for _, value := range []string{"64KiB", "1GiB", "0B", "25s", "1h30m", "1.5s", "200/s", "0.125/s burst 7", "64KiB/s burst 1MiB", "off", "auto", "1_000", "9223372036854775807", "9223372036854775807B", "a,b", "redis://a,b/c,redis://d"} {
		f.Add(value)
	}
	var leaves []*key
	everyLeaf(root, func(k *key) { leaves = append(leaves, k) })
	f.Fuzz(func(t *testing.T, s string) {
		for _, k := range leaves {
			value, err := k.parse(s)
			if err != nil {
				continue
			}
			again, err := k.parse(k.format(value))
			if err != nil || again != value {
				t.Errorf("%s: %q is %v, and %q is %v, %v", k.path, s, value, k.format(value), again, err)
			}
		}
	})
}
