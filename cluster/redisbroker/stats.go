package redisbroker

import (
	"math"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/stoa-io/stoa/cluster"
)

// Stats are the counts of a Broker since New.
type Stats struct {
	// Servers has one entry per server, in the order of Partition.
	Servers []ServerStats
	// QueueFull is the number of messages that Publish rejected with
	// ErrQueueFull.
	QueueFull uint64
	// Nodes is the number of known nodes, this one included.
	Nodes int
}

// ServerStats are the counts of a Broker for one server.
type ServerStats struct {
	// Server is its address without user and password.
	Server string
	// Up is true while both connections work.
	Up bool
	// Subscriptions is the number of confirmed subscriptions, the two of the
	// broker itself included.
	Subscriptions int
	// QueueMessages and QueueBytes count the messages that wait to be published
	// or acknowledged.
	QueueMessages, QueueBytes int
	// Congested is the last value that the handler received for the server's
	// queue.
	Congested bool
	// Published is the number of acknowledged messages, the broker's own probes
	// included.
	Published uint64
	// Delivered is the number of messages passed to the handler.
	Delivered uint64
	// Resent is the number of messages that were sent again after an outage or
	// a stall. Repeats is the number of messages that arrived here for the
	// second time and were dropped.
	Resent, Repeats uint64
	// TooOld, TooLarge, BadVersion, Malformed and BadNumber count dropped
	// messages: they waited longer than QueueAge, exceeded MaxMessage when they
	// were published here or arrived, had an encoding that this version does
	// not know, had no valid encoding, or had a number that their node cannot
	// have reached.
	TooOld, TooLarge, BadVersion, Malformed, BadNumber uint64
	// PublisherReconnects and SubscriberReconnects count how often the
	// connection was lost, or was silent for so long that it seemed to be.
	PublisherReconnects, SubscriberReconnects uint64
	// PublisherRefusals and SubscriberRefusals count the times that the server
	// refused a connection or a command on it, RegistryRefusals how often it
	// refused the node's entry, and TransactionRefusals how often it refused a
	// transaction whose messages were then sent one at a time. HistoryRefusals
	// counts how often it refused to store messages in histories.
	PublisherRefusals, SubscriberRefusals, RegistryRefusals, TransactionRefusals, HistoryRefusals uint64
	// Duplicates counts the announcements of nodes whose ID a newer node has.
	Duplicates uint64
	// Gaps is the number of interruptions of the subscriptions. Messages of
	// other nodes that the server acknowledged during a gap did not arrive
	// here.
	Gaps uint64
	// MissedAtMost is an upper bound of the messages missed in the gaps: the
	// number of messages that the other nodes sent in the meantime, on all
	// channels.
	MissedAtMost uint64
	// Unkept is the number of messages that were published, but could not be
	// stored in the history of their channel.
	Unkept uint64
	// OnceFailures is the number of messages that should have been published
	// once, and were not published because the server did not store them.
	// OnceRepeats is the number of those that were not published because
	// another message had their ID.
	OnceFailures, OnceRepeats uint64
	// FlushTimeouts is the number of times that the queue was sent before all
	// known nodes had come back.
	FlushTimeouts uint64

	// PublishTime is the seconds from Publish to the acknowledgement, of the
	// oldest message of each pipeline.
	PublishTime Histogram
	// AnswerTime is the seconds from sending a pipeline to its acknowledgement.
	AnswerTime Histogram
	// Lag is the seconds from Publish to delivery on the publishing node, of
	// every 64th message on a channel that the node subscribes to.
	Lag Histogram
	// BatchSize is the number of messages per pipeline.
	BatchSize Histogram
}

// Histogram counts observations by size.
type Histogram struct {
	// Bounds are inclusive upper bounds, ascending.
	Bounds []float64
	// Counts has one entry per bound, and a last entry for larger observations.
	// It is not cumulative.
	Counts []uint64
	// Count and Sum of all observations.
	Count uint64
	Sum   float64
}

// Histograms have few bounds, because every server has several of them.
var (
	timeBounds = []float64{0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}
	sizeBounds = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512}
)

// histogram is a Histogram that can be written and read at the same time.
type histogram struct {
	bounds []float64
	counts []atomic.Uint64
	sum    atomic.Uint64 // bits of a float64
}

