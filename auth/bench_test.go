package auth_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/node"
)

// BenchmarkVerify measures a check of a token by algorithm: one signature and
// the claims.
func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range algorithms {
		b.Run(algorithm, func(b *testing.B) {
			verifier := newJWT(b, auth.JWTConfig{Keys: []auth.VerificationKey{keyFor(b, algorithm, "k")}, Issuers: []string{"https://issuer.test"}})
			token := sign(b, algorithm, signingKey(algorithm), "k", ann(nil))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verifier.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAPIKey measures a check of an API key among a hundred.
func BenchmarkAPIKey(b *testing.B) {
	list := []auth.APIKey{{Name: "a", Secret: oneKey}}
	for range 99 {
		list = append(list, auth.APIKey{Name: "a", Secret: otherKey + string(rune('a'+len(list)%26)) + string(rune('a'+len(list)/26))})
	}
	keys, err := auth.NewKeys(list)
	if err != nil {
		b.Fatal(err)
	}
	r := &http.Request{Header: http.Header{"X-Api-Key": {oneKey}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keys.Check(r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHandshake measures a WebSocket from dial to the answer, both ends
// included: without an accept handler, with one that does nothing, and with
// tokens.
func BenchmarkHandshake(b *testing.B) {
	run := func(name, line string, handlers ...node.AcceptHandler) {
		b.Run(name, func(b *testing.B) {
			n := startNode(b, node.Config{}, handlers...)
			b.ReportAllocs()
			for b.Loop() {
				response, c := handshake(b, n, "/ws", line)
				if response.StatusCode != http.StatusSwitchingProtocols {
					b.Fatal(response.Status)
				}
				_ = c.Close()
			}
		})
	}
	header := func(algorithm string) string {
		return "Authorization: Bearer " + sign(b, algorithm, signingKey(algorithm), "k", ann(nil))
	}
	run("open", header("HS256"))
	run("empty handler", header("HS256"), func(context.Context, *node.Accept) error { return nil })
	for _, algorithm := range []string{"HS256", "ES256", "RS256"} {
		verifier := newJWT(b, auth.JWTConfig{Keys: []auth.VerificationKey{keyFor(b, algorithm, "k")}, Required: true})
		run(algorithm, header(algorithm), verifier.Accept)
	}
}
