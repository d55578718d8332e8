package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/node"
)

// With authentication, a namespace that says nothing else is closed to clients
// without a permission.
func TestAccessIsDeniedByDefault(t *testing.T) {
	denied := node.Access{
		Connect: node.WhoPermitted, Join: node.WhoPermitted, Emit: node.WhoPermitted, Ask: node.WhoPermitted, EmitNamespace: node.WhoPermitted,
		History: node.WhoPermitted, Presence: node.WhoPermitted,
	}
	content := "auth: {jwt: {keys: {a: {secret: " + secret + "}}}}\nnamespaces: {chat: , open: {access: {connect: anyone}}}\n"
	c, err := Load(Sources{File: "stoa.yaml", Content: []byte(content)})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Node().Namespaces["chat"].Access; got != denied {
		t.Errorf("access to chat is %+v, want %+v", got, denied)
	}
	denied.Connect = node.WhoAnyone
	if got := c.Node().Namespaces["open"].Access; got != denied {
		t.Errorf("access to open is %+v, want %+v", got, denied)
	}
}

// The example of docs/authentication.md is a configuration, and one that other
// machines may reach.
func TestFileOfTheAuthenticationPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "authentication.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "<!-- example: file -->\n```yaml\n")
	content, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("the page has no example of a file")
	}
	c, err := Load(Sources{File: "stoa.yaml", Content: []byte(content)})
	if err != nil {
		t.Fatal(err)
	}
	if !c.Exposed() || !c.Authenticated() || len(c.APIKeys()) != 1 {
		t.Errorf("exposed %t, authenticated %t, %d API keys, want true, true and 1", c.Exposed(), c.Authenticated(), len(c.APIKeys()))
	}
}

// A section auth that would leave the node open is a mistake, and mistakes
// name the key, its line and the words of the file.
func TestAuthMistakes(t *testing.T) {
	const noKey = "there is no authentication without a key: add auth.jwt.keys, auth.jwt.jwks.url or auth.api_keys"
	const service = "  api_keys: {backend: {keys: [" + apiKey + "]}}\n"
	for _, c := range []struct {
		name, file string
		want       []string
	}{
		{"nothing", "auth:\n", []string{"stoa.yaml:1: auth: " + noKey}},
		{"an empty section", "auth: {}\n", []string{"stoa.yaml:1: auth: " + noKey}},
		{"empty tokens", "auth:\n  jwt: {}\n", []string{"stoa.yaml:2: auth.jwt: " + noKey}},
		{"required", "auth: {required: always}\n", []string{"stoa.yaml:1: auth.required: " + noKey}},
		{"not required", "auth: {required: never}\n", []string{"stoa.yaml:1: auth.required: " + noKey}},
		{"an audience", "auth:\n  jwt:\n    audiences: [chat]\n", []string{"stoa.yaml:3: auth.jwt.audiences: " + noKey}},
		{"no keys", "auth:\n  jwt:\n    keys: {}\n", []string{"stoa.yaml:3: auth.jwt.keys: " + noKey}},
		{"a JWKS without an address", "auth:\n  jwt:\n    jwks: {timeout: 10s}\n", []string{"stoa.yaml:3: auth.jwt.jwks.timeout: " + noKey}},
		{"tokens without a key", "auth:\n" + service + "  jwt: {audiences: [chat], allow_login: true}\n", []string{
			"stoa.yaml:3: auth.jwt.audiences: no token is accepted without a key: add auth.jwt.keys or auth.jwt.jwks.url",
			"stoa.yaml:3: auth.jwt.allow_login: no token is accepted without a key: add auth.jwt.keys or auth.jwt.jwks.url",
		}},
		{"permissions", "namespaces: {game: }\nauth:\n  api_keys:\n    backend:\n      keys: [" + apiKey + "]\n      permissions: ['*:join', 'gmae:join', 'game:write']\n", []string{
			`stoa.yaml:6: auth.api_keys.backend.permissions "gmae:join": there is no namespace "gmae"; did you mean game?`,
			`stoa.yaml:6: auth.api_keys.backend.permissions "game:write": unknown action "write": want one of connect, join, emit, ask, history, presence, or *`,
		}},
		{"keys", "auth:\n  jwt:\n    keys:\n      a: {file: none.pem}\n      'b\"': {file: x, secret: y}\n      c: {secret: short}\n", []string{
			"stoa.yaml:4: auth.jwt.keys.a: file none.pem: open none.pem: no such file or directory",
			`stoa.yaml:5: auth.jwt.keys."b\"": want exactly one of file, secret and secret_file`,
			"stoa.yaml:6: auth.jwt.keys.c: the secret has 5 bytes: want at least 32 for HS256, 48 for HS384, 64 for HS512",
		}},
		{"sources", "auth:\n  jwt:\n    sources: [cookie]\n    jwks: {url: 'http://a.test/'}\n", []string{
			`stoa.yaml:3: auth.jwt.sources "cookie": want header, cookie:NAME, query:NAME or neffos`,
			`stoa.yaml:4: auth.jwt.jwks.url http://a.test/: want https; http only for a loopback address, or with allow_http`,
		}},
		{"an API key", "auth:\n  api_keys:\n    backend: {keys: [short]}\n    other: {key: [a]}\n", []string{
			"stoa.yaml:4: auth.api_keys.other.key: unknown key; did you mean keys?",
			"stoa.yaml:4: auth.api_keys.other.keys: the service has no key",
		}},
		{"claims", "auth:\n" + service + "  jwt: {claims: {roles: x}}\n", []string{"stoa.yaml:3: auth.jwt.claims.roles: unknown key; want user, info or permissions"}},
		{"all at once", "hosts: ['a:1']\nnamespaces: {chat: {rooms: {pattern: '['}}}\nauth:\n  required: always\nlimits: {message: 5}\n", []string{
			`stoa.yaml:1: hosts "a:1": want a name or address without a port, such as chat.example.com, or *`,
			"stoa.yaml:2: namespaces.chat.rooms.pattern: error parsing regexp: missing closing ]: `[`",
			"stoa.yaml:4: auth.required: " + noKey,
			"stoa.yaml:5: limits.message 5: want a size with its unit, such as 64KiB, or off",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(Sources{File: "stoa.yaml", Content: []byte(c.file)})
			if err == nil {
				t.Fatal("accepted")
			}
			if got, want := err.Error(), strings.Join(c.want, "\n"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// Maps below a section merge with those of the file, too.
func TestMapsOfTheEnvironment(t *testing.T) {
	other := strings.Replace(apiKey, "sk_", "sk_other_", 1)
	c, err := Load(Sources{File: "stoa.yaml", Content: []byte("auth: {api_keys: {backend: {keys: [" + apiKey + "]}}}\n"),
		Environment: []string{"STOA_AUTH_API_KEYS={other: {keys: [" + other + "]}}", "STOA_AUTH_JWT_KEYS={a: {secret: " + secret + "}}"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Auth.APIKeys) != 2 || c.Auth.APIKeys["other"].Keys[0] != other || c.Auth.JWT.Keys["a"].Secret != secret {
		t.Errorf("services %v, %d keys for tokens, want two and one", c.Auth.APIKeys, len(c.Auth.JWT.Keys))
	}
	if got := c.Origin("auth.api_keys.other.keys").String(); got != "STOA_AUTH_API_KEYS" {
		t.Errorf("the key is from %s", got)
	}
	_, err = Load(Sources{Environment: []string{"STOA_AUTH_API_KEYS_BACKEND_KEYS=" + apiKey}})
	const want = "STOA_AUTH_API_KEYS_BACKEND_KEYS: unknown variable; STOA_AUTH_API_KEYS takes the names with their sections, in YAML"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
