package cli

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// NoRoom takes the place of a room name in commands and means no room.
const NoRoom = "-"

// SanitizeBody returns a body for display. A body with invisible characters is
// quoted, and one longer than limit bytes is cut.
func SanitizeBody(body []byte, binary bool, limit int) string {
	rest := ""
	if len(body) > limit {
		rest = fmt.Sprintf("... (%s in all)", Count(uint64(len(body)), "byte"))
		body = body[:limit]
		for i := 0; i < utf8.UTFMax && !binary && len(body) > 0; i++ {
			if last, size := utf8.DecodeLastRune(body); last != utf8.RuneError || size != 1 {
				break
			}
			body = body[:len(body)-1] // the first bytes of a character that was cut
		}
	}
	switch text := string(body); {
	case binary:
		return "binary " + strconv.QuoteToASCII(text) + rest
	case !IsVisible(text):
		return Quote(text) + rest
	default:
		return text + rest
	}
}

// SanitizeName returns the name of a namespace, room or event as users see and
// type it.
func SanitizeName(name string) string {
	if name == "" || name == NoRoom || !IsVisible(name) || strings.ContainsAny(name, " \"") {
		return Quote(name)
	}
	return name
}

// Sanitize returns a text with escape sequences in place of invisible
// characters.
func Sanitize(text string) string {
	if IsVisible(text) {
		return text
	}
	literal := Quote(text)
	return strings.ReplaceAll(literal[1:len(literal)-1], `\"`, `"`)
}

// Quote returns a Go string literal that leaves visible characters unchanged.
func Quote(text string) string { return strconv.QuoteToGraphic(text) }

// IsVisible reports whether a text is UTF-8 without invisible characters.
func IsVisible(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, Invisible)
}

// zeroWidthJoiner is part of many emoji and harmless.
const zeroWidthJoiner = '\u200d'

// Invisible reports whether a terminal would interpret a character instead of
// drawing it: control characters, and those that change the direction of text.
func Invisible(r rune) bool { return r != zeroWidthJoiner && !unicode.IsGraphic(r) }

// NotPlain reports whether a character would break a column of text.
func NotPlain(r rune) bool {
	return r == unicode.ReplacementChar || unicode.IsSpace(r) || !unicode.IsPrint(r)
}
