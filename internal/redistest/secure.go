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
	// ClientCert and ClientKey are PEM files of a client that the server knows.
	ClientCert, ClientKey string
}

// StartSecure starts such a server. Users have the form of a configuration
// file, with name and rights: "admin on >secret ~* &* +@all". A password has no
// spaces.
func StartSecure(t testing.TB, users ...string) *SecureServer {
	t.Helper()
	return startSecure(t, "no", users)
}

// StartMutual is StartSecure for a server that only accepts clients with a
// certificate.
func StartMutual(t testing.TB, users ...string) *SecureServer {
	t.Helper()
	return startSecure(t, "yes", users)
}

func startSecure(t testing.TB, authClients string, users []string) *SecureServer {
	t.Helper()
	s := &Server{t: t, directory: t.TempDir()}
	authority := s.makeCertificates()
	pool := x509.NewCertPool()
	pool.AddCert(authority)
	client, err := tls.LoadX509KeyPair(s.file("client.pem"), s.file("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	s.tls = &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{client}}
	s.arguments = []string{
		"--port", "0", "--tls-auth-clients", authClients,
		"--tls-cert-file", s.file("server.pem"), "--tls-key-file", s.file("server.key"), "--tls-ca-cert-file", s.file("authority.pem"),
	}
	for _, user := range append([]string{"default off"}, users...) {
		s.arguments = append(append(s.arguments, "--user"), strings.Fields(user)...)
	}
	return &SecureServer{
		Server: s.start(), Authority: s.file("authority.pem"),
		ClientCert: s.file("client.pem"), ClientKey: s.file("client.key"),
	}
}

// URLOf is the rediss:// URL of a user.
func (s *SecureServer) URLOf(user, password string) string {
	return (&url.URL{Scheme: "rediss", User: url.UserPassword(user, password), Host: s.Addr()}).String()
}

// TLS is the configuration of a client that trusts the server.
func (s *SecureServer) TLS() *tls.Config { return s.tls.Clone() }

func (s *Server) file(name string) string { return filepath.Join(s.directory, name) }

// makeCertificates writes the certificates and keys of the server and of a
// client, and the authority's certificate, to the server's directory.
func (s *Server) makeCertificates() *x509.Certificate {
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
	client := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "redistest client"},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	rootKey, leafKey, clientKey := s.makeKey(), s.makeKey(), s.makeKey()
	rootData := s.sign(root, root, rootKey, rootKey)
	s.writePEM("authority.pem", "CERTIFICATE", rootData)
	s.writePEM("server.pem", "CERTIFICATE", s.sign(leaf, root, leafKey, rootKey))
	s.writePEM("client.pem", "CERTIFICATE", s.sign(client, root, clientKey, rootKey))
	s.writeKey("server.key", leafKey)
	s.writeKey("client.key", clientKey)
	authority, err := x509.ParseCertificate(rootData)
	if err != nil {
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

func (s *Server) writeKey(name string, key *ecdsa.PrivateKey) {
	s.t.Helper()
	data, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.writePEM(name, "PRIVATE KEY", data)
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
