package serve

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/stoa-io/stoa/config"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/ops"
)

// mountPages adds the pages of the port for clients to mux. It returns those of
// the internal port, nil without one.
func mountPages(mux *http.ServeMux, server *node.Node, c *config.Config, options ops.Options) http.Handler {
	if c.Demo() {
		registerDemo(mux, newDemoPage(c))
	}
	options.Profiles = c.Listen.Pprof
	var internal http.Handler
	if c.Listen.Internal != "" {
		options.AllowHosts = c.InternalHosts()
		internal = ops.Handler(server, options)
	}
	// The node checks the hosts of its own port.
	options.AllowHosts = nil
	options.Public = c.Listen.Internal != "" || c.Exposed()
	ops.Mount(mux, server, options)
	return internal
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
