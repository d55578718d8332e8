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
