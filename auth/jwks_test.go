package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/internal/testkit"
	"github.com/stoa-io/stoa/node"
)

// provider is an identity provider: it signs tokens and publishes its keys.
type provider struct {
	*httptest.Server
	fetches atomic.Int64

	mu     sync.Mutex
	answer http.HandlerFunc // in place of the keys
	keys   map[string]*ecdsa.PrivateKey
	latest string
	number int
}

func startProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{keys: make(map[string]*ecdsa.PrivateKey)}
	p.rotate()
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.fetches.Add(1)
		p.mu.Lock()
		answer, set := p.answer, p.set()
		p.mu.Unlock()
		if answer != nil {
			answer(w, r)
			return
		}
		_, _ = w.Write(set)
	}))
	t.Cleanup(p.Close)
	return p
}

// rotate adds a key, which signs from now on.
func (p *provider) rotate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.number++
	p.latest = fmt.Sprintf("key %d", p.number)
	p.keys[p.latest] = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
}

// withdraw removes all keys but the latest.
func (p *provider) withdraw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.keys {
		if id != p.latest {
			delete(p.keys, id)
		}
	}
}

// answerWith replaces the answer; nil restores it.
func (p *provider) answerWith(answer http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// token is one of the latest key.
func (p *provider) token(t *testing.T) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	return sign(t, "ES256", p.keys[p.latest], p.latest, ann(nil))
}

// tokenWithoutKid has no kid.
func (p *provider) tokenWithoutKid(t *testing.T) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	return sign(t, "ES256", p.keys[p.latest], "", ann(nil))
}

// set is the JWK Set.
func (p *provider) set() []byte {
	var keys []map[string]any
	for id, key := range p.keys {
		keys = append(keys, publicJWK(id, key))
	}
	return must(json.Marshal(map[string]any{"keys": keys}))
}

func publicJWK(id string, key *ecdsa.PrivateKey) map[string]any {
	field := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, 32))) }
	return map[string]any{"kty": "EC", "crv": "P-256", "use": "sig", "kid": id, "x": field(key.X), "y": field(key.Y)}
}

// config fetches often, so that tests are quick.
func (p *provider) config() auth.JWTConfig {
	return auth.JWTConfig{JWKS: auth.JWKS{URL: p.URL + "/jwks?secret=parameter", Cooldown: time.Millisecond, Timeout: testkit.Patience}}
}

func TestJWKS(t *testing.T) {
	p := startProvider(t)
	verifier := newJWT(t, p.config())
	// The first fetch may not have ended.
	if id, err := verifier.Verify(t.Context(), p.token(t)); err != nil || id.User != "ann" {
		t.Errorf("%v, %+v", err, id)
	}
	old := p.token(t)
	p.rotate()
	for _, token := range []string{p.token(t), old} {
		if _, err := verifier.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
	}
	p.rotate()
	p.withdraw()
	if _, err := verifier.Verify(t.Context(), p.token(t)); err != nil {
		t.Error(err)
	}
	_, err := verifier.Verify(t.Context(), old)
	expectResult(t, err, auth.ResultUnknownKey)
	for range 3 { // an issuer without kids
		if _, err := verifier.Verify(t.Context(), p.tokenWithoutKid(t)); err != nil {
			t.Error(err)
		}
		p.rotate()
	}
	// A published key is not the secret of an HMAC.
	fetches := p.fetches.Load()
	_, err = verifier.Verify(t.Context(), sign(t, "HS256", publicPEM(t, p256Key), "any", ann(nil)))
	expectResult(t, err, auth.ResultAlgorithm)
	if p.fetches.Load() != fetches {
		t.Error("a token with an HMAC caused a fetch")
	}
	if s := verifier.Stats(); !s.JWKSUp || s.JWKSKeys != 3 || s.JWKSFetched == 0 || s.JWKSFailed != 0 {
		t.Errorf("%+v", s)
	}
}

