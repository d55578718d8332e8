package cluster

import (
	"math"
	"time"

	"github.com/stoa-io/stoa/internal/latest"
)

// learn makes the message that was appended last the newest of its key.
func (h *memoryHistory) learn(now time.Duration) {
	if k := h.at(h.count - 1); k.key != nil && h.retention.Keys > 0 {
		if h.latest == nil {
			h.latest = &latest.Values[keptMessage]{}
		}
		h.latest.Put(*k.key, len(k.payload), int64(k.at), *k)
	}
	h.trimLatest(now)
}

// trimLatest drops the newest messages of keys that exceed the retention.
func (h *memoryHistory) trimLatest(now time.Duration) {
	if h.latest == nil {
		return
	}
	h.latest.Trim(latestLimits(&h.retention, now))
	h.settleLatest()
}

// dropLatest drops the newest messages of the keys that were not updated for
// longest, at most limit of them. The last one stays.
func (h *memoryHistory) dropLatest(limit int) (count int) {
	if h.latest == nil {
		return 0
	}
	keys := h.latest.Len()
	count = min(limit, keys-1)
	h.latest.Trim(latest.Limits{Keys: keys - count, Bytes: math.MaxInt, Since: math.MinInt64})
	return count
}

func (h *memoryHistory) settleLatest() {
	if h.latest.Len() == 0 {
		h.latest = nil
	}
}

func latestLimits(r *Retention, now time.Duration) latest.Limits {
	return latest.Limits{Keys: r.Keys, Bytes: r.Bytes, Since: int64(now - r.Age)}
}

// removeLatest removes the message with a number from those of the keys, and
// reports whether it was one.
func (h *memoryHistory) removeLatest(number uint64) (removed bool) {
	if h.latest != nil {
		removed = h.latest.Delete(func(k keptMessage) bool { return k.number == number })
		h.settleLatest()
	}
	return removed
}

// latest returns the newest messages of the keys, which share their slices with
// the history.
func (m *Memory) latest(h *memoryHistory, r *Retention, now time.Duration) (entries []HistoryEntry) {
	if h.latest == nil {
		return nil
	}
	for _, k := range h.latest.Within(latestLimits(r, now)) {
		entries = append(entries, m.entry(h, &k))
	}
	return entries
}
