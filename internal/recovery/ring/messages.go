package ring

import (
	"slices"

	"github.com/stoa-io/stoa/cluster"
)

// Wish is what a client that enters a room wants to have of its history.
type Wish struct {
	// After is the position of the last message that the client has; zero: it
	// has none.
	After cluster.Position
	// Newest is how many of the newest messages it wants if it has no position,
	// or if not all messages after the position are there.
	Newest int
	// Latest: it wants the newest message of each key then, too.
	Latest bool
	// MaxBytes bounds the size of the messages. A client that has missed more
	// has not recovered.
	MaxBytes int
}

// Recovery is the answer to a Wish.
type Recovery struct {
	// Recovered reports that the messages are exactly those after Wish.After.
	Recovered bool
	// Head is the position of the room at this moment; zero: it is unknown.
	Head cluster.Position
	// Messages belong to the caller; each one is immutable.
	Messages []*Message
	// Late: it was not possible to find out in time what the client has missed.
	// If it entered now, it could receive messages again.
	Late bool
}

// Recover answers a wish at a time in Unix milliseconds. older: the broker may
// know more, and the page before the ring's messages (Prepend) a better answer.
// The ring does not hold.
func (r *Ring) Recover(w Wish, now int64) (answer Recovery, older bool) {
	r.entered, r.occupied, r.noticed = true, true, false
	messages, found := r.since(w.After, now)
	newest, enough := r.newest(w.Newest)
	switch {
	case r.head.IsZero():
		older = true
	case found:
	case w.After.IsStart():
		older = true
	default:
		older = r.isAhead(w.After) || !r.complete && (!w.After.IsZero() || !enough)
	}
	if found && size(messages) > w.MaxBytes {
		found = false
	}
	if !found {
		messages = newest
		if w.Latest {
			older = older || !r.keys.isKnown()
			messages = r.withLatest(newest, now)
		}
		for bytes := size(messages); bytes > w.MaxBytes; messages = messages[1:] {
			bytes -= messages[0].Size
		}
	}
	return Recovery{Recovered: found, Head: r.head, Messages: slices.Clone(messages)}, older
}

// isAhead reports that a position may be that of a message which the ring has
// yet to receive: another node may have been faster.
func (r *Ring) isAhead(p cluster.Position) bool {
	return !p.IsZero() && !p.IsStart() && !r.origins.has(p)
}

// IsBehind reports whether a page has the message with a position, and the ring
// has yet to receive it.
func (r *Ring) IsBehind(p *Page, position cluster.Position) bool {
	return r.isAhead(position) && slices.ContainsFunc(p.Messages, func(m *Message) bool { return m.Position == position })
}

func size(messages []*Message) (bytes int) {
	for _, m := range messages {
		bytes += m.Size
	}
	return bytes
}

// since returns the messages after a position. found is false if some of them
// may be missing.
func (r *Ring) since(p cluster.Position, now int64) (messages []*Message, found bool) {
	r.expire(now)
	own := r.messages[r.first:]
	for i := len(own) - 1; i >= r.untold; i-- {
		if own[i].Position == p {
			return own[i+1:], true
		}
	}
	switch {
	case p.IsZero() || r.headUntold:
		return nil, false
	case p == r.head:
		return nil, true
	case r.untold == 0 && (p == r.floor || p == r.start):
		return own, true
	}
	return nil, false
}

// newest returns the newest messages, and reports whether there are no more of
// them in the history than these, or as many as were wanted.
func (r *Ring) newest(count int) (messages []*Message, enough bool) {
	own := r.messages[r.first:]
	count = max(0, count)
	if count <= len(own) {
		return own[len(own)-count:], true
	}
	return own, r.complete
}

// Prepend takes a page of the newest messages, or of those after a start
// position: those older than the ring's own messages. A ring that knows nothing
// begins with them; gap: its members may have missed some.
func (r *Ring) Prepend(p *Page, start cluster.Position) (gap bool) {
	switch {
	case r.holding:
		return false
	case r.head.IsZero():
		r.breaks()
		r.adopt(p, true)
		return true
	}
	r.learnLatest(p)
	until := Message{Position: r.head, Resent: r.headResent}
	if r.count() > 0 {
		until = *r.messages[r.first]
	}
	at := slices.IndexFunc(p.Messages, func(m *Message) bool {
		return m.Position == until.Position && m.Resent == until.Resent // else it is at another place
	})
	if at > 0 && !r.isOlder(p.Messages[:at]) {
		at = -1
	}
	older := at
	if r.count() == 0 {
		older++
	}
	if older > 0 {
		own := r.messages[r.first:]
		r.messages = append(append(make([]*Message, 0, older+len(own)), p.Messages[:older]...), own...)
		r.first, r.floor, r.start = 0, cluster.Position{}, cluster.Position{}
		r.bytes += size(p.Messages[:older])
		if r.untold > 0 {
			r.untold += older
		}
		for i, m := range p.Messages[:older] {
			r.origins.note(m.Position)
			if m.Resent {
				r.untold = max(r.untold, i+1)
			}
		}
	}
	if at >= 0 || len(p.Messages) == 0 {
		r.complete = r.complete || !p.More
	}
	if start.IsStart() && p.Found && !p.More {
		r.begins(p, start)
	}
	r.trim()
	return false
}

