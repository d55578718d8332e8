package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/auth"
	"github.com/stoa-io/stoa/node"
)

const (
	oneKey   = "sk_one_0123456789abcdef0123456789"
	otherKey = "sk_two_0123456789abcdef0123456789"
)

func newKeys(t *testing.T, keys ...auth.APIKey) *auth.Keys {
	t.Helper()
	k, err := auth.NewKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// hashOf is the SHA-256 of a key in hexadecimal.
func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func TestAPIKeys(t *testing.T) {
	keys := newKeys(t,
		auth.APIKey{Name: "billing", Secret: oneKey, Scopes: []string{"emit"}},
		auth.APIKey{Name: "billing", SHA256: hashOf(otherKey), Scopes: []string{"*"}})
	for _, c := range []struct {
		name  string
		lines []string
		want  auth.Result
	}{
		{"bearer", []string{"Authorization: Bearer " + oneKey}, auth.ResultValid},
		{"X-API-Key", []string{"X-API-Key: " + oneKey}, auth.ResultValid},
		{"both", []string{"X-API-Key: " + oneKey, "Authorization: Bearer " + oneKey}, auth.ResultValid},
		{"the next key, by its hash", []string{"X-API-Key: " + otherKey}, auth.ResultValid},
		{"two keys", []string{"X-API-Key: " + oneKey, "Authorization: Bearer " + otherKey}, auth.ResultAmbiguous},
		{"no key", nil, auth.ResultTokenRequired},
		{"another token", []string{"Authorization: Bearer e30.e30.e30"}, auth.ResultTokenRequired},
		{"unknown", []string{"X-API-Key: " + oneKey + "0"}, auth.ResultUnknownKey},
		{"cut", []string{"Authorization: Bearer " + oneKey[:31]}, auth.ResultUnknownKey},
		{"the hash itself", []string{"X-API-Key: sk_" + hashOf(otherKey)}, auth.ResultUnknownKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range c.lines {
				name, value, _ := strings.Cut(line, ": ")
				r.Header.Add(name, value)
			}
			info, err := keys.Check(r)
			expectResult(t, err, c.want)
			if err == nil && (info.Name != "billing" || !info.HasScope("emit")) || err != nil && info.Name != "" {
				t.Errorf("%+v", info)
			}
		})
	}
	if s := keys.Stats(); s[auth.ResultValid] != 4 || s[auth.ResultUnknownKey] != 3 {
		t.Errorf("counted %v", s)
	}
	scoped := auth.KeyInfo{Scopes: []string{"emit"}}
	if scoped.HasScope("admin") || scoped.HasScope("") {
		t.Error("a scope that the key does not have")
	}
}

// Keys and tokens on one node: each refuses its own, and a service needs no
// token.
func TestAPIKeysWithJWT(t *testing.T) {
	permissions := []access.Permission{{Namespace: "chat", Allow: access.Emit}}
	keys := newKeys(t, auth.APIKey{Name: "bridge", Secret: oneKey, Permissions: permissions})
	verifier := newJWT(t, auth.JWTConfig{
		Keys: []auth.VerificationKey{{Secret: string(secret)}}, Required: true, Sources: []auth.Source{auth.SourceHeader, auth.CookieSource("session")},
	})
	n := startNode(t, node.Config{}, keys.Accept, verifier.Accept)
	token := sign(t, "HS256", secret, "", ann(nil))
	for _, c := range []struct {
		name   string
		status int
		lines  []string
	}{
		{"token", http.StatusSwitchingProtocols, []string{"Authorization: Bearer " + token}},
		{"key", http.StatusSwitchingProtocols, []string{"Authorization: Bearer " + oneKey}},
		{"key in its own field", http.StatusSwitchingProtocols, []string{"X-API-Key: " + oneKey}},
		{"unknown key", http.StatusUnauthorized, []string{"Authorization: Bearer " + otherKey}},
		{"unknown key with a good token", http.StatusUnauthorized, []string{"X-API-Key: " + otherKey, "Authorization: Bearer " + token}},
		{"two identities", http.StatusBadRequest, []string{"X-API-Key: " + oneKey, "Authorization: Bearer " + token}},
		{"nothing", http.StatusUnauthorized, nil},
	} {
		if response, _ := handshake(t, n, "/ws", c.lines...); response.StatusCode != c.status {
			t.Errorf("%s: answered with %s, want %d", c.name, response.Status, c.status)
		}
	}
	a, err := accepted(t, keys.Accept, "/ws", "X-API-Key: "+oneKey)
	want := access.Identity{User: "service:bridge", Permissions: permissions}
	if err != nil || !reflect.DeepEqual(a.Identity, want) {
		t.Errorf("%v, %+v, want %+v", err, a.Identity, want)
	}
	// Without Keys before it, a JWT does not overlook a key.
	_, err = accepted(t, verifier.Accept, "/ws", "Authorization: Bearer "+oneKey)
	expectResult(t, err, auth.ResultMalformed)
}

