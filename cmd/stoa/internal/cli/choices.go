package cli

import (
	"fmt"
	"strings"
)

// Choice is one value of a flag.
type Choice[T any] struct {
	Name   string
	Value  T
	Hidden bool // accepted, but not listed in help and errors
}

// Choices are the values of a flag that has only a few. The first one is
// the default.
type Choices[T any] []Choice[T]

// Parse returns the value with the given name.
func (c Choices[T]) Parse(flag, name string) (T, error) {
	for _, choice := range c {
		if choice.Name == name {
			return choice.Value, nil
		}
	}
	var zero T
	return zero, fmt.Errorf("%s %q: want %s", flag, name, c)
}

// String lists the names that are not hidden: "a, b or c".
func (c Choices[T]) String() string {
	var names []string
	for _, choice := range c {
		if !choice.Hidden {
			names = append(names, choice.Name)
		}
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
