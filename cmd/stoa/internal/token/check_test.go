package token_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
)

// --config checks a token by all rules of the node that has the file.
func TestShowForNode(t *testing.T) {
	t.Setenv("STOA_CONFIG", "/nonexistent") // only the flag asks for a check
	secretFile := writeFile(t, []byte(secret))
	write := func(text string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "stoa.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := write(fmt.Sprintf("auth:\n  jwt:\n    keys:\n      k1: {secret_file: %q}\n    issuers: [https://login.example.com]\n    audiences: [chat]\n", secretFile))
	right := []string{"--issuer", "https://login.example.com", "--audience", "chat"}
	for _, c := range []struct {
		name  string
		token []string
		show  []string
		code  int
		want  string
	}{
		{"accepted", right, []string{"--config", config}, 0, "\nNode: accepts the token\n"},
		{"audience", []string{"--issuer", "https://login.example.com", "--audience", "other"}, []string{"--config", config}, cli.ExitFailure, "\nNode: refuses the token: wrong audience\n"},
		{"issuer", []string{"--audience", "chat"}, []string{"--config", config}, cli.ExitFailure, "\nNode: refuses the token: wrong issuer\n"},
		{"no expiry", append([]string{"--expires", "0"}, right...), []string{"--config", config}, cli.ExitFailure, "\nNode: refuses the token: "},
		{"only the key", []string{"--audience", "other"}, []string{"--secret-file", secretFile}, 0, "\nSignature: right\nNot checked: issuer, audience"},
		{"no tokens", right, []string{"--config", write("limits: {message: 64KiB}\n")}, cli.ExitUsage, ""},
		{"mistake", right, []string{"--config", write("limit: 1\n")}, cli.ExitUsage, ""},
		{"no file", right, []string{"--config", "/nonexistent"}, cli.ExitUsage, ""},
		{"config and key", right, []string{"--config", config, "--secret-file", secretFile}, cli.ExitUsage, ""},
		{"variable only", right, nil, 0, "\nSignature: not checked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, text, _ := run(t, "", append([]string{"new", "--user", "ann", "--kid", "k1", "--secret-file", secretFile}, c.token...)...)
			code, stdout, stderr := run(t, text, append([]string{"show"}, c.show...)...)
			if code != c.code || !strings.Contains(stdout, c.want) || (code != 0) != (stderr != "") {
				t.Errorf("code %d, %q, %q; want %d, %q", code, stdout, stderr, c.code, c.want)
			}
		})
	}
}
