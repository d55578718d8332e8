package serve

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"mime"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
)

// clientFile is the TypeScript client as a module for browsers. The demo uses
// it, and so can pages without a build step. "make js" copies it here, so that
// stoa builds without Node.js. A test in js/test-integration compares it with
// the sources.
const clientFile = "stoa.js"

//go:embed demo
var demoFiles embed.FS

// contentSecurityPolicy allows only content of this server, so that a message
// of another member cannot load or run anything. "self" in connect-src includes
// WebSockets to the same host (CSP level 3).
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// registerDemo adds the demo page to mux: index.html at the root, the other
// files next to it. It panics if an embedded file is broken; a test covers all
// of them.
func registerDemo(mux *http.ServeMux, endpoint string) {
	entries, err := demoFiles.ReadDir("demo")
	if err != nil {
		panic(err)
	}
	for _, entry := range entries {
		content, err := demoFiles.ReadFile(path.Join("demo", entry.Name()))
		if err != nil {
			panic(err)
		}
		if entry.Name() == "index.html" {
			mux.Handle("GET /{$}", newAsset(entry.Name(), renderIndex(content, endpoint)))
			continue
		}
		mux.Handle("GET /"+entry.Name(), newAsset(entry.Name(), content))
	}
}

// renderIndex inserts the configuration into the page.
func renderIndex(source []byte, endpoint string) []byte {
	page := template.Must(template.New("index.html").Parse(string(source)))
	var rendered bytes.Buffer
	address := url.URL{Path: pageEndpoint(endpoint)}
	err := page.Execute(&rendered, struct{ Endpoint, Namespace string }{address.EscapedPath(), cli.DefaultNamespace})
	if err != nil {
		panic(err)
	}
	return rendered.Bytes()
}

// pageEndpoint returns the path for clients. If every path is the endpoint, it
// selects one.
func pageEndpoint(endpoint string) string {
	if endpoint == "*" {
		return "/ws"
	}
	return endpoint
}

// asset is an embedded file. Browsers cache it and revalidate it on every use,
// so that a new release takes effect immediately.
type asset struct {
	name        string
	content     []byte
	contentType string
	etag        string
}

func newAsset(name string, content []byte) *asset {
	sum := sha256.Sum256(content)
	return &asset{
		name:        name,
		content:     content,
		contentType: contentType(name),
		etag:        `"` + hex.EncodeToString(sum[:8]) + `"`,
	}
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

func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", a.contentType)
	header.Set("ETag", a.etag)
	header.Set("Cache-Control", "no-cache")
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	if a.name == clientFile {
		// Pages of every origin may load the client. The handshake checks
		// whether they may connect.
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.content))
}
