package token_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/token"
)

const secret = "a secret of 64 bytes, which is long enough for every HMAC: HS512"

// run runs "stoa token" and returns its output.
func run(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cli.Run(t.Context(), token.NewCommand(), args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func writeFile(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeKeys writes both halves of a key.
func writeKeys(t *testing.T, private, public any, err error) (privateFile, publicFile string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	write := func(kind string, der []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return writeFile(t, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	privateFile = write("PRIVATE KEY", privateDER, err)
	publicDER, err := x509.MarshalPKIXPublicKey(public)
	return privateFile, write("PUBLIC KEY", publicDER, err)
}

// The token on standard output is one that a node accepts, with the identity of
// the flags.
func TestNew(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	ecPrivate, ecPublic := writeKeys(t, ec, &ec.PublicKey, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	rsaPrivate, rsaPublic := writeKeys(t, rsaKey, &rsaKey.PublicKey, err)
	edPublicKey, ed, err := ed25519.GenerateKey(rand.Reader)
	edPrivate, edPublic := writeKeys(t, ed, edPublicKey, err)
	secretFile := writeFile(t, []byte(secret+"\n"))
	for name, c := range map[string]struct {
		key  auth.VerificationKey
		args []string
	}{
		"HS256":      {auth.VerificationKey{Secret: secret, Algorithm: "HS256"}, []string{"--secret-file", secretFile}},
		"HS512":      {auth.VerificationKey{Secret: secret, Algorithm: "HS512"}, []string{"--secret-file", secretFile, "--alg", "HS512"}},
		"hex secret": {auth.VerificationKey{Secret: "hex:" + strings.Repeat("0a", 32)}, []string{"--secret-file", writeFile(t, []byte("hex:"+strings.Repeat("0a", 32)))}},
		"ES384":      {auth.VerificationKey{File: ecPublic}, []string{"--key-file", ecPrivate}},
		"RS256":      {auth.VerificationKey{File: rsaPublic, Algorithm: "RS256"}, []string{"--key-file", rsaPrivate}},
		"PS512":      {auth.VerificationKey{File: rsaPublic, Algorithm: "PS512"}, []string{"--key-file", rsaPrivate, "--alg", "PS512"}},
		"EdDSA":      {auth.VerificationKey{File: edPublic}, []string{"--key-file", edPrivate}},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := run(t, "", append([]string{"new", "--user", "ann", "--info", `{"name": "Ann"}`, "--allow", "chat:lobby,team-*:join,emit",
				"--allow", "news:connect", "--kid", "k1", "--issuer", "me", "--audience", "a", "--audience", "stoa"}, c.args...)...)
			if code != 0 || stderr != "" || strings.Count(stdout, "\n") != 1 {
				t.Fatalf("code %d, %q, %q", code, stdout, stderr)
			}
			c.key.ID = "k1"
			verifier, err := auth.NewJWT(auth.JWTConfig{Keys: []auth.VerificationKey{c.key}, Issuers: []string{"me"}, Audiences: []string{"stoa"}})
			if err != nil {
				t.Fatal(err)
			}
			id, err := verifier.Verify(t.Context(), strings.TrimSpace(stdout))
			if err != nil || id.User != "ann" || string(id.Info) != `{"name":"Ann"}` || !id.Allows(access.Join|access.Emit, "chat", "team-1") ||
				!id.AllowsNamespace(access.Connect, "news") || id.Expires.IsZero() {
				t.Errorf("%v, %+v", err, id)
			}
		})
	}
	_, stdout, _ := run(t, "", "new", "--user", "ann", "--expires", "0", "--secret-file", secretFile)
	verifier, err := auth.NewJWT(auth.JWTConfig{Keys: []auth.VerificationKey{{Secret: secret}}, AllowNoExpiry: true})
	if err != nil {
		t.Fatal(err)
	}
	if id, err := verifier.Verify(t.Context(), strings.TrimSpace(stdout)); err != nil || !id.Expires.IsZero() || id.Permissions != nil {
		t.Errorf("without an end: %v, %+v", err, id)
	}

	for want, args := range map[string][]string{
		"--user: want":                  {"--secret-file", secretFile},
		"want either --secret-file":     {"--user", "ann"},
		"or --key-file":                 {"--user", "ann", "--secret-file", secretFile, "--key-file", ecPrivate},
		"want at least 32":              {"--user", "ann", "--secret-file", writeFile(t, []byte("short"))},
		`"none" is not for this key`:    {"--user", "ann", "--secret-file", secretFile, "--alg", "none"},
		`--alg "HS256" is not for this`: {"--user", "ann", "--key-file", ecPrivate, "--alg", "HS256"},
		`--alg " " is not for this`:     {"--user", "ann", "--key-file", rsaPrivate, "--alg", " "},
		"no private key":                {"--user", "ann", "--key-file", ecPublic},
		`--allow "chat"`:                {"--user", "ann", "--allow", "chat", "--secret-file", secretFile},
		"Info: want JSON":               {"--user", "ann", "--info", "{", "--secret-file", secretFile},
		"--expires -1s":                 {"--user", "ann", "--expires", "-1s", "--secret-file", secretFile},
		"no such file":                  {"--user", "ann", "--secret-file", "/nonexistent"},
	} {
		code, stdout, stderr := run(t, "", append([]string{"new"}, args...)...)
		if code != cli.ExitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%v: code %d, %q, want %q", args, code, stderr, want)
		}
	}
}

func TestShow(t *testing.T) {
	secretFile, otherFile := writeFile(t, []byte(secret)), writeFile(t, []byte("other "+secret))
	_, text, _ := run(t, "", "new", "--user", "ann", "--info", "{\"name\":\"ann\u202e\"}", "--expires", "3h", "--kid", "k1", "--secret-file", secretFile)
	text = strings.TrimSpace(text)
	expired, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ann", "exp": 1}).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, stdin string
		args        []string
		code        int
		want        string
	}{
		{"argument", "", []string{text}, 0, "Signature: not checked"},
		{"standard input", text + "\n", nil, 0, "  kid: \"k1\"\n"},
		{"with its scheme", "Bearer " + text, []string{"-"}, 0, "  alg: \"HS256\"\n"},
		{"times", text, nil, 0, " UTC, in 3 hours)\n"},
		{"escaped", text, nil, 0, `ann\u202e`},
		{"right", text, []string{"--secret-file", secretFile}, 0, "Signature: right\nNot checked: issuer, audience and the other rules of a node (see --config)\n"},
		{"refused", expired, []string{"--secret-file", secretFile}, 0, "Signature: right\nA node with this key and no other rules refuses the token: token expired\n"},
		{"wrong", text, []string{"--secret-file", otherFile}, cli.ExitFailure, "Signature: wrong: bad signature\n"},
		{"another kind of key", text, []string{"--key-file", jwkFile(t)}, cli.ExitFailure, "Signature: wrong: algorithm not allowed\n"},
		{"no key", text, []string{"--secret-file", "/nonexistent"}, cli.ExitUsage, "not checked"},
		{"two keys", text, []string{"--secret-file", secretFile, "--key-file", "x"}, cli.ExitUsage, ""},
		{"no token", "hello", nil, cli.ExitUsage, ""},
		{"no base64", "a.*.c", nil, cli.ExitUsage, ""},
		{"no object", "W10.W10.", nil, cli.ExitUsage, ""},
		{"long", strings.Repeat("x", 1<<20+1), nil, cli.ExitUsage, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := run(t, c.stdin, append([]string{"show"}, c.args...)...)
			if code != c.code || !strings.Contains(stdout, c.want) || (code != 0) != (stderr != "") {
				t.Errorf("code %d, %q, %q; want %d, %q", code, stdout, stderr, c.code, c.want)
			}
			if strings.ContainsAny(stdout, "\u202e\x1b") {
				t.Errorf("the output has invisible characters: %q", stdout)
			}
		})
	}
}

func jwkFile(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, []byte(`{"kty":"OKP","crv":"Ed25519","kid":"k1","x":"`+base64.RawURLEncoding.EncodeToString(public)+`"}`))
}

