package auth_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/auth"
)

// A key verifies the algorithms of its type, and no other: a token that is
// signed with any algorithm is valid for exactly the keys that the table of the
// package names.
func TestAlgorithms(t *testing.T) {
	family := func(algorithm string) string {
		switch algorithm[:2] {
		case "HS":
			return "HS"
		case "RS", "PS":
			return "RSA"
		}
		return algorithm
	}
	kids := []string{"k", "other", ""}
	tokens := make(map[string]map[string]string)
	for _, with := range algorithms {
		tokens[with] = make(map[string]string)
		for _, kid := range kids {
			tokens[with][kid] = sign(t, with, signingKey(with), kid, ann(nil))
		}
	}
	for _, of := range algorithms {
		verifier := newJWT(t, auth.JWTConfig{Keys: []auth.VerificationKey{keyFor(t, of, "k")}})
		restricted := keyFor(t, of, "k")
		restricted.Algorithm = of
		only := newJWT(t, auth.JWTConfig{Keys: []auth.VerificationKey{restricted}})
		for _, with := range algorithms {
			for _, kid := range kids {
				token := tokens[with][kid]
				want := auth.ResultAlgorithm
				if family(of) == family(with) {
					want = auth.ResultValid
					if kid == "other" {
						want = auth.ResultUnknownKey
					}
				}
				_, err := verifier.Verify(t.Context(), token)
				expectResult(t, err, want)
				if of != with {
					want = auth.ResultAlgorithm
				}
				_, err = only.Verify(t.Context(), token)
				expectResult(t, err, want)
				if t.Failed() {
					t.Fatalf("key of %s, token of %s, kid %q", of, with, kid)
				}
			}
		}
	}
}

// A public key is never a secret, in every form that a forger may try.
func TestPublicKeyIsNoSecret(t *testing.T) {
	verifier := newJWT(t, auth.JWTConfig{Keys: []auth.VerificationKey{
		keyFor(t, "RS256", "rsa"), keyFor(t, "ES256", "ec"), keyFor(t, "EdDSA", "ed"), {ID: "hs", Secret: string(secret)},
	}})
	for kid, key := range map[string]any{"rsa": rsaKey(), "ec": p256Key, "ed": edKey} {
		text := publicPEM(t, key)
		for name, forged := range map[string][]byte{"PEM": text, "PEM without a line break": text[:len(text)-1]} {
			for _, algorithm := range []string{"HS256", "HS384", "HS512"} {
				_, err := verifier.Verify(t.Context(), sign(t, algorithm, forged, kid, ann(nil)))
				expectResult(t, err, auth.ResultAlgorithm)
				_, err = verifier.Verify(t.Context(), sign(t, algorithm, forged, "", ann(nil)))
				expectResult(t, err, auth.ResultBadSignature)
				if t.Failed() {
					t.Fatal(name, kid, algorithm)
				}
			}
		}
		if _, err := auth.NewJWT(auth.JWTConfig{Keys: []auth.VerificationKey{{Secret: string(text)}}}); err == nil {
			t.Errorf("%s: a public key was accepted as a secret", kid)
		}
	}
}

