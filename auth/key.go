package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/stoa-io/stoa/internal/certwatch"
)

// VerificationKey is a key that verifies the signatures of tokens: exactly one
// of File, Secret and SecretFile.
type VerificationKey struct {
	// ID is compared with the kid of a token. A key without an ID verifies the
	// tokens whose kid is that of no other key, and those without one.
	ID string
	// Algorithm restricts the key to one of those of its type, such as "ES256".
	// Empty means all of them.
	Algorithm string
	// File is the path of a public key in PEM, or of a JWK or a JWK Set in
	// JSON. The latter have IDs and algorithms of their own. A private key is
	// refused.
	File string
	// Secret is a shared secret: the text itself, or "base64:" or "hex:" and
	// its bytes. It has at least 32 bytes for HS256, 48 for HS384 and 64 for
	// HS512.
	Secret string
	// SecretFile is the path of a file with a Secret. A line break at the end
	// does not count.
	SecretFile string
}

// The algorithms by the type of a key.
var (
	rsaAlgorithms   = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	hmacAlgorithms  = []string{"HS256", "HS384", "HS512"}
	ecAlgorithms    = map[string][]string{"P-256": {"ES256"}, "P-384": {"ES384"}, "P-521": {"ES512"}}
	edwardAlgorithm = []string{"EdDSA"}

	allAlgorithms = slices.Concat(hmacAlgorithms, rsaAlgorithms, ecAlgorithms["P-256"], ecAlgorithms["P-384"],
		ecAlgorithms["P-521"], edwardAlgorithm)
)

// The lengths of keys. That of a secret is the length of the hash.
const (
	minRSABits = 2048
	maxRSABits = 8192
	minSecret  = 32
)

// verifier is a key with the algorithms that it may be used with. It is
// immutable.
type verifier struct {
	id         string
	algorithms []string
	// material is []byte, *rsa.PublicKey, *ecdsa.PublicKey or
	// ed25519.PublicKey.
	material any
}

// newVerifier checks a key. algorithm may be empty.
func newVerifier(id, algorithm string, material any) (verifier, error) {
	algorithms, err := algorithmsOf(material)
	if err != nil {
		return verifier{}, err
	}
	if algorithm != "" {
		if !slices.Contains(algorithms, algorithm) {
			return verifier{}, fmt.Errorf("the algorithm %q is not for this key: want one of %s", algorithm, strings.Join(algorithms, ", "))
		}
		algorithms = []string{algorithm}
	}
	return verifier{id, algorithms, material}, nil
}

// algorithmsOf returns the algorithms of a key by its type and size.
func algorithmsOf(material any) ([]string, error) {
	switch key := material.(type) {
	case []byte:
		if len(key) < minSecret {
			return nil, fmt.Errorf("the secret has %d bytes: want at least 32 for HS256, 48 for HS384, 64 for HS512", len(key))
		}
		return hmacAlgorithms[:min(len(key)/16-1, len(hmacAlgorithms))], nil
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits || key.E < 3 || key.E%2 == 0 {
			return nil, fmt.Errorf("the RSA key has %d bits and the exponent %d: want %d to %d bits and an odd exponent", bits, key.E, minRSABits, maxRSABits)
		}
		return rsaAlgorithms, nil
	case *ecdsa.PublicKey:
		algorithms := ecAlgorithms[key.Curve.Params().Name]
		if _, err := key.ECDH(); err != nil || algorithms == nil {
			return nil, errors.New("the EC key is not a point of P-256, P-384 or P-521")
		}
		return algorithms, nil
	case ed25519.PublicKey:
		if len(key) == ed25519.PublicKeySize {
			return edwardAlgorithm, nil
		}
	}
	return nil, errUnsupported
}

// read returns the keys of the configuration. Its errors contain no part of a
// key.
func (k *VerificationKey) read() ([]verifier, error) {
	switch {
	case k.File != "" && k.Secret == "" && k.SecretFile == "":
		keys, err := k.readFile()
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", k.File, err)
		}
		return keys, nil
	case k.File == "" && (k.Secret == "") != (k.SecretFile == ""):
		text := k.Secret
		if k.SecretFile != "" {
			content, err := certwatch.ReadRegular(k.SecretFile)
			if err != nil {
				return nil, err
			}
			text = strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
		}
		secret, err := ParseSecret(text)
		if err != nil {
			return nil, err
		}
		v, err := newVerifier(k.ID, k.Algorithm, secret)
		return []verifier{v}, err
	}
	return nil, errors.New("want exactly one of File, Secret and SecretFile")
}

// unexpanded matches ${NAME} and $(NAME), which templates leave in place for a
// variable that they do not know.
var unexpanded = regexp.MustCompile(`^\$(\{[^{}]*\}|\([^()]*\))$`)

// ParseSecret returns the bytes of VerificationKey.Secret. It refuses a public
// or private key in PEM or JSON: as a secret, a public key would let everyone
// sign tokens. It also refuses blanks, and a variable such as ${NAME}.
func ParseSecret(text string) ([]byte, error) {
	trimmed := strings.TrimSpace(text)
	if trimmed == "" {
		return nil, errors.New("the secret is empty or blank")
	}
	if unexpanded.MatchString(trimmed) {
		return nil, errors.New("the secret is a variable that nothing has replaced by its value")
	}
	if strings.HasPrefix(trimmed, "-----BEGIN") || strings.HasPrefix(trimmed, "{") {
		return nil, errors.New("the secret is a key in PEM or JSON: use File")
	}
	if encoded, ok := strings.CutPrefix(text, "base64:"); ok {
		// With or without padding, in either alphabet.
		encoded = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(encoded, "="))
		secret, err := base64.RawStdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, errors.New("the secret is not valid base64")
		}
		return secret, nil
	}
	if encoded, ok := strings.CutPrefix(text, "hex:"); ok {
		secret, err := hex.DecodeString(encoded)
		if err != nil {
			return nil, errors.New("the secret is not valid hexadecimal")
		}
		return secret, nil
	}
	return []byte(text), nil
}

// readKeys reads all keys of a configuration.
func readKeys(keys []VerificationKey) (*keySet, error) {
	var all []verifier
	var errs []error
	for i := range keys {
		read, err := keys[i].read()
		if err != nil {
			errs = append(errs, &FieldError{Field: fieldKeys, Index: i, Name: keys[i].ID, Err: err})
			continue
		}
		all = append(all, read...)
	}
	return newKeySet(all), errors.Join(errs...)
}
