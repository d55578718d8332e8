package connect

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/dial"
)

// blanks separate the words of a command.
const blanks = " \t"

// errMissing reports the end of the line.
var errMissing = errors.New("missing argument")

// word is one argument of a command. It may be quoted as in Go and JSON.
type word struct {
	text   string
	quoted bool
}

// cutWord splits a line into its first word and the rest, without the blanks
// between them.
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
		return word{}, "", fmt.Errorf("missing closing quote or invalid escape in %s", cli.Quote(line))
	}
	rest = line[len(literal):]
	if rest != "" && !strings.ContainsAny(rest[:1], blanks) {
		return word{}, "", fmt.Errorf("missing blank after %s", literal)
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
		return fmt.Errorf("%s is not valid UTF-8", cli.Quote(w.text))
	}
	return nil
}

// onlyWord returns the word of a line, and an error if there is another one.
func onlyWord(line string) (string, error) {
	w, rest, err := cutWord(line)
	if err != nil {
		return "", err
	}
	if rest != "" {
		return "", fmt.Errorf("unexpected %s; put a name with blanks in quotes", cli.Quote(rest))
	}
	return w.text, nil
}

// noWord returns an error unless the line is blank.
func noWord(line string) error {
	if line = strings.Trim(line, blanks); line != "" {
		return fmt.Errorf("unexpected %s", cli.Quote(line))
	}
	return nil
}

// message is the arguments of emit and ask.
type message struct {
	room  string // empty: the namespace
	event string
	body  string
}

// parseMessage parses [ROOM] EVENT BODY. The first word is a room if joined
// accepts it and another word follows, or if it is cli.NoRoom; otherwise the
// room is current. The body is the rest of the line, unchanged.
func parseMessage(line, current string, joined func(room string) bool) (message, error) {
	first, rest, err := cutWord(line)
	if err != nil {
		return message{}, err
	}
	none := first.text == cli.NoRoom && !first.quoted
	if !none && (rest == "" || !joined(first.text)) {
		return message{current, first.text, rest}, nil
	}
	event, rest, err := cutWord(rest)
	if err != nil {
		return message{}, err
	}
	if none {
		return message{"", event.text, rest}, nil
	}
	return message{first.text, event.text, rest}, nil
}

// parseDestination parses NS or NS/ROOM. Names may contain slashes, so the
// longest connected namespace wins.
func parseDestination(line string, connected []string) (dial.Destination, error) {
	text, err := onlyWord(line)
	if err != nil {
		return dial.Destination{}, err
	}
	namespace, room, _ := strings.Cut(text, "/")
	best := -1
	for _, name := range connected {
		rest, found := strings.CutPrefix(text, name)
		if found && len(name) > best && (rest == "" || rest[0] == '/') {
			best, namespace, room = len(name), name, strings.TrimPrefix(rest, "/")
		}
	}
	return dial.Destination{Namespace: namespace, Room: room}, nil
}