func TestNewJWTRefuses(t *testing.T) {
	private := writeFile(t, "private.pem", []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	key := func(k auth.VerificationKey) auth.JWTConfig { return auth.JWTConfig{Keys: []auth.VerificationKey{k}} }
	good := func(change func(*auth.JWTConfig)) auth.JWTConfig {
		config := key(auth.VerificationKey{Secret: string(secret)})
		change(&config)
		return config
	}
	for want, config := range map[string]auth.JWTConfig{
		"without keys":                   {},
		"exactly one of":                 key(auth.VerificationKey{ID: "a"}),
		"exactly one of File":            key(auth.VerificationKey{Secret: string(secret), File: "x"}),
		"31 bytes: want at least 32":     key(auth.VerificationKey{Secret: string(secret[:31])}),
		`"HS384" is not for this key`:    key(auth.VerificationKey{Secret: string(secret[:47]), Algorithm: "HS384"}),
		`"none" is not for this key`:     key(auth.VerificationKey{Secret: string(secret), Algorithm: "none"}),
		`"HS256" is not for this key`:    key(auth.VerificationKey{File: keyFor(t, "RS256", "").File, Algorithm: "HS256"}),
		"no such file":                   key(auth.VerificationKey{File: "/nonexistent"}),
		"a private key":                  key(auth.VerificationKey{File: private}),
		"neither PEM nor JSON":           key(auth.VerificationKey{File: writeFile(t, "k", []byte("hello"))}),
		"more than one key":              key(auth.VerificationKey{File: writeFile(t, "k", append(publicPEM(t, p256Key), publicPEM(t, p384Key)...))}),
		"empty or blank":                 key(auth.VerificationKey{Secret: strings.Repeat(" \t", 20)}),
		"blank":                          key(auth.VerificationKey{SecretFile: writeFile(t, "s", []byte(strings.Repeat(" ", 40)+"\n"))}),
		"a variable that nothing":        key(auth.VerificationKey{Secret: "${STOA_SECRET_OF_THE_ISSUER_IN_PRODUCTION}"}),
		"nothing has replaced":           key(auth.VerificationKey{Secret: "$(STOA_SECRET_OF_THE_ISSUER_IN_PRODUCTION)"}),
		"valid base64":                   key(auth.VerificationKey{Secret: "base64:*"}),
		"valid hexadecimal":              key(auth.VerificationKey{Secret: "hex:xy"}),
		"ClockSkew 1h0m0s":               good(func(c *auth.JWTConfig) { c.ClockSkew = time.Hour }),
		"TokenSize":                      good(func(c *auth.JWTConfig) { c.TokenSize = 1 << 30 }),
		`"form:x": want header`:          good(func(c *auth.JWTConfig) { c.Sources = []auth.Source{"form:x"} }),
		"Sources \"cookie:\"":            good(func(c *auth.JWTConfig) { c.Sources = []auth.Source{"cookie:"} }),
		"different claims":               good(func(c *auth.JWTConfig) { c.Claims.Info = "sub" }),
		"an empty text":                  good(func(c *auth.JWTConfig) { c.Audiences = []string{""} }),
		"DefaultPermissions":             good(func(c *auth.JWTConfig) { c.DefaultPermissions = []access.Permission{{}} }),
		"want https; http only for":      {JWKS: auth.JWKS{URL: "http://user:pass@keys.test/jwks?secret=1"}},
		"JWKS.URL: want https://HOST":    {JWKS: auth.JWKS{URL: "keys"}},
		"JWKS.Refresh 1s: want at least": {JWKS: auth.JWKS{URL: "https://keys.test/", Refresh: time.Second}},
	} {
		_, err := auth.NewJWT(config)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		} else if strings.Contains(err.Error(), "pass") || strings.Contains(err.Error(), "secret=") || strings.Contains(err.Error(), string(secret[:20])) {
			t.Errorf("the error has a secret: %v", err)
		}
	}
}

