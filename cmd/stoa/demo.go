package main

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
)

// demoNamespace is the one namespace of the demo configuration.
const demoNamespace = "default"

// clientFile is the TypeScript client's build for browsers, a module, for the demo and
// for pages without a build step. It is a copy that "make js" makes, so that the program
// builds without Node.js; a test in js/test-integration holds it to the sources.
const clientFile = "stoa.js"

//go:embed demo
var demoFiles embed.FS

// The content of a page comes from this program alone, so nothing else is
// allowed: what another member of a room writes can load and run nothing.
// "self" of connect-src includes WebSockets to the same host (CSP level 3).
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// registerDemo adds the demo page to mux: index.html at the root and the other
// files beside it. It panics if an embedded file is broken, which a test would
// have found.
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

// renderIndex tells the page what was configured.
func renderIndex(source []byte, endpoint string) []byte {
	page := template.Must(template.New("index.html").Parse(string(source)))
	var rendered bytes.Buffer
	address := url.URL{Path: pageEndpoint(endpoint)}
	err := page.Execute(&rendered, struct{ Endpoint, Namespace string }{address.EscapedPath(), demoNamespace})
	if err != nil {
		panic(err)
	}
	return rendered.Bytes()
}

// pageEndpoint is the path that a client uses: where every path is the endpoint,
// any will do.
func pageEndpoint(endpoint string) string {
	if endpoint == "*" {
		return "/ws"
	}
	return endpoint
}

// asset is an embedded file. Browsers keep it and ask each time whether it has
// changed, so that a new release is seen at once.
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

// contentType does not ask the system first: a registry entry of Windows may say
// that JavaScript is plain text, and a browser would then refuse to run it.
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
		// Pages of every origin may load the client; whether they may connect is
		// decided when they do.
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.content))
}
