package redisbroker

import (
	"math"
	"slices"
	"sync/atomic"
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
	// transaction whose messages were then sent one at a time.
	PublisherRefusals, SubscriberRefusals, RegistryRefusals, TransactionRefusals uint64
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
		FlushTimeouts:       s.stats.flushTimeouts.Load(),
		PublishTime:         s.stats.publishTime.read(),
		AnswerTime:          s.stats.answerTime.read(),
		Lag:                 s.stats.lag.read(),
		BatchSize:           s.stats.batchSize.read(),
		RegistryRefusals:    s.registration.times(),
		TransactionRefusals: s.transactions.times(),
		Duplicates:          s.duplicates.times(),
	}
	stats.PublisherReconnects, stats.PublisherRefusals = s.publishing.counts()
	stats.SubscriberReconnects, stats.SubscriberRefusals = s.subscribing.counts()
	return stats
}
