package redisbroker

import (
	"math"
	"slices"
	"sync/atomic"
)

// Stats is what a Redis broker has counted since it was made.
type Stats struct {
	// Shards has one entry per server, in the order of Partition.
	Shards []ShardStats
	// QueueFull is how many messages Publish refused with ErrQueueFull.
	QueueFull uint64
	// Nodes is the number of known nodes, this one included.
	Nodes int
}

// ShardStats is what a Redis broker has counted for one server.
type ShardStats struct {
	// Server is its address without user and password.
	Server string
	// Up is true while both connections work.
	Up bool
	// Subscriptions that are confirmed, the broker's own two included.
	Subscriptions int
	// QueueMessages and QueueBytes wait to be published or acknowledged.
	QueueMessages, QueueBytes int
	// Congested is what the handler was told last of the server's queue.
	Congested bool
	// Published messages were acknowledged, the broker's own probes included.
	Published uint64
	// Delivered messages were handed to the handler.
	Delivered uint64
	// Resent is how many messages were sent again after an outage or a stall, and
	// Repeats how many came here a second time and were dropped for that.
	Resent, Repeats uint64
	// TooOld, BadVersion and Malformed messages were dropped: they waited longer than
	// QueueAge, or came in an encoding that this version does not know, or in none.
	TooOld, BadVersion, Malformed uint64
	// PublisherReconnects and SubscriberReconnects count how often the connection was
	// lost, or stood still so long that it seemed to be.
	PublisherReconnects, SubscriberReconnects uint64
	// Gaps is how often subscriptions were interrupted: what others published
	// meanwhile and saw acknowledged did not come here.
	Gaps uint64
	// MissedAtMost bounds what was missed in the gaps: the messages that the other
	// nodes numbered meanwhile, in whatever channel.
	MissedAtMost uint64
	// FlushTimeouts is how often the queue left although a known node had not come
	// back.
	FlushTimeouts uint64

	// PublishTime: seconds from Publish to the server's acknowledgement, of the
	// oldest message of each pipeline.
	PublishTime Histogram
	// AnswerTime: seconds from sending a pipeline to its acknowledgement.
	AnswerTime Histogram
	// Lag: seconds from Publish to delivery on the publishing node, of every 64th
	// message if the node is subscribed to its channel.
	Lag Histogram
	// BatchSize: messages per pipeline.
	BatchSize Histogram
}

// Histogram counts observations by size.
type Histogram struct {
	// Bounds are inclusive upper bounds, ascending.
	Bounds []float64
	// Counts has one entry per bound and a last one for what is larger; not
	// cumulative.
	Counts []uint64
	// Count and Sum of all observations.
	Count uint64
	Sum   float64
}

// Histograms have few bounds, as every server has several of them.
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

// shardStats are the counters of one server.
type shardStats struct {
	published, delivered, resent, repeats   atomic.Uint64
	tooOld, badVersion, malformed           atomic.Uint64
	gaps, missedAtMost, flushTimeouts       atomic.Uint64
	publishTime, answerTime, lag, batchSize histogram
}

func (s *shardStats) init() {
	s.publishTime.init(timeBounds)
	s.answerTime.init(timeBounds)
	s.lag.init(timeBounds)
	s.batchSize.init(sizeBounds)
}

// Stats returns a snapshot. It takes short locks only.
func (b *Broker) Stats() Stats {
	stats := Stats{
		QueueFull: b.queueFull.Load(),
		Nodes:     len(b.Nodes()),
	}
	for _, s := range b.shards {
		stats.Shards = append(stats.Shards, s.readStats())
	}
	return stats
}

func (s *shard) readStats() ShardStats {
	messages, bytes := s.queue.usage()
	return ShardStats{
		Server:               s.server.identity,
		Up:                   s.up(),
		Subscriptions:        s.subscriptions.count(),
		QueueMessages:        messages,
		QueueBytes:           bytes,
		Congested:            s.congestion.congested.Load(),
		Published:            s.stats.published.Load(),
		Delivered:            s.stats.delivered.Load(),
		Resent:               s.stats.resent.Load(),
		Repeats:              s.stats.repeats.Load(),
		TooOld:               s.stats.tooOld.Load(),
		BadVersion:           s.stats.badVersion.Load(),
		Malformed:            s.stats.malformed.Load(),
		PublisherReconnects:  s.publishing.reconnects(),
		SubscriberReconnects: s.subscribing.reconnects(),
		Gaps:                 s.stats.gaps.Load(),
		MissedAtMost:         s.stats.missedAtMost.Load(),
		FlushTimeouts:        s.stats.flushTimeouts.Load(),
		PublishTime:          s.stats.publishTime.read(),
		AnswerTime:           s.stats.answerTime.read(),
		Lag:                  s.stats.lag.read(),
		BatchSize:            s.stats.batchSize.read(),
	}
}