// A rotation of keys refuses no service: the new key is added before the old
// one is removed.
func TestReplaceKeysUnderLoad(t *testing.T) {
	keys := newKeys(t, auth.APIKey{Name: "a", Secret: oneKey})
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			r := &http.Request{Header: http.Header{"X-Api-Key": {oneKey}}}
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := keys.Check(r); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 100 {
		for _, list := range [][]auth.APIKey{{{Name: "a", Secret: oneKey}, {Name: "a", Secret: otherKey}}, {{Name: "a", Secret: oneKey}}} {
			if err := keys.Replace(list); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	wait.Wait()
	if err := keys.Replace([]auth.APIKey{{Name: "a", Secret: otherKey}}); err != nil {
		t.Fatal(err)
	}
	_, err := keys.Check(&http.Request{Header: http.Header{"X-Api-Key": {oneKey}}})
	expectResult(t, err, auth.ResultUnknownKey)
}

func TestParseKeys(t *testing.T) {
	list := "# services\n\nbilling " + oneKey + " scope=emit,connections\r\n" +
		"\tbridge sha256:" + hashOf(otherKey) + " allow=chat:*:join,emit allow=news:connect scope=emit"
	want := []auth.APIKey{
		{Name: "billing", Secret: oneKey, Scopes: []string{"emit", "connections"}},
		{Name: "bridge", SHA256: hashOf(otherKey), Scopes: []string{"emit"}, Permissions: []access.Permission{
			{Namespace: "chat", Rooms: []string{"*"}, Allow: access.Join | access.Emit}, {Namespace: "news", Allow: access.Connect},
		}},
	}
	if got, err := auth.ParseKeys(list); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if got, err := auth.LoadKeys(writeFile(t, "keys", []byte(list))); err != nil || len(got) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"\n" + oneKey:                         "line 2: want a name and a key",
		"a " + oneKey + " " + otherKey:        "line 1: field 3: want scope=NAMES or allow=PERMISSION",
		"a " + oneKey + " allow=chat":         "line 1: field 3: want NAMESPACE",
		oneKey + "! a":                        "the name: want",
		"a sk_short":                          "the key: want",
		"a password0123456789abcdef0123456":   "the key: want",
		"a sha256:12":                         "the SHA-256: want 64",
		"a sha256:" + strings.Repeat("g", 64): "the SHA-256: want 64",
		"a sha256:" + strings.Repeat("0", 66): "the SHA-256: want 64",
	} {
		_, err := auth.ParseKeys(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		} else if strings.Contains(err.Error(), oneKey[3:]) || strings.Contains(err.Error(), "password") {
			t.Errorf("the error has a key: %v", err)
		}
	}
	if _, err := auth.NewKeys([]auth.APIKey{{Name: "a", Secret: oneKey}, {Name: "b", SHA256: hashOf(oneKey)}}); err == nil {
		t.Error("one key of two services was accepted")
	}
	if _, err := auth.LoadKeys("/nonexistent"); err == nil {
		t.Error("no error for a file that does not exist")
	}
}
