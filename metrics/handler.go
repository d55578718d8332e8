package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// A scrape asks every loop for its counters, so only so many run at a time;
// a further one is answered 503.
const maxScrapes = 4

// Handler serves the metrics of one node, of more collectors (that of a broker, say),
// of the Go runtime and of the process in Prometheus' formats. It has a registry of
// its own, so that nothing else in the program can add to it. It panics if two
// collectors have a metric of the same name.
func Handler(source Source, build BuildInfo, more ...prometheus.Collector) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(more...)
	registry.MustRegister(
		NewCollector(source, build),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}
