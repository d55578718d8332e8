package config

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/testkit"
)

// certificate returns a replacer of CERT and KEY by the paths of files.
func certificate(t *testing.T) *strings.Replacer {
	t.Helper()
	cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	certPEM, keyPEM := testkit.PEMPair(t, 1)
	testkit.ReplaceFile(t, cert, certPEM)
	testkit.ReplaceFile(t, key, keyPEM)
	public, shared := filepath.Join(t.TempDir(), "public.pem"), filepath.Join(t.TempDir(), "secret")
	testkit.ReplaceFile(t, public, publicPEM(t))
	testkit.ReplaceFile(t, shared, []byte(secret))
	return strings.NewReplacer("CERT", cert, "KEY", key, "PUBLIC", public, "SECRET", shared)
}

// publicPEM returns a public key.
func publicPEM(t *testing.T) []byte {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
