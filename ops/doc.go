// Package ops serves the pages for the operators of a node.
//
// [Handler] is all of them in one http.Handler, and [Mount] adds them to a mux
// that has other pages, too:
//
//	/healthz       200 while the process runs
//	/readyz        200 while the node accepts connections, else 503
//	/metrics       metrics for Prometheus, see package metrics
//	/debug/pprof/  profiles of Go, if they are switched on
//	/stoa.js       the client for browsers, a JavaScript module
//
// Metrics, profiles and the reasons of /readyz are for operators: on a port
// that others reach, too, leave them out with Options.Public, and serve them on
// a second, internal address. Both ports answer health checks: a load balancer
// must ask the port that it sends clients to, and other programs, such as a
// kubelet, the one that they can reach.
//
// Requests for /healthz and /readyz need no particular Host: a page gains
// nothing from them. Everything else may be bound to some hosts.
package ops
