package auth

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/stoa-io/stoa/access"
)

// The defaults of a JWTConfig, and its bounds.
const (
	DefaultClockSkew = 30 * time.Second
	MaxClockSkew     = 10 * time.Minute
	DefaultTokenSize = 8 << 10
	MaxTokenSize     = 1 << 20
)

// JWTConfig configures a JWT. Keys, JWKS or both are required.
type JWTConfig struct {
	// Keys verify signatures, next to those of JWKS.
	Keys []VerificationKey
	// JWKS is the address of more keys, which an identity provider publishes.
	JWKS JWKS

	// Issuers are the values of the claim iss of which a token must have one;
	// empty accepts every issuer.
	Issuers []string
	// Audiences are the values of the claim aud of which a token must have at
	// least one; empty accepts every audience, which is unsafe if the issuer
	// signs tokens for other services, too.
	Audiences []string
	// AllowNoExpiry accepts tokens without the claim exp, which never end.
	AllowNoExpiry bool
	// ClockSkew is the tolerated difference between the clocks of the issuer
	// and the node, at most 10 min; 30 s by default, negative: none. A token is
	// good until ClockSkew after its exp.
	ClockSkew time.Duration
	// TokenSize is the length of the longest token in bytes, at most 1 MiB; 8
	// KiB by default. A longer token than node.Limits.Header cannot arrive.
	TokenSize int

	// Sources are the parts of a request that may contain a token. The default
	// is "header" and "neffos".
	Sources []Source
	// Required refuses requests without a token. Without it, they have no
	// identity, and the namespaces decide about their permissions.
	Required bool

	// Claims are the names of the claims that become the identity.
	Claims Claims
	// DefaultPermissions are those of a token without the claim of Claims.
	// Permissions.
	DefaultPermissions []access.Permission

	// Logger receives the faults of the JWKS. Nil discards them.
	Logger *slog.Logger
}

// Claims are names of claims, at the top level of a token. An empty name means
// the default.
type Claims struct {
	// User is the claim with the ID of the user, a string; "sub" by default. A
	// token without it is refused.
	User string
	// Info is the claim that describes the user to others, any JSON of at most
	// access.MaxInfo bytes; "info" by default.
	Info string
	// Permissions is the claim for ParsePermissions; "stoa" by default.
	Permissions string
}

// JWKS is a JWK Set (RFC 7517) at a URL. Only asymmetric keys are taken from
// it.
type JWKS struct {
	// URL has the scheme https, or http for a loopback address. Empty means
	// none.
	URL string
	// AllowHTTP allows http for every address: the network between the node and
	// the server can then replace the keys.
	AllowHTTP bool
	// Refresh is the time between two fetches; 10 min by default. A token with
	// an unknown key causes one earlier.
	Refresh time.Duration
	// Cooldown is the shortest time between two fetches; 2 s by default. A
	// token with an unknown key waits that long at most, so it must be shorter
	// than node.Timeouts.Handshake.
	Cooldown time.Duration
	// Timeout bounds a fetch; 5 s by default.
	Timeout time.Duration
	// MaxSize bounds the answer in bytes; 256 KiB by default.
	MaxSize int64
	// Client fetches the keys. Nil means one with the system's CA certificates
	// and the proxy of the environment. Its redirects and its timeout are
	// replaced.
	Client *http.Client
}

