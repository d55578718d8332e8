//go:build linux

package rows

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stoa-io/stoa/bench/internal/report"
	"github.com/stoa-io/stoa/internal/load"
	"github.com/stoa-io/stoa/internal/load/protocol"
)

// tokenUsers is the number of users. It exceeds the connections that are open
// at a time, so that almost every connection is the only one of its user.
const tokenUsers = 256

// An issuer signs tokens, and a node verifies them.
type issuer struct {
	algorithm string
	private   any
	public    any
	flags     []string // of the node
	tokens    []string
}

// measureTokens sets up connections with tokens as measureSetUp does without.
// HS256 is compared with a node that does not verify the tokens that it
// receives, and the algorithms with public keys with HS256.
func (b *Bench) measureTokens() ([]report.Result, error) {
	shared, err := b.newIssuer("HS256")
	if err != nil {
		return nil, err
	}
	pairs, err := b.compareIssuers(shared, &issuer{tokens: shared.tokens})
	if err != nil {
		return nil, err
	}
	cost := pairs.result("CPU per connection, HS256; no tokens", report.Microseconds, report.RatioAtMost(1.15), perOperation)
	cost.Notes = []string{"the floor of the first line is stoa without authentication, that of ES256 and RS256 is stoa with HS256"}
	results := []report.Result{cost}
	for _, algorithm := range []string{"ES256", "RS256"} {
		public, err := b.newIssuer(algorithm)
		if err != nil {
			return results, err
		}
		if pairs, err = b.compareIssuers(public, shared); err != nil {
			return results, err
		}
		check, err := public.check()
		if err != nil {
			return results, err
		}
		more := report.Result{Name: algorithm + " less HS256, in checks of a signature", Unit: report.Count, Goal: report.AtMost(1)}
		for i := range pairs.stoa {
			more.Stoa = append(more.Stoa, (perOperation(pairs.stoa[i])-perOperation(pairs.floor[i]))/(float64(check.Nanoseconds())/1000))
		}
		more.Notes = []string{fmt.Sprintf("a check of %s alone, in a loop of the controller: %.1f µs", algorithm, float64(check.Nanoseconds())/1000)}
		results = append(results, pairs.result("CPU per connection, "+algorithm+"; HS256", report.Microseconds, report.Goal{}, perOperation), more)
	}
	return results, nil
}

// compareIssuers sets up connections with the tokens of two issuers, in turn.
func (b *Bench) compareIssuers(one, other *issuer) (comparison, error) {
	var sides [2]*side
	for i, from := range []*issuer{one, other} {
		s, err := b.startSide(targetStoa, b.ServerCPU, 1, from.flags...)
		if err != nil {
			return comparison{}, err
		}
		defer s.stop()
		s.tokens = from.tokens
		sides[i] = s
	}
	count := max(200, int(setUps*b.Window/time.Second))
	return b.compareSides(sides[0], sides[1], nil, load.Command{Action: load.ActionSetUp, Count: min(count, MaxConnections), Rooms: 50})
}

// newIssuer makes a key, tokens, and the configuration of a node for them.
func (b *Bench) newIssuer(algorithm string) (*issuer, error) {
	i := &issuer{algorithm: algorithm}
	path, kind := filepath.Join(b.Dir, algorithm), "file"
	var err error
	switch algorithm {
	case "HS256":
		secret := []byte(rand.Text() + rand.Text())
		i.private, i.public, kind = secret, secret, "secret_file"
		err = os.WriteFile(path, secret, 0o600)
	case "ES256":
		var key *ecdsa.PrivateKey
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err == nil {
			i.private, i.public = key, &key.PublicKey
			err = writePublicKey(path, i.public)
		}
	case "RS256":
		var key *rsa.PrivateKey
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err == nil {
			i.private, i.public = key, &key.PublicKey
			err = writePublicKey(path, i.public)
		}
	}
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`namespaces: {%s: {relay: [rooms]}}
auth:
  jwt:
    issuers: ["https://login.example.com/"]
    audiences: [bench]
    keys: {bench: {%s: %q}}
`, protocol.Namespace, kind, path)
	i.flags = []string{"--config", path + ".yaml"}
	if err := os.WriteFile(path+".yaml", []byte(config), 0o600); err != nil {
		return nil, err
	}
	return i, i.sign()
}

func writePublicKey(path string, key any) error {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600)
}

// sign makes a token for each user, with a permission for all rooms.
func (i *issuer) sign() error {
	for user := range tokenUsers {
		token := jwt.NewWithClaims(jwt.GetSigningMethod(i.algorithm), jwt.MapClaims{
			"iss": "https://login.example.com/", "aud": "bench", "sub": fmt.Sprintf("user-%d", user),
			"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
			"stoa": map[string]any{"permissions": []any{
				map[string]any{"namespace": protocol.Namespace, "rooms": []string{"*"}, "allow": []string{"join", "emit"}},
			}},
		})
		token.Header["kid"] = "bench"
		signed, err := token.SignedString(i.private)
		if err != nil {
			return err
		}
		i.tokens = append(i.tokens, signed)
	}
	return nil
}

// check measures the check of one signature.
func (i *issuer) check() (time.Duration, error) {
	const checks = 1000
	method := jwt.GetSigningMethod(i.algorithm)
	end := strings.LastIndexByte(i.tokens[0], '.')
	signature, err := jwt.NewParser().DecodeSegment(i.tokens[0][end+1:])
	if err != nil {
		return 0, err
	}
	start := time.Now()
	for range checks {
		if err := method.Verify(i.tokens[0][:end], signature, i.public); err != nil {
			return 0, err
		}
	}
	return time.Since(start) / checks, nil
}
