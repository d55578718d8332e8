package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/stoa-io/stoa/node"
)

// Sources are the places that a configuration is read from.
type Sources struct {
	// File is the path of the file; empty means no file.
	File string
	// Content replaces the content of the file, which is then not read.
	Content []byte
	// Environment holds variables in the form of os.Environ. Variables without
	// the prefix STOA_ are ignored, and so is an empty value.
	Environment []string
	// Flags may be nil. Only flags that the command line has set count, and of
	// these the ones of FlagKey.
	Flags *pflag.FlagSet
}

// Default returns the configuration without any source.
func Default() *Config {
	c, err := Load(Sources{})
	if err != nil {
		panic(err) // a test loads it
	}
	return c
}

// Load reads and checks a configuration. The error is of the type Errors and
// has all mistakes, or it is that of the file system.
func Load(s Sources) (*Config, error) {
	return s.load((*Config).check)
}

// LoadCluster is Load for programs that use the section cluster only: it checks
// nothing else, so the certificates and keys that a node needs may be missing.
func LoadCluster(s Sources) (*Config, error) { return s.load((*Config).checkCluster) }

// load reads all sources and applies a rule to the result.
func (s Sources) load(check func(*Config) Errors) (*Config, error) {
	layers, err := s.read()
	if err != nil {
		return nil, err
	}
	var mistakes Errors
	for _, l := range layers {
		mistakes = append(mistakes, l.errors...)
	}
	c, err := merge(layers)
	if err != nil {
		return nil, err
	}
	if s.File == "" && !slices.ContainsFunc(layers, (*layer).namesNamespaces) {
		c.openDemo()
	}
	mistakes = append(mistakes, check(c)...)
	if len(mistakes) > 0 {
		slices.SortStableFunc(mistakes, func(a, b *Error) int { return a.Origin.compare(b.Origin) })
		return nil, mistakes
	}
	return c, nil
}

func (o Origin) compare(other Origin) int {
	if o.Layer != other.Layer {
		return int(o.Layer) - int(other.Layer)
	}
	return o.Line - other.Line
}

// read parses all layers, the strongest last.
func (s Sources) read() ([]*layer, error) {
	var layers []*layer
	if s.File != "" {
		content := s.Content
		if content == nil {
			var err error
			if content, err = readFile(s.File); err != nil {
				return nil, unreadableFile(s.File, err)
			}
		}
		layers = append(layers, parseFile(s.File, content))
	}
	layers = append(layers, parseEnvironment(s.Environment))
	if s.Flags != nil {
		layers = append(layers, parseFlags(s.Flags))
	}
	return layers, nil
}

// unreadableFile names the file once.
func unreadableFile(name string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return Errors{{Origin: Origin{Layer: LayerFile, Name: name}, Text: err.Error()}}
}

// merge puts the layers over the defaults.
func merge(layers []*layer) (*Config, error) {
	k := koanf.New(delimiter)
	origins := make(map[string]Origin)
	for _, l := range layers {
		if err := k.Load(confmap.Provider(l.values(), delimiter), nil); err != nil {
			return nil, fmt.Errorf("config: merge: %w", err)
		}
		maps.Copy(origins, l.empty)
		maps.Copy(origins, l.sections)
		for path, s := range l.settings {
			origins[path] = s.origin
		}
	}
	standard := make(map[string]any)
	root.defaults(k, "", standard)
	merged := koanf.New(delimiter)
	for _, values := range []map[string]any{standard, k.All()} {
		if err := merged.Load(confmap.Provider(values, delimiter), nil); err != nil {
			return nil, fmt.Errorf("config: merge: %w", err)
		}
	}
	c := &Config{origins: origins}
	err := merged.UnmarshalWithConf("", c, koanf.UnmarshalConf{Tag: "key", DecoderConfig: new(mapstructure.DecoderConfig)})
	if err != nil {
		return nil, fmt.Errorf("config: merge: %w", err)
	}
	return c, nil
}

// openNamespace is the namespace of a configuration that names none.
const openNamespace = "default"

// demoHistory is the history of the rooms of the demo.
var demoHistory = History{Messages: 300, Age: time.Hour, Bytes: 256 << 10, DuplicateWindow: 2 * time.Minute, LatestKeys: 1000}

// openDemo gives the open namespace a history and a roster, where the node is
// there to be tried out: with the demo page, alone, and for this machine only.
// Elsewhere anyone could fill its memory with rooms, and all nodes of a cluster
// have to agree about both.
func (c *Config) openDemo() {
	if !c.Demo() || c.Exposed() || len(c.Cluster.Redis) > 0 {
		return
	}
	n := c.Namespaces[openNamespace]
	n.Presence = "roster"
	if c.Limits.Message <= node.MaxHistoryBytes {
		n.History = demoHistory
		n.History.Bytes = max(n.History.Bytes, c.Limits.Message)
	}
	c.Namespaces[openNamespace] = n
}

// defaults adds the defaults of a key and all below it. The entries of a map
// are those that set has; without the map there is the open namespace.
func (k *key) defaults(set *koanf.Koanf, path string, all map[string]any) {
	switch k.kind {
	case section:
		for _, c := range k.keys {
			c.defaults(set, join(path, c.name), all)
		}
	case named:
		names := set.MapKeys(path)
		if !set.Exists(path) && k.path == "namespaces" {
			names = []string{openNamespace}
		}
		for _, name := range names {
			(&key{kind: section, keys: k.keys}).defaults(set, join(path, name), all)
		}
	default:
		if k.standard == "" {
			return // the zero value
		}
		value, err := k.parseText(k.standard)
		if err != nil {
			panic(fmt.Sprintf("config: default of %s: %v", k.path, err))
		}
		all[path] = value
	}
}

// Origin returns where the value of a key comes from. The path is written with
// dots, such as "limits.message".
func (c *Config) Origin(path string) Origin {
	return c.origin(strings.ReplaceAll(path, ".", delimiter))
}

// origin returns where a value comes from, or the entry of a map that it is in.
func (c *Config) origin(path string) Origin { return c.origins[path] }
