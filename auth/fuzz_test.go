package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/auth"
)

// FuzzVerify feeds any bytes as a token, and the same bytes as signed claims.
// There is no panic, an error is always an *auth.Error, and an accepted token
// has an identity that a node accepts.
func FuzzVerify(f *testing.F) {
	verifier := newJWT(f, auth.JWTConfig{Keys: []auth.VerificationKey{{Secret: string(secret)}, keyFor(f, "ES256", "k")}, AllowNoExpiry: true})
	f.Add(sign(f, "HS256", secret, "", ann(nil)))
	f.Add(sign(f, "ES256", p256Key, "k", ann(nil)))
	f.Add(sign(f, "none", jwt.UnsafeAllowNoneSignatureType, "k", ann(nil)))
	f.Add(`{"sub":"ann","exp":1e300,"aud":["a"],"info":{"a":[]},"stoa":[{"namespace":"a","allow":["*"]}]}`)
	f.Add(`{"sub":"ann","nbf":-0.5}`)
	f.Fuzz(func(t *testing.T, text string) {
		method := jwt.SigningMethodHS256
		signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(text))
		signature, err := method.Sign(signed, secret)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{text, signed + "." + base64.RawURLEncoding.EncodeToString(signature)} {
			id, err := verifier.Verify(t.Context(), token)
			var refused *auth.Error
			switch {
			case err == nil && (id.User == "" || id.Validate() != nil):
				t.Errorf("%q: the identity %+v: %v", token, id, id.Validate())
			case err != nil && (!errors.As(err, &refused) || !id.IsZero()):
				t.Errorf("%q: %v, %+v", token, err, id)
			}
		}
		// The same in a request.
		r := &http.Request{URL: &url.URL{RawQuery: text}, Header: http.Header{"Authorization": {text}, "Cookie": {text}}}
		if _, err := accepted(t, verifier.Accept, "/ws?"+url.QueryEscape(text)); err != nil {
			t.Error(err) // there is no token
		}
		_, _ = newKeys(t).Check(r)
	})
}

// FuzzPermissionsClaim: accepted permissions are usable and survive a round
// trip.
func FuzzPermissionsClaim(f *testing.F) {
	f.Add(`{"permissions":[{"namespace":"chat","rooms":["lobby","user-{user}"],"allow":["join","emit"]}]}`)
	f.Add(`[{"namespace":"*","allow":["*"]}]`)
	f.Add(`[{"namespace":"a","rooms":[],"allow":["join"]}]`)
	f.Add(`[{"namespace":"a","rooms":null,"allow":["join"]}]`)
	f.Add(`[{"namespace":"a*","Rooms":["{user"],"allow":["join"]}]`)
	f.Fuzz(func(t *testing.T, claim string) {
		permissions, err := auth.ParsePermissions([]byte(claim))
		if err != nil {
			return
		}
		id := access.Identity{Permissions: permissions}
		if err := id.Validate(); err != nil {
			t.Fatal(err)
		}
		formatted, err := auth.FormatPermissions(permissions)
		if err != nil || !json.Valid(formatted) {
			t.Fatalf("%s: %v", formatted, err)
		}
		again, err := auth.ParsePermissions(formatted)
		if err != nil || len(again) != len(permissions) {
			t.Errorf("%s: %+v, %v", formatted, again, err)
		}
	})
}

// FuzzParseKeys: accepted lists can be used, unless a key is there twice.
func FuzzParseKeys(f *testing.F) {
	f.Add("a " + oneKey + " scope=emit allow=chat:lobby:join\n# b")
	f.Add("a sha256:" + hashOf(oneKey))
	f.Fuzz(func(t *testing.T, list string) {
		keys, err := auth.ParseKeys(list)
		if err != nil {
			return
		}
		if _, err := auth.NewKeys(keys); err != nil && !strings.Contains(err.Error(), "twice") && !strings.Contains(err.Error(), "at most") {
			t.Errorf("%q: %v", list, err)
		}
	})
}
