package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/internal/certwatch"
)

// key returns the algorithm and the key that signs.
func (d *draft) key() (algorithm string, key any, err error) {
	switch {
	case (d.secretFile == "") == (d.keyFile == ""):
		return "", nil, errors.New("want either --secret-file or --key-file")
	case d.secretFile != "":
		algorithm, key, err = d.secret()
	default:
		if key, err = readPrivateKey(d.keyFile); err != nil {
			return "", nil, fmt.Errorf("--key-file: %w", err)
		}
		algorithm, err = d.algorithmOf(key)
	}
	return algorithm, key, err
}

// secret reads the shared secret, as a node does.
func (d *draft) secret() (algorithm string, secret []byte, err error) {
	algorithm = "HS256"
	if d.algorithm != "" {
		algorithm = d.algorithm
	}
	node, err := auth.NewJWT(auth.JWTConfig{Keys: []auth.VerificationKey{{SecretFile: d.secretFile, Algorithm: algorithm}}})
	if err != nil {
		return "", nil, fmt.Errorf("--secret-file: %w", err)
	}
	node.Close()
	content, err := certwatch.ReadRegular(d.secretFile)
	if err != nil {
		return "", nil, fmt.Errorf("--secret-file: %w", err)
	}
	secret, err = auth.ParseSecret(strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r"))
	return algorithm, secret, err
}

// algorithmOf returns the algorithm of --alg, or the default for the key.
func (d *draft) algorithmOf(key any) (string, error) {
	algorithm, family := "", ""
	switch key := key.(type) {
	case *rsa.PrivateKey:
		algorithm, family = "RS256", "RS256 RS384 RS512 PS256 PS384 PS512"
	case *ecdsa.PrivateKey:
		algorithm = map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[key.Curve.Params().Name]
		family = algorithm
	case ed25519.PrivateKey:
		algorithm, family = "EdDSA", "EdDSA"
	}
	switch {
	case algorithm == "":
		return "", errors.New("--key-file: want a key of RSA, EC (P-256, P-384, P-521) or Ed25519")
	case d.algorithm == "":
		return algorithm, nil
	case jwt.GetSigningMethod(d.algorithm) == nil || !strings.Contains(" "+family+" ", " "+d.algorithm+" "):
		return "", fmt.Errorf("--alg %q is not for this key: want one of %s", d.algorithm, strings.ReplaceAll(family, " ", ", "))
	}
	return d.algorithm, nil
}

// readPrivateKey reads a private key in PEM.
func readPrivateKey(path string) (any, error) {
	content, err := certwatch.ReadRegular(path)
	if err != nil {
		return nil, err
	}
	for {
		block, rest := pem.Decode(content)
		if block == nil {
			return nil, errors.New("no private key in PEM")
		}
		switch content = rest; block.Type {
		case "PRIVATE KEY":
			return x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			return x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			return x509.ParseECPrivateKey(block.Bytes)
		}
	}
}
