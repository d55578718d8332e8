package asset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"time"
)

// contentSecurityPolicy allows only content of this server, so that a message
// of another member cannot load or run anything. "self" in connect-src includes
// WebSockets to the same host (CSP level 3).
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Asset is a file in memory, as an http.Handler. Browsers cache it and
// revalidate it on every use, so that a new release takes effect immediately.
// It is immutable.
type Asset struct {
	name        string
	content     []byte
	contentType string
	etag        string
	public      bool
}

// New makes an asset that pages of this server may load. The content must not
// change afterwards.
func New(name string, content []byte) *Asset {
	sum := sha256.Sum256(content)
	return &Asset{
		name:        name,
		content:     content,
		contentType: contentType(name),
		etag:        `"` + hex.EncodeToString(sum[:8]) + `"`,
	}
}

// NewPublic makes an asset that pages of every origin may load.
func NewPublic(name string, content []byte) *Asset {
	a := New(name, content)
	a.public = true
	return a
}

// contentType does not depend on the system for the usual files. A registry
// entry of Windows may declare JavaScript as plain text, and browsers then
// refuse to run it.
func contentType(name string) string {
	switch extension := path.Ext(name); extension {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		return mime.TypeByExtension(extension)
	}
}

// ServeHTTP implements http.Handler.
func (a *Asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", a.contentType)
	header.Set("ETag", a.etag)
	header.Set("Cache-Control", "no-cache")
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	if a.public {
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.content))
}
