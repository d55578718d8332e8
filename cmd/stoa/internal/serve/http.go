package serve

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// readyTimeout bounds the check of the broker for /readyz. Load balancers give
// up after a similar time.
const readyTimeout = 2 * time.Second

// readiness is the part of a node that /readyz checks.
type readiness interface {
	Ready(ctx context.Context) error
}

// newMux returns the handler of all pages. Unknown paths are answered with 404,
// methods other than GET and HEAD with 405, both in plain text. warnings
// returns problems that do not make the node unready; it is nil outside of a
// cluster.
func newMux(node readiness, endpoint string, metrics http.Handler, warnings func() []string) *http.ServeMux {
	mux := http.NewServeMux()
	registerDemo(mux, endpoint)
	mux.HandleFunc("GET /healthz", serveHealth)
	mux.Handle("GET /readyz", serveReady(node, warnings))
	mux.Handle("GET /metrics", metrics)
	return mux
}

// checkEndpoint refuses an endpoint that would hide a page.
func checkEndpoint(mux *http.ServeMux, endpoint string) error {
	_, pattern := mux.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: endpoint}})
	if pattern == "" {
		return nil
	}
	return fmt.Errorf("--endpoint %q: this is the path of a page; "+
		"choose another one, or * to accept WebSockets on every path", endpoint)
}

// serveHealth reports that the process runs; /readyz reports whether it accepts
// connections.
func serveHealth(w http.ResponseWriter, _ *http.Request) {
	writeText(w, http.StatusOK, "ok\n")
}

func serveReady(node readiness, warnings func() []string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := node.Ready(ctx); err != nil {
			writeText(w, http.StatusServiceUnavailable, err.Error()+"\n")
			return
		}
		text := "ok\n"
		if warnings != nil {
			for _, warning := range warnings() {
				text += "warning: " + warning + "\n"
			}
		}
		writeText(w, http.StatusOK, text)
	}
}

func writeText(w http.ResponseWriter, status int, text string) {
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// A write fails only if the client has closed the connection.
	_, _ = io.WriteString(w, text)
}
