package config

import (
	"reflect"
	"strings"
)

// value returns the value at a path of koanf, false for a section and for a
// path that does not exist.
func (c *Config) value(path string) (any, bool) {
	k, at := root, reflect.ValueOf(c).Elem()
	for name := range strings.SplitSeq(path, delimiter) {
		if k, at = step(k, at, name); k == nil || !at.IsValid() {
			return nil, false
		}
	}
	if !k.leaf() {
		return nil, false
	}
	return at.Interface(), true
}

// step returns a key below another one, and its value.
func step(k *key, at reflect.Value, name string) (*key, reflect.Value) {
	if k.kind == named {
		return &key{kind: section, keys: k.keys}, at.MapIndex(reflect.ValueOf(name))
	}
	c := k.child(name)
	if c == nil {
		return nil, reflect.Value{}
	}
	return c, at.Field(c.field)
}

// only returns the defaults with a single value of c.
func (c *Config) only(path string) *Config {
	l := newLayer()
	value, _ := c.value(path) // the caller knows that there is one
	l.settings[path] = setting{value: value}
	alone, err := merge([]*layer{l})
	if err != nil {
		panic(err) // the same value was merged before
	}
	return alone
}
