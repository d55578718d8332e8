package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// A scrape asks every loop for its counters, so the number of concurrent
// scrapes is limited; a further one is answered with 503.
const maxScrapes = 4

// Handler serves the metrics of one node, of the given collectors (that of a
// broker, for example), of the Go runtime and of the process in Prometheus'
// formats. It has a private registry, so that no other code in the application
// can add to it. It panics if two collectors have a metric of the same name.
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
