package ops

import (
	_ "embed"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-io/stoa/internal/asset"
	"github.com/stoa-io/stoa/internal/origin"
	"github.com/stoa-io/stoa/metrics"
	"github.com/stoa-io/stoa/node"
)

// client is the TypeScript client as a module for browsers. "make js" copies it
// here, so that programs build without Node.js. A test in js/test-integration
// compares it with the sources.
//
//go:embed stoa.js
var client []byte

// Options choose the pages. The zero value has all but the profiles.
type Options struct {
	// Public is for a port that clients and web pages reach: there are no
	// metrics and no profiles, and /readyz answers without reasons and
	// warnings, which name servers.
	Public bool
	// Profiles serves the profiles of package runtime/pprof at /debug/pprof/.
	// They cost processor time while they are recorded, and show the names of
	// functions. Ignored with Public.
	Profiles bool

	// Build has the labels of the metric stoa_build_info.
	Build metrics.BuildInfo
	// Collectors are served with the metrics of the node, such as that of
	// metrics.NewBrokerCollector.
	Collectors []prometheus.Collector
	// Warnings returns problems that do not make the node unready, such as
	// redisbroker.Broker.Warnings does; /readyz lists them. It is called from
	// any goroutine. Nil means none.
	Warnings func() []string

	// AllowHosts names the hosts that requests may be for, health excepted, as
	// node.Config.AllowHosts does; others are answered with 421. Empty allows
	// every host. Addresses are always allowed: only a name can be made to lead
	// elsewhere. On a node's own listener its Config.AllowHosts holds anyway.
	// A listener on a loopback address needs it against web pages whose name
	// leads there: []string{"localhost"}.
	AllowHosts []string
}

// Handler returns the pages of a node. Paths that are none of them are answered
// with 404, and methods other than GET and HEAD with 405. It panics as Mount
// does.
func Handler(n *node.Node, o Options) http.Handler {
	mux := http.NewServeMux()
	Mount(mux, n, o)
	return mux
}

// Mount adds the pages of a node to a mux, which may already be the node's
// Config.HTTP:
//
//	mux := http.NewServeMux()
//	n, err := node.New(node.Config{HTTP: mux})
//	...
//	ops.Mount(mux, n, ops.Options{Public: true})
//
// It panics if the mux already has one of the paths, if two collectors have a
// metric of the same name, or if AllowHosts has a host that node.New refuses.
func Mount(mux *http.ServeMux, n *node.Node, o Options) {
	hosts, err := origin.ParseHosts(o.AllowHosts)
	if err != nil {
		panic(fmt.Sprintf("ops: AllowHosts %v", err))
	}
	checked := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !hosts.Allows(r.Host) && !origin.IsAddress(r.Host) {
				http.Error(w, "host not allowed", http.StatusMisdirectedRequest)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
	mux.HandleFunc("GET /healthz", serveHealth)
	mux.Handle("GET /readyz", &readiness{n, o.Warnings, o.Public})
	// Pages of every origin may load the client. The handshake checks whether
	// they may connect.
	mux.Handle("GET /stoa.js", checked(asset.NewPublic("stoa.js", client)))
	if o.Public {
		return
	}
	mux.Handle("GET /metrics", checked(metrics.Handler(n, o.Build, o.Collectors...)))
	if o.Profiles {
		mux.Handle("GET /debug/pprof/", checked(http.HandlerFunc(serveProfile)))
	}
}
