package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stoa-io/stoa/access"
)

// claims are those of one token, after the check of its signature. It
// implements jwt.Claims and jwt.ClaimsValidator.
type claims struct {
	config *JWTConfig
	known  *permissionCache
	fields object

	issuer                       string
	audience                     jwt.ClaimStrings
	expires, notBefore, issuedAt *jwt.NumericDate
}

// unmarshal reads the claims. Their names are compared exactly, unlike those of
// a struct.
func (c *claims) unmarshal(content []byte) error {
	// encoding/json would make one user of all whose IDs differ in bytes that
	// are no UTF-8.
	if !utf8.Valid(content) {
		return errors.New("the claims are not UTF-8")
	}
	if err := c.fields.unmarshal(content); err != nil {
		return err
	}
	if raw, ok := c.fields.get("iss"); ok {
		if err := unmarshalText(raw, &c.issuer); err != nil {
			return err
		}
	}
	if raw, ok := c.fields.get("aud"); ok {
		if err := c.unmarshalAudience(raw); err != nil {
			return err
		}
	}
	for _, date := range []struct {
		name string
		to   **jwt.NumericDate
	}{{"exp", &c.expires}, {"nbf", &c.notBefore}, {"iat", &c.issuedAt}} {
		if raw, ok := c.fields.get(date.name); ok {
			parsed, err := parseDate(raw)
			if err != nil {
				return err
			}
			*date.to = parsed
		}
	}
	return nil
}

// unmarshalAudience reads a text or a list of texts.
func (c *claims) unmarshalAudience(raw json.RawMessage) error {
	if raw[0] != '"' {
		return json.Unmarshal(raw, &c.audience)
	}
	c.audience = make(jwt.ClaimStrings, 1)
	return unmarshalText(raw, &c.audience[0])
}

// unmarshalText is json.Unmarshal for a text, which is mostly a plain one. raw
// is valid JSON, or empty.
func unmarshalText(raw json.RawMessage, to *string) error {
	if n := len(raw); n > 2 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		*to = string(raw[1 : n-1])
		return nil
	}
	return json.Unmarshal(raw, to)
}

// maxDate is the end of the year 9999 in seconds. Larger numbers are mostly
// milliseconds by mistake.
const maxDate = 253402300799

// parseDate reads a NumericDate of RFC 7519: seconds, possibly with a fraction.
func parseDate(raw json.RawMessage) (*jwt.NumericDate, error) {
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !(seconds >= 0 && seconds <= maxDate) {
		return nil, errors.New("want a date in seconds")
	}
	whole, fraction := math.Modf(seconds)
	return &jwt.NumericDate{Time: time.Unix(int64(whole), int64(fraction*1e9))}, nil
}

// GetExpirationTime implements jwt.Claims.
func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.expires, nil }

// GetIssuedAt implements jwt.Claims.
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error) { return c.issuedAt, nil }

// GetNotBefore implements jwt.Claims.
func (c *claims) GetNotBefore() (*jwt.NumericDate, error) { return c.notBefore, nil }

// GetIssuer implements jwt.Claims.
func (c *claims) GetIssuer() (string, error) { return c.issuer, nil }

// GetSubject implements jwt.Claims. The user may have another claim.
func (c *claims) GetSubject() (string, error) { return "", nil }

// GetAudience implements jwt.Claims.
func (c *claims) GetAudience() (jwt.ClaimStrings, error) { return c.audience, nil }

// Validate implements jwt.ClaimsValidator: the library compares with one issuer
// only.
func (c *claims) Validate() error {
	if len(c.config.Issuers) > 0 && !slices.Contains(c.config.Issuers, c.issuer) {
		return jwt.ErrTokenInvalidIssuer
	}
	return nil
}

// failure is the result for an error of jwt.Validator, in which there may be
// more than one fault. The expiry is the most useful one to clients.
func (c *claims) failure(err error) *Error {
	for _, known := range []struct {
		err    error
		result Result
	}{
		{jwt.ErrTokenExpired, ResultExpired},
		{jwt.ErrTokenNotValidYet, ResultNotValidYet},
		{jwt.ErrTokenUsedBeforeIssued, ResultIssuedLater},
		{jwt.ErrTokenInvalidIssuer, ResultWrongIssuer},
		{jwt.ErrTokenInvalidAudience, ResultWrongAudience},
	} {
		if errors.Is(err, known.err) {
			return &Error{Result: known.result}
		}
	}
	if c.expires == nil && !c.config.AllowNoExpiry {
		return &Error{Result: ResultNoExpiry}
	}
	return &Error{Result: ResultWrongAudience} // the only other required claim
}

// identity returns the identity in verified claims.
func (c *claims) identity() (access.Identity, error) {
	id := access.Identity{Permissions: c.config.DefaultPermissions}
	names := &c.config.Claims
	unusable := func(name, fault string) (access.Identity, error) {
		return access.Identity{}, &Error{ResultUnusableClaim, name + ": " + fault}
	}
	user, _ := c.fields.get(names.User)
	if unmarshalText(user, &id.User) != nil || id.User == "" {
		return unusable(names.User, "want the ID of the user, a text")
	}
	if strings.HasPrefix(id.User, ServicePrefix) {
		return unusable(names.User, strconv.Quote(ServicePrefix)+" begins the names of services with API keys")
	}
	if user := (access.Identity{User: id.User}); user.Validate() != nil {
		return unusable(names.User, fmt.Sprintf("want at most %d bytes without control or invisible characters", access.MaxUser))
	}
	if raw, ok := c.fields.get(names.Info); ok && !isNull(raw) {
		var info bytes.Buffer
		if json.Compact(&info, raw) != nil || info.Len() > access.MaxInfo {
			return unusable(names.Info, fmt.Sprintf("want at most %d bytes", access.MaxInfo))
		}
		id.Info = info.Bytes()
	}
	if raw, ok := c.fields.get(names.Permissions); ok {
		permissions, err := c.known.parse(raw)
		if err != nil {
			return unusable(names.Permissions, err.Error())
		}
		id.Permissions = permissions
	}
	if c.expires != nil {
		id.Expires = c.expires.Add(c.config.ClockSkew)
	}
	return id, nil
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }
