package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-io/stoa/node"
)

// checkNames refuses names of namespaces that no client can use, and the one
// that stands for all of them in a permission.
func (c *Config) checkNames() Errors {
	var all Errors
	longest := c.Limits.Names.Namespace
	for _, name := range slices.Sorted(maps.Keys(c.Namespaces)) {
		text := ""
		switch {
		case name == "*":
			text = "in permissions this stands for every namespace; want a name"
		case longest > 0 && len(name) > longest:
			text = fmt.Sprintf("the name has %d bytes: want at most limits.names.namespace, %s", len(name), formatSize(longest))
		default:
			continue
		}
		path := join("namespaces", name)
		all = append(all, &Error{Origin: c.origin(path), Key: display(path), Text: text})
	}
	return all
}

// checkHistory checks the values of the histories that depend on others.
func (c *Config) checkHistory() Errors {
	var all Errors
	for _, name := range slices.Sorted(maps.Keys(c.Namespaces)) {
		h := c.Namespaces[name].History
		wrong := func(key, format string, args ...any) {
			path := join(join(join("namespaces", name), "history"), key)
			all = append(all, &Error{Origin: c.origin(path), Key: display(path), Text: fmt.Sprintf(format, args...)})
		}
		if h.LatestBy != "" && h.Messages == 0 {
			wrong("latest_by", "needs history.messages")
		}
		if len(h.LatestBy) > node.MaxHistoryLatestBy {
			wrong("latest_by", "the name has %d bytes: want at most %d", len(h.LatestBy), node.MaxHistoryLatestBy)
		}
		if h.Messages == 0 {
			continue
		}
		if h.OnJoin > h.Messages {
			wrong("on_join", "%d: want at most history.messages, %d", h.OnJoin, h.Messages)
		}
		if h.Bytes < c.Limits.Message {
			wrong("bytes", "%s: want at least limits.message, %s", formatSize(h.Bytes), formatSize(c.Limits.Message))
		}
		if h.Age < time.Millisecond || h.Age > node.MaxHistoryAge {
			wrong("age", "%v: want 1ms to %dh", h.Age, int(node.MaxHistoryAge.Hours()))
		}
		if h.DuplicateWindow < time.Second || h.DuplicateWindow > node.MaxDuplicateWindow {
			wrong("duplicate_window", "%v: want 1s to %dh", h.DuplicateWindow, int(node.MaxDuplicateWindow.Hours()))
		}
	}
	return all
}

// checkNode has package node check its configuration. To find the key of an
// error, it tries values on their own. In a section with mistakes it looks for
// no others, which they may cause.
func (c *Config) checkNode(mistakes Errors) Errors {
	whole := nodeErrors(c)
	if len(whole) == 0 {
		return nil
	}
	var all Errors
	known := make(map[string]bool)
	for _, path := range c.suspects(whole) {
		section, _, _ := strings.Cut(path, delimiter)
		if slices.ContainsFunc(mistakes, func(e *Error) bool { return e.Key == section || strings.HasPrefix(e.Key, section+".") }) {
			continue
		}
		for _, err := range nodeErrors(c.only(path)) {
			if !slices.Contains(whole, err) {
				continue // the value needs another one, which is there
			}
			all = append(all, libraryError(c.origins[path], path, libraryField.ReplaceAllString(err, "")))
			known[err] = true
		}
	}
	if len(mistakes) > 0 {
		return all
	}
	found := len(all) > 0
	for _, err := range whole {
		switch name := namespaceOf(err); {
		case known[err]:
		case name != "" && c.declares(name):
			path := join("namespaces", name)
			all = append(all, libraryError(c.origins[path], path, err))
		case !found:
			all = append(all, &Error{Text: err})
		}
	}
	return all
}

func (c *Config) declares(namespace string) bool {
	_, ok := c.Namespaces[namespace]
	return ok
}

// maxSuspects bounds the namespaces in which a key is looked for: each value
// takes a check of a whole configuration. The errors of further ones name the
// namespace only.
const maxSuspects = 32

// suspects returns the paths of the values that may cause errors of package
// node. An error about a namespace comes from its own values.
func (c *Config) suspects(whole []string) []string {
	wrong := make(map[string]bool)
	for _, err := range whole {
		if name := namespaceOf(err); name != "" && len(wrong) < maxSuspects {
			wrong[name] = true
		}
	}
	var paths []string
	for path := range c.origins {
		section, rest, _ := strings.Cut(path, delimiter)
		name, _, _ := strings.Cut(rest, delimiter)
		if section == "namespaces" && !wrong[name] {
			continue
		}
		if _, ok := c.value(path); ok {
			paths = append(paths, path)
		}
	}
	return paths
}

// ofNamespace matches the begin of an error about a namespace.
var ofNamespace = regexp.MustCompile(`^namespace ("(?:[^"\\]|\\.)*"): `)

// namespaceOf returns the namespace that an error is about, "" for others.
func namespaceOf(err string) string {
	match := ofNamespace.FindStringSubmatch(err)
	if match == nil {
		return ""
	}
	name, _ := strconv.Unquote(match[1]) // quoted by the library
	return name
}

// libraryField matches the field of the library that an error is about.
var libraryField = regexp.MustCompile(`^(namespace "(?:[^"\\]|\\.)*": )?([A-Z][A-Za-z]*)(\.[A-Z][A-Za-z]*)*:? `)

// quoted matches a value at the begin of an error.
var quoted = regexp.MustCompile(`^("(?:[^"\\]|\\.)*"): `)

// libraryError is an error of a library about a key, without its field.
func libraryError(origin Origin, path, text string) *Error {
	e := &Error{Origin: origin, Key: display(path), Text: text}
	if match := quoted.FindStringSubmatch(text); match != nil {
		e.Value, e.Text = match[1], text[len(match[0]):]
	}
	return e
}

func nodeErrors(c *Config) []string {
	var texts []string
	for _, err := range separate(c.Node().Validate()) {
		texts = append(texts, strings.TrimPrefix(err.Error(), "node: "))
	}
	return texts
}

// separate returns the errors that errors.Join has joined.
func separate(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, err := range joined.Unwrap() {
		all = append(all, separate(err)...)
	}
	return all
}
