package config

import (
	"bufio"
	"io"
	"strings"
)

// SchemaFile is the name of the JSON Schema that the file of WriteDefault
// refers to.
const SchemaFile = "stoa.schema.json"

const defaultHeader = `# yaml-language-server: $schema=` + SchemaFile + `

# All keys of the configuration of stoa with their defaults. A key without a
# default is a comment with an example. A node with this file is the same as a
# node without a file.
`

// commentWidth is the length of a line of a comment.
const commentWidth = 78

// WriteDefault writes a commented file with all keys and their defaults.
func WriteDefault(w io.Writer) error {
	out := &defaultWriter{bufio.NewWriter(w)}
	_, _ = out.WriteString(defaultHeader)
	c := Default()
	for _, k := range root.keys {
		_ = out.WriteByte('\n')
		out.key(c, k, k.name, 0, active)
	}
	return out.Flush()
}

// active is the depth of lines that are not in a comment.
const active = -1

// defaultWriter writes lines. A bufio.Writer keeps its first error for Flush.
type defaultWriter struct{ *bufio.Writer }

// line writes a line at a depth. Unless it is active, it belongs to an example
// that begins at the depth of disabled, and is a comment.
func (w *defaultWriter) line(depth, disabled int, text string) {
	indentation := strings.Repeat("  ", depth)
	if disabled != active {
		indentation = strings.Repeat("  ", disabled) + "# " + strings.Repeat("  ", depth-disabled)
	}
	_, _ = w.WriteString(indentation + text + "\n")
}

// key writes a key with its comment, and all keys below it.
func (w *defaultWriter) key(c *Config, k *key, path string, depth, disabled int) {
	for _, text := range wrap(k.comment(), commentWidth-2*depth) {
		w.line(depth, disabled, "# "+text)
	}
	switch k.kind {
	case section:
		w.line(depth, disabled, k.name+":")
		w.keys(c, k, path, depth+1, disabled)
	case named:
		name := openNamespace
		if k.path != "namespaces" {
			name, disabled = k.example, depth
		}
		w.line(depth, disabled, k.name+":")
		w.line(depth+1, disabled, name+":")
		w.keys(c, k, join(path, name), depth+2, disabled)
	default:
		value, ok := c.value(path)
		if disabled == active && (!ok || k.standard == "") {
			disabled = depth
		}
		if k.standard == "" {
			w.line(depth, disabled, k.name+": "+k.sample())
			return
		}
		if !ok { // of an example
			value, _ = k.parseText(k.standard)
		}
		w.line(depth, disabled, k.name+": "+k.yaml(value))
	}
}

func (w *defaultWriter) keys(c *Config, k *key, path string, depth, disabled int) {
	for _, below := range k.keys {
		w.key(c, below, join(path, below.name), depth, disabled)
	}
}

// sample returns the example of a key.
func (k *key) sample() string {
	if k.list() {
		return "[" + quoteYAML(k.example) + "]"
	}
	return quoteYAML(k.example)
}

// comment returns the description of a key with the values that it accepts.
func (k *key) comment() string {
	s := k.doc
	if len(k.enum) > 0 {
		s += " Choices: " + strings.Join(k.enum, ", ") + "."
	}
	if k.off != "" {
		s += " off: " + k.off + "."
	}
	if k.auto != "" {
		s += " auto: " + k.auto + "."
	}
	if k.restart && k.leaf() {
		s += " Needs a restart."
	}
	return s
}
