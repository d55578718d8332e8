package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// readyTimeout bounds the question to the broker behind /readyz; a load balancer
// that gets no answer for longer gives up anyway.
const readyTimeout = 2 * time.Second

// readiness is what /readyz asks.
type readiness interface {
	Ready(ctx context.Context) error
}

// newMux returns everything that the port serves besides the WebSocket endpoint.
// A path that is not here gets 404, another method than GET and HEAD gets 405,
// both in plain text.
func newMux(node readiness, endpoint string, metrics http.Handler) *http.ServeMux {
	mux := http.NewServeMux()
	registerDemo(mux, endpoint)
	mux.HandleFunc("GET /healthz", serveHealth)
	mux.Handle("GET /readyz", serveReady(node))
	mux.Handle("GET /metrics", metrics)
	return mux
}

// checkEndpoint refuses an endpoint that would hide one of the pages.
func checkEndpoint(mux *http.ServeMux, endpoint string) error {
	_, pattern := mux.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: endpoint}})
	if pattern == "" {
		return nil
	}
	return fmt.Errorf("--endpoint %q: a page of the server has this path; "+
		"choose another, or * to take WebSockets on every path", endpoint)
}

// serveHealth says that the process works; whether it should get connections is
// what /readyz is for.
func serveHealth(w http.ResponseWriter, _ *http.Request) {
	writeText(w, http.StatusOK, "ok\n")
}

func serveReady(node readiness) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := node.Ready(ctx); err != nil {
			writeText(w, http.StatusServiceUnavailable, err.Error()+"\n")
			return
		}
		writeText(w, http.StatusOK, "ok\n")
	}
}

func writeText(w http.ResponseWriter, status int, text string) {
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// The client may have gone away, and nobody else needs to know.
	_, _ = io.WriteString(w, text)
}