// Clients log in while the provider rotates its keys, and forgers make up IDs
// of keys. No valid token is refused.
func TestRotationUnderLoad(t *testing.T) {
	const clients, logins = 200, 1
	p := startProvider(t)
	config := p.config()
	config.Required = true
	verifier := newJWT(t, config)
	n := startNode(t, node.Config{}, verifier.Accept)
	var wait sync.WaitGroup
	var done atomic.Int64
	for range clients {
		wait.Go(func() {
			for range logins {
				if response, _ := handshake(t, n, "/ws", "Authorization: Bearer "+p.token(t)); response.StatusCode != http.StatusSwitchingProtocols {
					t.Errorf("a valid token: %s", response.Status)
				}
				done.Add(1)
			}
		})
		wait.Go(func() {
			forged := sign(t, "ES256", p256Key, "made up", ann(nil))
			if response, _ := handshake(t, n, "/ws", "Authorization: Bearer "+forged); response.StatusCode != http.StatusUnauthorized {
				t.Errorf("a forged token: %s", response.Status)
			}
		})
	}
	for i := range int64(5) {
		testkit.Eventually(t, "more logins", func() bool { return done.Load() >= i*clients*logins/6 || t.Failed() })
		p.rotate()
	}
	wait.Wait()
	if s := verifier.Stats(); s.Results[auth.ResultValid] != clients*logins || s.Results[auth.ResultUnknownKey] != clients {
		t.Errorf("counted %v", s.Results)
	}
}

// A JWKS that is unreachable or broken locks out no token whose key is known.
// One whose key is unknown is asked to come again.
func TestBrokenJWKS(t *testing.T) {
	p := startProvider(t)
	var logged output
	config := p.config()
	config.JWKS.MaxSize = 1000
	config.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	verifier := newJWT(t, config)
	known := p.token(t)
	if _, err := verifier.Verify(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	withdrawn := publicJWK("other", p256Key)
	withdrawn["d"] = "AAAA"
	text := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
	}
	p.answerWith(text("<html>")) // the first requests may have led to another fetch
	p.rotate()
	unknown := p.token(t)
	for want, answer := range map[string]http.HandlerFunc{
		"answered with status 500":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"answered with status 204":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"malformed JWK Set":               text("<html>"),
		"without a key for signatures (0": text(`{"keys":[]}`),
		"without a key for signatures (1": text(`{"keys":[{"kty":"EC","use":"enc"}]}`),
		"keys[0]: a secret that is":       text(`{"keys":[{"kty":"oct","kid":"x","k":"AAAA"}]}`),
		"keys[0]: a private key":          text(string(must(json.Marshal(map[string]any{"keys": []any{withdrawn}})))),
		"more than 1000 bytes":            text(strings.Repeat(" ", 1001)),
		"a redirect to an address without": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		},
		"too many redirects": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) },
		"the answer is cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "900")
			_, _ = w.Write([]byte("{"))
		},
	} {
		p.answerWith(answer)
		_, err := verifier.Verify(t.Context(), unknown)
		expectResult(t, err, auth.ResultKeysUnavailable)
		if _, err := verifier.Verify(t.Context(), known); err != nil {
			t.Errorf("%s: a known key: %v", want, err)
		}
		if !strings.Contains(logged.String(), want) || verifier.Stats().JWKSUp {
			t.Errorf("the log has no %q:\n%s", want, logged.String())
		}
	}
	if s := verifier.Stats(); s.JWKSFailed == 0 || s.JWKSUp {
		t.Errorf("%+v", s)
	}
	p.answerWith(nil)
	if _, err := verifier.Verify(t.Context(), unknown); err != nil {
		t.Error(err)
	}
	if strings.Contains(logged.String(), "parameter") {
		t.Error("a parameter of the URL is in the log")
	}
	p.Close()
	_, err := verifier.Verify(t.Context(), sign(t, "ES256", p256Key, "made up", ann(nil)))
	expectResult(t, err, auth.ResultKeysUnavailable)
	if _, err := verifier.Verify(t.Context(), unknown); err != nil {
		t.Errorf("unreachable: %v", err)
	}
}

