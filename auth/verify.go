package auth

import (
	"context"
	"errors"
	"slices"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stoa-io/stoa/access"
)

// verify returns the identity in a token, or an *Error.
func (s *jwtState) verify(ctx context.Context, token string) (access.Identity, error) {
	if len(token) > s.config.TokenSize {
		return access.Identity{}, &Error{Result: ResultTooLong}
	}
	c := verification{state: s, claims: claims{config: &s.config}}
	err := c.run(ctx, token)
	if isResult(err, ResultBadSignature) && c.guessed && s.remote != nil && !isHMAC(c.algorithm) {
		// The keys were not those of a kid, so the right one may be new.
		if err = s.remote.await(ctx, func() bool { return false }); err == nil {
			c = verification{state: s, claims: claims{config: &s.config}}
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
	state     *jwtState
	claims    claims
	id        string // the kid; empty for none
	algorithm string
	// guessed: no key has the ID, and those without one were tried.
	guessed bool
}

// run checks signature and claims. Its error is an *Error.
func (v *verification) run(ctx context.Context, token string) error {
	_, err := v.state.parser.ParseWithClaims(token, &v.claims, func(t *jwt.Token) (any, error) { return v.keys(ctx, t) })
	if err != nil {
		return v.claims.failure(err)
	}
	return nil
}

// keys returns the keys for a token whose header is parsed, and waits for a
// fetch of the JWKS if there is none.
func (v *verification) keys(ctx context.Context, t *jwt.Token) (any, error) {
	v.algorithm = t.Method.Alg()
	if kid, ok := t.Header["kid"]; ok {
		if v.id, ok = kid.(string); !ok {
			return nil, &Error{Result: ResultMalformed}
		}
	}
	if _, ok := t.Header["crit"]; ok {
		// RFC 7515 section 4.1.11: an extension that is not understood.
		return nil, &Error{Result: ResultMalformed}
	}
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
	return jwt.VerificationKeySet{Keys: keys}, err
}

// find returns the known keys for the token: those with its kid, else those
// without an ID; for a token without a kid, all that are for its algorithm.
func (v *verification) find() ([]jwt.VerificationKey, error) {
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
	var keys []jwt.VerificationKey
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
