package auth

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/MicahParks/jwkset"

	"github.com/stoa-io/stoa/internal/certwatch"
)

// readFile reads the keys of File.
func (k *VerificationKey) readFile() ([]verifier, error) {
	content, err := certwatch.ReadRegular(k.File)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(bytes.TrimSpace(content), []byte("{")) {
		material, err := parsePublicPEM(content)
		if err != nil {
			return nil, err
		}
		v, err := newVerifier(k.ID, k.Algorithm, material)
		return []verifier{v}, err
	}
	if k.ID != "" || k.Algorithm != "" {
		return nil, errors.New("a JWK has an ID (kid) and an algorithm (alg) of its own: leave out ID and Algorithm")
	}
	keys, skipped, err := parseJWKs(content, true)
	if err != nil {
		return nil, err
	}
	return keys, errors.Join(skipped...)
}

// parsePublicPEM returns the public key of a PEM file.
func parsePublicPEM(content []byte) (any, error) {
	block, rest := pem.Decode(content)
	if block == nil {
		return nil, errors.New("neither PEM nor JSON")
	}
	if next, _ := pem.Decode(rest); next != nil {
		return nil, errors.New("more than one key: use a file for each, or a JWK Set")
	}
	var material any
	var err error
	switch {
	case block.Type == "PUBLIC KEY":
		material, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		material, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errors.New("a private key: verifying needs the public one only (openssl pkey -pubout)")
	default:
		return nil, fmt.Errorf("PEM of the type %q: want PUBLIC KEY", block.Type)
	}
	if err != nil {
		return nil, errors.New("malformed public key")
	}
	return material, nil
}

// maxKeys bounds the keys of a JWK Set.
const maxKeys = 256

// errUnsupported is the fault of a key that cannot verify tokens, such as one
// for encryption: a JWK Set may have these.
var errUnsupported = errors.New("not a key for signatures by RSA, EC, Ed25519 or HMAC")

// parseJWKs reads a JWK or a JWK Set. skipped are the faults of keys that
// cannot be used. Secrets are read from trusted files only.
func parseJWKs(content []byte, secrets bool) (keys []verifier, skipped []error, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
		KTY  string            `json:"kty"`
	}
	if json.Unmarshal(content, &set) != nil {
		return nil, nil, errors.New("malformed JWK Set")
	}
	if set.KTY != "" {
		set.Keys = append(set.Keys, content)
	}
	if len(set.Keys) > maxKeys {
		return nil, nil, fmt.Errorf("a JWK Set of %d keys: want at most %d", len(set.Keys), maxKeys)
	}
	unsupported := 0
	for i, raw := range set.Keys {
		v, err := parseJWK(raw, secrets)
		switch {
		case err == nil:
			keys = append(keys, v)
		case errors.Is(err, errUnsupported):
			unsupported++
		default:
			skipped = append(skipped, fmt.Errorf("keys[%d]: %w", i, err))
		}
	}
	if len(keys) == 0 && len(skipped) == 0 {
		return nil, nil, fmt.Errorf("a JWK Set without a key for signatures (%d of other kinds)", unsupported)
	}
	return keys, skipped, nil
}

// parseJWK reads one key.
func parseJWK(raw json.RawMessage, secrets bool) (verifier, error) {
	var fields jwkset.JWKMarshal
	if json.Unmarshal(raw, &fields) != nil {
		return verifier{}, errors.New("malformed JWK")
	}
	secret := fields.KTY == jwkset.KtyOct
	switch {
	case fields.USE != "" && fields.USE != jwkset.UseSig,
		len(fields.KEYOPS) > 0 && !slices.Contains(fields.KEYOPS, jwkset.KeyOpsVerify),
		fields.ALG != "" && !slices.Contains(allAlgorithms, fields.ALG.String()):
		return verifier{}, errUnsupported
	case secret && !secrets:
		return verifier{}, errors.New("a secret that is published is none")
	case !secret && fields.D != "":
		return verifier{}, errors.New("a private key: verifying needs the public one only")
	}
	// A certificate next to the key says nothing that is checked here.
	fields.X5U, fields.X5C, fields.X5T, fields.X5TS256 = "", nil, "", ""
	// newVerifier checks the key. The library's own check compares encodings,
	// and so refuses numbers with leading zeros, which some providers publish.
	jwk, err := jwkset.NewJWKFromMarshal(fields, jwkset.JWKMarshalOptions{Private: secret}, jwkset.JWKValidateOptions{SkipAll: true})
	if errors.Is(err, jwkset.ErrUnsupportedKey) {
		return verifier{}, errUnsupported
	} else if err != nil {
		return verifier{}, errors.New("malformed JWK")
	}
	return newVerifier(fields.KID, fields.ALG.String(), jwk.Key())
}
