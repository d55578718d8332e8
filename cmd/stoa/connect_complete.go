package main

import (
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// maxWords is how many names of a kind are kept for completion: peers choose them.
const maxWords = 500

// vocabulary are the names that were seen. It may be used from any goroutine.
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

// seen returns the names that were seen: namespaces, events, and rooms of a namespace.
func (v *vocabulary) seen(namespace string) (namespaces, events, rooms []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.namespaces), slices.Clone(v.events), slices.Clone(v.rooms[namespace])
}

// possible returns what may stand at the end of a line, by the words in front of it.
func (d *dialogue) possible(before []string) []string {
	here := d.here()
	namespaces, events, rooms := d.words.seen(here.namespace)
	switch {
	case len(before) == 0:
		names := make([]string, len(typedCommands))
		for i, c := range typedCommands {
			names[i] = c.name
		}
		return names
	case len(before) == 1:
		switch before[0] {
		case "emit", "ask":
			return append(d.joinedRooms(here.namespace), events...)
		case "join":
			return rooms
		case "leave":
			return d.joinedRooms(here.namespace)
		case "connect":
			return namespaces
		case "disconnect":
			return d.namespaces()
		case "use":
			return d.places()
		}
	case len(before) == 2 && (before[0] == "emit" || before[0] == "ask"):
		if before[1] == noRoom || slices.Contains(d.joinedRooms(here.namespace), before[1]) {
			return events
		}
	}
	return nil
}

// joinedRooms are the rooms of a namespace that are joined.
func (d *dialogue) joinedRooms(namespace string) []string {
	var names []string
	for _, one := range d.memberships() {
		if one.Namespace == namespace {
			names = append(names, one.Rooms...)
		}
	}
	return names
}

// places are what "use" may be given.
func (d *dialogue) places() []string {
	var names []string
	for _, one := range d.memberships() {
		names = append(names, one.Namespace)
		for _, room := range one.Rooms {
			names = append(names, one.Namespace+"/"+room)
		}
	}
	return names
}

// complete extends the word that ends at pos as far as it can be only one thing. If it
// cannot be extended, choices are what it could be.
func complete(line string, pos int, possible func(before []string) []string) (completed string, end int, choices []string) {
	before, start := splitWords(line[:pos])
	typed := line[start:pos]
	for _, name := range possible(before) {
		name = shownName(name)
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

// splitWords returns the whole words of a line, and where the one at its end begins.
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

// commonPrefix is what all words begin with, in whole characters.
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
