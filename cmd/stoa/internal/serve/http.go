package serve

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/stoa-io/stoa/config"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/ops"
)

// pages are the pages that depend on keys which a reload changes.
type pages struct {
	server  *node.Node
	options ops.Options // of the internal port
	hosts   []string    // those in force there

	demo, internal page // without a handler there is none
}

// page is a handler that can be replaced.
type page struct{ handler atomic.Pointer[http.Handler] }

func (p *page) put(h http.Handler) { p.handler.Store(&h) }

// ServeHTTP implements http.Handler.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*p.handler.Load()).ServeHTTP(w, r) }

func (p *page) exists() bool { return p.handler.Load() != nil }

// mountPages adds the pages of the port for clients to mux.
func mountPages(mux *http.ServeMux, server *node.Node, c *config.Config, options ops.Options) *pages {
	p := &pages{server: server}
	if c.Demo() {
		registerDemo(mux, &p.demo, newDemoPage(c))
	}
	options.Profiles = c.Listen.Pprof
	if c.Listen.Internal != "" {
		p.options, p.hosts = options, c.InternalHosts()
		p.options.AllowHosts = p.hosts
		p.internal.put(ops.Handler(server, p.options))
	}
	// The node checks the hosts of its own port.
	options.AllowHosts = nil
	options.Public = c.Listen.Internal != "" || c.Exposed()
	ops.Mount(mux, server, options)
	return p
}

// show follows a reload.
func (p *pages) show(c *config.Config) {
	if p.demo.exists() {
		p.demo.put(demoIndex(newDemoPage(c)))
	}
	if hosts := c.InternalHosts(); p.internal.exists() && !slices.Equal(hosts, p.hosts) {
		p.options.AllowHosts, p.hosts = hosts, hosts
		p.internal.put(ops.Handler(p.server, p.options))
	}
}

// CheckPages refuses an endpoint that would hide a page.
func CheckPages(c *config.Config) error {
	mux := http.NewServeMux()
	mountPages(mux, nil, c, ops.Options{}) // no page is served
	endpoint := c.Listen.Endpoint
	_, pattern := mux.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: endpoint}})
	if pattern == "" {
		return nil
	}
	return config.Errors{{
		Origin: c.Origin("listen.endpoint"), Key: "listen.endpoint", Value: strconv.Quote(endpoint),
		Text: "this is the path of a page; choose another one, or * to accept WebSockets on every path",
	}}
}
