package config

import (
	"fmt"
	"strings"
)

// setting is a value that a layer sets.
type setting struct {
	value  any
	origin Origin
}

// layer is the values of one layer by their paths, with its mistakes.
type layer struct {
	settings map[string]setting
	sections map[string]Origin // entries of maps, which may be empty
	empty    map[string]Origin // sections without a key
	errors   Errors
}

func newLayer() *layer {
	return &layer{settings: make(map[string]setting), sections: make(map[string]Origin), empty: make(map[string]Origin)}
}

func (l *layer) fail(origin Origin, path, value, format string, args ...any) {
	l.errors = append(l.errors, &Error{origin, path, value, fmt.Sprintf(format, args...)})
}

// values returns the settings for koanf. An entry of a map without settings
// exists, too.
func (l *layer) values() map[string]any {
	all := make(map[string]any)
	for path, s := range l.settings {
		all[path] = s.value
	}
	above := make(map[string]bool) // the paths with something below
	for path := range all {
		addAbove(above, path)
	}
	for path := range l.sections {
		addAbove(above, path)
	}
	for path := range l.sections {
		if !above[path] {
			all[path] = map[string]any{}
		}
	}
	return all
}

func addAbove(all map[string]bool, path string) {
	for {
		i := strings.LastIndex(path, delimiter)
		if i < 0 || all[path[:i]] {
			return
		}
		path = path[:i]
		all[path] = true
	}
}

// namesNamespaces reports whether the layer has the key namespaces.
func (l *layer) namesNamespaces() bool {
	_, ok := l.sections["namespaces"]
	return ok
}
