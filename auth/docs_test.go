package auth_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/auth"
)

// page is docs/authentication.md.
func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "authentication.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pageExample returns a code block of the page.
func pageExample(t *testing.T, name string) string {
	t.Helper()
	_, rest, found := strings.Cut(page(t), "<!-- example: "+name+" -->\n```")
	_, rest, opened := strings.Cut(rest, "\n")
	code, _, closed := strings.Cut(rest, "```")
	if !found || !opened || !closed {
		t.Fatalf("the page has no example %q", name)
	}
	return code
}

// The Go code of the page is that of the examples, which compile.
func TestPageCode(t *testing.T) {
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	indented := strings.ReplaceAll(string(source), "\n\t", "\n")
	for _, name := range []string{"jwt", "chain", "keys"} {
		if code := pageExample(t, name); !strings.Contains(indented, "\n"+code) {
			t.Errorf("example %q is not in example_test.go:\n%s", name, code)
		}
	}
}

func TestPageClaims(t *testing.T) {
	var claims jwt.MapClaims
	if err := json.Unmarshal([]byte(pageExample(t, "claims")), &claims); err != nil {
		t.Fatal(err)
	}
	verifier := newJWT(t, auth.JWTConfig{
		Keys:    []auth.VerificationKey{{Secret: string(secret)}},
		Issuers: []string{"https://login.example.com/"}, Audiences: []string{"chat"},
	})
	id, err := verifier.Verify(t.Context(), sign(t, "HS256", secret, "", claims))
	if err != nil {
		t.Fatal(err)
	}
	if id.User != "ann" || string(id.Info) != `{"name":"Ann"}` || !id.Allows(access.Join|access.Emit, "chat", "user-ann") ||
		id.Allows(access.Join, "chat", "user-bob") || !id.AllowsNamespace(access.Connect, "news") {
		t.Errorf("%+v", id)
	}
}

func TestPageKeyFile(t *testing.T) {
	list, err := auth.ParseKeys(pageExample(t, "keyfile"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := auth.NewKeys(list); err != nil {
		t.Error(err)
	}
	if len(list) != 2 || len(list[0].Scopes) != 2 || len(list[1].Permissions) != 2 {
		t.Errorf("%+v", list)
	}
}

// The page lists every refusal.
func TestPageReasons(t *testing.T) {
	text := page(t)
	for _, result := range auth.Results() {
		refused := &auth.Error{Result: result}
		if refused.Reason() == "" {
			continue
		}
		row := fmt.Sprintf("| `%s`", refused.Reason())
		_, rest, found := strings.Cut(text, row)
		line, _, _ := strings.Cut(rest, "\n")
		if !found || !strings.HasSuffix(line, fmt.Sprintf("| %d | `%v` |", refused.Status(), result)) {
			t.Errorf("the page has no row for %v with status %d and %q", result, refused.Status(), refused.Reason())
		}
	}
}
