package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Whatever a peer has chosen comes to people through one of these functions, so that
// it cannot drive their terminal or look like another line.

// shownBody is how people see a body: as it is, or quoted if there is anything in it
// that is not a visible character. At most limit bytes of it are shown.
func shownBody(body []byte, binary bool, limit int) string {
	rest := ""
	if len(body) > limit {
		rest = fmt.Sprintf("... (%s in all)", count(uint64(len(body)), "byte"))
		body = body[:limit]
		for i := 0; i < utf8.UTFMax && !binary && len(body) > 0; i++ {
			if last, size := utf8.DecodeLastRune(body); last != utf8.RuneError || size != 1 {
				break
			}
			body = body[:len(body)-1] // the beginning of a character that was cut
		}
	}
	switch text := string(body); {
	case binary:
		return "binary " + strconv.QuoteToASCII(text) + rest
	case !isShown(text):
		return quoted(text) + rest
	default:
		return text + rest
	}
}

// shownName is how people see and type the name of a namespace, a room or an event.
func shownName(name string) string {
	if name == "" || name == noRoom || !isShown(name) || strings.ContainsAny(name, " \"") {
		return quoted(name)
	}
	return name
}

// shownError keeps the text and replaces what is not visible in it.
func shownError(text string) string {
	if isShown(text) {
		return text
	}
	literal := quoted(text)
	return strings.ReplaceAll(literal[1:len(literal)-1], `\"`, `"`)
}

// quoted is a Go string literal in which everything that may be seen stays as it is.
func quoted(text string) string { return strconv.QuoteToGraphic(text) }

func isShown(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, notShown)
}

// zeroWidthJoiner is part of many emoji, and harmless.
const zeroWidthJoiner = '\u200d'

// notShown is true for what a terminal would not simply draw: control characters, and
// those that change the direction of the text around them.
func notShown(r rune) bool { return r != zeroWidthJoiner && !unicode.IsGraphic(r) }
