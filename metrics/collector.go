package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-io/stoa/node"
)

// Source supplies the figures; *node.Node is one. Stats is called once for each
// scrape, from any goroutine, possibly from several at a time.
type Source interface {
	Stats() node.Stats
}

// BuildInfo describes the running program. An empty field becomes an empty
// label.
type BuildInfo struct {
	Version   string // release, or the pseudo-version that the Go command found
	Revision  string // commit of the version control system
	GoVersion string // of the toolchain, for example "go1.26.1"
}

// NewCollector returns a collector for one node. It is not registered, and is
// safe for concurrent use if source is.
func NewCollector(source Source, build BuildInfo) prometheus.Collector {
	return &collector{
		source: source,
		build:  prometheus.MustNewConstMetric(buildInfo, prometheus.GaugeValue, 1, build.Version, build.Revision, build.GoVersion),
	}
}

type collector struct {
	source Source
	build  prometheus.Metric
}

// Describe sends every description, so that a registry finds collisions when
// the collector is registered and not when it is scraped.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for i := range scalars {
		out <- scalars[i].desc
	}
	for _, desc := range []*prometheus.Desc{
		buildInfo, handshakes, proxyErrors, userRefusals, messagesReceived, handlers, ratesExceeded, limitsExceeded, closes, renewals, volatileDropped, denied,
		framesPerWrite, loopLag,
	} {
		out <- desc
	}
}

// Collect makes the metrics of one scrape from one snapshot.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	stats := c.source.Stats()
	for i := range scalars {
		s := &scalars[i]
		out <- prometheus.MustNewConstMetric(s.desc, s.kind, s.value(&stats))
	}
	out <- c.build
	collectHandshakes(out, &stats)
	collectUserRefusals(out, &stats)
	collectProxyErrors(out, &stats)
	collectMessages(out, &stats)
	collectHandlers(out, &stats)
	collectRates(out, &stats)
	collectLimits(out, &stats)
	collectCloses(out, &stats)
	collectRenewals(out, &stats)
	collectVolatile(out, &stats)
	for key, count := range stats.Denied {
		out <- prometheus.MustNewConstMetric(denied, prometheus.CounterValue, float64(count), key.Namespace, key.Rule.String())
	}
	out <- nodeHistogram(framesPerWrite, node.FramesPerWriteBounds(), &stats.FramesPerWrite)
	out <- nodeHistogram(loopLag, node.LoopLagBounds(), &stats.Lag)
}

func nodeHistogram(desc *prometheus.Desc, bounds []float64, h *node.Histogram) prometheus.Metric {
	return cumulativeHistogram(desc, bounds, h.Buckets, h.Sum)
}

func collectHandshakes(out chan<- prometheus.Metric, stats *node.Stats) {
	for _, result := range node.HandshakeResults() {
		out <- prometheus.MustNewConstMetric(handshakes, prometheus.CounterValue, float64(stats.Handshakes[result]),
			result.String())
	}
}

func collectUserRefusals(out chan<- prometheus.Metric, stats *node.Stats) {
	for _, why := range node.UserRefusals() {
		out <- prometheus.MustNewConstMetric(userRefusals, prometheus.CounterValue, float64(stats.UserRefusals[why]), why.String())
	}
}

func collectProxyErrors(out chan<- prometheus.Metric, stats *node.Stats) {
	for _, reason := range node.ProxyErrors() {
		out <- prometheus.MustNewConstMetric(proxyErrors, prometheus.CounterValue, float64(stats.ProxyErrors[reason]),
			reason.String())
	}
}

func collectMessages(out chan<- prometheus.Metric, stats *node.Stats) {
	for frame, name := range [len(stats.MessagesIn)]string{"text", "binary"} {
		for _, result := range node.MessageResults() {
			out <- prometheus.MustNewConstMetric(messagesReceived, prometheus.CounterValue, float64(stats.MessagesIn[frame][result]),
				name, result.String())
		}
	}
}

func collectHandlers(out chan<- prometheus.Metric, stats *node.Stats) {
	for _, kind := range node.HandlerKinds() {
		for _, result := range node.HandlerResults() {
			out <- prometheus.MustNewConstMetric(handlers, prometheus.CounterValue, float64(stats.Handlers.Calls[kind][result]),
				kind.String(), result.String())
		}
	}
}

func collectRates(out chan<- prometheus.Metric, stats *node.Stats) {
	for _, kind := range node.RateKinds() {
		out <- prometheus.MustNewConstMetric(ratesExceeded, prometheus.CounterValue, float64(stats.RatesExceeded[kind]),
			kind.String())
	}
}

func collectLimits(out chan<- prometheus.Metric, stats *node.Stats) {
	for _, kind := range node.LimitKinds() {
		out <- prometheus.MustNewConstMetric(limitsExceeded, prometheus.CounterValue, float64(stats.LimitsExceeded[kind]),
			kind.String())
	}
}

func collectCloses(out chan<- prometheus.Metric, stats *node.Stats) {
	for _, key := range node.CloseKeys() {
		out <- prometheus.MustNewConstMetric(closes, prometheus.CounterValue, float64(stats.Closes[key]),
			key.Code, key.Initiator.String())
	}
}

func collectRenewals(out chan<- prometheus.Metric, stats *node.Stats) {
	for _, result := range node.RenewalResults() {
		out <- prometheus.MustNewConstMetric(renewals, prometheus.CounterValue, float64(stats.Renewals[result]), result.String())
	}
}

func collectVolatile(out chan<- prometheus.Metric, stats *node.Stats) {
	out <- prometheus.MustNewConstMetric(volatileDropped, prometheus.CounterValue, float64(stats.Volatile.Slow), "slow")
	out <- prometheus.MustNewConstMetric(volatileDropped, prometheus.CounterValue, float64(stats.Volatile.Congested), "congested")
}

// cumulativeHistogram turns separate buckets into the cumulative ones of
// Prometheus. The bucket above the last bound is only in the count.
func cumulativeHistogram(desc *prometheus.Desc, bounds []float64, buckets []uint64, sum float64, labels ...string) prometheus.Metric {
	cumulative := make(map[float64]uint64, len(bounds))
	var count uint64
	for _, n := range buckets {
		count += n
	}
	below := uint64(0)
	for i, bound := range bounds {
		if i < len(buckets) {
			below += buckets[i]
		}
		cumulative[bound] = below
	}
	return prometheus.MustNewConstHistogram(desc, count, sum, cumulative, labels...)
}
