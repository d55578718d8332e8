package cluster

import "sync/atomic"

// Histories have limits of their own, but a client may fill any number of
// rooms. So all of them together have one, too: beyond it, the histories in
// which nothing was published for longest lose their messages.

const (
	// historyOverhead and keptOverhead are about what a history and a message
	// take in addition to the payloads, in bytes; onceOverhead is that of an ID
	// in addition to its text.
	historyOverhead = 320
	keptOverhead    = 192
	onceOverhead    = 128
)

// memoryBudget is the limit of all histories, and of the IDs of messages that
// are published once.
type memoryBudget struct {
	limit   int64        // in bytes; 0: none; immutable
	used    atomic.Int64 // by histories and IDs
	ids     atomic.Int64 // by IDs
	evicted atomic.Uint64
}

// exceeded reports whether a history has to lose messages.
func (b *memoryBudget) exceeded() bool { return b.limit > 0 && b.used.Load() > b.limit }

// hasRoomForID reports whether another ID may be remembered: those in force
// must not be forgotten, and they take no more than half.
func (b *memoryBudget) hasRoomForID() bool { return b.limit <= 0 || b.ids.Load() <= b.limit/2 }

func (b *memoryBudget) addIDs(bytes int) {
	b.ids.Add(int64(bytes))
	b.used.Add(int64(bytes))
}

// memory is about how many bytes the history takes.
func (h *memoryHistory) memory() int {
	if h.count == 0 && h.latest == nil {
		return 0
	}
	bytes := historyOverhead + h.bytes + h.count*keptOverhead
	if h.latest != nil {
		bytes += h.latest.Bytes() + h.latest.Len()*2*keptOverhead
	}
	return bytes
}

// recount counts a change of the history.
func (s *memoryHistories) recount(h *memoryHistory) {
	now := h.memory()
	s.budget.used.Add(int64(now - h.counted))
	h.counted = now
}

// touch makes the history the one with the newest message.
func (s *memoryHistories) touch(h *memoryHistory) {
	if s.newest == h {
		return
	}
	s.unlink(h)
	if h.older = s.newest; h.older == nil {
		s.oldest = h
	} else {
		h.older.newer = h
	}
	s.newest = h
}

// unlink takes the history out of their order.
func (s *memoryHistories) unlink(h *memoryHistory) {
	switch {
	case h.older != nil:
		h.older.newer = h.newer
	case s.oldest == h:
		s.oldest = h.newer
	}
	switch {
	case h.newer != nil:
		h.newer.older = h.older
	case s.newest == h:
		s.newest = h.older
	}
	h.older, h.newer = nil, nil
}

// evict takes messages from the histories of the stripe while all histories are
// too large, and then from the newest messages of keys. The newest message
// stays.
func (s *memoryHistories) evict() {
	for s.budget.exceeded() && s.oldest != nil {
		h := s.oldest
		count := min(h.count, sweepMessages)
		if h == s.newest {
			count = max(0, min(count, h.count-1))
		}
		h.drop(count)
		switch {
		case h != s.newest && h.count == 0:
			h.latest = nil
		case count == 0:
			if count = h.dropLatest(sweepMessages); count == 0 {
				return
			}
		}
		s.budget.evicted.Add(uint64(count))
		s.settle(h)
	}
}

// Evicted is how many messages have left their histories because all of them
// were larger than MemoryConfig.HistoryBytes. Safe for concurrent use.
func (m *Memory) Evicted() uint64 { return m.budget.evicted.Load() }
