package config

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/auth"
)

// Auth is the section of authentication.
type Auth struct {
	Required string            `key:"required" default:"auto" enum:"auto always never" doc:"Refuses requests without a token or an API key. auto: always if there are keys for them, of which always demands one."`
	JWT      JWT               `key:"jwt" doc:"JSON Web Tokens. They need keys, or the address of a JWKS."`
	APIKeys  map[string]APIKey `key:"api_keys" example:"backend" doc:"Services with keys of their own, by name: at most 64 letters, digits, _, . and -."`
}

// JWT is the section of tokens.
type JWT struct {
	Keys      map[string]JWTKey `key:"keys" example:"key-1" doc:"Keys that verify signatures, by the ID (kid) that the tokens name. A token without a kid is tried with all of them."`
	JWKS      JWKS              `key:"jwks" doc:"A JWK Set of an identity provider. Its keys are added to the others."`
	Issuers   []string          `key:"issuers" example:"https://login.example.com/" doc:"Issuers (iss) of which a token must have one. Empty accepts every issuer."`
	Audiences []string          `key:"audiences" example:"chat" doc:"Audiences (aud) of which a token must have at least one. Empty accepts every audience, which is unsafe if the issuer signs tokens for other services, too."`

	AllowNoExpiry bool          `key:"allow_no_expiry" default:"false" doc:"Accepts tokens without an end (exp)."`
	ClockSkew     time.Duration `key:"clock_skew" default:"30s" max:"10m" off:"none" doc:"Tolerated difference between the clocks of the issuer and of the node."`
	TokenSize     int           `key:"token_size" default:"8KiB" unit:"size" max:"1MiB" doc:"Longest token. A token in a header cannot be longer than limits.header."`
	Sources       []string      `key:"sources" default:"header,neffos" doc:"The parts of a request that may have the token: header (Authorization), neffos (the URL parameter that clients in browsers send in place of it), cookie:NAME, query:NAME."`
	AllowLogin    bool          `key:"allow_login" default:"false" restart:"yes" doc:"Lets a client without a user log in over its open connection."`

	Claims             Claims   `key:"claims" doc:"The names of the claims that a node reads."`
	DefaultPermissions []string `key:"default_permissions" example:"chat:lobby,user-{user}:join,emit" doc:"Permissions of tokens that have none of their own, each NAMESPACE:ROOMS:ACTIONS, or NAMESPACE:ACTIONS for the namespace itself."`
}

// JWTKey is a key that verifies signatures: a file, a secret, or a file with a
// secret.
type JWTKey struct {
	File       string `key:"file" example:"/etc/stoa/issuer.pem" doc:"File with a public key in PEM, or with a JWK or JWK Set in JSON."`
	Secret     string `key:"secret" secret:"yes" example:"base64:bm90LWEtc2VjcmV0LWJ1dC0zMi1ieXRlcy1sb25nIQ==" doc:"Shared secret of at least 32 bytes: the text itself, or base64: or hex: and its bytes."`
	SecretFile string `key:"secret_file" example:"/etc/stoa/jwt-secret" doc:"File with a shared secret."`
	Algorithm  string `key:"algorithm" example:"ES256" doc:"Restricts the key to one algorithm. By default all that are for its type."`
}

// JWKS is the section of the JWK Set.
type JWKS struct {
	URL       string        `key:"url" secret:"url" example:"https://login.example.com/.well-known/jwks.json" doc:"Address of the JWK Set. It needs https, except on a loopback address."`
	AllowHTTP bool          `key:"allow_http" default:"false" doc:"Allows http for every address: the network can then replace the keys."`
	Refresh   time.Duration `key:"refresh" default:"10m" doc:"Time between two fetches. A token with an unknown key causes one earlier."`
	Cooldown  time.Duration `key:"cooldown" default:"2s" doc:"Shortest time between two fetches."`
	Timeout   time.Duration `key:"timeout" default:"5s" doc:"Maximum time of a fetch."`
	MaxSize   int           `key:"max_size" default:"256KiB" unit:"size" doc:"Largest JWK Set."`
}

