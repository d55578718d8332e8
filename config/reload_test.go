package config

import (
	"context"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/node"
)

// loadText returns the configuration of a file.
func loadText(t *testing.T, content string) *Config {
	t.Helper()
	c, err := Load(Sources{File: "stoa.yaml", Content: []byte(content)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A key of the node needs no restart exactly if node.Node.Update takes its
// change in.
func TestKeysWithoutARestartAreSettings(t *testing.T) {
	pair := certificate(t)
	c := loadText(t, "{}")
	start := c.Node()
	start.Loops = 1
	n, err := node.New(start)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Shutdown(context.Background()) }()
	settings := n.Settings()
	for _, e := range effects {
		k := lookup(strings.ReplaceAll(strings.ReplaceAll(e.key, "*", "default"), ".", delimiter))
		field := ""
		for name := range e.fields {
			if of, isNode := strings.CutPrefix(name, "node."); isNode {
				field, _, _ = strings.Cut(of, ".")
				field, _, _ = strings.Cut(field, "[")
			}
		}
		if field == "" || strings.HasPrefix(e.key, "cluster.") {
			continue
		}
		parsed := parseFile("stoa.yaml", []byte(pair.Replace(nest(e.key, e.value))))
		base := parseFile("base.yaml", []byte(pair.Replace(needed[e.key])+"\n"))
		next, err := merge([]*layer{base, parsed})
		if err != nil {
			t.Fatal(err)
		}
		to, from := reflect.ValueOf(&settings).Elem().FieldByName(field), reflect.ValueOf(next.Node()).FieldByName(field)
		changeable := to.IsValid()
		if changeable {
			before := n.Settings()
			to.Set(from)
			changeable = n.Update(settings) == nil
			if err := n.Update(before); err != nil {
				t.Fatal(err)
			}
			settings = n.Settings()
		}
		if changeable == k.restart {
			t.Errorf("%s: the node takes a change in: %v, but the key needs a restart: %v", e.key, changeable, k.restart)
		}
	}
}

// What needs a restart stays, and the rest is that of the new file.
func TestReload(t *testing.T) {
	for _, c := range []struct {
		name, before, after string
		changes             string // their keys; those that need a restart in brackets
		error               string
	}{
		{"nothing", "limits: {rooms: 1}", "limits: {rooms: 1}", "", ""},
		{"limit", "limits: {rooms: 1}", "limits: {rooms: 2}", "limits.rooms", ""},
		{"fixed limit", "{}", "limits: {rooms: 2, header: 9KiB}", "(limits.header) limits.rooms", ""},
		{"namespaces", "namespaces: {a: {}, b: {}, c: {}}", "namespaces: {a: {relay: []}, c: {}, d.e: {}}",
			`namespaces.a.relay namespaces.b namespaces."d.e"`, ""},
		{"section", "{}", "timeouts: {ping: 1s, over_rate: 1s}", "(timeouts.ping) (timeouts.over_rate)", ""},
		{"authentication begins", "{}", "auth: {api_keys: {a: {keys: [" + apiKey + "]}}}", "(auth.api_keys.a)", ""},
		{"authentication ends", "auth: {api_keys: {a: {keys: [" + apiKey + "]}}}", "{}", "auth.api_keys.a", ""},
		{"authentication ends in public", "listen: {address: ':80'}\nauth: {api_keys: {a: {keys: [" + apiKey + "]}}}", "{}", "",
			"other machines can reach this address"},
		{"authentication begins in public", "listen: {address: ':80', allow_unauthenticated: true}",
			"listen: {address: ':80'}\nauth: {api_keys: {a: {keys: [" + apiKey + "]}}}", "(listen.allow_unauthenticated) (auth.api_keys.a)", ""},
		{"together with what stays", "cluster: {redis: [redis://a]}", "cluster: {redis: [redis://a], max_message: 10MiB}\nlimits: {message: 5MiB}", "",
			"messages of clients would be too large for the cluster"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, after := loadText(t, c.before), loadText(t, c.after)
			merged, changes, err := before.Reload(after)
			if c.error != "" {
				if err == nil || !strings.Contains(err.Error(), c.error) {
					t.Errorf("the error is %v, want %q", err, c.error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var keys []string
			for _, change := range changes {
				if change.Restart {
					change.Key = "(" + change.Key + ")"
				}
				keys = append(keys, change.Key)
			}
			if got := strings.Join(keys, " "); got != c.changes {
				t.Errorf("the changes are %s, want %s", got, c.changes)
			}
			// Those that need a restart are left, and no other.
			_, left, err := merged.Reload(after)
			if err != nil {
				t.Fatal(err)
			}
			keys = nil
			for _, change := range left {
				if !change.Restart {
					keys = append(keys, change.Key)
				}
			}
			if len(keys) > 0 {
				t.Errorf("%v are not in force", keys)
			}
		})
	}
}

// Authentication can be back in a node that began with it.
func TestReloadOfAuthenticationThatWasThere(t *testing.T) {
	with, without := loadText(t, "auth: {api_keys: {a: {keys: ["+apiKey+"]}}}"), loadText(t, "{}")
	open, _, err := with.Reload(without)
	if err != nil {
		t.Fatal(err)
	}
	back, changes, err := open.Reload(with)
	if err != nil || len(changes) != 1 || changes[0].Restart || !back.Authenticated() {
		t.Errorf("the changes are %+v, %v, want one without a restart", changes, err)
	}
}

// No change shows a secret.
func TestChangesMaskSecrets(t *testing.T) {
	before := loadText(t, "cluster: {redis: [redis://u:one@a]}\nauth: {api_keys: {a: {keys: ["+apiKey+"]}}}")
	after := loadText(t, "cluster: {redis: [redis://u:two@a]}\nauth: {api_keys: {a: {keys: ["+apiKey+"0]}}}")
	_, changes, err := before.Reload(after)
	if err != nil || len(changes) != 2 {
		t.Fatalf("the changes are %+v, %v, want two", changes, err)
	}
	for _, change := range changes {
		if text := change.Old + change.New; strings.Contains(text, "one") || strings.Contains(text, "two") || strings.Contains(text, "sk_") {
			t.Errorf("%s shows %s", change.Key, text)
		}
	}
}

// docs/operating.md says of every key whether it needs a restart.
func TestReloadIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| keys | at a reload |\n")
	table, _, found := strings.Cut(table, "\n\n")
	if !found {
		t.Fatal("there is no table")
	}
	var follow, restart []string // paths and sections
	for row := range strings.Lines(table) {
		for _, sentence := range strings.Split(row, ". ") {
			names := &follow
			if regexp.MustCompile(`needs? a restart`).MatchString(sentence) {
				names = &restart
			}
			for _, name := range regexp.MustCompile("`([a-z_.*]+)`").FindAllStringSubmatch(sentence, -1) {
				*names = append(*names, name[1])
			}
		}
	}
	longest := func(names []string, path string) int {
		length := 0
		for _, name := range names {
			if path == name || strings.HasPrefix(path, name+".") {
				length = max(length, len(name))
			}
		}
		return length
	}
	everyLeaf(root, func(k *key) {
		f, r := longest(follow, k.path), longest(restart, k.path)
		if f == r || r > f != k.restart {
			t.Errorf("%s needs a restart: %v, which the table does not say", k.path, k.restart)
		}
	})
}
