package auth

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/node"
)

// Verifier turns a token into the identity of its user. *JWT is one.
type Verifier interface {
	// Verify returns the identity in a valid token. For any other token it
	// returns an error that wraps a *node.Refusal for the client.
	Verify(ctx context.Context, token string) (access.Identity, error)
}

// JWT verifies JSON Web Tokens (RFC 7519). With a JWKS it has a goroutine,
// which ends with Close.
type JWT struct {
	state   atomic.Pointer[jwtState]
	results counters
	jwks    jwksCounters

	mu     sync.Mutex // guards the replacement of state, and closed
	closed bool
}

var _ Verifier = (*JWT)(nil)

// jwtState is a configuration in force. It is immutable, but for its caches.
type jwtState struct {
	config    JWTConfig
	validator *jwt.Validator
	headers   headerCache
	claims    permissionCache
	keys      *keySet
	remote    *remote // nil without a JWKS
}

// now is the clock of all checks.
var now = time.Now

// NewJWT returns a JWT. It reads the files of the keys, and begins to fetch the
// JWKS without waiting for it: until the first answer, requests whose key is
// not known yet wait. The error names every field that cannot be used, and no
// secret.
func NewJWT(config JWTConfig) (*JWT, error) {
	j := &JWT{}
	if err := j.Replace(config); err != nil {
		return nil, err
	}
	return j, nil
}

// Replace puts another configuration in force, for instance after a change of a
// key's file. A check in progress ends with the previous one. The keys of a
// JWKS stay known if its configuration is the same. After an error the previous
// configuration stays in force.
func (j *JWT) Replace(config JWTConfig) error {
	replace, err := j.Prepare(config)
	if err != nil {
		return err
	}
	return replace()
}

// Prepare is the part of Replace that may fail because of the configuration: it
// reads the files of the keys. The function that it returns puts the
// configuration in force; it fails only after Close.
func (j *JWT) Prepare(config JWTConfig) (replace func() error, err error) {
	keys, err := config.prepare()
	if err != nil {
		return nil, err
	}
	options := []jwt.ParserOption{jwt.WithLeeway(config.ClockSkew), jwt.WithIssuedAt(), jwt.WithTimeFunc(now)}
	if len(config.Audiences) > 0 {
		options = append(options, jwt.WithAudience(config.Audiences...))
	}
	if !config.AllowNoExpiry {
		options = append(options, jwt.WithExpirationRequired())
	}
	next := &jwtState{config: config, validator: jwt.NewValidator(options...), keys: keys}
	return func() error { return j.put(next) }, nil
}

// put puts a state in force.
func (j *JWT) put(next *jwtState) error {
	config := &next.config
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return errors.New("auth: the JWT is closed")
	}
	previous := j.state.Load()
	if previous != nil && previous.remote != nil && previous.config.JWKS == config.JWKS {
		next.remote = previous.remote
	} else if config.JWKS.URL != "" {
		next.remote = startRemote(config.JWKS, config.Logger, &j.jwks)
	}
	j.state.Store(next)
	if previous != nil && previous.remote != nil && previous.remote != next.remote {
		previous.remote.stop()
	}
	return nil
}

// Close ends the fetches of the JWKS and returns when they have ended. Tokens
// whose key is known stay valid. It may be called several times.
func (j *JWT) Close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	if remote := j.state.Load().remote; remote != nil {
		remote.stop()
	}
}

// Accept is a node.AcceptHandler. It sets the user, the info, the expiry and
// the permissions of a request with a valid token, and refuses one whose token
// is not valid. A request without a token passes unless JWTConfig.Required,
// which the identity of an earlier handler satisfies, too.
func (j *JWT) Accept(ctx context.Context, a *node.Accept) error {
	result, err := j.accept(ctx, a)
	var refused *Error
	if errors.As(err, &refused) {
		result = refused.Result
		refused.challenge(a.Header)
	}
	j.results.add(result)
	return err
}

// accept sets the identity of the request. Its error is an *Error.
func (j *JWT) accept(ctx context.Context, a *node.Accept) (Result, error) {
	config := &j.state.Load().config
	token, err := findToken(config.Sources, a.Request)
	switch {
	case err != nil:
		return 0, err
	case isAPIKey(token) && !a.Identity.IsZero():
		return ResultAnonymous, nil // Keys has checked it
	case token == "" && config.Required && a.Identity.IsZero():
		return 0, &Error{Result: ResultTokenRequired}
	case token == "":
		return ResultAnonymous, nil
	}
	id, err := j.verify(ctx, token)
	if err != nil {
		return 0, err
	}
	if id, err = merge(a.Identity, id); err == nil {
		a.Identity = id
	}
	return ResultValid, err
}

// merge adds the identity of a token to that of earlier handlers. Two users are
// ambiguous; the earlier end counts.
func merge(earlier, id access.Identity) (access.Identity, error) {
	if earlier.User != "" && earlier.User != id.User {
		return id, &Error{Result: ResultAmbiguous}
	}
	if id.Info == nil {
		id.Info = earlier.Info
	}
	if !earlier.Expires.IsZero() && (id.Expires.IsZero() || earlier.Expires.Before(id.Expires)) {
		id.Expires = earlier.Expires
	}
	if len(earlier.Permissions) > 0 {
		id.Permissions = append(append([]access.Permission(nil), earlier.Permissions...), id.Permissions...)
	}
	return id, nil
}

// Verify implements Verifier; the error is an *Error. It may wait for a fetch
// of the JWKS, until ctx ends.
func (j *JWT) Verify(ctx context.Context, token string) (access.Identity, error) {
	id, err := j.verify(ctx, token)
	result := ResultValid
	var refused *Error
	if errors.As(err, &refused) {
		result = refused.Result
	}
	j.results.add(result)
	return id, err
}

// Authenticate is a node.AuthenticateHandler: it verifies a token that a client
// hands in over its open connection.
func (j *JWT) Authenticate(ctx context.Context, r *node.AuthenticateRequest) (access.Identity, error) {
	return j.Verify(ctx, r.Token)
}

// verify starts over if the check waited for keys of a configuration that is no
// longer in force.
func (j *JWT) verify(ctx context.Context, token string) (access.Identity, error) {
	for {
		s := j.state.Load()
		id, err := s.verify(ctx, token)
		if !isResult(err, ResultKeysUnavailable) || j.state.Load() == s {
			return id, err
		}
	}
}
