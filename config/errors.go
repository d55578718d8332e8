package config

import (
	"fmt"
	"strings"
)

// Layer is a place that values come from.
type Layer uint8

// The layers, of which a later one wins.
const (
	LayerDefault Layer = iota
	LayerFile
	LayerEnvironment
	LayerFlag
)

// Origin is where a value was set.
type Origin struct {
	Layer Layer
	// Name is the path of the file, the name of the variable, or the name of
	// the flag without dashes.
	Name string
	// Line in the file, from 1; otherwise 0.
	Line int
}

// String returns "default", "stoa.yaml:12", "STOA_REDIS" or "--listen".
func (o Origin) String() string {
	switch o.Layer {
	case LayerFile:
		if o.Line == 0 {
			return o.Name
		}
		return fmt.Sprintf("%s:%d", o.Name, o.Line)
	case LayerEnvironment:
		return o.Name
	case LayerFlag:
		return "--" + o.Name
	}
	return "default"
}

// Error is one mistake.
type Error struct {
	Origin Origin
	// Key is the path of the key, such as "limits.message"; empty if the
	// mistake is not about one key.
	Key string
	// Value as written, in quotes unless it is a number; empty if it is secret
	// or does not matter.
	Value string
	// Text is the mistake, or the form of a correct value.
	Text string
}

// Error returns one line, such as:
//
//	stoa.yaml:12: limits.message 64: want a size with its unit, such as 64KiB
//	--log-level "loud": want debug, info, warn or error
func (e *Error) Error() string {
	line := ""
	if e.Origin.Layer != LayerDefault {
		line = e.Origin.String()
	}
	if e.Key != "" && e.Origin.Layer <= LayerFile {
		if line != "" {
			line += ": "
		}
		line += e.Key
	}
	if e.Value != "" {
		line += " " + e.Value
	}
	if line == "" {
		return e.Text
	}
	return line + ": " + e.Text
}

// Errors are all mistakes of a configuration, those of the file in the order of
// its lines.
type Errors []*Error

// Error returns one line for each mistake.
func (e Errors) Error() string { return strings.Join(e.Lines(), "\n") }

// Lines returns the mistakes as one text each.
func (e Errors) Lines() []string {
	lines := make([]string, len(e))
	for i, mistake := range e {
		lines[i] = mistake.Error()
	}
	return lines
}
