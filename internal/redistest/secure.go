package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// SecureServer is a Redis server that accepts only TLS and only its users.
type SecureServer struct {
	*Server
	// Authority is a PEM file with the certificate that signed the server's. No
	// system trusts it.
	Authority string
}

// StartSecure starts such a server. Users have the form of a configuration
// file, with name and rights: "admin on >secret ~* &* +@all". A password has no
// spaces.
func StartSecure(t testing.TB, users ...string) *SecureServer {
	t.Helper()
	s := &Server{t: t, directory: t.TempDir()}
	authority := s.makeCertificates()
	pool := x509.NewCertPool()
	pool.AddCert(authority)
	s.tls = &tls.Config{RootCAs: pool}
	s.arguments = []string{
		"--port", "0", "--tls-auth-clients", "no",
		"--tls-cert-file", s.file("server.pem"), "--tls-key-file", s.file("server.key"), "--tls-ca-cert-file", s.file("authority.pem"),
	}
	for _, user := range append([]string{"default off"}, users...) {
		s.arguments = append(append(s.arguments, "--user"), strings.Fields(user)...)
	}
	return &SecureServer{Server: s.start(), Authority: s.file("authority.pem")}
}

// URLOf is the rediss:// URL of a user.
func (s *SecureServer) URLOf(user, password string) string {
	return (&url.URL{Scheme: "rediss", User: url.UserPassword(user, password), Host: s.Addr()}).String()
}

// TLS is the configuration of a client that trusts the server.
func (s *SecureServer) TLS() *tls.Config { return s.tls.Clone() }

func (s *Server) file(name string) string { return filepath.Join(s.directory, name) }

// makeCertificates writes the server's certificate and key and the authority's
// certificate to the server's directory.
func (s *Server) makeCertificates() (authority *x509.Certificate) {
	s.t.Helper()
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redistest authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "redistest server"},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	rootKey, leafKey := s.makeKey(), s.makeKey()
	rootData := s.sign(root, root, rootKey, rootKey)
	s.writePEM("authority.pem", "CERTIFICATE", rootData)
	s.writePEM("server.pem", "CERTIFICATE", s.sign(leaf, root, leafKey, rootKey))
	key, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		s.t.Fatal(err)
	}
	s.writePEM("server.key", "PRIVATE KEY", key)
	if authority, err = x509.ParseCertificate(rootData); err != nil {
		s.t.Fatal(err)
	}
	return authority
}

func (s *Server) makeKey() *ecdsa.PrivateKey {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	return key
}

func (s *Server) sign(certificate, issuer *x509.Certificate, key, issuerKey *ecdsa.PrivateKey) []byte {
	s.t.Helper()
	data, err := x509.CreateCertificate(rand.Reader, certificate, issuer, &key.PublicKey, issuerKey)
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

func (s *Server) writePEM(name, kind string, data []byte) {
	s.t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data})
	if err := os.WriteFile(s.file(name), text, 0o600); err != nil {
		s.t.Fatal(err)
	}
}
