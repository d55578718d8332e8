package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// FlagKey returns the path of the key that a flag sets, "" for a flag that sets
// none.
func FlagKey(flag string) string {
	if k := flags[flag]; k != nil {
		return k.path
	}
	return ""
}

// flags are the keys by the names of their flags.
var flags = newFlags()

func newFlags() map[string]*key {
	all := make(map[string]*key)
	root.visit(func(k *key) {
		if k.flag != "" {
			all[k.flag] = k
		}
	})
	return all
}

// parseFlags reads the flags that the command line sets.
func parseFlags(set *pflag.FlagSet) *layer {
	l := newLayer()
	set.Visit(func(f *pflag.Flag) {
		k := flags[f.Name]
		if k == nil {
			return
		}
		origin := Origin{Layer: LayerFlag, Name: f.Name}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			items, err := k.parseItems(list.GetSlice())
			if err != nil {
				l.fail(origin, k.path, "", "%s", err)
				return
			}
			l.settings[k.koanfPath()] = setting{items, origin}
			return
		}
		l.text(k, k.flagText(f), f.Value.String(), origin)
	})
	return l
}

// oldWords are values of flags that are older than the choices of their keys.
var oldWords = map[string]map[string]string{
	"transport": {"stream": "blocking"},
	"demo":      {"true": "on", "false": "off"},
}

// flagText returns the value of a flag as a key accepts it. Flags are older
// than keys: a size has no unit, and 0 stands for "auto".
func (k *key) flagText(f *pflag.Flag) string {
	value := f.Value.String()
	switch {
	case oldWords[f.Name][value] != "":
		return oldWords[f.Name][value]
	case k.auto != "" && value == "0":
		return autoWord
	case k.kind == size && !strings.HasSuffix(value, "B"):
		return value + "B"
	}
	return value
}
