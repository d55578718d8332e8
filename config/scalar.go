package config

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxQuoted is the length in bytes of a value that an error quotes.
const maxQuoted = 64

// leaf reads a value that has no keys.
func (l *layer) leaf(k *key, path string, node *yaml.Node, origin Origin) {
	if !k.list() {
		value, problem := k.scalar(node)
		if problem != "" {
			l.fail(origin, display(path), k.quote(node), "%s", problem)
			return
		}
		l.settings[path] = setting{value, origin}
		return
	}
	if node.Kind != yaml.SequenceNode {
		l.fail(origin, display(path), k.quote(node), "want %s", k.wanted())
		return
	}
	list := make([]string, 0, len(node.Content))
	for _, item := range node.Content {
		value, problem := k.scalar(item)
		if problem != "" {
			l.fail(at(origin, item), display(path), k.quote(item), "%s", problem)
			continue
		}
		list = append(list, value.(string))
	}
	l.settings[path] = setting{list, origin}
}

// scalar returns the value of a node, or the reason against it.
func (k *key) scalar(node *yaml.Node) (value any, problem string) {
	switch {
	case node.Kind == yaml.AliasNode || node.Anchor != "":
		return nil, noAnchors
	case node.Style&yaml.TaggedStyle != 0:
		return nil, noTags
	case node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null":
		return nil, "the key has no value; want " + k.wanted()
	case node.Kind != yaml.ScalarNode:
		return nil, "want " + k.wanted()
	}
	tag := node.ShortTag()
	switch k.kind {
	case text, texts:
		if tag != "!!str" {
			return nil, "want a text; put it in quotes"
		}
	case count:
		if tag != "!!int" && onlyDigits.MatchString(node.Value) {
			return nil, "want " + k.wanted() + ", without quotes"
		}
	case truth:
		if tag != "!!bool" {
			return nil, "want true or false"
		}
	}
	value, err := k.parse(node.Value)
	if err != nil {
		return nil, err.Error()
	}
	return value, ""
}

// quote returns a value for an error, shortened, and nothing of a secret.
func (k *key) quote(node *yaml.Node) string {
	if node.Kind != yaml.ScalarNode || node.ShortTag() == "!!null" {
		return ""
	}
	return k.quoteText(node.Value)
}

func (k *key) quoteText(s string) string {
	if k.secret || k.password {
		return ""
	}
	if k.kind != text && k.kind != texts && numeric.MatchString(s) {
		return s
	}
	if len(s) > maxQuoted {
		s = strings.ToValidUTF8(s[:maxQuoted], "") + "..."
	}
	return strconv.Quote(s)
}

var numeric = regexp.MustCompile(`^-?[0-9][0-9A-Za-z./]{0,30}$`)
