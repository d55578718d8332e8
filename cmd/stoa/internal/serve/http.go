package serve

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/ops"
)

// mountPages adds the pages of the port for clients to mux. It returns those of
// the internal port, nil without one.
func mountPages(mux *http.ServeMux, server *node.Node, flags *serveFlags, parsed parsedFlags, options ops.Options) (http.Handler, error) {
	if parsed.demo {
		registerDemo(mux, flags.endpoint)
	}
	options.Profiles = flags.pprof
	var internal http.Handler
	if flags.internalListen != "" {
		options.AllowHosts = flags.hosts(parsed.internalExposed)
		internal = ops.Handler(server, options)
	}
	// The node checks the hosts of its own port.
	options.AllowHosts = nil
	options.Public = flags.internalListen != "" || parsed.exposed
	ops.Mount(mux, server, options)
	return internal, checkEndpoint(mux, flags.endpoint)
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