// withDefaults returns a copy in which every zero is replaced by its default.
func (c JWTConfig) withDefaults() JWTConfig {
	setDefault(&c.ClockSkew, DefaultClockSkew)
	c.ClockSkew = max(c.ClockSkew, 0)
	setDefault(&c.TokenSize, DefaultTokenSize)
	if len(c.Sources) == 0 {
		c.Sources = []Source{SourceHeader, SourceNeffos}
	}
	setDefault(&c.Claims.User, "sub")
	setDefault(&c.Claims.Info, "info")
	setDefault(&c.Claims.Permissions, "stoa")
	setDefault(&c.JWKS.Refresh, 10*time.Minute)
	setDefault(&c.JWKS.Cooldown, 2*time.Second)
	setDefault(&c.JWKS.Timeout, 5*time.Second)
	setDefault(&c.JWKS.MaxSize, 256<<10)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Check reports every mistake of the configuration. It reads the files of the
// keys, as NewJWT does, but fetches no JWKS. The error contains no secret.
func (c JWTConfig) Check() error {
	_, err := c.prepare()
	return err
}

// prepare checks the configuration, which has its defaults then, and reads the
// keys.
func (c *JWTConfig) prepare() (*keySet, error) {
	*c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	return readKeys(c.Keys)
}

// validate reports every field that cannot be used, in one error. The keys are
// checked when they are read.
func (c *JWTConfig) validate() error {
	var errs []error
	add := func(field, value string, err error) {
		errs = append(errs, &FieldError{Field: field, Value: value, Err: err})
	}
	if len(c.Keys) == 0 && c.JWKS.URL == "" {
		errs = append(errs, errors.New("auth: want Keys or JWKS.URL: without keys no token is valid"))
	}
	if c.ClockSkew > MaxClockSkew {
		add("ClockSkew", c.ClockSkew.String(), fmt.Errorf("want at most %v", MaxClockSkew))
	}
	if c.TokenSize < 0 || c.TokenSize > MaxTokenSize {
		add("TokenSize", strconv.Itoa(c.TokenSize), fmt.Errorf("want at most %d bytes", MaxTokenSize))
	}
	for _, names := range []struct {
		field string
		list  []string
	}{{"Issuers", c.Issuers}, {"Audiences", c.Audiences}} {
		if slices.Contains(names.list, "") {
			add(names.field, "", errors.New("an empty text is no name"))
		}
	}
	for _, s := range c.Sources {
		if err := s.validate(); err != nil {
			add("Sources", strconv.Quote(string(s)), err)
		}
	}
	names := []string{c.Claims.User, c.Claims.Info, c.Claims.Permissions}
	slices.Sort(names)
	if len(slices.Compact(names)) < 3 {
		add("Claims", "", errors.New("the user, the info and the permissions are in different claims"))
	}
	defaults := access.Identity{Permissions: c.DefaultPermissions}
	if err := defaults.Validate(); err != nil {
		add("DefaultPermissions", "", err)
	}
	if c.JWKS.URL != "" {
		errs = append(errs, c.JWKS.validate())
	}
	return errors.Join(errs...)
}

func (j *JWKS) validate() error {
	address, err := url.Parse(j.URL)
	switch {
	case err != nil || address.Host == "":
		// url.Parse quotes it, passwords included.
		return &FieldError{Field: "JWKS.URL", Err: errors.New("want https://HOST/PATH")}
	case !j.allows(address):
		return &FieldError{Field: "JWKS.URL", Value: redacted(address),
			Err: errors.New("want https; http only for a loopback address, or with AllowHTTP")}
	case j.Refresh < 0 || j.Cooldown < 0 || j.Timeout < 0 || j.MaxSize < 0:
		return &FieldError{Field: "JWKS", Err: errors.New("want no negative Refresh, Cooldown, Timeout or MaxSize")}
	case j.Refresh < j.Cooldown:
		return &FieldError{Field: "JWKS.Refresh", Value: j.Refresh.String(), Err: fmt.Errorf("want at least the Cooldown, %v", j.Cooldown)}
	}
	return nil
}

// allows reports whether keys may be fetched from an address, which may be that
// of a redirect.
func (j *JWKS) allows(address *url.URL) bool {
	return address.Scheme == "https" || address.Scheme == "http" && (j.AllowHTTP || isLoopback(address.Hostname()))
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// redacted is an address for logs and errors: its user, password and parameters
// may be secrets.
func redacted(address *url.URL) string {
	return (&url.URL{Scheme: address.Scheme, Host: address.Host, Path: address.Path}).String()
}
