package auth_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

// Over an open connection the same tokens are good, and of the others the
// client learns that they are not.
func TestTokensOverAnOpenConnection(t *testing.T) {
	var logged output
	verifier := newJWT(t, auth.JWTConfig{
		Keys:    []auth.VerificationKey{keyFor(t, "ES256", "k1")},
		Issuers: []string{"https://issuer.test"}, Audiences: []string{"stoa"}, Required: true,
	})
	n, err := node.New(node.Config{
		Limits: node.Limits{Authentications: -1, Message: 64 << 10},
		Logger: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	n.OnAccept(verifier.Accept)
	n.OnAuthenticate(verifier.Authenticate)
	serve(t, n)
	good := sign(t, "ES256", signingKey("ES256"), "k1", ann(nil))
	_, c := handshake(t, n, "/ws", "Authorization: Bearer "+good)
	say := func(text string) string {
		if err := ws.WriteFrame(c, ws.MaskFrame(ws.NewTextFrame([]byte(text)))); err != nil {
			t.Fatal(err)
		}
		f, err := testkit.NextFrame(c, c.in)
		if err != nil {
			t.Fatal(err)
		}
		return string(f.Payload)
	}
	say("M")
	for i, row := range tokenRows(t) {
		want := fmt.Sprintf("$%d;;;;;;", i)
		if row.reason != "" {
			want = fmt.Sprintf("$%d;;;_OnAuthenticate;1;0;unauthorized", i)
		}
		if got := say(fmt.Sprintf("$%d;;;_OnAuthenticate;0;0;%s", i, row.token)); got != want {
			t.Errorf("%s: answered %q, want %q", row.name, got, want)
		}
		for _, part := range strings.Split(row.token, ".") {
			if len(part) > 40 && strings.Contains(logged.String(), part[:40]) {
				t.Errorf("%s: a part of the token is in the log", row.name)
			}
		}
	}
	// A good token of another user.
	bob := sign(t, "ES256", signingKey("ES256"), "k1", ann(map[string]any{"sub": "bob"}))
	if got := say("$b;;;_OnAuthenticate;0;0;" + bob); !strings.Contains(got, ";1;0;the token is another user's") {
		t.Errorf("the token of bob was answered %q", got)
	}
}
