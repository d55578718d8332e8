package config_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/stoa-io/stoa/config"
)

// read loads the content of a file with variables and flags.
func read(t *testing.T, content string, environment []string, arguments ...string) (*config.Config, error) {
	t.Helper()
	set := pflag.NewFlagSet("stoa", pflag.ContinueOnError)
	set.String("listen", "", "")
	set.String("log-level", "", "")
	set.Int("max-header", 0, "")
	set.Int("loops", 0, "")
	set.StringArray("redis", nil, "")
	set.StringArray("allow-origin", nil, "")
	set.Duration("drain-timeout", 0, "")
	set.Bool("allow-unauthenticated", false, "")
	set.String("other", "", "")
	if err := set.Parse(arguments); err != nil {
		t.Fatal(err)
	}
	sources := config.Sources{Environment: environment, Flags: set}
	if content != "" {
		sources.File, sources.Content = "stoa.yaml", []byte(content)
	}
	return config.Load(sources)
}

func TestPrecedence(t *testing.T) {
	const file = "log: {level: debug}\ndrain: {timeout: 1s}\norigins: [https://file.test]\nlimits:\n  header: 2KiB\n  rooms: 5\n"
	c, err := read(t, file,
		[]string{"STOA_LOG_LEVEL=warn", "STOA_DRAIN_TIMEOUT=2s", "STOA_ORIGINS=https://a.test, https://b.test,", "STOA_HOSTS=", "HOME=/"},
		"--log-level", "error", "--max-header", "3000", "--loops", "0", "--other", "x")
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []struct {
		path, want, origin string
		got                any
	}{
		{"log.level", "error", "--log-level", c.Log.Level},
		{"drain.timeout", "2s", "STOA_DRAIN_TIMEOUT", c.Drain.Timeout},
		{"origins", "[https://a.test https://b.test]", "STOA_ORIGINS", c.Origins},
		{"limits.header", "3000", "--max-header", c.Limits.Header},
		{"limits.rooms", "5", "stoa.yaml:6", c.Limits.Rooms},
		{"listen.loops", "0", "--loops", c.Listen.Loops},
		{"hosts", "[]", "default", c.Hosts},
		{"limits.asks", "64", "default", c.Limits.Asks},
	} {
		if got := fmt.Sprint(check.got); got != check.want {
			t.Errorf("%s is %s, want %s", check.path, got, check.want)
		}
		if got := c.Origin(check.path).String(); got != check.origin {
			t.Errorf("%s comes from %s, want %s", check.path, got, check.origin)
		}
	}
}

