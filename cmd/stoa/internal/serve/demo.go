package serve

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"path"

	"github.com/stoa-io/stoa/config"
	"github.com/stoa-io/stoa/internal/asset"
)

//go:embed demo
var demoFiles embed.FS

// demoPage is the configuration of the demo page.
type demoPage struct{ endpoint, namespace string }

func newDemoPage(c *config.Config) demoPage {
	return demoPage{c.Listen.Endpoint, c.FirstNamespace()}
}

// registerDemo adds the demo page to mux: index.html at the root, as index, and
// the other files next to it. It panics if an embedded file is broken; a test
// covers all of them.
func registerDemo(mux *http.ServeMux, index *page, p demoPage) {
	entries, err := demoFiles.ReadDir("demo")
	if err != nil {
		panic(err)
	}
	for _, entry := range entries {
		if entry.Name() == indexFile {
			index.put(demoIndex(p))
			mux.Handle("GET /{$}", index)
			continue
		}
		mux.Handle("GET /"+entry.Name(), asset.New(entry.Name(), demoFile(entry.Name())))
	}
}

const indexFile = "index.html"

func demoFile(name string) []byte {
	content, err := demoFiles.ReadFile(path.Join("demo", name))
	if err != nil {
		panic(err)
	}
	return content
}

func demoIndex(p demoPage) http.Handler {
	return asset.New(indexFile, renderIndex(demoFile(indexFile), p))
}

// renderIndex inserts the configuration into the page.
func renderIndex(source []byte, p demoPage) []byte {
	page := template.Must(template.New("index.html").Parse(string(source)))
	var rendered bytes.Buffer
	address := url.URL{Path: pageEndpoint(p.endpoint)}
	err := page.Execute(&rendered, struct{ Endpoint, Namespace string }{address.EscapedPath(), p.namespace})
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
