package serve

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

type fakeNode struct{ err error }

func (f fakeNode) Ready(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		return errors.New("asked without a deadline")
	}
	return f.err
}

func TestReady(t *testing.T) {
	cases := []struct {
		name     string
		err      error
		warnings []string
		status   int
		body     string
	}{
		{"ready", nil, nil, http.StatusOK, "ok\n"},
		{"warnings", nil, []string{"a", "b"}, http.StatusOK, "ok\nwarning: a\nwarning: b\n"},
		{"draining", errors.New("node: draining"), nil, http.StatusServiceUnavailable, "node: draining\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			mux := newMux(fakeNode{c.err}, "/ws", http.NotFoundHandler(), func() []string { return c.warnings })
			response := httptest.NewRecorder()
			mux.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/readyz", http.NoBody))
			if response.Code != c.status || response.Body.String() != c.body {
				t.Errorf("got %d %q, want %d %q", response.Code, response.Body, c.status, c.body)
			}
			if got := response.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q, want no-store", got)
			}
			// A draining node is alive, so that it is not restarted.
			response = httptest.NewRecorder()
			mux.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/healthz", http.NoBody))
			if response.Code != http.StatusOK {
				t.Errorf("/healthz: status %d, want 200", response.Code)
			}
		})
	}
}