// Entries of a map are merged by name and key, and have defaults of their own.
func TestNamespacesAreMerged(t *testing.T) {
	c, err := read(t, "namespaces:\n  chat: {relay: [rooms]}\n  news:\n  a.b c:\n    relay: []\n", []string{"STOA_NAMESPACES={chat: {relay: [asks]}, more: }"})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for name, n := range c.Namespaces {
		got[name] = strings.Join(n.Relay, " ")
	}
	want := map[string]string{"chat": "asks", "news": "rooms namespace asks", "a.b c": "", "more": "rooms namespace asks"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if none, err := read(t, "namespaces: {}\n", nil); err != nil || len(none.Namespaces) != 0 {
		t.Errorf("got %v, %v; want no namespace", none, err)
	}
	if got := config.Default().Namespaces; len(got) != 1 || len(got["default"].Relay) != 3 {
		t.Errorf("without the key the namespaces are %v, want the open one", got)
	}
}

// The rooms of a node without a configuration keep messages and show their
// members only where the node is there to be tried out.
func TestOpenNamespaceOfTheDemo(t *testing.T) {
	for _, c := range []struct {
		name      string
		file      string // none if empty
		variable  string
		arguments []string
		want      string // messages, presence
	}{
		{"nothing", "", "", nil, "300 roster"},
		{"a flag that changes nothing here", "", "", []string{"--listen", "127.0.0.1:9000"}, "300 roster"},
		{"larger messages", "", "STOA_LIMITS_MESSAGE=1MiB", nil, "300 roster"},
		{"messages larger than a history", "", "STOA_LIMITS_MESSAGE=65MiB", nil, "0 roster"},
		{"an empty file", "{}", "", nil, "0 off"},
		{"a file that names it", "namespaces: {default: {}}", "", nil, "0 off"},
		{"a variable that names it", "", "STOA_NAMESPACES={default: {}}", nil, "0 off"},
		{"without the page", "", "STOA_LISTEN_DEMO=off", nil, "0 off"},
		{"with an internal port", "", "STOA_LISTEN_INTERNAL=127.0.0.1:9090", nil, "0 off"},
		{"for other machines", "", "", []string{"--listen", ":8080", "--allow-unauthenticated"}, "0 off"},
		{"in a cluster", "", "STOA_REDIS=redis://127.0.0.1", nil, "0 off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			loaded, err := read(t, c.file, []string{c.variable}, c.arguments...)
			if err != nil {
				t.Fatal(err)
			}
			n := loaded.Namespaces["default"]
			if got := fmt.Sprint(n.History.Messages, " ", n.Presence); got != c.want {
				t.Errorf("the namespace has %s, want %s", got, c.want)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		name, file string
		variables  []string
		arguments  []string
		want       []string // whole lines
	}{
		{"all at once", "limits:\n  heder: 1KiB\n  rooms: many\nlog:\n  level: loud\n", []string{"STOA_TIMEOUTS_PING=3"}, []string{"--max-header", "5"}, []string{
			"stoa.yaml:2: limits.heder: unknown key; did you mean limits.header?",
			`stoa.yaml:3: limits.rooms "many": want a whole number, or off`,
			`stoa.yaml:5: log.level "loud": want debug, info, warn or error`,
			"STOA_TIMEOUTS_PING 3: want a time with its unit, such as 25s, or off",
			"--max-header 5: want 1KiB to 1MiB",
		}},
		{"section of another key", "rooms: 5\nzzz:\n", nil, nil, []string{
			"stoa.yaml:1: rooms: unknown key; did you mean limits.rooms?", "stoa.yaml:2: zzz: unknown key",
		}},
		{"unit", "limits: {message: 65536, header: 9KB, send_queue: 1.5MiB, rooms: 1e3}\n", nil, nil, []string{
			"stoa.yaml:1: limits.message 65536: want a size with its unit, such as 64KiB, or off",
			`stoa.yaml:1: limits.header 9KB: want a size with its unit, such as 64KiB`,
			`stoa.yaml:1: limits.send_queue 1.5MiB: want a size with its unit, such as 64KiB, or off`,
			"stoa.yaml:1: limits.rooms 1e3: want a whole number, or off",
		}},
		{"range", "limits: {rooms: 0, asks: -4, message: 9000000000GiB}\ntimeouts: {ask: off, ping: 0s, pong: -1s}\ndrain: {rate: 3}\n", nil, nil, []string{
			"stoa.yaml:1: limits.rooms 0: want 1 or more, or off",
			"stoa.yaml:1: limits.asks -4: want 1 or more, or off",
			"stoa.yaml:1: limits.message 9000000000GiB: want a size with its unit, such as 64KiB, or off",
			`stoa.yaml:2: timeouts.ask "off": want a time with its unit, such as 25s`,
			"stoa.yaml:2: timeouts.ping 0s: want more than 0s, or off",
			"stoa.yaml:2: timeouts.pong -1s: want more than 0s, or off",
			"stoa.yaml:3: drain.rate 3: want a rate such as 200/s, or off",
		}},
		{"type", "limits: 5\nlog: [text]\norigins: https://a.test\nhosts: [1, {a: b}]\ncluster: {name: 5}\nlisten: {allow_unauthenticated: yes, address: }\nnamespaces: [a]\n", nil, nil, []string{
			"stoa.yaml:1: limits: want a section with keys",
			"stoa.yaml:2: log: want a section with keys",
			`stoa.yaml:3: origins "https://a.test": want a list of texts`,
			`stoa.yaml:4: hosts "1": want a text; put it in quotes`,
			"stoa.yaml:4: hosts: want a list of texts",
			`stoa.yaml:5: cluster.name "5": want a text; put it in quotes`,
			`stoa.yaml:6: listen.allow_unauthenticated "yes": want true or false`,
			"stoa.yaml:6: listen.address: the key has no value; want a text",
			"stoa.yaml:7: namespaces: want names with a section each",
		}},
		{"twice", "log:\n  level: info\n  level: info\nlog:\n", nil, nil, []string{
			"stoa.yaml:3: log.level: the key is there twice; the first is in line 2",
			"stoa.yaml:4: log: the key is there twice; the first is in line 1",
		}},
		{"anchor", "x: &a 1\nlimits: *a\n", nil, nil, []string{
			"stoa.yaml:1: x: unknown key", "stoa.yaml:2: limits: anchors and aliases are not supported; write the value out, and put a text that begins with & or * in quotes",
		}},
		{"merge key", "log:\n  <<: {level: info}\n", nil, nil, []string{"stoa.yaml:2: log: merge keys (<<) are not supported; write the keys out"}},
		{"tag", "log: !!map {level: !secret info}\nhosts: [!!str a]\n", nil, nil, []string{
			`stoa.yaml:1: log: tags (!) are not supported; put a text that begins with ! in quotes`, `stoa.yaml:2: hosts "a": tags (!) are not supported; put a text that begins with ! in quotes`,
		}},
		{"control character", "namespaces: {\"a\\0b\": }\n", nil, nil, []string{`stoa.yaml:1: namespaces: the name "a\x00b" contains a control character`}},
		{"two documents", "log:\n---\nlog:\n", nil, nil, []string{"stoa.yaml:2: there is a second document; want one"}},
		{"no YAML", "log:\n  level: [\n", nil, nil, []string{"stoa.yaml:2: no YAML: did not find expected node content"}},
		{"tab", "# a\tb\nlog:\n\tlevel: info\n", nil, nil, []string{"stoa.yaml:3: the line is indented with a tab; YAML wants spaces"}},
		{"no UTF-8", "log:\n  level: \xff\n", nil, nil, []string{"stoa.yaml:2: the line is not UTF-8"}},
		{"huge", strings.Repeat("#\n", 1<<19) + "#", nil, nil, []string{"stoa.yaml: the file is larger than 1 MiB"}},
		{"variables", "", []string{"STOA_LIMITS_ROOM=5", "STOA_AUDIENCE=x", "STOA_LOG_COLOR=red", "STOA_PORT=tcp://1", "STOA_CLUSTER_SERVICE_HOST=a",
			"STOA_REDIS=redis://a", "STOA_CLUSTER_REDIS=redis://b", "STOA_NAMESPACES=chat"}, nil, []string{
			"STOA_LIMITS_ROOM: unknown variable; did you mean STOA_LIMITS_ROOMS?",
			"STOA_LOG_COLOR: unknown variable: no key has this name",
			"STOA_CLUSTER_REDIS: STOA_REDIS sets the same key",
			"STOA_NAMESPACES: want names with a section each",
		}},
		{"exposed", "listen: {address: ':80'}\n", nil, nil, []string{
			`stoa.yaml:1: listen.address ":80": other machines can reach this address, and there is no authentication; add a section auth, or "listen.allow_unauthenticated: true" to accept every client`,
		}},
		{"library", "hosts: ['a:1']\nnamespaces: {chat: }\norigins: [https://a.test, b.test]\n", nil, nil, []string{
			`stoa.yaml:1: hosts "a:1": want a name or address without a port, such as chat.example.com, or *`,
			`stoa.yaml:3: origins "b.test": want scheme://host[:port] such as https://app.example.com, https://*.example.com for all subdomains, scheme:// such as file://, null, or *`,
		}},
		{"cluster", "cluster:\n  name: chat\n  lease: 9s\n  node_id: a/b\n", nil, nil, []string{
			`stoa.yaml:2: cluster.name: there is no cluster: add "cluster.redis:"`,
			`stoa.yaml:3: cluster.lease: there is no cluster: add "cluster.redis:"`,
		}},
		{"sizes", "cluster: {redis: [redis://a]}\nlimits:\n  message: 1MiB\n", nil, nil, []string{
			"stoa.yaml:3: limits.message 1MiB: messages of clients would be too large for the cluster: want cluster.max_message to be at least 128 bytes above limits.message",
		}},
		{"pair", "tls:\n  cert: a.pem\n", nil, nil, []string{`stoa.yaml:2: tls.cert: missing the key for the certificate "a.pem": add "tls.key:"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := read(t, c.file, c.variables, c.arguments...)
			if err == nil {
				t.Fatal("accepted")
			}
			if got, want := err.Error(), strings.Join(c.want, "\n"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// An error never contains a password, wherever it stands.
func TestMistakesKeepSecrets(t *testing.T) {
	const secret = "redis://:p4ss@host:port"
	for _, c := range []struct{ file, variable string }{
		{"cluster: {redis: ['" + secret + "']}\n", ""},
		{"cluster: {redis: '" + secret + "'}\n", ""},
		{"cluster: {redis: [[" + secret + "]]}\n", ""},
		{"", "STOA_REDIS=" + secret},
		{"", "STOA_REDIS=p4ss\nword"},
	} {
		if _, err := read(t, c.file, []string{c.variable}); err == nil || strings.Contains(err.Error(), "p4ss") {
			t.Errorf("%q %q: got %v", c.file, c.variable, err)
		}
	}
}

func TestUnreadableFile(t *testing.T) {
	folder := t.TempDir()
	for _, path := range []string{folder, filepath.Join(folder, "missing.yaml")} {
		_, err := config.Load(config.Sources{File: path})
		if err == nil || strings.Count(err.Error(), path) != 1 {
			t.Errorf("got %v, want an error that names %s", err, path)
		}
	}
	path := filepath.Join(folder, "stoa.yaml")
	if err := os.WriteFile(path, []byte("log: {level: warn}\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := config.Load(config.Sources{File: path}); err != nil || c.Log.Level != "warn" {
		t.Errorf("got %v, %v; want the level warn", c, err)
	}
}

func TestWrite(t *testing.T) {
	c, err := read(t, "namespaces:\n  chat room:\nhosts: [\"*\"]\n",
		[]string{"STOA_REDIS=redis://user:p4ss@a,unix://u:p4ss@/run/r.sock?db=1,rediss+sentinel://:p4ss@b,c/main?sentinel_password=p4ss"}, "--listen", ":80", "--allow-unauthenticated")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.Write(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"listen:\n  address: :80 # --listen\n", "  loops: auto # default\n", "hosts: [\"*\"] # stoa.yaml:3\n",
		"  redis: [redis://user:***@a, unix://u:***@/run/r.sock?***, \"rediss+sentinel://:***@b,c/main?***\"] # STOA_REDIS\n",
		"namespaces:\n  chat room:\n    relay: [rooms, namespace, asks] # default\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q in:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "p4ss") {
		t.Errorf("a password is shown:\n%s", out.String())
	}
}
