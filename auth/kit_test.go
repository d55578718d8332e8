package auth_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

func TestMain(m *testing.M) { os.Exit(testkit.Run(m, os.Stderr)) }

// The keys of all tests.
var (
	secret     = []byte("a secret of 64 bytes, which is long enough for every HMAC: HS512")
	rsaKey     = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	p256Key    = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p384Key    = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	p521Key    = must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	_, edKey   = must2(ed25519.GenerateKey(rand.Reader))
	algorithms = []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

// signingKey returns the private key for an algorithm.
func signingKey(algorithm string) any {
	switch algorithm {
	case "ES256":
		return p256Key
	case "ES384":
		return p384Key
	case "ES512":
		return p521Key
	case "EdDSA":
		return edKey
	case "none":
		return jwt.UnsafeAllowNoneSignatureType
	}
	if strings.HasPrefix(algorithm, "HS") {
		return secret
	}
	return rsaKey()
}

// publicKey returns the public half of a private key.
func publicKey(key any) any {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return &key.PublicKey
	case *ecdsa.PrivateKey:
		return &key.PublicKey
	case ed25519.PrivateKey:
		return key.Public()
	}
	panic("no private key")
}

func publicPEM(tb testing.TB, key any) []byte {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(publicKey(key))
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// writeFile writes a file of the test.
func writeFile(tb testing.TB, name string, content []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// keyFor is the configuration of the key that verifies an algorithm.
func keyFor(tb testing.TB, algorithm, id string) auth.VerificationKey {
	tb.Helper()
	if strings.HasPrefix(algorithm, "HS") {
		return auth.VerificationKey{ID: id, Secret: string(secret)}
	}
	return auth.VerificationKey{ID: id, File: writeFile(tb, "key.pem", publicPEM(tb, signingKey(algorithm)))}
}

// sign returns a token. An empty kid is left out.
func sign(tb testing.TB, algorithm string, key any, kid string, claims jwt.MapClaims) string {
	tb.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// ann returns the claims of a user, with changes. A nil value removes a claim.
func ann(changes jwt.MapClaims) jwt.MapClaims {
	claims := jwt.MapClaims{"sub": "ann", "iss": "https://issuer.test", "aud": "stoa", "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range changes {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	return claims
}

// newJWT returns a JWT until the end of the test.
func newJWT(tb testing.TB, config auth.JWTConfig) *auth.JWT {
	tb.Helper()
	verifier, err := auth.NewJWT(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(verifier.Close)
	return verifier
}

// expectResult fails unless a check had the result.
func expectResult(tb testing.TB, err error, want auth.Result) {
	tb.Helper()
	got := auth.ResultValid
	var refused *auth.Error
	if errors.As(err, &refused) {
		got = refused.Result
	} else if err != nil {
		tb.Errorf("the error %v is no *auth.Error", err)
	}
	if got != want {
		tb.Errorf("result %v (%v), want %v", got, err, want)
	}
}

// output collects the records of a logger.
type output struct {
	mu      sync.Mutex
	content bytes.Buffer
}

func (l *output) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.content.Write(p)
}

func (l *output) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.content.String()
}

// startNode serves a node with these accept handlers until the test ends.
func startNode(tb testing.TB, config node.Config, handlers ...node.AcceptHandler) *node.Node {
	tb.Helper()
	config.Namespaces = map[string]node.NamespaceOptions{"default": {Relay: node.RelayRooms}}
	config.AllowOrigins = []string{"https://stoa.test"}
	n, err := node.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	for _, h := range handlers {
		n.OnAccept(h)
	}
	serve(tb, n)
	return n
}

// serve serves a node until the test ends.
func serve(tb testing.TB, n *node.Node) {
	tb.Helper()
	if err := n.Listen("tcp", "127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve() }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
		defer cancel()
		if err := n.Shutdown(ctx); err != nil {
			tb.Errorf("Shutdown: %v", err)
		}
		<-served
	})
}

// client is one end of a socket to a node.
type client struct {
	net.Conn
	in *bufio.Reader
}

// handshake asks for a WebSocket and returns the answer.
func handshake(tb testing.TB, n *node.Node, path string, lines ...string) (*http.Response, *client) {
	tb.Helper()
	conn, err := net.Dial("tcp", n.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(testkit.Patience))
	if _, err := conn.Write([]byte(testkit.UpgradeRequest(path, lines...))); err != nil {
		tb.Fatal(err)
	}
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return response, &client{conn, in}
}