// Claims are the names of claims.
type Claims struct {
	User        string `key:"user" default:"sub" doc:"Claim with the ID of the user."`
	Info        string `key:"info" default:"info" doc:"Claim that describes the user to others."`
	Permissions string `key:"permissions" default:"stoa" doc:"Claim with the permissions."`
}

// APIKey is one service with its keys.
type APIKey struct {
	Keys        []string `key:"keys" secret:"yes" example:"sk_not-a-key-but-as-long-as-one-is" doc:"The keys, which begin with sk_. Several are valid at the same time, for a rotation."`
	SHA256      []string `key:"sha256" example:"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" doc:"SHA-256 hashes of keys in hexadecimal, in place of the keys."`
	Scopes      []string `key:"scopes" example:"publish" doc:"Parts of the HTTP API, which is to come, that the service may use. * means all."`
	Permissions []string `key:"permissions" example:"chat:*:join,emit" doc:"Permissions of the connections of the service, each NAMESPACE:ROOMS:ACTIONS, or NAMESPACE:ACTIONS for the namespace itself."`
}

// HasJWT reports whether tokens are verified.
func (a *Auth) HasJWT() bool { return len(a.JWT.Keys) > 0 || a.JWT.JWKS.URL != "" }

// IsSet reports whether there is authentication.
func (a *Auth) IsSet() bool { return a.HasJWT() || len(a.APIKeys) > 0 }

// Authenticated reports whether every client is authenticated.
func (c *Config) Authenticated() bool { return c.Auth.IsSet() && c.Auth.Required != "never" }

// JWT returns the configuration of package auth for tokens. The values are
// checked; without HasJWT it cannot be used.
func (c *Config) JWT(log *slog.Logger) auth.JWTConfig {
	j := &c.Auth.JWT
	config := auth.JWTConfig{
		JWKS: auth.JWKS{
			URL: j.JWKS.URL, AllowHTTP: j.JWKS.AllowHTTP, Refresh: j.JWKS.Refresh, Cooldown: j.JWKS.Cooldown,
			Timeout: j.JWKS.Timeout, MaxSize: int64(j.JWKS.MaxSize),
		},
		Issuers: j.Issuers, Audiences: j.Audiences, AllowNoExpiry: j.AllowNoExpiry, ClockSkew: j.ClockSkew,
		TokenSize: j.TokenSize, Required: c.Auth.Required != "never", Claims: auth.Claims(j.Claims), Logger: log,
	}
	for _, id := range slices.Sorted(maps.Keys(j.Keys)) {
		k := j.Keys[id]
		config.Keys = append(config.Keys, auth.VerificationKey{
			ID: id, Algorithm: k.Algorithm, File: k.File, Secret: k.Secret, SecretFile: k.SecretFile,
		})
	}
	for _, source := range j.Sources {
		config.Sources = append(config.Sources, auth.Source(source))
	}
	config.DefaultPermissions, _ = permissions(j.DefaultPermissions)
	return config
}

// APIKeys returns the API keys of all services.
func (c *Config) APIKeys() []auth.APIKey {
	var all []auth.APIKey
	for _, name := range slices.Sorted(maps.Keys(c.Auth.APIKeys)) {
		service := c.Auth.APIKeys[name]
		base := auth.APIKey{Name: name, Scopes: service.Scopes}
		base.Permissions, _ = permissions(service.Permissions)
		for _, secret := range service.Keys {
			k := base
			k.Secret = secret
			all = append(all, k)
		}
		for _, hash := range service.SHA256 {
			k := base
			k.SHA256 = hash
			all = append(all, k)
		}
	}
	return all
}

// permissions parses permissions of one line each.
func permissions(lines []string) ([]access.Permission, error) {
	var all []access.Permission
	for _, line := range lines {
		p, err := access.ParsePermission(line)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		all = append(all, p)
	}
	return all, nil
}