// Names and values of a token that would control a terminal are escaped.
func TestShowEscapes(t *testing.T) {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	forged := part("{\"alg\":\"x\",\"\\u001b[2J\":\"\u202e\x7f\"}") + "." + part("{\"exp\":1e300,\"nbf\":-1,\"iat\":\"\u009b\",\"a\xff\":1}") + ".x"
	code, stdout, _ := run(t, "", "show", forged)
	if code != 0 || !cli.IsVisible(strings.ReplaceAll(stdout, "\n", "")) {
		t.Errorf("code %d, %q", code, stdout)
	}
}

// The commands of docs/authentication.md work.
func TestPageCommands(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "authentication.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "<!-- example: token -->\n```\n")
	block, _, closed := strings.Cut(rest, "```")
	if !closed {
		t.Fatal("the page has no example of commands")
	}
	secretFile := writeFile(t, []byte("hex:"+strings.Repeat("0a", 32)))
	stdin := ""
	for command := range strings.SplitSeq(strings.NewReplacer("'", "", "\n", " | ").Replace(block), " | ") {
		arguments, ok := strings.CutPrefix(command, "stoa token ")
		if !ok {
			continue // openssl, and the end
		}
		args := strings.Fields(arguments)
		for i := range args {
			if args[i] == "secret" {
				args[i] = secretFile
			}
		}
		code, stdout, stderr := run(t, stdin, args...)
		if code != 0 {
			t.Errorf("%s: code %d, %s", command, code, stderr)
		}
		stdin = stdout
	}
	if !strings.Contains(stdin, "Signature: right\n") {
		t.Errorf("the last command printed %q", stdin)
	}
}
