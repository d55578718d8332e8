package stream

import (
	"slices"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

// Selection selects the messages of a page. It gets the entries of a stream
// from the newest one on, after Repeats has resolved them.
type Selection struct {
	query cluster.HistoryQuery
	now   uint64 // milliseconds
	gap   uint64 // the time up to which messages may be missing, in milliseconds

	scanned  int  // entries
	messages int  // within the retention
	bytes    int  // of their payloads
	left     bool // the retention excludes older messages
	unread   bool // an entry was unknown
	head     cluster.Position

	// page has the messages before Before, newer the ones from it on, which are
	// the page if Before is not found.
	page, newer   window
	resent        bool // a message was resent, so that no older position tells
	after, before bool // the entry was found

	// For a start position.
	startTime uint64
	lost      bool // a message since then has left the history, or may have
	older     bool // there is an entry from before
}

// NewSelection begins a page. now is the time of the server, and gap the time
// up to which messages may be missing, 0 for none, both in milliseconds.
func NewSelection(query cluster.HistoryQuery, now, gap uint64) *Selection {
	s := &Selection{query: query, now: now, gap: gap}
	if query.After.IsStart() {
		s.startTime = StartTime(query.After)
	}
	s.page = window{limit: max(query.Limit, 0), oldest: query.Oldest}
	s.newer = s.page
	return s
}

// Add takes the next entry, which is older than the one before. It returns
// false if the page needs no older ones.
func (s *Selection) Add(e *Entry) (more bool) {
	s.scanned++
	if s.query.After.IsStart() {
		s.older = s.older || e.ID.Time < s.startTime
		s.lost = s.lost || e.Kind == Removal && e.ID.Time >= s.startTime
	}
	switch e.Kind {
	case Removal, Repeat:
		return true
	case Unknown:
		s.unread = true
		return true
	}
	if s.left || s.exceeds(e) {
		s.left = true
		s.lost = s.lost || e.ID.Time >= s.startTime
		return s.query.After.IsStart() && !s.older && !s.lost
	}
	s.messages++
	s.bytes += e.Size
	if s.head.IsZero() {
		s.head = e.Position
	}
	// The history was empty at that time. The clock was changed, or the
	// retention.
	s.lost = s.lost || s.query.After.IsStart() && e.ID.Time < s.startTime
	s.take(e)
	return !s.complete()
}

// Kept is the number of messages that the stream keeps.
func (s *Selection) Kept() int { return s.query.Retention.Messages }

// exceeds returns true if a message is not within the retention.
func (s *Selection) exceeds(e *Entry) bool {
	r := &s.query.Retention
	if s.messages >= r.Messages || s.bytes+e.Size > r.Bytes {
		return true
	}
	return s.now > e.ID.Time && s.now-e.ID.Time > uint64(r.Age/time.Millisecond)
}

// take puts a message into its window.
func (s *Selection) take(e *Entry) {
	s.resent = s.resent || e.Resent
	switch {
	case !s.after && !s.resent && e.Position == s.query.After && e.ID.Time > s.gap && !s.unread:
		s.after = true
	case !s.beforeDone():
	case !s.after:
		s.page.add(e)
	}
	if s.beforeDone() {
		return
	}
	if e.Position == s.query.Before {
		s.before = true
	} else if !s.after {
		s.newer.add(e)
	}
}

// beforeDone returns true if messages belong to the page, and are not too new
// for it.
func (s *Selection) beforeDone() bool { return s.before || s.query.Before.IsZero() }

// complete returns true if older entries change nothing.
func (s *Selection) complete() bool {
	if !s.beforeDone() {
		return false
	}
	if s.query.After.IsZero() {
		return !s.query.Oldest && s.page.count > s.page.limit
	}
	return s.after
}

// Found returns whether the page may claim that nothing is missing; a start
// position needs more than that.
func (s *Selection) Found() bool {
	after := s.query.After.IsZero() || s.query.After.IsStart() || s.after
	return after && s.beforeDone()
}

// Start returns true if no message that was kept since the time of the start
// position can have left the history. complete is false if entries may have
// left the stream during the calls of Add.
//
//   - The time is not older than the retention's age, so that nothing since
//     then has expired.
//   - No failure, no removal, and no limit has excluded a message since then.
//   - The stream is trimmed to a number of entries. It has lost none since
//     then if it has an older one, or fewer than that number.
func (s *Selection) Start(complete bool) bool {
	t := s.startTime
	switch {
	case t > s.now, s.now-t > uint64(s.query.Retention.Age/time.Millisecond), t <= s.gap, s.lost, s.unread:
		return false
	}
	return s.older || complete && s.scanned < s.query.Retention.Messages
}

// Head is the position of the newest message; zero if there is none.
func (s *Selection) Head() cluster.Position { return s.head }

// Entries returns the messages of the page, the oldest first, and whether there
// are more.
func (s *Selection) Entries() (entries []Entry, more bool) {
	w := &s.page
	if !s.beforeDone() {
		w = &s.newer
	}
	entries = w.entries
	if s.query.Oldest && len(entries) > w.limit {
		entries = entries[len(entries)-w.limit:]
	}
	slices.Reverse(entries)
	return entries, w.count > w.limit
}

// StartTime returns the time of a start position, in milliseconds.
func StartTime(p cluster.Position) uint64 { return p.Number &^ (1 << 63) }

// window keeps a limited number of the newest or of the oldest messages that it
// gets.
type window struct {
	limit   int
	oldest  bool
	entries []Entry // the newest first
	count   int     // of all messages
}

func (w *window) add(e *Entry) {
	w.count++
	if !w.oldest {
		if len(w.entries) < w.limit {
			w.entries = append(w.entries, *e)
		}
		return
	}
	if len(w.entries) >= 2*w.limit {
		kept := copy(w.entries, w.entries[len(w.entries)-w.limit:])
		clear(w.entries[kept:])
		w.entries = w.entries[:kept]
	}
	if w.limit > 0 {
		w.entries = append(w.entries, *e)
	}
}