// isOlder reports whether messages of a page, in front of the oldest one of the
// ring, are older than it. If the ring has one of them, or has yet to receive
// it, the oldest one has been sent again since, and is at another place there.
func (r *Ring) isOlder(messages []*Message) bool {
	own := make(map[cluster.Position]bool, r.count())
	for _, m := range r.messages[r.first:] {
		own[m.Position] = m.Resent
	}
	return !slices.ContainsFunc(messages, func(m *Message) bool {
		resent, has := own[m.Position]
		return has && resent == m.Resent || r.origins.isNewer(m.Position)
	})
}

// begins notes that the history was empty at a start position, if the ring has
// all messages after it, which the page has.
func (r *Ring) begins(p *Page, start cluster.Position) {
	if len(p.Messages) > 0 {
		first := p.Messages[0].Position
		gone := slices.IndexFunc(r.messages[r.first:], func(m *Message) bool { return m.Position == first })
		if gone < 0 && (r.count() > 0 || !r.head.IsStart()) {
			return // a ring without messages may have dropped later ones
		}
		r.drop(max(0, gone)) // they have left the history
	} else if r.count() > 0 {
		return
	} // of a ring without messages, no message of the page was delivered
	r.start = start
}

// Shrink drops the oldest messages until Memory is at most so much, and then
// the newest of each key. They are still part of the history.
func (r *Ring) Shrink(memory int) {
	count, left := 0, r.Memory()
	for ; left > memory && count < r.count(); count++ {
		left -= r.messages[r.first+count].Size + Overhead
	}
	if count > 0 {
		r.complete = false
		r.drop(count)
	}
	if left > memory && r.keys.isKnown() {
		r.keys = nil
	}
}

// Clear drops all messages, which were removed from the history.
func (r *Ring) Clear() {
	r.drop(r.count())
	r.complete, r.keys = false, nil
}

// Remove takes a message out.
func (r *Ring) Remove(p cluster.Position) {
	is := func(m *Message) bool { return m.Position == p }
	if r.keys != nil {
		r.keys.values.Delete(is)
	}
	if r.held != nil {
		if i := slices.IndexFunc(r.held.messages, is); i >= 0 && i < r.held.asked {
			r.held.asked--
		}
		r.held.messages = slices.DeleteFunc(r.held.messages, is)
	}
	own := r.messages[r.first:]
	if i := slices.IndexFunc(own, is); i >= 0 {
		r.bytes -= own[i].Size
		if i < r.untold {
			r.untold--
		}
		r.messages = slices.Delete(r.messages, r.first+i, r.first+i+1)
	}
}

// expire drops the messages that have exceeded the age of the retention.
func (r *Ring) expire(now int64) {
	oldest := now - r.retention.Age.Milliseconds()
	count := 0
	for r.first+count < len(r.messages) && r.messages[r.first+count].Time < oldest {
		count++
	}
	r.drop(count)
}

func (r *Ring) append(m *Message) {
	r.messages = append(r.messages, m)
	r.bytes += m.Size
	r.head, r.headUntold, r.headResent = m.Position, m.Resent, m.Resent
	if m.Resent {
		r.untold = r.count()
	}
}

// trim drops what exceeds the retention.
func (r *Ring) trim() {
	count, bytes := max(0, r.count()-r.retention.Messages), r.bytes
	for i := range count {
		bytes -= r.messages[r.first+i].Size
	}
	for ; bytes > r.retention.Bytes && count < r.count(); count++ {
		bytes -= r.messages[r.first+count].Size
	}
	r.drop(count)
}

// drop removes the oldest messages.
func (r *Ring) drop(count int) {
	for range count {
		m := r.messages[r.first]
		r.messages[r.first] = nil
		r.first++
		r.bytes -= m.Size
		r.floor, r.start = m.Position, cluster.Position{}
		if r.untold > 0 {
			r.untold--
			r.floor = cluster.Position{}
		}
	}
	switch left := r.count(); {
	case left == 0:
		r.messages, r.first = nil, 0
	case left < cap(r.messages)/4:
		r.messages, r.first = slices.Clone(r.messages[r.first:]), 0
	case r.first > left:
		copy(r.messages, r.messages[r.first:])
		clear(r.messages[left:])
		r.messages, r.first = r.messages[:left], 0
	}
}