// The forms of secrets and files are those of other tools.
func TestKeyForms(t *testing.T) {
	jwk := func(kid string) string {
		return fmt.Sprintf(`{"kty":"oct","kid":%q,"k":%q}`, kid, base64.RawURLEncoding.EncodeToString(secret))
	}
	x, y := p256Key.X.FillBytes(make([]byte, 32)), p256Key.Y.FillBytes(make([]byte, 32))
	ec := fmt.Sprintf(`{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"k","x":%q,"y":%q}`,
		base64.RawURLEncoding.EncodeToString(x), base64.RawURLEncoding.EncodeToString(y))
	for name, c := range map[string]struct {
		key       auth.VerificationKey
		algorithm string
	}{
		"text":            {auth.VerificationKey{Secret: string(secret)}, "HS256"},
		"base64":          {auth.VerificationKey{Secret: "base64:" + base64.StdEncoding.EncodeToString(secret)}, "HS512"},
		"base64 for URL":  {auth.VerificationKey{Secret: "base64:" + base64.RawURLEncoding.EncodeToString(secret)}, "HS512"},
		"hex":             {auth.VerificationKey{Secret: "hex:" + hex.EncodeToString(secret)}, "HS256"},
		"secret file":     {auth.VerificationKey{SecretFile: writeFile(t, "s", append(secret[:64:64], "\r\n"...))}, "HS256"},
		"JWK of a secret": {auth.VerificationKey{File: writeFile(t, "k", []byte(jwk("k")))}, "HS256"},
		"JWK":             {auth.VerificationKey{File: writeFile(t, "k", []byte(ec))}, "ES256"},
		"JWK Set":         {auth.VerificationKey{File: writeFile(t, "k", []byte(`{"keys":[`+jwk("other")+","+ec+`,{"kty":"OKP","crv":"X25519","x":"`+strings.Repeat("A", 43)+`"}]}`))}, "ES256"},
	} {
		verifier := newJWT(t, auth.JWTConfig{Keys: []auth.VerificationKey{c.key}})
		if _, err := verifier.Verify(t.Context(), sign(t, c.algorithm, signingKey(c.algorithm), "k", ann(nil))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, broken := range []string{`{"keys":[]}`, `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`, `{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}`,
		`{"keys":1}`, strings.Replace(ec, `"use":"sig"`, `"use":"enc"`, 1), strings.Replace(ec, "ES256", "ES384", 1), strings.Replace(ec, `{"kty"`, `{"d":"AAAA","kty"`, 1)} {
		if _, err := auth.NewJWT(auth.JWTConfig{Keys: []auth.VerificationKey{{File: writeFile(t, "k", []byte(broken))}}}); err == nil {
			t.Errorf("%s was accepted", broken)
		}
	}
}

func TestClaims(t *testing.T) {
	permissions := []access.Permission{{Namespace: "chat", Rooms: []string{"lobby"}, Allow: access.Join}}
	config := auth.JWTConfig{
		Keys:               []auth.VerificationKey{{Secret: string(secret)}},
		Issuers:            []string{"https://issuer.test", "https://other.test"},
		Audiences:          []string{"stoa", "chat"},
		DefaultPermissions: permissions,
	}
	verifier := newJWT(t, config)
	now := time.Now()
	for _, c := range []struct {
		name    string
		changes jwt.MapClaims
		want    auth.Result
	}{
		{"all", nil, auth.ResultValid},
		{"another issuer", jwt.MapClaims{"iss": "https://other.test"}, auth.ResultValid},
		{"several audiences", jwt.MapClaims{"aud": []string{"shop", "chat"}}, auth.ResultValid},
		{"no audience", jwt.MapClaims{"aud": nil}, auth.ResultWrongAudience},
		{"empty audience", jwt.MapClaims{"aud": []string{}}, auth.ResultWrongAudience},
		{"no issuer", jwt.MapClaims{"iss": nil}, auth.ResultWrongIssuer},
		{"an issuer that begins alike", jwt.MapClaims{"iss": "https://issuer.test/"}, auth.ResultWrongIssuer},
		{"no expiry", jwt.MapClaims{"exp": nil}, auth.ResultNoExpiry},
		{"within the skew", jwt.MapClaims{"exp": now.Unix() - 5, "nbf": now.Unix() + 5, "iat": now.Unix() + 5}, auth.ResultValid},
		{"beyond the skew", jwt.MapClaims{"exp": now.Unix() - 60}, auth.ResultExpired},
		{"expired, and of another issuer", jwt.MapClaims{"exp": now.Unix() - 60, "iss": "x"}, auth.ResultExpired},
		{"milliseconds", jwt.MapClaims{"exp": now.UnixMilli()}, auth.ResultMalformed},
		{"negative expiry", jwt.MapClaims{"exp": -1}, auth.ResultMalformed},
		{"text expiry", jwt.MapClaims{"exp": "2999"}, auth.ResultMalformed},
		{"a fraction", jwt.MapClaims{"exp": float64(now.Unix()) + 100.5}, auth.ResultValid},
		{"no user", jwt.MapClaims{"sub": nil}, auth.ResultUnusableClaim},
		{"empty user", jwt.MapClaims{"sub": ""}, auth.ResultUnusableClaim},
		{"a number as user", jwt.MapClaims{"sub": 7}, auth.ResultUnusableClaim},
		{"control characters", jwt.MapClaims{"sub": "a\nb"}, auth.ResultUnusableClaim},
		{"a service", jwt.MapClaims{"sub": auth.ServicePrefix + "billing"}, auth.ResultUnusableClaim},
		{"a long user", jwt.MapClaims{"sub": strings.Repeat("a", access.MaxUser+1)}, auth.ResultUnusableClaim},
		{"a long info", jwt.MapClaims{"info": strings.Repeat("a", access.MaxInfo)}, auth.ResultUnusableClaim},
		{"issuer of another type", jwt.MapClaims{"iss": 1}, auth.ResultMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, err := verifier.Verify(t.Context(), sign(t, "HS256", secret, "", ann(c.changes)))
			expectResult(t, err, c.want)
			if err == nil && id.User != "ann" || err != nil && !id.IsZero() {
				t.Errorf("identity %+v", id)
			}
		})
	}

	expires := time.Unix(now.Unix()+100, 0)
	id, err := verifier.Verify(t.Context(), sign(t, "HS256", secret, "", ann(jwt.MapClaims{"exp": expires.Unix(), "info": map[string]any{"name": "Ann"}})))
	want := access.Identity{User: "ann", Info: json.RawMessage(`{"name":"Ann"}`), Expires: expires.Add(auth.DefaultClockSkew), Permissions: permissions}
	if err != nil || !reflect.DeepEqual(id, want) {
		t.Errorf("%v, %+v, want %+v", err, id, want)
	}

	config.Claims = auth.Claims{User: "https://stoa.test/user", Info: "profile", Permissions: "rights"}
	config.AllowNoExpiry, config.ClockSkew = true, -1
	if err := verifier.Replace(config); err != nil {
		t.Fatal(err)
	}
	id, err = verifier.Verify(t.Context(), sign(t, "HS256", secret, "", ann(jwt.MapClaims{
		"https://stoa.test/user": "bob", "info": 1, "profile": nil, "exp": nil, "rights": []any{map[string]any{"namespace": "*", "allow": []string{"*"}}},
	})))
	want = access.Identity{User: "bob", Permissions: []access.Permission{{Namespace: "*", Allow: access.AllActions}}}
	if err != nil || !reflect.DeepEqual(id, want) {
		t.Errorf("other names: %v, %+v, want %+v", err, id, want)
	}
	_, err = verifier.Verify(t.Context(), sign(t, "HS256", secret, "", ann(jwt.MapClaims{"exp": now.Unix() - 1})))
	expectResult(t, err, auth.ResultExpired)
}

// Users whose IDs a decoder would turn into the same text are not one user.
func TestUnreadableUsers(t *testing.T) {
	verifier := newJWT(t, auth.JWTConfig{Keys: []auth.VerificationKey{{Secret: string(secret)}}, AllowNoExpiry: true})
	for claims, want := range map[string]auth.Result{
		"{\"sub\":\"a\xff\"}":            auth.ResultMalformed,
		"{\"sub\":\"a\xfe\"}":            auth.ResultMalformed,
		"{\"sub\":\"a\",\"x\":\"\xff\"}": auth.ResultMalformed,
		`{"sub":"a\ud800"}`:              auth.ResultUnusableClaim,
		`{"sub":"a\ufffd"}`:              auth.ResultUnusableClaim,
		`{"sub":"a\u200b"}`:              auth.ResultUnusableClaim,
		`{"sub":"\u202eann"}`:            auth.ResultUnusableClaim,
		`{"sub":"\ufeffann"}`:            auth.ResultUnusableClaim,
		`{"sub":"ann\u2028"}`:            auth.ResultUnusableClaim,
		`{"sub":"\ud83d\ude00"}`:         auth.ResultValid,
	} {
		signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
		signature, err := jwt.SigningMethodHS256.Sign(signed, secret)
		if err != nil {
			t.Fatal(err)
		}
		_, err = verifier.Verify(t.Context(), signed+"."+base64.RawURLEncoding.EncodeToString(signature))
		expectResult(t, err, want)
		if t.Failed() {
			t.Fatalf("%q", claims)
		}
	}
}

// Headers that a forger may write.
func TestHeaders(t *testing.T) {
	verifier := newJWT(t, auth.JWTConfig{Keys: []auth.VerificationKey{{ID: "k", Secret: string(secret)}}})
	good := sign(t, "HS256", secret, "k", ann(nil))
	_, rest, _ := strings.Cut(good, ".")
	for header, want := range map[string]auth.Result{
		`{"alg":"HS256","kid":1}`:                  auth.ResultMalformed,
		`{"alg":"HS256","kid":"k","crit":["exp"]}`: auth.ResultMalformed,
		`{"alg":"HS256","kid":"../../dev/null"}`:   auth.ResultUnknownKey,
		`{"alg":"hs256","kid":"k"}`:                auth.ResultAlgorithm,
		`{"alg":"None","kid":"k"}`:                 auth.ResultAlgorithm,
		`{"alg":null}`:                             auth.ResultAlgorithm,
		`{"alg":["HS256"]}`:                        auth.ResultAlgorithm,
		`{}`:                                       auth.ResultAlgorithm,
		`[]`:                                       auth.ResultMalformed,
		`{"alg":"HS256","kid":"k","jwk":{"kty":"oct","k":"AA"},"jku":"http://127.0.0.1:1/"}`: auth.ResultBadSignature,
	} {
		_, err := verifier.Verify(t.Context(), base64.RawURLEncoding.EncodeToString([]byte(header))+"."+rest)
		expectResult(t, err, want)
		if t.Failed() {
			t.Fatal(header)
		}
	}
	for _, token := range []string{"", ".", "..", "a.b.c", good + ".", good + ".a", "." + good, good + "=", good + " ", "null.null.null"} {
		if _, err := verifier.Verify(t.Context(), token); err == nil {
			t.Errorf("%q is valid", token)
		}
	}
}

// Many keys without an ID do not multiply the cost of a token.
func TestTriesAreBounded(t *testing.T) {
	var keys []auth.VerificationKey
	for i := range 5 {
		keys = append(keys, auth.VerificationKey{Secret: fmt.Sprintf("%d%s", i, secret)})
	}
	token := sign(t, "HS256", []byte("3"+string(secret)), "", ann(nil))
	_, err := newJWT(t, auth.JWTConfig{Keys: keys}).Verify(t.Context(), token)
	expectResult(t, err, auth.ResultUnknownKey)
	if _, err := newJWT(t, auth.JWTConfig{Keys: keys[:4]}).Verify(t.Context(), token); err != nil {
		t.Error(err)
	}
}

// The previous configuration stays in force after an error.
func TestReplace(t *testing.T) {
	verifier := newJWT(t, auth.JWTConfig{Keys: []auth.VerificationKey{{Secret: string(secret)}}})
	token := sign(t, "HS256", secret, "", ann(nil))
	if err := verifier.Replace(auth.JWTConfig{}); err == nil {
		t.Error("a configuration without keys was accepted")
	}
	if _, err := verifier.Verify(t.Context(), token); err != nil {
		t.Error(err)
	}
	if err := verifier.Replace(auth.JWTConfig{Keys: []auth.VerificationKey{keyFor(t, "EdDSA", "")}}); err != nil {
		t.Fatal(err)
	}
	_, err := verifier.Verify(t.Context(), token)
	expectResult(t, err, auth.ResultAlgorithm)
	verifier.Close()
	if err := verifier.Replace(auth.JWTConfig{Keys: []auth.VerificationKey{{Secret: string(secret)}}}); err == nil {
		t.Error("Replace after Close: no error")
	}
}
