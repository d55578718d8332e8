package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stoa-io/stoa/cluster/redisbroker"
)

// BrokerSource is where the figures of a cluster come from; *redisbroker.Broker is one.
// Stats is called as that of Source is.
type BrokerSource interface {
	Stats() redisbroker.Stats
}

// NewBrokerCollector returns a collector for the broker of a cluster. It is not
// registered anywhere; it is safe for concurrent use as far as source is.
func NewBrokerCollector(source BrokerSource) prometheus.Collector {
	return &brokerCollector{source}
}

type brokerCollector struct{ source BrokerSource }

// The label "server" is the place of the server in the order that all nodes agree
// on, never its address: that is for the log.
var (
	brokerDropped = describe("broker_dropped_messages_total",
		"Messages between nodes that were lost on this node, over all servers, by cause.", "cause")
	brokerReconnects = describe("broker_reconnects_total",
		"Connections to the server that were lost, by what they are for.", "server", "connection")
)

// brokerScalar is a metric of one value for the whole broker.
type brokerScalar struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*redisbroker.Stats) float64
}

var brokerScalars = []brokerScalar{
	{describe("known_nodes", "Nodes of the cluster that this node knows to be alive, itself included."),
		prometheus.GaugeValue, func(s *redisbroker.Stats) float64 { return float64(s.Nodes) }},
}

// serverScalar is a metric of one value for each server.
type serverScalar struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*redisbroker.ShardStats) float64
}

var serverScalars = []serverScalar{
	serverGauge("up", "1 while the server receives and delivers messages, else 0.",
		func(s *redisbroker.ShardStats) float64 { return oneIf(s.Up) }),
	serverGauge("congested", "1 while so much waits for the server that connections that publish to it are not read, else 0.",
		func(s *redisbroker.ShardStats) float64 { return oneIf(s.Congested) }),
	serverGauge("subscriptions", "Subscriptions that the server has confirmed.",
		func(s *redisbroker.ShardStats) float64 { return float64(s.Subscriptions) }),
	serverGauge("queue_messages", "Messages that wait to be published or acknowledged.",
		func(s *redisbroker.ShardStats) float64 { return float64(s.QueueMessages) }),
	serverGauge("queue_bytes", "Bytes that wait to be published or acknowledged.",
		func(s *redisbroker.ShardStats) float64 { return float64(s.QueueBytes) }),
	serverCounter("published_messages_total", "Messages that the server has acknowledged.",
		func(s *redisbroker.ShardStats) float64 { return float64(s.Published) }),
	serverCounter("delivered_messages_total", "Messages received and passed to the node.",
		func(s *redisbroker.ShardStats) float64 { return float64(s.Delivered) }),
	serverCounter("resent_messages_total", "Messages published again after an outage.",
		func(s *redisbroker.ShardStats) float64 { return float64(s.Resent) }),
	serverCounter("repeated_messages_total", "Messages received a second time and dropped for that.",
		func(s *redisbroker.ShardStats) float64 { return float64(s.Repeats) }),
	serverCounter("gaps_total", "Interruptions of the subscriptions.",
		func(s *redisbroker.ShardStats) float64 { return float64(s.Gaps) }),
	serverCounter("missed_messages_max_total", "Upper bound of the messages of other nodes that were missed in gaps.",
		func(s *redisbroker.ShardStats) float64 { return float64(s.MissedAtMost) }),
	serverCounter("flush_timeouts_total", "Outages after which publishing went on before all known nodes were back.",
		func(s *redisbroker.ShardStats) float64 { return float64(s.FlushTimeouts) }),
}

// serverHistogram is a histogram for each server.
type serverHistogram struct {
	desc  *prometheus.Desc
	value func(*redisbroker.ShardStats) *redisbroker.Histogram
}

var serverHistograms = []serverHistogram{
	{describe("broker_publish_seconds", "From publish to the server's acknowledgement, of the oldest message of each batch.", "server"),
		func(s *redisbroker.ShardStats) *redisbroker.Histogram { return &s.PublishTime }},
	{describe("broker_round_trip_seconds", "From sending a batch to its acknowledgement.", "server"),
		func(s *redisbroker.ShardStats) *redisbroker.Histogram { return &s.AnswerTime }},
	{describe("broker_lag_seconds", "From publish to receive on the same node, of a sample of its own messages.", "server"),
		func(s *redisbroker.ShardStats) *redisbroker.Histogram { return &s.Lag }},
	{describe("broker_batch_messages", "Messages that left in one batch.", "server"),
		func(s *redisbroker.ShardStats) *redisbroker.Histogram { return &s.BatchSize }},
}

func serverGauge(name, help string, value func(*redisbroker.ShardStats) float64) serverScalar {
	return serverScalar{describe("broker_"+name, help, "server"), prometheus.GaugeValue, value}
}

func serverCounter(name, help string, value func(*redisbroker.ShardStats) float64) serverScalar {
	return serverScalar{describe("broker_"+name, help, "server"), prometheus.CounterValue, value}
}

// Describe implements [prometheus.Collector].
func (c *brokerCollector) Describe(out chan<- *prometheus.Desc) {
	for i := range brokerScalars {
		out <- brokerScalars[i].desc
	}
	for i := range serverScalars {
		out <- serverScalars[i].desc
	}
	for i := range serverHistograms {
		out <- serverHistograms[i].desc
	}
	out <- brokerDropped
	out <- brokerReconnects
}

// Collect implements [prometheus.Collector].
func (c *brokerCollector) Collect(out chan<- prometheus.Metric) {
	stats := c.source.Stats()
	for i := range brokerScalars {
		s := &brokerScalars[i]
		out <- prometheus.MustNewConstMetric(s.desc, s.kind, s.value(&stats))
	}
	collectDropped(out, &stats)
	for i := range stats.Shards {
		collectServer(out, strconv.Itoa(i), &stats.Shards[i])
	}
}

// collectDropped sums over the servers: a message that was refused has none.
func collectDropped(out chan<- prometheus.Metric, stats *redisbroker.Stats) {
	var tooOld, badVersion, malformed uint64
	for i := range stats.Shards {
		s := &stats.Shards[i]
		tooOld += s.TooOld
		badVersion += s.BadVersion
		malformed += s.Malformed
	}
	for _, dropped := range []struct {
		cause string
		count uint64
	}{{"queue_full", stats.QueueFull}, {"too_old", tooOld}, {"bad_version", badVersion}, {"malformed", malformed}} {
		out <- prometheus.MustNewConstMetric(brokerDropped, prometheus.CounterValue, float64(dropped.count), dropped.cause)
	}
}

func collectServer(out chan<- prometheus.Metric, server string, stats *redisbroker.ShardStats) {
	for i := range serverScalars {
		s := &serverScalars[i]
		out <- prometheus.MustNewConstMetric(s.desc, s.kind, s.value(stats), server)
	}
	for i := range serverHistograms {
		s := &serverHistograms[i]
		h := s.value(stats)
		out <- cumulativeHistogram(s.desc, h.Bounds, h.Counts, h.Sum, server)
	}
	out <- prometheus.MustNewConstMetric(brokerReconnects, prometheus.CounterValue, float64(stats.PublisherReconnects), server, "publisher")
	out <- prometheus.MustNewConstMetric(brokerReconnects, prometheus.CounterValue, float64(stats.SubscriberReconnects), server, "subscriber")
}
