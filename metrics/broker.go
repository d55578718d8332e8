package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-io/stoa/cluster"
)

// BrokerSource is a broker that reports figures, such as that of package
// redisbroker. Metrics is called once for each scrape, from any goroutine,
// possibly from several at a time. It always returns the same names, help texts
// and labels.
type BrokerSource interface {
	Metrics() []cluster.Metric
}

// NewBrokerCollector returns a collector for the broker of a cluster. It is not
// registered, and is safe for concurrent use if source is.
func NewBrokerCollector(source BrokerSource) prometheus.Collector {
	return &brokerCollector{source}
}

type brokerCollector struct{ source BrokerSource }

// Describe implements [prometheus.Collector].
func (c *brokerCollector) Describe(out chan<- *prometheus.Desc) {
	described := make(map[string]bool)
	metrics := c.source.Metrics()
	for i := range metrics {
		m := &metrics[i]
		if !described[m.Name] {
			described[m.Name] = true
			desc, _ := describeBroker(m)
			out <- desc
		}
	}
}

// Collect implements [prometheus.Collector].
func (c *brokerCollector) Collect(out chan<- prometheus.Metric) {
	metrics := c.source.Metrics()
	for i := range metrics {
		m := &metrics[i]
		desc, values := describeBroker(m)
		switch m.Kind {
		case cluster.MetricGauge:
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, m.Value, values...)
		case cluster.MetricCounter:
			out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, m.Value, values...)
		case cluster.MetricHistogram:
			out <- cumulativeHistogram(desc, m.Bounds, m.Counts, m.Value, values...)
		}
	}
}

// describeBroker returns the description of a metric and the values of its
// labels.
func describeBroker(m *cluster.Metric) (desc *prometheus.Desc, values []string) {
	names := make([]string, len(m.Labels))
	values = make([]string, len(m.Labels))
	for i, label := range m.Labels {
		names[i], values[i] = label.Name, label.Value
	}
	return describe(m.Name, m.Help, names...), values
}
