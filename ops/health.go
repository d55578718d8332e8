package ops

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/stoa-io/stoa/node"
)

// readyTimeout bounds the check of the broker for /readyz. Load balancers give
// up after a similar time.
const readyTimeout = 2 * time.Second

// serveHealth reports that the process runs; /readyz reports whether it accepts
// connections.
func serveHealth(w http.ResponseWriter, _ *http.Request) {
	writeText(w, http.StatusOK, "ok\n")
}

// readiness is the page /readyz.
type readiness struct {
	node     *node.Node
	warnings func() []string
	public   bool
}

// ServeHTTP implements http.Handler.
func (p *readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	err := p.node.Ready(ctx)
	switch {
	case err != nil && p.public:
		writeText(w, http.StatusServiceUnavailable, "not ready\n")
		return
	case err != nil:
		writeText(w, http.StatusServiceUnavailable, err.Error()+"\n")
		return
	}
	text := "ok\n"
	if p.warnings != nil && !p.public {
		for _, warning := range p.warnings() {
			text += "warning: " + warning + "\n"
		}
	}
	writeText(w, http.StatusOK, text)
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
