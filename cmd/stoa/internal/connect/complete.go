package connect

import (
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
)

// maxWords bounds the names that are kept for completion, because peers choose
// them.
const maxWords = 500

// vocabulary holds the names that were seen. It is safe for concurrent use.
type vocabulary struct {
	mu         sync.Mutex
	namespaces []string            // guarded by mu
	events     []string            // guarded by mu
	rooms      map[string][]string // guarded by mu; by namespace
}

func newVocabulary() *vocabulary { return &vocabulary{rooms: make(map[string][]string)} }

func (v *vocabulary) addNamespace(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.namespaces = addWord(v.namespaces, name)
}

func (v *vocabulary) addEvent(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.events = addWord(v.events, name)
}

func (v *vocabulary) addRoom(namespace, name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.rooms) < maxWords || v.rooms[namespace] != nil {
		v.rooms[namespace] = addWord(v.rooms[namespace], name)
	}
}

func addWord(words []string, name string) []string {
	if len(words) == maxWords || !utf8.ValidString(name) || slices.Contains(words, name) {
		return words
	}
	return append(words, name)
}

// seen returns the namespaces, the events, and the rooms of a namespace.
func (v *vocabulary) seen(namespace string) (namespaces, events, rooms []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.namespaces), slices.Clone(v.events), slices.Clone(v.rooms[namespace])
}

// candidates returns the completions of a word, given the words before it.
func (c *conversation) candidates(before []string) []string {
	current := c.destination()
	namespaces, events, rooms := c.words.seen(current.Namespace)
	switch {
	case len(before) == 0:
		names := make([]string, len(commands))
		for i, command := range commands {
			names[i] = command.name
		}
		return names
	case len(before) == 1:
		switch before[0] {
		case "emit", "ask":
			return append(c.joinedRooms(current.Namespace), events...)
		case "join":
			return rooms
		case "leave":
			return c.joinedRooms(current.Namespace)
		case "connect":
			return namespaces
		case "disconnect":
			return c.namespaces()
		case "use":
			return c.destinations()
		}
	case len(before) == 2 && (before[0] == "emit" || before[0] == "ask"):
		if before[1] == cli.NoRoom || slices.Contains(c.joinedRooms(current.Namespace), before[1]) {
			return events
		}
	}
	return nil
}

// joinedRooms returns the joined rooms of a namespace.
func (c *conversation) joinedRooms(namespace string) []string {
	var names []string
	for _, m := range c.memberships() {
		if m.Namespace == namespace {
			names = append(names, m.Rooms...)
		}
	}
	return names
}

// destinations returns the arguments that "use" accepts.
func (c *conversation) destinations() []string {
	var names []string
	for _, m := range c.memberships() {
		names = append(names, m.Namespace)
		for _, room := range m.Rooms {
			names = append(names, m.Namespace+"/"+room)
		}
	}
	return names
}

// complete extends the word that ends at pos by the prefix that all candidates
// have in common. If that adds nothing, it returns the candidates as choices.
func complete(line string, pos int, candidates func(before []string) []string) (completed string, end int, choices []string) {
	before, start := splitWords(line[:pos])
	typed := line[start:pos]
	for _, name := range candidates(before) {
		name = cli.SanitizeName(name)
		if strings.HasPrefix(name, typed) && !slices.Contains(choices, name) {
			choices = append(choices, name)
		}
	}
	if len(choices) == 0 {
		return line, pos, nil
	}
	common := commonPrefix(choices)
	if len(choices) == 1 {
		if after := line[pos:]; after == "" || !strings.ContainsAny(after[:1], blanks) {
			common += " "
		}
		choices = nil
	}
	if len(common) > len(typed) {
		choices = nil
	}
	slices.Sort(choices)
	return line[:start] + common + line[pos:], start + len(common), choices
}

// splitWords returns the complete words of a line, and the start of the last m.
func splitWords(line string) (words []string, last int) {
	rest := strings.TrimLeft(line, blanks)
	for {
		w, after, err := cutWord(rest)
		if err != nil || after == "" && !strings.HasSuffix(line, " ") && !strings.HasSuffix(line, "\t") {
			return words, len(line) - len(rest)
		}
		words = append(words, w.text)
		rest = after
	}
}

// commonPrefix returns the longest common prefix, in whole characters.
func commonPrefix(words []string) string {
	prefix := words[0]
	for _, w := range words[1:] {
		for !strings.HasPrefix(w, prefix) {
			_, size := utf8.DecodeLastRuneInString(prefix)
			prefix = prefix[:len(prefix)-size]
		}
	}
	return prefix
}
