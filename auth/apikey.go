package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/node"
)

// KeyPrefix begins every API key, which distinguishes it from other tokens, in
// a leaked file, too.
const KeyPrefix = "sk_"

const (
	minAPIKey  = 32 // bytes, with the prefix
	maxAPIKey  = 512
	maxAPIKeys = 1024
)

// ServicePrefix is in front of the name of an API key in the user ID of its
// connections.
const ServicePrefix = "service:"

// APIKey is the key of a trusted service. While a key is replaced, the service
// has two with the same name.
type APIKey struct {
	// Name of the service, at most 64 bytes of [A-Za-z0-9_.-].
	Name string
	// Secret is the key: KeyPrefix and at least 29 random characters.
	Secret string
	// SHA256 is the hash of the key in hexadecimal, in place of Secret.
	SHA256 string
	// Scopes are the parts of the HTTP API that the service may use; "*" is all
	// of them.
	Scopes []string
	// Permissions are those of the connections of the service.
	Permissions []access.Permission
}

// KeyInfo is the service that a request comes from.
type KeyInfo struct {
	Name        string
	Scopes      []string
	Permissions []access.Permission
}

// HasScope reports whether the service may use a part of the HTTP API, which is
// to come.
func (k *KeyInfo) HasScope(scope string) bool {
	return slices.Contains(k.Scopes, scope) || slices.Contains(k.Scopes, "*")
}

// Keys verifies API keys. A request has one as "Authorization: Bearer sk_…" or
// as "X-API-Key: sk_…".
type Keys struct {
	table   atomic.Pointer[[]hashedKey]
	results counters
}

// hashedKey is immutable.
type hashedKey struct {
	sum  [sha256.Size]byte
	info KeyInfo
}

// NewKeys returns Keys. The error names every key that cannot be used, and no
// secret.
func NewKeys(keys []APIKey) (*Keys, error) {
	k := &Keys{}
	if err := k.Replace(keys); err != nil {
		return nil, err
	}
	return k, nil
}

// Replace puts other keys in force. After an error the previous ones stay.
func (k *Keys) Replace(keys []APIKey) error {
	table := make([]hashedKey, 0, len(keys))
	var errs []error
	if len(keys) > maxAPIKeys {
		errs = append(errs, fmt.Errorf("auth: %d API keys: want at most %d", len(keys), maxAPIKeys))
	}
	for i := range keys {
		hashed, err := keys[i].hash()
		if err == nil && slices.ContainsFunc(table, func(h hashedKey) bool { return h.sum == hashed.sum }) {
			err = errors.New("the same key is there twice")
		}
		if err != nil {
			errs = append(errs, &FieldError{Field: fieldAPIKeys, Index: i, Name: keys[i].Name, Err: err})
			continue
		}
		table = append(table, hashed)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	k.table.Store(&table)
	return nil
}

// hash checks the key.
func (k *APIKey) hash() (hashedKey, error) {
	h := hashedKey{info: KeyInfo{k.Name, k.Scopes, k.Permissions}}
	identity := access.Identity{Permissions: k.Permissions}
	switch {
	case k.Name == "" || len(k.Name) > 64 || strings.ContainsFunc(k.Name, isNoNameByte):
		return h, errors.New("the name: want 1 to 64 bytes of [A-Za-z0-9_.-]")
	case (k.Secret == "") == (k.SHA256 == ""):
		return h, errors.New("want either the key or its SHA-256")
	case k.SHA256 != "":
		if n, err := hex.Decode(h.sum[:], []byte(k.SHA256[:min(len(k.SHA256), 2*sha256.Size)])); err != nil || n != sha256.Size || len(k.SHA256) != 2*sha256.Size {
			return h, fmt.Errorf("the SHA-256: want %d hexadecimal digits", 2*sha256.Size)
		}
	case !isAPIKey(k.Secret) || len(k.Secret) < minAPIKey || len(k.Secret) > maxAPIKey || strings.ContainsFunc(k.Secret, isNoNameByte):
		return h, fmt.Errorf("the key: want %q and random bytes of [A-Za-z0-9_.-], %d to %d bytes in all", KeyPrefix, minAPIKey, maxAPIKey)
	default:
		h.sum = sha256.Sum256([]byte(k.Secret))
	}
	return h, identity.Validate()
}

func isNoNameByte(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '-')
}

func isAPIKey(token string) bool { return strings.HasPrefix(token, KeyPrefix) }

// findAPIKey returns the key in a request; empty if there is none.
// Authorization may have another token.
func findAPIKey(r *http.Request) (string, error) {
	var f finder
	for _, value := range r.Header["Authorization"] {
		if token := bearerToken(value); isAPIKey(token) {
			f.add(token)
		}
	}
	for _, value := range r.Header["X-Api-Key"] {
		f.add(value)
	}
	if f.ambiguous {
		return "", &Error{Result: ResultAmbiguous}
	}
	return f.token, nil
}

// Check returns the service that a request comes from. Without a key, and with
// one that is unknown, it returns an *Error.
func (k *Keys) Check(r *http.Request) (KeyInfo, error) {
	info, result, err := k.check(r)
	if err == nil && result == ResultAnonymous {
		result = ResultTokenRequired
		err = &Error{Result: result}
	}
	k.results.add(result)
	return info, err
}

func (k *Keys) check(r *http.Request) (KeyInfo, Result, error) {
	key, err := findAPIKey(r)
	switch {
	case err != nil:
		return KeyInfo{}, ResultAmbiguous, err
	case key == "":
		return KeyInfo{}, ResultAnonymous, nil
	}
	// The time must not depend on how much of a key is right: the hashes are
	// compared, all of them and each in full.
	sum := sha256.Sum256([]byte(key))
	table := *k.table.Load()
	found := -1
	for i := range table {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], table[i].sum[:]), i, found)
	}
	if found < 0 {
		return KeyInfo{}, ResultUnknownKey, &Error{Result: ResultUnknownKey}
	}
	return table[found].info, ResultValid, nil
}

// Accept is a node.AcceptHandler, to be registered before JWT.Accept. The user
// of a connection with an API key is ServicePrefix and the name of the key. A
// request without a key passes; one with an unknown key is refused.
func (k *Keys) Accept(_ context.Context, a *node.Accept) error {
	info, result, err := k.check(a.Request)
	if result == ResultValid {
		var id access.Identity
		if id, err = merge(a.Identity, access.Identity{User: ServicePrefix + info.Name, Permissions: info.Permissions}); err == nil {
			a.Identity = id
		}
	}
	var refused *Error
	if errors.As(err, &refused) {
		result = refused.Result
		refused.challenge(a.Header)
	}
	k.results.add(result)
	return err
}

// RequireIdentity is a node.AcceptHandler that refuses a request which no
// earlier handler has authenticated.
func RequireIdentity(_ context.Context, a *node.Accept) error {
	if !a.Identity.IsZero() {
		return nil
	}
	required := &Error{Result: ResultTokenRequired}
	required.challenge(a.Header)
	return required
}
