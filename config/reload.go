package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Change is a key with another value.
type Change struct {
	// Key is the path of the key, or of an entry of a map.
	Key string
	// Old and New are the values in YAML. Secrets are masked. Of an entry that
	// is new or removed, one is empty and the other one "set".
	Old, New string
	// Origin is where the new value comes from.
	Origin Origin
	// Restart: a running node does not take the change in.
	Restart bool
}

// Reload returns the configuration of a node that runs with c and takes next
// in: the values of next, but those of c where a change needs a restart. The
// changes between c and next are in the order of the keys. The error is of the
// type Errors: the configuration would be contradictory.
//
// Apart from the keys that need a restart in any case, TLS needs one to begin
// and to end, and authentication in a node that began without it.
func (c *Config) Reload(next *Config) (*Config, []Change, error) {
	merged := *next
	merged.verifies = c.verifies || c.Auth.IsSet()
	merged.origins = maps.Clone(next.origins)
	keep := func(path string) { merged.keep(c, strings.ReplaceAll(path, ".", delimiter)) }
	var kept []string // sections
	if (c.TLS.Cert == "") != (next.TLS.Cert == "") {
		kept = append(kept, "tls.cert", "tls.key")
		keep("tls.cert")
		keep("tls.key")
	}
	if !merged.verifies && next.Auth.IsSet() {
		kept = append(kept, "auth", "listen.allow_unauthenticated")
		merged.Auth = c.Auth
		below := "auth" + delimiter
		maps.DeleteFunc(merged.origins, func(path string, _ Origin) bool { return strings.HasPrefix(path, below) })
		// It belongs to the authentication that the node does not have.
		keep("listen.allow_unauthenticated")
	}
	changes := differences(root, "", reflect.ValueOf(c).Elem(), reflect.ValueOf(next).Elem())
	for i := range changes {
		change := &changes[i]
		change.Origin = next.origin(change.Key)
		above := func(section string) bool {
			path := strings.ReplaceAll(change.Key, delimiter, ".")
			return path == section || strings.HasPrefix(path, section+".")
		}
		if change.Restart {
			merged.keep(c, change.Key)
		}
		change.Restart = change.Restart || slices.ContainsFunc(kept, above)
		change.Key = display(change.Key)
	}
	if mistakes := merged.check(); len(mistakes) > 0 {
		return nil, changes, mistakes
	}
	return &merged, changes, nil
}

// keep sets a key that is in no map to its value in another configuration.
func (c *Config) keep(from *Config, path string) {
	k, to, value := root, reflect.ValueOf(c).Elem(), reflect.ValueOf(from).Elem()
	for name := range strings.SplitSeq(path, delimiter) {
		k = k.child(name)
		to, value = to.Field(k.field), value.Field(k.field)
	}
	to.Set(value)
	delete(c.origins, path)
	if origin, ok := from.origins[path]; ok {
		c.origins[path] = origin
	}
}

// differences compares two values of a key, and all below it.
func differences(k *key, path string, a, b reflect.Value) []Change {
	var all []Change
	switch {
	case k.kind == section:
		for _, below := range k.keys {
			all = append(all, differences(below, join(path, below.name), a.Field(below.field), b.Field(below.field))...)
		}
	case k.kind == named:
		names := slices.Compact(slices.Sorted(slices.Values(append(namesOf(a), namesOf(b)...))))
		for _, name := range names {
			entry, at := &key{kind: section, keys: k.keys}, join(path, name)
			was, is := a.MapIndex(reflect.ValueOf(name)), b.MapIndex(reflect.ValueOf(name))
			switch {
			case !was.IsValid():
				all = append(all, Change{Key: at, New: "set", Restart: k.restart})
			case !is.IsValid():
				all = append(all, Change{Key: at, Old: "set", Restart: k.restart})
			default:
				all = append(all, differences(entry, at, was, is)...)
			}
		}
	case !k.same(a.Interface(), b.Interface()):
		all = append(all, Change{Key: path, Old: k.yaml(a.Interface()), New: k.yaml(b.Interface()), Restart: k.restart})
	}
	return all
}

// same compares two values of a leaf. An empty list is the same as none.
func (k *key) same(a, b any) bool {
	if k.list() {
		return slices.Equal(a.([]string), b.([]string))
	}
	return a == b
}
