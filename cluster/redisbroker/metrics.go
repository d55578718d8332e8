package redisbroker

import (
	"strconv"

	"github.com/stoa-io/stoa/cluster"
)

// Metrics returns the figures of Stats for monitoring. Package metrics shows
// them.
func (b *Broker) Metrics() []cluster.Metric {
	stats := b.Stats()
	return stats.Metrics()
}

// Metrics returns the figures under the names that they have for monitoring.
// The label server is the position of the server in the order that all nodes
// agree on. It is never the address, which is for the log.
func (s *Stats) Metrics() []cluster.Metric {
	metrics := []cluster.Metric{{
		Name: "known_nodes", Help: "Nodes of the cluster that this node knows to be alive, itself included.",
		Kind: cluster.MetricGauge, Value: float64(s.Nodes),
	}}
	metrics = s.appendDropped(metrics)
	for i := range s.Servers {
		metrics = s.Servers[i].append(metrics, strconv.Itoa(i))
	}
	return metrics
}

// appendDropped sums over the servers: a refused message belongs to none of
// them.
func (s *Stats) appendDropped(metrics []cluster.Metric) []cluster.Metric {
	var tooOld, tooLarge, badVersion, malformed, badNumber uint64
	for i := range s.Servers {
		server := &s.Servers[i]
		tooOld += server.TooOld
		badVersion += server.BadVersion
		malformed += server.Malformed
		badNumber += server.BadNumber
		tooLarge += server.TooLarge
	}
	for _, dropped := range []struct {
		cause string
		count uint64
	}{
		{"queue_full", s.QueueFull}, {"too_old", tooOld}, {"bad_version", badVersion}, {"malformed", malformed},
		{"bad_number", badNumber}, {"too_large", tooLarge},
	} {
		metrics = append(metrics, cluster.Metric{
			Name: "broker_dropped_messages_total",
			Help: "Messages between nodes that were lost on this node, over all servers, by cause.",
			Kind: cluster.MetricCounter, Value: float64(dropped.count),
			Labels: []cluster.MetricLabel{{Name: "cause", Value: dropped.cause}},
		})
	}
	return metrics
}

// serverMetrics are the metrics of one value per server.
var serverMetrics = []struct {
	name  string
	kind  cluster.MetricKind
	help  string
	value func(*ServerStats) float64
}{
	{"broker_up", cluster.MetricGauge, "1 while the server receives and delivers messages, else 0.",
		func(s *ServerStats) float64 { return oneIf(s.Up) }},
	{"broker_congested", cluster.MetricGauge,
		"1 while so much waits for the server that connections that publish to it are not read, else 0.",
		func(s *ServerStats) float64 { return oneIf(s.Congested) }},
	{"broker_subscriptions", cluster.MetricGauge, "Subscriptions that the server has confirmed.",
		func(s *ServerStats) float64 { return float64(s.Subscriptions) }},
	{"broker_queue_messages", cluster.MetricGauge, "Messages that wait to be published or acknowledged.",
		func(s *ServerStats) float64 { return float64(s.QueueMessages) }},
	{"broker_queue_bytes", cluster.MetricGauge, "Bytes that wait to be published or acknowledged.",
		func(s *ServerStats) float64 { return float64(s.QueueBytes) }},
	{"broker_published_messages_total", cluster.MetricCounter, "Messages that the server has acknowledged.",
		func(s *ServerStats) float64 { return float64(s.Published) }},
	{"broker_delivered_messages_total", cluster.MetricCounter, "Messages received and passed to the node.",
		func(s *ServerStats) float64 { return float64(s.Delivered) }},
	{"broker_resent_messages_total", cluster.MetricCounter, "Messages published again after an outage.",
		func(s *ServerStats) float64 { return float64(s.Resent) }},
	{"broker_repeated_messages_total", cluster.MetricCounter, "Messages received a second time and dropped for that.",
		func(s *ServerStats) float64 { return float64(s.Repeats) }},
	{"broker_duplicate_nodes_total", cluster.MetricCounter, "Announcements of nodes whose ID a newer node has.",
		func(s *ServerStats) float64 { return float64(s.Duplicates) }},
	{"broker_gaps_total", cluster.MetricCounter, "Interruptions of the subscriptions.",
		func(s *ServerStats) float64 { return float64(s.Gaps) }},
	{"broker_missed_messages_max_total", cluster.MetricCounter,
		"Upper bound of the messages of other nodes that were missed in gaps.",
		func(s *ServerStats) float64 { return float64(s.MissedAtMost) }},
	{"broker_flush_timeouts_total", cluster.MetricCounter,
		"Outages after which publishing went on before all known nodes were back.",
		func(s *ServerStats) float64 { return float64(s.FlushTimeouts) }},
}

// serverHistograms are the histograms per server.
var serverHistograms = []struct {
	name, help string
	value      func(*ServerStats) *Histogram
}{
	{"broker_publish_seconds", "From publish to the server's acknowledgement, of the oldest message of each batch.",
		func(s *ServerStats) *Histogram { return &s.PublishTime }},
	{"broker_round_trip_seconds", "From sending a batch to its acknowledgement.",
		func(s *ServerStats) *Histogram { return &s.AnswerTime }},
	{"broker_lag_seconds", "From publish to receive on the same node, of a sample of its own messages.",
		func(s *ServerStats) *Histogram { return &s.Lag }},
	{"broker_batch_messages", "Messages that left in one batch.",
		func(s *ServerStats) *Histogram { return &s.BatchSize }},
}

// append adds the metrics of one server.
func (s *ServerStats) append(metrics []cluster.Metric, server string) []cluster.Metric {
	label := cluster.MetricLabel{Name: "server", Value: server}
	for i := range serverMetrics {
		m := &serverMetrics[i]
		metrics = append(metrics, cluster.Metric{
			Name: m.name, Help: m.help, Kind: m.kind, Value: m.value(s),
			Labels: []cluster.MetricLabel{label},
		})
	}
	for i := range serverHistograms {
		m := &serverHistograms[i]
		h := m.value(s)
		metrics = append(metrics, cluster.Metric{
			Name: m.name, Help: m.help, Kind: cluster.MetricHistogram, Value: h.Sum,
			Bounds: h.Bounds, Counts: h.Counts,
			Labels: []cluster.MetricLabel{label},
		})
	}
	for _, refused := range []struct {
		request string
		count   uint64
	}{
		{"publish", s.PublisherRefusals}, {"subscribe", s.SubscriberRefusals},
		{"register", s.RegistryRefusals}, {"transaction", s.TransactionRefusals},
	} {
		metrics = append(metrics, cluster.Metric{
			Name: "broker_refusals_total",
			Help: "Requests that the server answered with an error, by purpose.",
			Kind: cluster.MetricCounter, Value: float64(refused.count),
			Labels: []cluster.MetricLabel{label, {Name: "request", Value: refused.request}},
		})
	}
	for _, lost := range []struct {
		connection string
		count      uint64
	}{{"publisher", s.PublisherReconnects}, {"subscriber", s.SubscriberReconnects}} {
		metrics = append(metrics, cluster.Metric{
			Name: "broker_reconnects_total",
			Help: "Connections to the server that were lost, by purpose.",
			Kind: cluster.MetricCounter, Value: float64(lost.count),
			Labels: []cluster.MetricLabel{label, {Name: "connection", Value: lost.connection}},
		})
	}
	return metrics
}

func oneIf(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}
