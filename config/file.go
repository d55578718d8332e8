package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/stoa-io/stoa/internal/similar"
)

// maxFileBytes is the size of the largest file. It bounds the memory of the
// parser.
const maxFileBytes = 1 << 20

// readFile returns the content of a regular file of at most 1 MiB.
func readFile(name string) ([]byte, error) {
	// Opening a FIFO would wait for its other end.
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("want a regular file")
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxFileBytes+1))
}

// parseFile reads a file in YAML.
func parseFile(name string, content []byte) *layer {
	l := newLayer()
	origin := Origin{Layer: LayerFile, Name: name}
	if line, problem := unreadable(content); problem != "" {
		origin.Line = line
		l.fail(origin, "", "", "%s", problem)
		return l
	}
	l.parse(root, "", content, origin)
	return l
}

// unreadable finds content that the YAML parser must not see, or reports in
// words that do not help. A tab is fine in a comment or a text.
func unreadable(content []byte) (line int, problem string) {
	if len(content) > maxFileBytes {
		return 0, "the file is larger than 1 MiB"
	}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	line = 1
	for text := range bytes.Lines(content) {
		indentation := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
		switch {
		case !utf8.Valid(text):
			return line, "the line is not UTF-8"
		case bytes.IndexByte(text, 0) >= 0:
			return line, "the line contains a NUL byte"
		case bytes.IndexByte(indentation, '\t') >= 0 && len(bytes.TrimSpace(text)) > 0:
			return line, "the line is indented with a tab; YAML wants spaces"
		}
		line++
	}
	return 0, ""
}

// parse reads a text in YAML that is the value of a section or map.
func (l *layer) parse(k *key, path string, content []byte, origin Origin) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document yaml.Node
	err := decoder.Decode(&document)
	if err == io.EOF {
		return // nothing but comments
	}
	if err != nil {
		at, problem := syntaxError(err)
		if origin.Layer == LayerFile {
			origin.Line = at
		}
		l.fail(origin, display(path), "", "%s", problem)
		return
	}
	var second yaml.Node
	if decoder.Decode(&second) != io.EOF {
		l.fail(at(origin, &second), display(path), "", "there is a second document; want one")
	}
	l.walk(k, path, document.Content[0], origin)
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?`)

// syntaxError splits an error of the YAML parser. It quotes nothing of the
// file, which may be a secret without quotes.
func syntaxError(err error) (line int, problem string) {
	message := err.Error()
	if match := yamlLine.FindStringSubmatch(message); match != nil {
		line, _ = strconv.Atoi(match[1]) // 0 without a line
		message = message[len(match[0]):]
	}
	if strings.HasPrefix(message, "unknown anchor") { // and its name
		message = "an alias (*) without an anchor; put a text that begins with * in quotes"
	}
	return line, "no YAML: " + message
}

// at returns the origin with the line of a node.
func at(origin Origin, node *yaml.Node) Origin {
	if origin.Layer == LayerFile {
		origin.Line = node.Line
	}
	return origin
}

// What looks like a tag or an anchor may be a secret that needs quotes.
const (
	noTags    = "tags (!) are not supported; put a text that begins with ! in quotes"
	noAnchors = "anchors and aliases are not supported; write the value out, and put a text that begins with & or * in quotes"
)

// walk reads the value of a key.
func (l *layer) walk(k *key, path string, node *yaml.Node, origin Origin) {
	origin = at(origin, node)
	switch {
	case node.Kind == yaml.AliasNode || node.Anchor != "":
		l.fail(origin, display(path), "", "%s", noAnchors)
	case node.Style&yaml.TaggedStyle != 0:
		l.fail(origin, display(path), "", "%s", noTags)
	case k.leaf():
		l.leaf(k, path, node, origin)
	case node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null":
		// A section whose keys are all commented out.
		if k.kind == named {
			l.sections[path] = origin
		} else {
			l.empty[path] = origin
		}
	case node.Kind != yaml.MappingNode:
		l.fail(origin, display(path), "", "want %s", k.wanted())
	default:
		l.mapping(k, path, node, origin)
	}
}

// mapping reads the keys of a section or map.
func (l *layer) mapping(k *key, path string, node *yaml.Node, origin Origin) {
	switch {
	case k.kind == named:
		l.sections[path] = origin
	case len(node.Content) == 0:
		l.empty[path] = origin
	}
	lines := make(map[string]int)
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		origin := at(origin, name)
		where := join(path, name.Value)
		switch problem := k.unusable(name); {
		case problem != "":
			l.fail(origin, display(path), "", "%s", problem)
		case lines[name.Value] != 0:
			l.fail(origin, display(where), "", "the key is there twice; the first is in line %d", lines[name.Value])
		case k.kind == named:
			l.sections[where] = origin
			l.walk(&key{kind: section, keys: k.keys}, where, value, origin)
		case k.child(name.Value) == nil:
			l.fail(origin, display(where), "", "%s", k.unknown(name.Value))
		default:
			l.walk(k.child(name.Value), where, value, origin)
		}
		lines[name.Value] = name.Line
	}
}

// unusable reports nodes that are no name of a key.
func (k *key) unusable(name *yaml.Node) string {
	switch {
	case name.Kind != yaml.ScalarNode || name.Anchor != "" || name.Style&yaml.TaggedStyle != 0:
		return "want a plain name in front of the colon"
	case name.ShortTag() == "!!merge":
		return "merge keys (<<) are not supported; write the keys out"
	case strings.ContainsFunc(name.Value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Sprintf("the name %q contains a control character", name.Value)
	}
	return ""
}

// unknown returns the error about a name that a section does not have. A name
// of another section is as helpful as a similar one.
func (k *key) unknown(name string) string {
	found := similar.Words(name, k.names())
	prefix := k.path
	if prefix != "" {
		prefix += "."
	}
	for i := range found {
		found[i] = prefix + found[i]
	}
	if len(found) == 0 {
		root.visit(func(other *key) {
			if other.name == name {
				found = append(found, other.path)
			}
		})
	}
	const few = 8
	switch {
	case len(found) > 0:
	case len(k.keys) <= few:
		return "unknown key; want " + alternatives(k.names())
	default:
		return "unknown key"
	}
	return "unknown key; did you mean " + strings.Join(found, " or ") + "?"
}
