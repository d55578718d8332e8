package auth_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/golang-jwt/jwt/v5"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/wire"
)

// placement puts a token into a request.
type placement struct {
	name  string
	place func(token string) (path string, lines []string)
}

var placements = []placement{
	{"header", func(token string) (string, []string) { return "/ws", []string{"Authorization: Bearer " + token} }},
	{"cookie", func(token string) (string, []string) { return "/ws", []string{"Cookie: a=b; session=" + token} }},
	{"query", func(token string) (string, []string) { return "/ws?a=b&token=" + token, nil }},
	{"neffos", func(token string) (string, []string) {
		return "/ws?X-Websocket-Header-authorization=" + url.QueryEscape("Bearer "+token), nil
	}},
}

// tokenRow is a token and its fate.
type tokenRow struct {
	name, token, reason string
}

// tokenRows are the rows of the permission table.
func tokenRows(t *testing.T) []tokenRow {
	key, pem := signingKey("ES256"), publicPEM(t, signingKey("ES256"))
	good := sign(t, "ES256", key, "k1", ann(nil))
	hour := func(n int) int64 { return time.Now().Add(time.Duration(n) * time.Hour).Unix() }
	return []tokenRow{
		{"valid", good, ""},
		{"expired", sign(t, "ES256", key, "k1", ann(jwt.MapClaims{"exp": hour(-1)})), "token expired"},
		{"not yet valid", sign(t, "ES256", key, "k1", ann(jwt.MapClaims{"nbf": hour(1), "exp": hour(2)})), "token not valid yet"},
		{"issued later", sign(t, "ES256", key, "k1", ann(jwt.MapClaims{"iat": hour(1), "exp": hour(2)})), "token issued in the future"},
		{"wrong audience", sign(t, "ES256", key, "k1", ann(jwt.MapClaims{"aud": "shop"})), "wrong audience"},
		{"wrong issuer", sign(t, "ES256", key, "k1", ann(jwt.MapClaims{"iss": "https://evil.test"})), "wrong issuer"},
		{"unknown key", sign(t, "ES256", key, "k2", ann(nil)), "unknown key"},
		{"alg none", sign(t, "none", signingKey("none"), "k1", ann(nil)), "algorithm not allowed"},
		{"HS signed with the public key", sign(t, "HS256", pem, "k1", ann(nil)), "algorithm not allowed"},
		{"truncated", good[:len(good)-6], "bad signature"},
		{"cut after the claims", good[:strings.LastIndexByte(good, '.')], "malformed token"},
		{"10 KB", sign(t, "ES256", key, "k1", ann(jwt.MapClaims{"info": strings.Repeat("x", 7500)})), "token too long"},
		{"malformed permission", sign(t, "ES256", key, "k1", ann(jwt.MapClaims{"stoa": []any{
			map[string]any{"namespace": "chat", "allow": []string{"emit"}}, map[string]any{"namespace": "chat", "allow": []string{"fly"}},
		}})), `unusable claim stoa: permissions[1]: unknown action "fly": want one of connect, join, emit, ask, history, presence, or *`},
	}
}

// Every client learns the reason in the form that it can read: the status, the
// text and the challenge, or the text and the code in a WebSocket. The token
// is in no log.
func TestTokensAndPlaces(t *testing.T) {
	var logged output
	verifier := newJWT(t, auth.JWTConfig{
		Keys:      []auth.VerificationKey{keyFor(t, "ES256", "k1")},
		Issuers:   []string{"https://issuer.test"},
		Audiences: []string{"stoa"},
		Sources:   []auth.Source{auth.SourceHeader, auth.SourceNeffos, auth.CookieSource("session"), auth.QuerySource("token")},
		Required:  true,
		Logger:    slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	n := startNode(t, node.Config{
		Limits: node.Limits{Header: 32 << 10},
		Logger: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, verifier.Accept)
	for _, row := range tokenRows(t) {
		for _, p := range placements {
			t.Run(row.name+"/"+p.name, func(t *testing.T) {
				path, lines := p.place(row.token)
				expectAnswer(t, n, row.reason, path, lines)
				expectPage(t, n, row.reason, path, append(lines, "Origin: https://stoa.test"))
			})
		}
		for _, part := range strings.Split(row.token, ".") {
			if len(part) > 40 && strings.Contains(logged.String(), part[:40]) {
				t.Errorf("%s: a part of the token is in the log", row.name)
			}
		}
	}
}

// expectAnswer checks the answer to a client that is no browser.
func expectAnswer(t *testing.T, n *node.Node, reason, path string, lines []string) {
	t.Helper()
	response, _ := handshake(t, n, path, lines...)
	if reason == "" {
		if response.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("answered with %s, want 101", response.Status)
		}
		return
	}
	if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusUnauthorized || string(text) != reason+"\n" {
		t.Errorf("answered with %s %q, want 401 %q", response.Status, text, reason)
	}
	want := fmt.Sprintf(`Bearer error="invalid_token", error_description="%s"`, strings.ReplaceAll(reason, `"`, `'`))
	if got := response.Header.Get("WWW-Authenticate"); got != want {
		t.Errorf("WWW-Authenticate: %s, want %s", got, want)
	}
}

// expectPage checks the answer to a page in a browser.
func expectPage(t *testing.T, n *node.Node, reason, path string, lines []string) {
	t.Helper()
	response, c := handshake(t, n, path, lines...)
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answered with %s, want 101", response.Status)
	}
	if _, err := c.Write(testkit.ClientFrame(ws.OpText, true, "M")); err != nil {
		t.Fatal(err)
	}
	f, err := testkit.NextFrame(c, c.in)
	if err != nil {
		t.Fatal(err)
	}
	if reason == "" {
		if !strings.HasPrefix(string(f.Payload), "A") {
			t.Errorf("a page got %s, want an acknowledgement", testkit.DescribeFrame(f))
		}
		return
	}
	if string(f.Payload) != "H"+reason {
		t.Errorf("a page got %s, want H and the reason", testkit.DescribeFrame(f))
	}
	if f, err = testkit.NextFrame(c, c.in); err != nil {
		t.Fatal(err)
	}
	if code, _ := ws.ParseCloseFrameData(f.Payload); f.Header.OpCode != ws.OpClose || wire.Code(code) != wire.CodeUnauthorized {
		t.Errorf("a page got %s, want a close frame with %d", testkit.DescribeFrame(f), wire.CodeUnauthorized)
	}
}

// The limit of the request head is reached first with the default limits.
func TestTokenLongerThanTheHead(t *testing.T) {
	verifier := newJWT(t, auth.JWTConfig{Keys: []auth.VerificationKey{{Secret: string(secret)}}})
	n := startNode(t, node.Config{}, verifier.Accept)
	response, _ := handshake(t, n, "/ws", "Authorization: Bearer "+strings.Repeat("x", 10<<10))
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answered with %s, want 431", response.Status)
	}
}

