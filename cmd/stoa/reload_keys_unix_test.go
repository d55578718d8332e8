//go:build linux || darwin

package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/stoa-io/stoa/internal/testkit"
)

const rotated = "0123456789abcdef0123456789abcde"

// rotating is a configuration whose tokens may be signed with the given keys.
func rotating(keys ...int) string {
	content := "namespaces: {chat: {}}\nauth:\n  jwt:\n    keys:\n"
	for _, k := range keys {
		content += fmt.Sprintf("      key-%d: {secret: %s%x}\n", k, rotated, k%16)
	}
	return content
}

func signed(t *testing.T, key int) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(time.Hour).Unix()})
	token.Header["kid"] = fmt.Sprintf("key-%d", key)
	text, err := token.SignedString(fmt.Appendf(nil, "%s%x", rotated, key%16))
	if err != nil {
		t.Fatal(err)
	}
	return "Authorization: Bearer " + text
}

// While keys are rotated as operators do, first the new key, then without the
// old one, no client with a token of a key that is in force is refused.
func TestRotationUnderConnectingClients(t *testing.T) {
	const clients, rotations = 200, 10
	r := startReloading(t, rotating(0, 1))
	tokens := make([]string, rotations+2)
	for i := range tokens {
		tokens[i] = signed(t, i)
	}
	var valid, connected atomic.Int64 // the key that is valid before and after the next change
	valid.Store(1)
	done := make(chan struct{})
	var running sync.WaitGroup
	// Before a key is removed, the clients that began with it have ended.
	var using sync.RWMutex
	for range clients {
		running.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				using.RLock()
				key := valid.Load()
				status, err := tryUpgrade(r.address, tokens[key])
				using.RUnlock()
				if err != nil || status != http.StatusSwitchingProtocols {
					t.Errorf("a client with key %d got %d, %v", key, status, err)
					return
				}
				connected.Add(1)
			}
		})
	}
	for i := 1; i <= rotations; i++ {
		before := connected.Load()
		r.apply(t, rotating(i, i+1)) // the clients use i
		testkit.Eventually(t, "clients connect after the change", func() bool { return t.Failed() || connected.Load() >= before+clients })
		using.Lock()
		valid.Store(int64(i + 1))
		using.Unlock()
	}
	close(done)
	running.Wait()
	if got := r.status(t, tokens[0]); got != http.StatusUnauthorized {
		t.Errorf("a client with a key of before got %d, want 401", got)
	}
	if got := r.status(t, tokens[rotations+1]); got != http.StatusSwitchingProtocols {
		t.Errorf("a client with the last key got %d, want 101", got)
	}
}

// An API key that is removed is refused, and the last one, too. Tokens can
// replace API keys.
func TestReloadAPIKeys(t *testing.T) {
	const one, two = "sk_0123456789abcdef0123456789abcdef", "sk_fedcba9876543210fedcba9876543210"
	content := "namespaces: {chat: {}}\nauth: {api_keys: {backend: {keys: [%s]}}}\n"
	r := startReloading(t, fmt.Sprintf(content, one+", "+two))
	expect := func(header string, want int) {
		t.Helper()
		if got := r.status(t, header); got != want {
			t.Errorf("%s got %d, want %d", header, got, want)
		}
	}
	expect("X-Api-Key: "+one, http.StatusSwitchingProtocols)
	r.apply(t, fmt.Sprintf(content, two))
	expect("X-Api-Key: "+one, http.StatusUnauthorized)
	expect("X-Api-Key: "+two, http.StatusSwitchingProtocols)
	r.apply(t, rotating(1))
	expect("X-Api-Key: "+two, http.StatusUnauthorized)
	expect(signed(t, 1), http.StatusSwitchingProtocols)
	expect("", http.StatusUnauthorized)
	if got := r.metrics(t, `stoa_tokens_total{.*result="valid"`); !strings.HasSuffix(got, " 1") {
		t.Errorf("the metrics of tokens are %q", got)
	}
	r.apply(t, "namespaces: {chat: {}}\n")
	expect("", http.StatusSwitchingProtocols)
	r.apply(t, fmt.Sprintf(content, one))
	expect("", http.StatusUnauthorized)
	expect("X-Api-Key: "+one, http.StatusSwitchingProtocols)
}

// The demo page uses the namespace in force, and the internal port its hosts.
func TestReloadPages(t *testing.T) {
	r := startReloading(t, "namespaces: {chat: {}}\n", "--internal-listen", "127.0.0.1:0", "--demo")
	internal := r.Await(t, `Internal +http://(\S+)/metrics`)
	get := func(address, host, path string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
	if status, _ := get(internal, "ops.example.com", "/metrics"); status != http.StatusMisdirectedRequest {
		t.Errorf("another host got %d from the internal port, want 421", status)
	}
	r.apply(t, "namespaces: {news: {}}\nhosts: [ops.example.com]\n")
	if status, text := get(internal, "ops.example.com", "/metrics"); status != http.StatusOK || !strings.Contains(text, `stoa_config_reloads_total{result="applied"} 1`) {
		t.Errorf("an allowed host got %d from the internal port, want 200 and the metrics", status)
	}
	if _, page := get(r.address, "localhost", "/"); !strings.Contains(page, `content="news"`) {
		t.Errorf("the demo page does not use the namespace:\n%s", page)
	}
}
