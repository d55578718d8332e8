package ring

import "github.com/stoa-io/stoa/cluster"

// Message is one message of a room. It is immutable once it is in a ring.
type Message struct {
	Position cluster.Position
	// Time is when it was published, in Unix milliseconds.
	Time int64
	// Origin and Except are the IDs of connections that do not receive it.
	Origin string
	Except []string
	// User is the ID of the sending user, empty if there is none.
	User string
	// Frame is the message as members without positions receive it, and Size
	// its share of Retention.Bytes.
	Frame []byte
	Size  int
}

// Page is a part of the broker's history, in the order of the channel; see
// cluster.HistoryPage.
type Page struct {
	Messages    []*Message
	Found, More bool
	Head        cluster.Position
}

const (
	// maxHeld bounds the messages that are kept back, and maxHeldBytes their
	// size. Those beyond are in the history, and are read from there.
	maxHeld      = 1024
	maxHeldBytes = 1 << 20

	// maxOrigins bounds the incarnations of which a ring knows the last number.
	maxOrigins = 256
)

// Ring is the history of one room. Its owner serializes the calls.
type Ring struct {
	retention cluster.Retention
	messages  []*Message // the ones before first are removed
	first     int
	bytes     int
	// head is the position of the newest message that was delivered, or the
	// start position of a history that was empty.
	head cluster.Position
	// floor is the position right before the oldest message; zero: unknown.
	floor cluster.Position
	// complete: the messages reach back as far as the retention does.
	complete bool
	origins  []cluster.Position // the last number of each incarnation

	holding   bool
	held      []*Message
	heldBytes int
	dropped   bool // something was not held
}

// New returns the ring of a room whose subscription begins. It holds.
func New(retention cluster.Retention) *Ring {
	return &Ring{retention: retention, holding: true}
}

// Head is the position of the newest message that was delivered.
func (r *Ring) Head() cluster.Position { return r.head }

// Bytes is the size of the messages.
func (r *Ring) Bytes() int { return r.bytes }

// Len is the number of the messages.
func (r *Ring) Len() int { return len(r.messages) - r.first }

// IsHolding reports whether messages are kept back.
func (r *Ring) IsHolding() bool { return r.holding }

// IsComplete reports whether the messages reach back as far as the retention
// does, so that the broker's history has no more.
func (r *Ring) IsComplete() bool { return r.complete }

// Hold keeps messages back from now on, because earlier ones may be missing.
func (r *Ring) Hold() { r.holding = true }

// Receive takes a message of the subscription, and reports whether it is to be
// delivered now: not if it is kept back, or was delivered before.
func (r *Ring) Receive(m *Message) bool {
	if r.holding {
		if len(r.held) >= maxHeld || r.heldBytes+m.Size > maxHeldBytes {
			r.dropped = true
		}
		if !r.dropped {
			r.held = append(r.held, m)
			r.heldBytes += m.Size
		}
		return false
	}
	return r.take(m)
}

// Open takes the page with which a room begins: the newest messages. Nothing of
// it is to be delivered, since the room has no members yet. again: too much has
// arrived in the meantime, and Open needs a later page.
func (r *Ring) Open(p *Page) (again bool) {
	for _, m := range p.Messages {
		r.take(m)
	}
	if r.head.IsZero() {
		r.head, r.floor = p.Head, p.Head
	}
	r.complete = !p.More
	_, again = r.release(nil)
	return again
}

// Repair takes the page after Head, and returns the messages that are to be
// delivered, in order. gap: others are missing in front of them, and nothing
// can bring them back. again: too much has arrived in the meantime; the ring
// still holds, and needs the page after the new Head.
func (r *Ring) Repair(p *Page) (deliver []*Message, gap, again bool) {
	gap = !p.Found || p.More
	if gap {
		r.drop(len(r.messages) - r.first)
		r.floor, r.complete = cluster.Position{}, !p.More
	}
	for _, m := range p.Messages {
		if r.take(m) {
			deliver = append(deliver, m)
		}
	}
	if gap && len(p.Messages) == 0 {
		r.head, r.floor = p.Head, p.Head
	}
	deliver, again = r.release(deliver)
	return deliver, gap, again
}

// GiveUp ends a Hold for which there is no page: it returns the messages that
// were kept back, in front of which others may be missing.
func (r *Ring) GiveUp() (deliver []*Message) {
	r.drop(len(r.messages) - r.first)
	r.head, r.floor, r.complete = cluster.Position{}, cluster.Position{}, false
	r.dropped = false
	deliver, _ = r.release(nil)
	return deliver
}

