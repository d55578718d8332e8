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
	for path := range l.sections {
		if !hasBelow(l.settings, path) && !hasBelow(l.sections, path) {
			all[path] = map[string]any{}
		}
	}
	return all
}

func hasBelow[V any](all map[string]V, path string) bool {
	for other := range all {
		if strings.HasPrefix(other, path+delimiter) {
			return true
		}
	}
	return false
}
