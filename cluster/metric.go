package cluster

// MetricKind is the type of a metric.
type MetricKind uint8

// The types of metrics.
const (
	// MetricGauge is a value that rises and falls.
	MetricGauge MetricKind = iota + 1
	// MetricCounter is a value that only rises.
	MetricCounter
	// MetricHistogram counts observations by size.
	MetricHistogram
)

func (k MetricKind) String() string {
	switch k {
	case MetricGauge:
		return "gauge"
	case MetricCounter:
		return "counter"
	case MetricHistogram:
		return "histogram"
	}
	return "unknown"
}

// MetricLabel distinguishes metrics of one name. Its values are a closed set,
// and a peer chooses none of them.
type MetricLabel struct{ Name, Value string }

// Metric is one figure of a broker, for monitoring. Package metrics shows every
// broker that has a method Metrics() []Metric, and knows no figure itself.
type Metric struct {
	// Name has the form that Prometheus asks for, without a prefix: words with
	// underscores between them, a base unit at the end, "_total" after that of
	// a counter.
	Name string
	// Help is one sentence. It is the same for all metrics of a name.
	Help string
	Kind MetricKind
	// Labels have the same names, in the same order, in all metrics of a name.
	Labels []MetricLabel
	// Value is that of a gauge or counter, or the sum of a histogram's
	// observations.
	Value float64
	// Bounds are the inclusive upper bounds of a histogram's buckets,
	// ascending.
	Bounds []float64
	// Counts are the observations in each bucket, not cumulative. The last
	// entry, for which there is no bound, counts the larger ones.
	Counts []uint64
}
