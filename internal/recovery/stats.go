package recovery

import "sync/atomic"

// counters are those of Stats.
type counters struct {
	reads, readErrors, recovered, notRecovered, repaired, gaps atomic.Uint64
}

// Stats is what Rooms count.
type Stats struct {
	Rooms, Bytes int // with members on this node, and the messages in their rings

	Reads        uint64 // of the broker's history
	ReadErrors   uint64
	Recovered    uint64 // clients that were given all that they had missed
	NotRecovered uint64 // clients for which something was missing
	Repaired     uint64 // messages that were read after an interruption
	Gaps         uint64 // rooms whose gap could not be filled after one
}

// Stats returns a snapshot.
func (r *Rooms) Stats() Stats {
	now := Stats{
		Reads:        r.stats.reads.Load(),
		ReadErrors:   r.stats.readErrors.Load(),
		Recovered:    r.stats.recovered.Load(),
		NotRecovered: r.stats.notRecovered.Load(),
		Repaired:     r.stats.repaired.Load(),
		Gaps:         r.stats.gaps.Load(),
	}
	for i := range r.stripes {
		s := &r.stripes[i]
		s.mu.Lock()
		now.Rooms += len(s.rooms)
		now.Bytes += s.bytes
		s.mu.Unlock()
	}
	return now
}
