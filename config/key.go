package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-io/stoa/node"
)

// kind is the form of a key's value.
type kind uint8

const (
	section  kind = iota + 1 // keys with fixed names
	named                    // sections whose names are chosen by the user
	text                     // a string
	truth                    // true or false
	count                    // a whole number
	size                     // bytes with a unit
	duration                 // a time with a unit
	rate                     // a number per second
	choice                   // one word of several
	texts                    // a list of strings
	choices                  // a list of words of several
	meter                    // a number or bytes per second, with a burst
)

// key is a key of the configuration, made from a field of Config. It is
// immutable.
type key struct {
	name     string // the last part of the path
	path     string // "limits.message"; below a map "namespaces.*.relay"
	doc      string
	kind     kind
	field    int          // index in the struct of the section
	goType   reflect.Type // of the field
	keys     []*key       // of a section, and of the sections of a map
	enum     []string
	standard string // the default as text; "" is none
	off      string // meaning of "off"; "" does not accept it
	auto     string // meaning of "auto"; "" does not accept it
	minimum  int
	maximum  int // 0: none
	flag     string
	variable string // of the environment, in addition to the one of the path
	bytes    bool   // of a meter: it counts bytes
	urls     bool   // a comma separates only if a URL follows
	secret   bool   // never printed
	password bool   // a URL whose password is never printed
	restart  bool   // a running node does not take a change in
	example  string
}

// root is the section that contains everything.
var root = newRoot()

func newRoot() *key {
	k := &key{kind: section, goType: reflect.TypeFor[Config]()}
	k.keys = fieldKeys(k.goType, "", false)
	return k
}

// fieldKeys returns the keys of the fields that have a tag. restart is that of
// the section.
func fieldKeys(section reflect.Type, path string, restart bool) []*key {
	var keys []*key
	for i := range section.NumField() {
		field := section.Field(i)
		if name := field.Tag.Get("key"); name != "" {
			k := newKey(field.Tag, field.Type, path+name, restart)
			k.name, k.field = name, i
			keys = append(keys, k)
		}
	}
	return keys
}

func newKey(tag reflect.StructTag, goType reflect.Type, path string, restart bool) *key {
	k := &key{
		path: path, doc: tag.Get("doc"), goType: goType,
		standard: tag.Get("default"), off: tag.Get("off"), auto: tag.Get("auto"), example: tag.Get("example"),
		flag: tag.Get("flag"), variable: tag.Get("env"), enum: strings.Fields(tag.Get("enum")),
		urls: tag.Get("list") == "urls", secret: tag.Get("secret") == "yes", password: tag.Get("secret") == "url",
		bytes: tag.Get("unit") == "size", restart: restart || tag.Get("restart") == "yes",
	}
	k.kind = kindOf(goType, tag.Get("unit"), len(k.enum) > 0)
	switch k.kind {
	case section:
		k.keys = fieldKeys(goType, path+".", k.restart)
	case named:
		k.keys = fieldKeys(goType.Elem(), path+".*.", k.restart)
	case count, size, duration, rate:
		k.minimum = 1
		if text := tag.Get("min"); text != "" {
			k.minimum = mustNumber(k.kind, text)
		}
		if text := tag.Get("max"); text != "" {
			k.maximum = mustNumber(k.kind, text)
		}
	}
	return k
}

func kindOf(goType reflect.Type, unit string, enum bool) kind {
	switch {
	case goType == reflect.TypeFor[node.Rate]():
		return meter
	case unit == "size":
		return size
	case unit == "rate":
		return rate
	case goType == reflect.TypeFor[time.Duration]():
		return duration
	}
	switch goType.Kind() {
	case reflect.Struct:
		return section
	case reflect.Map:
		return named
	case reflect.Bool:
		return truth
	case reflect.Int:
		return count
	case reflect.Slice:
		if enum {
			return choices
		}
		return texts
	}
	if enum {
		return choice
	}
	return text
}

// child returns the key of a name in a section.
func (k *key) child(name string) *key {
	i := slices.IndexFunc(k.keys, func(c *key) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return k.keys[i]
}

func (k *key) names() []string {
	names := make([]string, len(k.keys))
	for i, c := range k.keys {
		names[i] = c.name
	}
	return names
}

// leaf reports whether a key has a value rather than keys.
func (k *key) leaf() bool { return k.kind != section && k.kind != named }

// list reports whether the value is a list.
func (k *key) list() bool { return k.kind == texts || k.kind == choices }

// environment returns the variable that is made from the path.
func (k *key) environment() string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(k.path, ".", "_"))
}

// visit calls f for a key and all below it, except for those in maps.
func (k *key) visit(f func(*key)) {
	f(k)
	if k.kind == section {
		for _, c := range k.keys {
			c.visit(f)
		}
	}
}

// lookup returns the key of a path, whose maps contain names in place of "*".
func lookup(path string) *key {
	k := root
	for name := range strings.SplitSeq(path, delimiter) {
		if k.kind == named {
			k = &key{kind: section, keys: k.keys, path: k.path + ".*", name: name}
			continue
		}
		if k = k.child(name); k == nil {
			return nil
		}
	}
	return k
}

// delimiter separates the names of a path in koanf. A name in a map may
// contain a dot, but not this byte.
const delimiter = "\x00"

// join adds a name to a path of koanf.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + delimiter + name
}

// display returns a path of koanf as users write it. Names that could be
// misread are quoted.
func display(path string) string {
	if path == "" {
		return "" // the whole file
	}
	names := strings.Split(path, delimiter)
	for i, name := range names {
		if name == "" || strings.ContainsFunc(name, unusual) {
			names[i] = strconv.Quote(name)
		}
	}
	return strings.Join(names, ".")
}

func unusual(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '_' && r != '-'
}