// accepted calls an accept handler.
func accepted(t *testing.T, handler node.AcceptHandler, path string, lines ...string) (*node.Accept, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	a := &node.Accept{Request: r, Header: make(http.Header)}
	return a, handler(t.Context(), a)
}

func TestAcceptWithoutToken(t *testing.T) {
	config := auth.JWTConfig{Keys: []auth.VerificationKey{{Secret: string(secret)}}}
	optional := newJWT(t, config)
	config.Required = true
	required := newJWT(t, config)
	for _, c := range []struct {
		name, path string
		lines      []string
	}{
		{"nothing", "/ws", nil},
		{"another scheme", "/ws", []string{"Authorization: Basic YTpi"}},
		{"no token", "/ws", []string{"Authorization: Bearer"}},
		{"a source that is not configured", "/ws?token=abc", []string{"Cookie: session=abc"}},
		{"another parameter", "/ws?X-Websocket-Header-X-User=ann", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := accepted(t, optional.Accept, c.path, c.lines...)
			if err != nil || !a.Identity.IsZero() {
				t.Errorf("optional: %v, %+v, want no identity", err, a.Identity)
			}
			a, err = accepted(t, required.Accept, c.path, c.lines...)
			expectResult(t, err, auth.ResultTokenRequired)
			if got := a.Header.Get("WWW-Authenticate"); got != "Bearer" {
				t.Errorf("WWW-Authenticate: %s, want Bearer", got)
			}
		})
	}
	if s := optional.Stats(); s.Results[auth.ResultAnonymous] != 5 {
		t.Errorf("counted %v, want 5 anonymous", s.Results)
	}
}

func TestSeveralTokens(t *testing.T) {
	verifier := newJWT(t, auth.JWTConfig{
		Keys:    []auth.VerificationKey{{Secret: string(secret)}},
		Sources: []auth.Source{auth.SourceHeader, auth.QuerySource("token"), auth.CookieSource("c")},
	})
	one, other := sign(t, "HS256", secret, "", ann(nil)), sign(t, "HS256", secret, "", ann(jwt.MapClaims{"sub": "bob"}))
	if a, err := accepted(t, verifier.Accept, "/ws?token="+one, "Authorization: bearer "+one, "Cookie: c="+one); err != nil || a.Identity.User != "ann" {
		t.Errorf("the same token in three places: %v, user %q", err, a.Identity.User)
	}
	for _, lines := range [][]string{
		{"Authorization: Bearer " + other}, {"Cookie: c=" + other}, {"Cookie: c=" + one + "; c=" + other},
		{"Authorization: Bearer " + one, "Authorization: Bearer " + other},
	} {
		a, err := accepted(t, verifier.Accept, "/ws?token="+one, lines...)
		expectResult(t, err, auth.ResultAmbiguous)
		if !a.Identity.IsZero() || !strings.Contains(a.Header.Get("WWW-Authenticate"), "invalid_request") {
			t.Errorf("identity %+v, header %v", a.Identity, a.Header)
		}
	}
}

// A token adds to the identity of an earlier handler, and never replaces its
// user.
func TestAcceptInAChain(t *testing.T) {
	verifier := newJWT(t, auth.JWTConfig{Keys: []auth.VerificationKey{{Secret: string(secret)}}, Required: true})
	token := "Authorization: Bearer " + sign(t, "HS256", secret, "", ann(nil))
	earlier := access.Identity{Permissions: []access.Permission{{Namespace: "a", Allow: access.Connect}}, Expires: time.Now().Add(time.Minute)}
	handler := func(ctx context.Context, a *node.Accept) error {
		a.Identity = earlier
		return verifier.Accept(ctx, a)
	}
	a, err := accepted(t, handler, "/ws", token)
	if err != nil || a.Identity.User != "ann" || len(a.Identity.Permissions) != 1 || !a.Identity.Expires.Equal(earlier.Expires) {
		t.Errorf("%v, %+v", err, a.Identity)
	}
	if a, err = accepted(t, handler, "/ws"); err != nil || len(a.Identity.Permissions) != 1 {
		t.Errorf("without a token: %v, %+v, want the earlier identity", err, a.Identity)
	}
	earlier.User = "bob"
	_, err = accepted(t, handler, "/ws", token)
	expectResult(t, err, auth.ResultAmbiguous)
}
