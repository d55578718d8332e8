package config

import (
	"bufio"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// Write writes all values that are in force, in YAML, each with its origin as a
// comment. Secrets and the passwords of URLs are masked.
func (c *Config) Write(w io.Writer) error {
	out := bufio.NewWriter(w)
	c.write(out, root, reflect.ValueOf(c).Elem(), "", -1)
	return out.Flush()
}

func (c *Config) write(out *bufio.Writer, k *key, value reflect.Value, path string, depth int) {
	indent := strings.Repeat("  ", max(depth, 0))
	if k.leaf() {
		_, _ = fmt.Fprintf(out, "%s%s: %s # %s\n", indent, k.name, k.yaml(value.Interface()), c.origin(path))
		return
	}
	if depth >= 0 {
		name, empty := k.name+":", ""
		if k.kind == named && value.Len() == 0 {
			empty = fmt.Sprintf(" {} # %s", c.origin(path))
		}
		_, _ = fmt.Fprintf(out, "%s%s%s\n", indent, name, empty)
	}
	if k.kind == section {
		for _, below := range k.keys {
			c.write(out, below, value.Field(below.field), join(path, below.name), depth+1)
		}
		return
	}
	for _, name := range namesOf(value) {
		entry := &key{kind: section, keys: k.keys, name: quoteYAML(name)}
		c.write(out, entry, value.MapIndex(reflect.ValueOf(name)), join(path, name), depth+1)
	}
}

// namesOf returns the names in a map, sorted.
func namesOf(entries reflect.Value) []string {
	var names []string
	for _, name := range entries.MapKeys() {
		names = append(names, name.String())
	}
	slices.Sort(names)
	return names
}
