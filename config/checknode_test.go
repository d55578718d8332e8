package config

import (
	"fmt"
	"strings"
	"testing"
)

// many returns a file with a number of namespaces.
func many(count int, value string) string {
	var file strings.Builder
	file.WriteString("namespaces:\n")
	for i := range count {
		fmt.Fprintf(&file, "  n%d: %s\n", i, value)
	}
	return file.String()
}

// A namespace costs its own values: without a mistake the whole is checked
// once, and with many mistakes the keys of some are looked for.
func TestManyNamespaces(t *testing.T) {
	for name, value := range map[string]string{
		"right": "{max_message: 1KiB, members_per_room: 5}",
		"wrong": "{rooms: {pattern: '['}}",
	} {
		t.Run(name, func(t *testing.T) {
			cost := func(count int) float64 {
				content := []byte(many(count, value))
				return testing.AllocsPerRun(1, func() { _, _ = Load(Sources{File: "stoa.yaml", Content: content}) })
			}
			few, more := cost(100), cost(400)
			if each := (more - few) / 300; each > 1500 {
				t.Errorf("%.0f allocations for each namespace", each)
			}
		})
	}
	_, err := Load(Sources{File: "stoa.yaml", Content: []byte(many(100, "{rooms: {pattern: '['}}"))})
	mistakes, _ := err.(Errors)
	if len(mistakes) != 100 {
		t.Fatalf("%d mistakes, want one for each namespace", len(mistakes))
	}
	keys := 0
	for i, mistake := range mistakes {
		if mistake.Origin.Line != i+2 || !strings.HasPrefix(mistake.Key, fmt.Sprintf("namespaces.n%d", i)) {
			t.Errorf("%v is the mistake of line %d", mistake, i+2)
		}
		if strings.HasSuffix(mistake.Key, "rooms.pattern") {
			keys++
		}
	}
	if keys != maxSuspects {
		t.Errorf("%d mistakes name the key, want %d", keys, maxSuspects)
	}
}

func TestNamesAndRulesOfNamespaces(t *testing.T) {
	long := strings.Repeat("x", 129)
	for _, c := range []struct{ name, file, want string }{
		{"star", "namespaces:\n  '*':\n", `stoa.yaml:2: namespaces."*": in permissions this stands for every namespace; want a name`},
		{
			"history on join", "namespaces:\n  a:\n    history: {messages: 1, on_join: 5}\n",
			"stoa.yaml:3: namespaces.a.history.on_join: 5: want at most history.messages, 1",
		},
		{
			"latest without history", "namespaces:\n  a:\n    history: {latest_by: symbol}\n",
			"stoa.yaml:3: namespaces.a.history.latest_by: needs history.messages",
		},
		{
			"latest by a long name", "namespaces:\n  a:\n    history: {messages: 1, latest_by: " + long + "}\n",
			"stoa.yaml:3: namespaces.a.history.latest_by: the name has 129 bytes: want at most 128",
		},
		{
			"history bytes", "namespaces:\n  a:\n    history: {messages: 1, bytes: 1KiB}\n",
			"stoa.yaml:3: namespaces.a.history.bytes: 1KiB: want at least limits.message, 64KiB",
		},
		{
			"history age", "namespaces:\n  a:\n    history: {messages: 1, age: 9000h}\n",
			"stoa.yaml:3: namespaces.a.history.age: 9000h0m0s: want 1ms to 720h",
		},
		{
			"history duplicate window", "namespaces:\n  a:\n    history: {messages: 1, duplicate_window: 100ms}\n",
			"stoa.yaml:3: namespaces.a.history.duplicate_window: 100ms: want 1s to 24h",
		},
		{"long", "namespaces:\n  " + long + ":\n", "stoa.yaml:2: namespaces." + long + ": the name has 129 bytes: want at most limits.names.namespace, 128B"},
		{"short limit", "limits: {names: {namespace: 3B}}\nnamespaces: {chat: }\n", "stoa.yaml:2: namespaces.chat: the name has 4 bytes: want at most limits.names.namespace, 3B"},
		{"no limit", "limits: {names: {namespace: off}}\nnamespaces: {" + long + ": }\n", ""},
		{"with authentication", "namespaces: {chat: {access: {connect: permitted}}}\nauth: {api_keys: {a: {keys: [" + apiKey + "]}}}\n", ""},
		{"blanks", "auth: {jwt: {keys: {a: {secret: '" + strings.Repeat(" ", 40) + "'}}}}\n", "stoa.yaml:1: auth.jwt.keys.a: the secret is empty or blank"},
		{"variable", "auth: {jwt: {keys: {a: {secret: '${STOA_SECRET_OF_THE_ISSUER_IN_PRODUCTION}'}}}}\n", "stoa.yaml:1: auth.jwt.keys.a: the secret is a variable that nothing has replaced by its value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(Sources{File: "stoa.yaml", Content: []byte(c.file)})
			if got := fmt.Sprint(err); err != nil && got != c.want || err == nil && c.want != "" {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
