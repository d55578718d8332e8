package auth_test

import (
	"net/http"
	"testing"

	"github.com/stoa-io/stoa/auth"
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
