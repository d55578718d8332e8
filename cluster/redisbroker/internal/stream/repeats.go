package stream

import "slices"

// Repeats finds the repeats among the entries of a stream, which it gets from
// the newest one on. The zero value is ready for use.
type Repeats struct {
	// pending are the entries that may be repeats, by incarnation.
	pending map[uint64][]pendingEntry
	repeats map[ID]bool
	oldest  ID  // the last entry
	count   int // of entries
}

type pendingEntry struct {
	number uint64
	id     ID
}

// Add takes the next entry, which is older than the one before.
func (r *Repeats) Add(e *Entry) {
	r.oldest = e.ID
	r.count++
	if e.Kind != Message && e.Kind != Again {
		return
	}
	number, incarnation := e.Position.Number, e.Position.Incarnation
	pending := slices.DeleteFunc(r.pending[incarnation], func(p pendingEntry) bool {
		if p.number <= number {
			if r.repeats == nil {
				r.repeats = make(map[ID]bool)
			}
			r.repeats[p.id] = true
			return true
		}
		// A message is sent for the first time after all that have lower
		// numbers: the pending ones are not in front of it.
		return e.Kind == Message
	})
	if e.Kind == Again {
		pending = append(pending, pendingEntry{number, e.ID})
	}
	if len(pending) == 0 {
		delete(r.pending, incarnation)
		return
	}
	if r.pending == nil {
		r.pending = make(map[uint64][]pendingEntry)
	}
	r.pending[incarnation] = pending
}

// Settled returns true if the entries so far need no older ones.
func (r *Repeats) Settled() bool { return len(r.pending) == 0 }

// Resolve turns the kind of an entry that is a repeat into Repeat. It is called
// when Settled is true, or the stream has no older entries.
//
// If the stream has none that shows whether an entry is a repeat, the original
// may have been trimmed: the stream keeps so many. Then the entry stands for
// the message, at a place that nodes may not have received it at.
func (r *Repeats) Resolve(e *Entry, kept int) {
	switch {
	case e.Kind != Again:
	case r.repeats[e.ID]:
		e.Kind = Repeat
	case r.count >= kept && slices.ContainsFunc(r.pending[e.Position.Incarnation], func(p pendingEntry) bool { return p.id == e.ID }):
		e.Resent = true
	}
}

// Covers reports whether Add has taken an entry with this ID.
func (r *Repeats) Covers(id ID) bool { return r.oldest != ID{} && id.Compare(r.oldest) >= 0 }