func (h *histogram) init(bounds []float64) {
	h.bounds, h.counts = bounds, make([]atomic.Uint64, len(bounds)+1)
}

func (h *histogram) observe(value float64) {
	i := 0
	for i < len(h.bounds) && value > h.bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	for {
		old := h.sum.Load()
		if h.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+value)) {
			return
		}
	}
}

func (h *histogram) read() Histogram {
	result := Histogram{
		Bounds: slices.Clone(h.bounds), Counts: make([]uint64, len(h.counts)),
		Sum: math.Float64frombits(h.sum.Load()),
	}
	for i := range h.counts {
		result.Counts[i] = h.counts[i].Load()
		result.Count += result.Counts[i]
	}
	return result
}

// serverStats are the counters of one server.
type serverStats struct {
	published, delivered, resent, repeats   atomic.Uint64
	tooOld, badVersion, malformed           atomic.Uint64
	badNumber, tooLarge                     atomic.Uint64
	gaps, missedAtMost, flushTimeouts       atomic.Uint64
	unkept, onceFailures, onceRepeats       atomic.Uint64
	publishTime, answerTime, lag, batchSize histogram
}

func (s *serverStats) init() {
	s.publishTime.init(timeBounds)
	s.answerTime.init(timeBounds)
	s.lag.init(timeBounds)
	s.batchSize.init(sizeBounds)
}

// Stats returns a snapshot. It takes only short locks.
func (b *Broker) Stats() Stats {
	stats := Stats{
		QueueFull: b.queueFull.Load(),
		Nodes:     len(b.Nodes()),
	}
	for _, s := range b.servers {
		stats.Servers = append(stats.Servers, s.readStats())
	}
	return stats
}

func (s *server) readStats() ServerStats {
	messages, bytes := s.queue.usage()
	stats := ServerStats{
		Server:              s.endpoint.identity,
		Up:                  s.up(),
		Subscriptions:       s.subscriptions.count(),
		QueueMessages:       messages,
		QueueBytes:          bytes,
		Congested:           s.congestion.congested.Load(),
		Published:           s.stats.published.Load(),
		Delivered:           s.stats.delivered.Load(),
		Resent:              s.stats.resent.Load(),
		Repeats:             s.stats.repeats.Load(),
		TooOld:              s.stats.tooOld.Load(),
		BadVersion:          s.stats.badVersion.Load(),
		Malformed:           s.stats.malformed.Load(),
		BadNumber:           s.stats.badNumber.Load(),
		TooLarge:            s.stats.tooLarge.Load(),
		Gaps:                s.stats.gaps.Load(),
		MissedAtMost:        s.stats.missedAtMost.Load(),
		Unkept:              s.stats.unkept.Load(),
		OnceFailures:        s.stats.onceFailures.Load(),
		OnceRepeats:         s.stats.onceRepeats.Load(),
		FlushTimeouts:       s.stats.flushTimeouts.Load(),
		PublishTime:         s.stats.publishTime.read(),
		AnswerTime:          s.stats.answerTime.read(),
		Lag:                 s.stats.lag.read(),
		BatchSize:           s.stats.batchSize.read(),
		RegistryRefusals:    s.registration.times(),
		TransactionRefusals: s.transactions.times(),
		HistoryRefusals:     s.unkept.times(),
		Duplicates:          s.duplicates.times(),
	}
	stats.PublisherReconnects, stats.PublisherRefusals = s.publishing.counts()
	stats.SubscriberReconnects, stats.SubscriberRefusals = s.subscribing.counts()
	return stats
}

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
	{"broker_history_failures_total", cluster.MetricCounter,
		"Messages that were published, but not stored in the history of their channel.",
		func(s *ServerStats) float64 { return float64(s.Unkept) }},
	{"broker_once_failures_total", cluster.MetricCounter,
		"Confirmed messages that the server did not store, and that were not published for that.",
		func(s *ServerStats) float64 { return float64(s.OnceFailures) }},
	{"broker_once_repeats_total", cluster.MetricCounter,
		"Confirmed messages that were not published because their ID was known.",
		func(s *ServerStats) float64 { return float64(s.OnceRepeats) }},
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
		{"history", s.HistoryRefusals},
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
