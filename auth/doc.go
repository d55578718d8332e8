// Package auth authenticates the clients of a node: by JSON Web Tokens, and by
// API keys.
//
// A [JWT] verifies the tokens of an identity provider and turns their claims
// into an access.Identity. [Keys] verifies the API keys of trusted services.
// Both are accept handlers, so that an application registers the ones that it
// wants, API keys first:
//
//	verifier, err := auth.NewJWT(auth.JWTConfig{
//		JWKS:      auth.JWKS{URL: "https://login.example.com/.well-known/jwks.json"},
//		Issuers:   []string{"https://login.example.com/"},
//		Audiences: []string{"chat"},
//		Required:  true,
//	})
//	…
//	n.OnAccept(keys.Accept)
//	n.OnAccept(verifier.Accept)
//
// A request without a token reaches the next handler, unless a token is
// required; a request with a token that is not valid never does. The refusal
// names the reason in a few stable words (see [Result]), as the text of the
// answer and in WWW-Authenticate (RFC 6750). Browsers, which hide both from
// pages, get it in the protocol (see node.Refusal).
//
// # Algorithms
//
// The type of a key determines the algorithms that it verifies, and its alg
// parameter may restrict them to one. A token chooses a key, and never the
// use of it:
//
//	secret                      HS256; from 48 bytes on HS384; from 64 on HS512
//	RSA, 2048 to 8192 bits      RS256, RS384, RS512, PS256, PS384, PS512
//	EC P-256, P-384, P-521      ES256; ES384; ES512
//	Ed25519                     EdDSA
//
// So a public key is never the secret of an HMAC, and a token without a
// signature ("none") has no key. The lengths of secrets are the minimum of RFC
// 7518 section 3.2.
//
// # Secrets
//
// No token, key or part of one is in an error, in a log or in a metric. Every
// method is safe for concurrent use.
package auth
