package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stoa-io/stoa/access"
)

// verify returns the identity in a token, or an *Error.
func (s *jwtState) verify(ctx context.Context, token string) (access.Identity, error) {
	if len(token) > s.config.TokenSize {
		return access.Identity{}, &Error{Result: ResultTooLong}
	}
	c := verification{state: s, claims: claims{config: &s.config, known: &s.claims}}
	err := c.run(ctx, token)
	if isResult(err, ResultBadSignature) && c.guessed && s.remote != nil && !isHMAC(c.algorithm) {
		// The keys were not those of a kid, so the right one may be new.
		if err = s.remote.await(ctx, func() bool { return false }); err == nil {
			c = verification{state: s, claims: claims{config: &s.config, known: &s.claims}}
			err = c.run(ctx, token)
		}
	}
	if err != nil {
		return access.Identity{}, err
	}
	return c.claims.identity()
}

func isResult(err error, result Result) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Result == result
}

func isHMAC(algorithm string) bool { return slices.Contains(hmacAlgorithms, algorithm) }

// verification is one check of a token.
type verification struct {
	state  *jwtState
	claims claims
	header
	// guessed: no key has the ID, and those without one were tried.
	guessed bool
}

// encoding is that of the parts of a token. Strict: a signature has one form.
var encoding = base64.RawURLEncoding.Strict()

// run checks the signature, and only then reads the claims. Its error is an
// *Error.
func (v *verification) run(ctx context.Context, token string) error {
	malformed := &Error{Result: ResultMalformed}
	headerPart, rest, _ := strings.Cut(token, ".")
	claimsPart, signaturePart, found := strings.Cut(rest, ".")
	if !found || strings.Contains(signaturePart, ".") {
		return malformed
	}
	content, err := encoding.DecodeString(claimsPart)
	if err != nil {
		return malformed
	}
	signature, err := encoding.DecodeString(signaturePart)
	if err != nil {
		return malformed
	}
	cached := false
	if v.header, cached = v.state.headers.lookup(headerPart); !cached {
		if v.header, err = parseHeader(headerPart); err != nil {
			return err
		}
	}
	keys, err := v.keys(ctx)
	if err != nil {
		return err
	}
	method, signed := jwt.GetSigningMethod(v.algorithm), token[:len(headerPart)+1+len(claimsPart)]
	if !slices.ContainsFunc(keys, func(key any) bool { return method.Verify(signed, signature, key) == nil }) {
		return &Error{Result: ResultBadSignature}
	}
	if !cached {
		v.state.headers.add(headerPart, v.header)
	}
	if v.claims.unmarshal(content) != nil {
		return malformed
	}
	if err := v.state.validator.Validate(&v.claims); err != nil {
		return v.claims.failure(err)
	}
	return nil
}

// keys returns the keys for the token, and waits for a fetch of the JWKS if
// there is none.
func (v *verification) keys(ctx context.Context) ([]any, error) {
	remote := v.state.remote
	keys, err := v.find()
	if isResult(err, ResultUnknownKey) && remote != nil && !isHMAC(v.algorithm) {
		awaitErr := remote.await(ctx, func() bool {
			keys, err = v.find()
			return err == nil
		})
		if err != nil && awaitErr != nil {
			err = awaitErr
		}
	}
	return keys, err
}

// find returns the known keys for the token: those with its kid, else those
// without an ID; for a token without a kid, all that are for its algorithm.
func (v *verification) find() ([]any, error) {
	s := v.state
	sets := []*keySet{s.keys}
	if s.remote != nil {
		sets = append(sets, s.remote.keys.Load())
	}
	if !s.keys.allows(v.algorithm) && (s.remote == nil || !isPublic(v.algorithm)) {
		return nil, &Error{Result: ResultAlgorithm}
	}
	known := false
	for _, set := range sets {
		known = known || set.hasID(v.id)
		if keys := set.withID(v.id, v.algorithm); v.id != "" && len(keys) > 0 {
			return keys, nil
		}
	}
	if known {
		return nil, &Error{Result: ResultAlgorithm}
	}
	v.guessed = true
	var keys []any
	for _, set := range sets {
		if v.id != "" {
			keys = append(keys, set.withID("", v.algorithm)...)
		} else {
			keys = append(keys, set.withAnyID(v.algorithm)...)
		}
	}
	if len(keys) == 0 || len(keys) > maxTries {
		return nil, &Error{Result: ResultUnknownKey}
	}
	return keys, nil
}

// isPublic reports whether keys of a JWKS may be for the algorithm.
func isPublic(algorithm string) bool {
	return slices.Contains(allAlgorithms, algorithm) && !isHMAC(algorithm)
}
