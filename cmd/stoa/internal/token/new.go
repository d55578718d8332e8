package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
)

const newLong = `Make a JSON Web Token for development, and print it. It has the claims that a node
expects under their default names.

The key is a shared secret (--secret-file, at least 32 bytes; "base64:" and "hex:" in front
are understood) or a private key in PEM (--key-file: RSA, EC or Ed25519).

--allow NAMESPACE:ROOMS:ACTIONS allows actions in rooms, NAMESPACE:ACTIONS in the namespace
itself. Rooms are names, prefixes such as "team-*", or templates such as "user-{user}"; the
actions are connect, join, emit, ask, history, presence, or * for all. Both are separated by
commas. Without --allow the token has no permissions of its own.`

const newExample = `  (printf hex: && openssl rand -hex 32) > secret
  stoa token new --user ann --allow 'chat:lobby,team-*:join,emit' --secret-file secret
  stoa token new --user ann --info '{"name":"Ann"}' --expires 8h --key-file private.pem --kid dev-1`

// draft is a token to be made.
type draft struct {
	user, info          string
	allow               []string
	expires             time.Duration
	issuer              string
	audiences           []string
	secretFile, keyFile string
	algorithm, kid      string
}

func newNewCommand() *cobra.Command {
	var d draft
	command := &cobra.Command{
		Use:     "new --user ID {--secret-file FILE | --key-file FILE}",
		Short:   "Make a token for development",
		Long:    newLong,
		Example: newExample,
		Args:    cli.Args(0),
		RunE: func(command *cobra.Command, _ []string) error {
			text, err := d.sign(time.Now())
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(command.OutOrStdout(), text); err != nil {
				return cli.Failure(err)
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&d.user, "user", "", "ID of the user (the claim sub)")
	flags.StringVar(&d.info, "info", "", "JSON that describes the user to others (the claim info)")
	flags.StringArrayVar(&d.allow, "allow", nil, "permission, such as chat:lobby:join,emit; repeatable (the claim stoa)")
	flags.DurationVar(&d.expires, "expires", time.Hour, "time until the token expires; 0: never, which nodes refuse by default")
	flags.StringVar(&d.issuer, "issuer", "", "issuer (the claim iss)")
	flags.StringArrayVar(&d.audiences, "audience", nil, "audience; repeatable (the claim aud)")
	flags.StringVar(&d.secretFile, "secret-file", "", "file with a shared secret")
	flags.StringVar(&d.keyFile, "key-file", "", "PEM file with a private key")
	flags.StringVar(&d.algorithm, "alg", "", "algorithm; by default HS256, RS256, EdDSA, or that of the curve")
	flags.StringVar(&d.kid, "kid", "", "ID of the key in the header of the token")
	return command
}

// sign returns the token.
func (d *draft) sign(now time.Time) (string, error) {
	claims, err := d.claims(now)
	if err != nil {
		return "", err
	}
	algorithm, key, err := d.key()
	if err != nil {
		return "", err
	}
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims)
	if d.kid != "" {
		token.Header["kid"] = d.kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		return "", fmt.Errorf("--alg %s: %w", algorithm, err)
	}
	return text, nil
}

// claims checks and returns the claims.
func (d *draft) claims(now time.Time) (jwt.MapClaims, error) {
	if d.user == "" {
		return nil, errors.New("--user: want the ID of the user")
	}
	if d.expires < 0 {
		return nil, fmt.Errorf("--expires %v: want a time from now, or 0 for never", d.expires)
	}
	claims := jwt.MapClaims{"sub": d.user, "iat": now.Unix()}
	identity := access.Identity{User: d.user}
	if d.info != "" {
		identity.Info = json.RawMessage(d.info)
		claims["info"] = identity.Info
	}
	for _, text := range d.allow {
		permission, err := access.ParsePermission(text)
		if err != nil {
			return nil, fmt.Errorf("--allow %q: %w", text, err)
		}
		identity.Permissions = append(identity.Permissions, permission)
	}
	if err := identity.Validate(); err != nil {
		return nil, err
	}
	if len(identity.Permissions) > 0 {
		permissions, err := auth.FormatPermissions(identity.Permissions)
		if err != nil {
			return nil, err
		}
		claims["stoa"] = json.RawMessage(permissions)
	}
	if d.expires > 0 {
		claims["exp"] = now.Add(d.expires).Unix()
	}
	if d.issuer != "" {
		claims["iss"] = d.issuer
	}
	if len(d.audiences) > 0 {
		claims["aud"] = jwt.ClaimStrings(d.audiences)
	}
	return claims, nil
}
