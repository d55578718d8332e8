package connect

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
)

// formatJSON returns a record as a line of JSON.
func formatJSON(r record) []byte {
	r.Body = string(r.body)
	if r.Binary {
		r.Body = base64.StdEncoding.EncodeToString(r.body)
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		panic(err) // every record can be encoded
	}
	return escapeLine(line.Bytes())
}

// escapeLine escapes the invisible characters that encoding/json leaves
// unchanged. Outside of strings JSON has none.
func escapeLine(line []byte) []byte {
	escaped := make([]byte, 0, len(line))
	for len(line) > 0 {
		r, size := utf8.DecodeRune(line)
		switch high, low := utf16.EncodeRune(r); {
		case r == '\n' || !cli.Invisible(r):
			escaped = append(escaped, line[:size]...)
		case high != utf8.RuneError:
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
		line = line[size:]
	}
	return escaped
}
