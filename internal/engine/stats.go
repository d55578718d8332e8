package engine

import (
	"slices"

	"github.com/stoa-io/stoa/internal/bucket"
)

// HandshakeResult is how an attempt to open a WebSocket ended.
type HandshakeResult uint8

// The results of a handshake.
const (
	HandshakeAccepted HandshakeResult = iota
	HandshakeBadRequest
	HandshakeForbiddenOrigin
	HandshakeBadVersion
	HandshakeHeaderTooLarge
	HandshakeTimeout
	HandshakeFull
	HandshakeAborted
	HandshakeRefused // by the Upgrader
	HandshakeForbiddenHost
	HandshakeEvicted     // closed without a request, to make room
	HandshakeAddressFull // its address has too many connections
	HandshakeAddressRate // its address tries too often
	HandshakeNodeRate    // all addresses together do
	HandshakeResults     // how many there are
)

// String returns the result in lower-case words joined by "_".
func (r HandshakeResult) String() string {
	return [...]string{"accepted", "bad_request", "forbidden_origin", "bad_version",
		"header_too_large", "timeout", "full", "aborted", "refused", "forbidden_host", "evicted", "address_full", "address_rate", "node_rate",
		"unknown"}[min(r, HandshakeResults)]
}

// ProxyError is a reason why the address of a client behind proxies is not
// known.
type ProxyError uint8

// The reasons.
const (
	// ProxyHeader: a connection began with no header of the PROXY protocol, or
	// a malformed one, and was closed.
	ProxyHeader ProxyError = iota
	// ProxyUntrusted: a connection to a listener for the PROXY protocol did not
	// come from a trusted proxy, and was closed.
	ProxyUntrusted
	// ProxyField: the field of a trusted proxy was malformed, and the client
	// got the address of its proxy.
	ProxyField
	ProxyErrors // how many there are
)

// String returns the reason in lower-case words joined by "_".
func (e ProxyError) String() string {
	return [...]string{"bad_header", "untrusted", "bad_field", "unknown"}[min(e, ProxyErrors)]
}

// message is what the log says.
func (e ProxyError) message() string {
	switch e {
	case ProxyHeader:
		return "a connection did not begin with a header of the PROXY protocol, and was closed"
	case ProxyUntrusted:
		return "a connection that does not come from a trusted proxy was closed; the port is for the PROXY protocol"
	}
	return "a trusted proxy sent a malformed field with the address of its client"
}

// histogramBounds is how many upper bounds a Histogram has.
const histogramBounds = 9

// The upper bounds of the histograms: in frames, and in seconds.
var (
	framesPerWriteBounds = [histogramBounds]float64{1, 2, 4, 8, 16, 32, 64, 128, 256}
	loopLagBounds        = [histogramBounds]float64{0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1}
)

// FramesPerWriteBounds returns the upper bounds of Stats.FramesPerWrite, in
// frames. The slice is the caller's.
func FramesPerWriteBounds() []float64 { return slices.Clone(framesPerWriteBounds[:]) }

// LoopLagBounds returns the upper bounds of Stats.Lag, in seconds. The slice is
// the caller's.
func LoopLagBounds() []float64 { return slices.Clone(loopLagBounds[:]) }

// Histogram counts observations; bucket i holds those at most bound i that are
// above bound i-1, and the last one those above all bounds. It is not
// cumulative.
type Histogram struct {
	Buckets [histogramBounds + 1]uint64
	Sum     float64
}

func (h *Histogram) observe(bounds *[histogramBounds]float64, v float64) {
	i := 0
	for i < len(bounds) && v > bounds[i] {
		i++
	}
	h.Buckets[i]++
	h.Sum += v
}

func (h *Histogram) add(other *Histogram) {
	for i, n := range other.Buckets {
		h.Buckets[i] += n
	}
	h.Sum += other.Sum
}

// Stats is what one loop counts. Counters only grow; the first group is the
// state at the moment of the call.
type Stats struct {
	// State.
	Connections int // open WebSockets
	Pending     int // accepted, handshake not finished
	QueueBytes  int // in send queues, overhead included, and in writes of the blocking transport
	Paused      int // connections that are not read because a source that they feed is congested
	OverRate    int // connections that are not read because they exceed a rate

	// Counters.
	Accepted        uint64 // sockets accepted, HTTP included
	AcceptErrors    uint64
	Handshakes      [HandshakeResults]uint64
	HandedToHTTP    uint64
	HTTPEvicted     uint64 // connections of net/http closed to make room
	HTTPTimeouts    uint64 // answers of net/http that were not taken in time
	ProxyErrors     [ProxyErrors]uint64
	BytesIn         uint64 // read from sockets
	BytesOut        uint64 // written to sockets
	DroppedFrames   uint64 // queued, and not written when the connection ended
	VolatileDropped uint64 // frames that Offer has dropped, at once or later
	MemoryCloses    uint64 // connections closed because of Limits.QueueMemory
	PingsSent       uint64
	RatePauses      [bucket.Causes]uint64
	FramesPerWrite  Histogram
	Lag             Histogram // how late the loop's timer was served
	Turns           uint64
}

// Add sums other into s.
func (s *Stats) Add(o *Stats) {
	s.Connections += o.Connections
	s.Pending += o.Pending
	s.QueueBytes += o.QueueBytes
	s.Paused += o.Paused
	s.OverRate += o.OverRate
	s.Accepted += o.Accepted
	s.AcceptErrors += o.AcceptErrors
	for i := range o.Handshakes {
		s.Handshakes[i] += o.Handshakes[i]
	}
	s.HandedToHTTP += o.HandedToHTTP
	s.HTTPEvicted += o.HTTPEvicted
	s.HTTPTimeouts += o.HTTPTimeouts
	for i := range o.ProxyErrors {
		s.ProxyErrors[i] += o.ProxyErrors[i]
	}
	s.BytesIn += o.BytesIn
	s.BytesOut += o.BytesOut
	s.DroppedFrames += o.DroppedFrames
	s.VolatileDropped += o.VolatileDropped
	s.MemoryCloses += o.MemoryCloses
	s.PingsSent += o.PingsSent
	for i := range o.RatePauses {
		s.RatePauses[i] += o.RatePauses[i]
	}
	s.FramesPerWrite.add(&o.FramesPerWrite)
	s.Lag.add(&o.Lag)
	s.Turns += o.Turns
}

// Stats returns the counters of the loop. It belongs to the loop.
func (l *Loop) Stats() Stats {
	s := l.stats
	for _, c := range l.congested {
		if c.state != connGone {
			s.Paused++
		}
	}
	return s
}

// Stats returns the counters that belong to no loop: those of connections from
// net/http and of the blocking listener. Safe for concurrent use.
func (s *Server) Stats() Stats {
	var total Stats
	for i := range s.handshakes {
		total.Handshakes[i] = s.handshakes[i].Load()
	}
	for i := range s.proxyErrors {
		total.ProxyErrors[i] = s.proxyErrors[i].Load()
	}
	total.AcceptErrors = s.acceptErrors.Load()
	total.HTTPEvicted = s.httpEvicted.Load()
	total.HTTPTimeouts = s.httpTimeouts.Load()
	return total
}
