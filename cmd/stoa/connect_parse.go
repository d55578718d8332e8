package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// noRoom in the place of a room means none.
const noRoom = "-"

// blanks separate the words of a command.
const blanks = " \t"

// errMissing: there are no more words.
var errMissing = errors.New("there is something missing")

// word is a part of a command: a name, or a name in the quotes of Go and JSON.
type word struct {
	text   string
	quoted bool
}

// cutWord returns the first word of a line and what follows it, without the blanks in
// between.
func cutWord(line string) (w word, rest string, err error) {
	line = strings.TrimLeft(line, blanks)
	if line == "" {
		return word{}, "", errMissing
	}
	if line[0] != '"' {
		end := strings.IndexAny(line, blanks)
		if end < 0 {
			end = len(line)
		}
		w = word{text: line[:end]}
		return w, strings.TrimLeft(line[end:], blanks), checkWord(w)
	}
	literal, err := strconv.QuotedPrefix(line)
	if err != nil {
		return word{}, "", fmt.Errorf("the quotes in %s are not closed, or hold something that they cannot", quoted(line))
	}
	rest = line[len(literal):]
	if rest != "" && !strings.ContainsAny(rest[:1], blanks) {
		return word{}, "", fmt.Errorf("want a blank after %s", literal)
	}
	text, err := strconv.Unquote(literal)
	w = word{text: text, quoted: true}
	if err == nil {
		err = checkWord(w)
	}
	return w, strings.TrimLeft(rest, blanks), err
}

func checkWord(w word) error {
	if !utf8.ValidString(w.text) {
		return fmt.Errorf("%s is not valid UTF-8", quoted(w.text))
	}
	return nil
}

// onlyWord returns the one word of a line.
func onlyWord(line string) (string, error) {
	w, rest, err := cutWord(line)
	if err != nil {
		return "", err
	}
	if rest != "" {
		return "", fmt.Errorf("%s is too much; a name with blanks in it needs quotes", quoted(rest))
	}
	return w.text, nil
}

// noWord refuses everything.
func noWord(line string) error {
	if line = strings.Trim(line, blanks); line != "" {
		return fmt.Errorf("%s is too much", quoted(line))
	}
	return nil
}

// sending is what the arguments of emit and ask say.
type sending struct {
	room  string // empty: none
	event string
	body  string
}

// parseSending reads [ROOM] EVENT BODY. The first word is a room if joined says so and
// another word follows, or if it stands for no room; otherwise the room is here. The
// body is the rest of the line as it was typed.
func parseSending(line, here string, joined func(room string) bool) (sending, error) {
	first, rest, err := cutWord(line)
	if err != nil {
		return sending{}, err
	}
	none := first.text == noRoom && !first.quoted
	if !none && (rest == "" || !joined(first.text)) {
		return sending{here, first.text, rest}, nil
	}
	event, rest, err := cutWord(rest)
	if err != nil {
		return sending{}, err
	}
	if none {
		return sending{"", event.text, rest}, nil
	}
	return sending{first.text, event.text, rest}, nil
}

// parsePlace reads NS or NS/ROOM, of one of the connected namespaces if it may be: a name
// may have a slash in it.
func parsePlace(line string, connected []string) (place, error) {
	text, err := onlyWord(line)
	if err != nil {
		return place{}, err
	}
	namespace, room, _ := strings.Cut(text, "/")
	best := -1
	for _, name := range connected {
		rest, found := strings.CutPrefix(text, name)
		if found && len(name) > best && (rest == "" || rest[0] == '/') {
			best, namespace, room = len(name), name, strings.TrimPrefix(rest, "/")
		}
	}
	return place{namespace, room}, nil
}