// release ends holding, and appends the messages that were kept back.
func (r *Ring) release(deliver []*Message) (_ []*Message, again bool) {
	for _, m := range r.held {
		if r.take(m) {
			deliver = append(deliver, m)
		}
	}
	again = r.dropped
	r.held, r.heldBytes, r.dropped, r.holding = nil, 0, false, again
	return deliver, again
}

// Prepend takes a page of the newest messages, for a ring that is not complete:
// those older than the ring's own messages.
func (r *Ring) Prepend(p *Page) {
	if r.complete || r.holding {
		return
	}
	until := r.head
	if r.Len() > 0 {
		until = r.messages[r.first].Position
	}
	older := 0
	for i, m := range p.Messages {
		if m.Position == until {
			older = i
			if r.Len() == 0 {
				older++
			}
		}
	}
	if older > 0 {
		own := r.messages[r.first:]
		r.messages = append(append(make([]*Message, 0, older+len(own)), p.Messages[:older]...), own...)
		r.first, r.floor = 0, cluster.Position{}
		for _, m := range p.Messages[:older] {
			r.bytes += m.Size
		}
	}
	r.complete = !p.More
	r.trim()
}

// Since returns the messages after a position. found is false if some of them
// may be missing; then the slice is nil. The slice is valid until the next call
// of another method; now is in Unix milliseconds.
func (r *Ring) Since(p cluster.Position, now int64) (messages []*Message, found bool) {
	r.Expire(now)
	own := r.messages[r.first:]
	switch p {
	case cluster.Position{}:
		return nil, false
	case r.head:
		return nil, true
	case r.floor:
		return own, true
	}
	for i := len(own) - 1; i >= 0; i-- {
		if own[i].Position == p {
			return own[i+1:], true
		}
	}
	return nil, false
}

// Newest returns the newest messages, and reports whether there are no more of
// them in the history than these, or as many as were wanted. The slice is valid
// until the next call of another method.
func (r *Ring) Newest(count int, now int64) (messages []*Message, enough bool) {
	r.Expire(now)
	own := r.messages[r.first:]
	count = max(0, count)
	if count <= len(own) {
		return own[len(own)-count:], true
	}
	return own, r.complete
}

// Expire drops the messages that have exceeded the age of the retention.
func (r *Ring) Expire(now int64) {
	oldest := now - r.retention.Age.Milliseconds()
	count := 0
	for r.first+count < len(r.messages) && r.messages[r.first+count].Time < oldest {
		count++
	}
	r.drop(count)
}

// Shrink drops the oldest messages until there are at most so many bytes. They
// are still part of the history.
func (r *Ring) Shrink(bytes int) {
	count, left := 0, r.bytes
	for ; left > bytes; count++ {
		left -= r.messages[r.first+count].Size
	}
	if count > 0 {
		r.complete = false
		r.drop(count)
	}
}

// Remove takes a message out, and reports whether it was there.
func (r *Ring) Remove(p cluster.Position) bool {
	for i := r.first; i < len(r.messages); i++ {
		if r.messages[i].Position == p {
			r.bytes -= r.messages[i].Size
			r.messages = append(r.messages[:i:i], r.messages[i+1:]...)
			return true
		}
	}
	return false
}

// take appends a message, unless it is a repeat.
func (r *Ring) take(m *Message) bool {
	if !r.isNew(m.Position) {
		return false
	}
	r.messages = append(r.messages, m)
	r.bytes += m.Size
	r.head = m.Position
	r.trim()
	return true
}

// trim drops what exceeds the retention.
func (r *Ring) trim() {
	count, bytes := max(0, r.Len()-r.retention.Messages), r.bytes
	for i := range count {
		bytes -= r.messages[r.first+i].Size
	}
	for ; bytes > r.retention.Bytes && count < r.Len(); count++ {
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
		r.floor = m.Position
	}
	switch {
	case r.first == len(r.messages):
		r.messages, r.first = r.messages[:0], 0
	case r.first > len(r.messages)/2:
		own := append([]*Message(nil), r.messages[r.first:]...)
		r.messages, r.first = own, 0
	}
}

// isNew reports whether the number of a message is greater than the last one of
// its incarnation, and notes it.
func (r *Ring) isNew(p cluster.Position) bool {
	for i := len(r.origins) - 1; i >= 0; i-- {
		if r.origins[i].Incarnation == p.Incarnation {
			if p.Number <= r.origins[i].Number {
				return false
			}
			r.origins[i].Number = p.Number
			return true
		}
	}
	if len(r.origins) == maxOrigins {
		r.origins = append(r.origins[:0], r.origins[1:]...)
	}
	r.origins = append(r.origins, p)
	return true
}
