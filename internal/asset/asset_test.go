package asset_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/asset"
)

func get(t testing.TB, handler http.Handler, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	for name, values := range header {
		request.Header[name] = values
	}
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, request)
	return response
}

func TestAsset(t *testing.T) {
	for name, contentType := range map[string]string{
		"a.html": "text/html; charset=utf-8",
		"a.css":  "text/css; charset=utf-8",
		"a.js":   "text/javascript; charset=utf-8",
		"a.svg":  "image/svg+xml",
	} {
		for _, public := range []bool{false, true} {
			a := asset.New(name, []byte("content"))
			if public {
				a = asset.NewPublic(name, []byte("content"))
			}
			response := get(t, a, nil)
			if response.Code != http.StatusOK || response.Body.String() != "content" {
				t.Fatalf("%s: answered %d %q", name, response.Code, response.Body)
			}
			for header, want := range map[string]string{
				"Content-Type":           contentType,
				"Cache-Control":          "no-cache",
				"X-Content-Type-Options": "nosniff",
				"Referrer-Policy":        "no-referrer",
			} {
				if got := response.Header().Get(header); got != want {
					t.Errorf("%s: %s: %q, want %q", name, header, got, want)
				}
			}
			policy := response.Header().Get("Content-Security-Policy")
			if !strings.Contains(policy, "default-src 'none'") || regexp.MustCompile(`unsafe|\*|https?:`).MatchString(policy) {
				t.Errorf("%s: Content-Security-Policy %q allows too much", name, policy)
			}
			if got := response.Header().Get("Access-Control-Allow-Origin"); (got == "*") != public {
				t.Errorf("%s, public %t: Access-Control-Allow-Origin %q", name, public, got)
			}
			tag := response.Header().Get("ETag")
			if again := get(t, a, http.Header{"If-None-Match": {tag}}); again.Code != http.StatusNotModified {
				t.Errorf("%s: status %d for ETag %s, want 304", name, again.Code, tag)
			}
		}
	}
}