// A node whose provider is unreachable starts, and tells clients to come again.
func TestJWKSUnreachableAtTheStart(t *testing.T) {
	p := startProvider(t)
	p.answerWith(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	config := p.config()
	config.Keys = []auth.VerificationKey{keyFor(t, "ES384", "static")}
	verifier := newJWT(t, config)
	n := startNode(t, node.Config{}, verifier.Accept)
	response, _ := handshake(t, n, "/ws", "Authorization: Bearer "+p.token(t))
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" || response.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("answered with %s, %v", response.Status, response.Header)
	}
	response, _ = handshake(t, n, "/ws", "Authorization: Bearer "+sign(t, "ES384", p384Key, "static", ann(nil)))
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("a key of a file: answered with %s", response.Status)
	}
	p.answerWith(nil)
	response, _ = handshake(t, n, "/ws", "Authorization: Bearer "+p.token(t))
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("answered with %s", response.Status)
	}
}

// A key in the set that cannot be used does not spoil the others.
func TestJWKSWithUnusableKeys(t *testing.T) {
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	p := startProvider(t)
	set := map[string]any{"keys": []any{
		map[string]any{"kty": "RSA", "kid": "small", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString(small.N.Bytes())},
		map[string]any{"kty": "future", "kid": "x"}, "no key", publicJWK("good", p256Key),
	}}
	p.answerWith(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(set) })
	var logged output
	config := p.config()
	config.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	verifier := newJWT(t, config)
	if _, err := verifier.Verify(t.Context(), sign(t, "ES256", p256Key, "good", ann(nil))); err != nil {
		t.Error(err)
	}
	_, err := verifier.Verify(t.Context(), sign(t, "RS256", small, "small", ann(nil)))
	expectResult(t, err, auth.ResultUnknownKey)
	for _, want := range []string{"keys[0]: the RSA key has 1024 bits", "keys[2]: malformed JWK"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, logged.String())
		}
	}
}

// Tokens with unknown keys cause one fetch per cooldown, however many they are.
func TestFetchesAreRateLimited(t *testing.T) {
	p := startProvider(t)
	config := p.config()
	config.JWKS.Cooldown, config.JWKS.Refresh = 200*time.Millisecond, time.Hour
	verifier := newJWT(t, config)
	if _, err := verifier.Verify(t.Context(), p.token(t)); err != nil {
		t.Fatal(err)
	}
	before, start := p.fetches.Load(), time.Now()
	var wait sync.WaitGroup
	for i := range 100 {
		wait.Go(func() {
			_, err := verifier.Verify(t.Context(), sign(t, "ES256", p256Key, fmt.Sprint(i), ann(nil)))
			expectResult(t, err, auth.ResultUnknownKey)
		})
	}
	wait.Wait()
	allowed := int64(time.Since(start)/config.JWKS.Cooldown) + 1
	if got := p.fetches.Load() - before; got < 1 || got > allowed {
		t.Errorf("%d fetches, want 1 to %d", got, allowed)
	}
}

// Replace and rotation at once, under load: no login is lost.
func TestReplaceUnderLoad(t *testing.T) {
	first, second := startProvider(t), startProvider(t)
	second.mu.Lock()
	first.mu.Lock()
	for id, key := range first.keys { // the same keys at another address
		second.keys[id] = key
	}
	first.mu.Unlock()
	second.mu.Unlock()
	verifier := newJWT(t, first.config())
	token := first.token(t)
	stop := make(chan struct{})
	var wait sync.WaitGroup
	var valid atomic.Int64
	for range 4 {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := verifier.Verify(t.Context(), token); err != nil {
					t.Error(err)
					return
				}
				valid.Add(1)
			}
		})
	}
	for i := range 10 {
		config := first.config()
		if i%2 == 0 {
			config = second.config()
		}
		if err := verifier.Replace(config); err != nil {
			t.Error(err)
		}
		before := valid.Load()
		testkit.Eventually(t, "more checks", func() bool { return valid.Load() > before || t.Failed() })
	}
	close(stop)
	wait.Wait()
	// The keys of the same JWKS stay known.
	if err := verifier.Replace(first.config()); err != nil {
		t.Error(err)
	}
	if _, err := verifier.Verify(t.Context(), token); err != nil {
		t.Error(err)
	}
	first.answerWith(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	config := first.config()
	config.Audiences = []string{"stoa"}
	if err := verifier.Replace(config); err != nil {
		t.Error(err)
	}
	if _, err := verifier.Verify(t.Context(), token); err != nil {
		t.Error(err)
	}
}
