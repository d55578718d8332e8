package ring

import (
	"slices"

	"github.com/stoa-io/stoa/cluster"
)

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
	// Key is that of cluster.Envelope, nil if there is none: most messages have
	// none, and there are many.
	Key *string
	// Resent: clients of other nodes may have received it at another place, or
	// not; see cluster.Envelope.
	Resent bool
	// Repeat: this node has delivered it before; see cluster.Envelope.
	Repeat bool
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
	// Now is when the page arrived, in Unix milliseconds.
	Now int64
	// Latest are the newest messages of all keys, if HasLatest.
	Latest    []*Message
	HasLatest bool
}

const (
	// maxHeld bounds the messages that are kept back, and maxHeldBytes their
	// size. Those beyond are in the history, and are read from there.
	maxHeld      = 1024
	maxHeldBytes = 1 << 20

	// Overhead is the memory that a message takes in addition to its Size, in
	// bytes.
	Overhead = 192

	// maxLag is how many milliseconds after its publication a message may
	// arrive. Later ones come in order all the same, but for those from before
	// a cut page.
	maxLag = 60_000
)

// Ring is the history of one room. Its owner serializes the calls. A million
// rooms may be open: what few of them need at a time is behind a pointer.
type Ring struct {
	retention *cluster.Retention
	messages  []*Message // the ones before first are removed
	first     int
	bytes     int
	// head is the position of the newest message that was delivered, or the
	// start position of a history that was empty. Zero: unknown.
	head cluster.Position
	// floor is the position right before the oldest message, and start a start
	// position of which the same is known. Zero: unknown.
	floor, start cluster.Position
	// untold: the positions of so many messages, and of the head, do not tell
	// which messages a client lacks; see cluster.Envelope.Resent.
	untold     int
	headUntold bool
	headResent bool // Message.Resent of the head
	origins    origins
	// unsure: until this time, in Unix milliseconds, the subscription may bring
	// messages from before the page with which the ring began. A message is not
	// one of these if the page or the ring has an earlier one of its
	// incarnation.
	unsure int64
	held   *held // nil if there is none
	keys   *keys // nil if nothing is known about the newest message of each key
	// complete: the messages reach back as far as the retention does.
	complete bool
	holding  bool
	// broken: some messages that were delivered may not be in the history. A
	// client may have entered since the first notice of that, and missed: one
	// of those messages has got a place behind it. noticed: the members had
	// notice of the same since the last delivery.
	broken, entered, missed, noticed bool
	occupied                         bool // a client has entered
}

// held are the messages that are kept back.
type held struct {
	messages []*Message
	bytes    int
	asked    int  // how many there were before the page was asked for
	dropped  bool // more has arrived
}

// New returns the ring of a room whose subscription begins. It holds. The
// retention does not change.
func New(retention *cluster.Retention) Ring {
	return Ring{retention: retention, holding: true}
}

// Head is the position of the newest message that was delivered, or the start
// position of a history that was empty. Zero: it is unknown.
func (r *Ring) Head() cluster.Position { return r.head }

// Memory is about how many bytes of memory the messages take.
func (r *Ring) Memory() int { return r.bytes + r.count()*Overhead + r.keys.memory() }

func (r *Ring) count() int { return len(r.messages) - r.first }

// IsHolding reports whether messages are kept back.
func (r *Ring) IsHolding() bool { return r.holding }

// Hold keeps messages back from now on, because the subscription has ended and
// earlier ones may be missing. Those that were kept back before are in the page
// that the ring needs now.
func (r *Ring) Hold() { r.holding, r.held = true, nil }

// Ask returns the position after which the ring needs a page, and is called
// before that is read. So the messages that were kept back until now are in the
// page, or precede it.
func (r *Ring) Ask() cluster.Position {
	if r.held != nil {
		r.held.asked = len(r.held.messages)
	}
	return r.head
}

// Receive takes a message of the subscription, and reports whether it is to be
// delivered now: not if it is kept back, or was delivered before. ask: from now
// on the ring holds, and needs the page after Head.
func (r *Ring) Receive(m *Message) (deliver, ask bool) {
	if !r.holding && r.isDoubtful(m) {
		r.holding, ask = true, true
	}
	if r.holding {
		r.keepBack(m)
		return false, ask
	}
	return r.take(m), false
}

// isDoubtful reports that a message may be one from before the page with which
// the ring began, as far as is known without a later page.
func (r *Ring) isDoubtful(m *Message) bool {
	if r.unsure == 0 {
		return false
	}
	if m.Time > r.unsure {
		r.unsure = 0
		return false
	}
	return !r.origins.has(m.Position) && !r.origins.isRecent(m.Position.Incarnation)
}

func (r *Ring) keepBack(m *Message) {
	if r.held == nil {
		r.held = &held{}
	}
	h := r.held
	if len(h.messages) >= maxHeld || h.bytes+m.Size > maxHeldBytes {
		h.dropped = true
	}
	if !h.dropped {
		h.messages = append(h.messages, m)
		h.bytes += m.Size
	}
}

// Open takes the page with which a room begins: the newest messages. Nothing of
// it is to be delivered, since the room has no members yet. again: Open needs a
// later page.
func (r *Ring) Open(p *Page) (again bool) {
	r.origins = origins{}
	r.adopt(p, false)
	_, again = r.release(nil)
	return again
}

// Repair takes the page after Ask, and returns the messages that are to be
// delivered, in order. gap: others are missing in front of them, and nothing
// can bring them back. again: the ring still holds, and needs the page after
// the new Head.
func (r *Ring) Repair(p *Page) (deliver []*Message, gap, again bool) {
	gap = r.head.IsZero() || !p.Found || p.More
	if gap {
		r.breaks()
		deliver = r.begin(p)
	} else {
		for _, m := range p.Messages {
			if r.take(m) {
				deliver = append(deliver, m)
			}
		}
	}
	deliver, again = r.release(deliver)
	return deliver, gap, again
}

// begin makes the ring begin again with a page, and returns those of its
// messages that are to be delivered.
func (r *Ring) begin(p *Page) (deliver []*Message) {
	known := 0
	for i, m := range p.Messages {
		if r.origins.has(m.Position) {
			known = i + 1 // it was delivered, after the earlier ones
		}
	}
	if !r.head.IsZero() {
		deliver = slices.Clone(p.Messages[known:])
	}
	r.adopt(p, true)
	r.noticed = r.noticed && len(deliver) == 0
	return deliver
}

// GiveUp ends a Hold for which there is no page: it returns the messages that
// were kept back, in front of which others may be missing. gap: others are
// missing behind them as well.
func (r *Ring) GiveUp() (deliver []*Message, gap bool) {
	r.breaks()
	r.forget()
	r.unsure = 0
	if r.held != nil {
		r.held.asked = 0
	}
	deliver, gap = r.release(nil)
	if gap {
		r.forget()
		r.holding = false
	}
	return deliver, gap
}

// breaks notes a gap of which the members have notice.
func (r *Ring) breaks() {
	if !r.broken {
		r.broken, r.entered = true, false
	}
	r.missed = false
}

// Missed reports, once, that members that have entered since the first gap may
// miss a message: it had been lost, was sent again, and was not delivered as a
// repeat. It is called after each call that takes messages.
func (r *Ring) Missed() bool {
	missed := r.missed
	if missed {
		r.missed, r.noticed = false, true
	}
	return missed
}

// forget drops everything but the numbers of the incarnations.
func (r *Ring) forget() {
	r.drop(r.count())
	r.head, r.floor, r.start = cluster.Position{}, cluster.Position{}, cluster.Position{}
	r.headUntold, r.headResent, r.complete = false, false, false
	r.keys = nil
}

// adopt replaces the messages by those of a page. Messages from before a page
// that is cut may still be on their way, if the page begins only just now.
//
// Behind a gap, publishers may yet send lost messages again, which this node
// knows: no position in the page tells that a client has them.
func (r *Ring) adopt(p *Page, gap bool) {
	r.forget()
	r.complete = !p.More
	r.origins.recent = 0
	for _, m := range p.Messages {
		r.origins.note(m.Position)
		r.append(m)
	}
	if len(p.Messages) == 0 {
		r.head, r.floor = p.Head, p.Head
	} else if gap {
		r.untold, r.headUntold = r.count(), true
	}
	cut := gap || len(p.Messages) >= r.retention.Messages || r.bytes > r.retention.Bytes/2 ||
		r.retention.Age.Milliseconds() < maxLag
	r.unsure = 0
	if cut && (len(p.Messages) == 0 || p.Messages[0].Time >= p.Now-maxLag) {
		r.unsure = p.Now + maxLag
	}
	r.trim()
	r.adoptLatest(p)
}

// release ends holding if it can, and appends the messages that were kept back.
func (r *Ring) release(deliver []*Message) (_ []*Message, again bool) {
	h := r.held
	r.held, r.holding = nil, false
	if h == nil {
		return deliver, false
	}
	rest := h.messages[h.asked:]
	if slices.ContainsFunc(rest, r.isDoubtful) {
		h.messages, h.asked = rest, 0
		r.held, r.holding = h, true
		return deliver, true
	}
	for _, m := range rest {
		if r.take(m) {
			deliver = append(deliver, m)
		}
	}
	r.holding = h.dropped
	return deliver, h.dropped
}

// take appends a message, unless it is a repeat, and reports whether it is to
// be delivered. A repeat of a message that the history has lost makes it part
// of the history at a later place. If the room has opened since, or has dropped
// it while it held, some members may have it from before, and others lack it.
func (r *Ring) take(m *Message) bool {
	if !r.origins.add(m.Position) {
		if m.Resent && !r.has(m) {
			r.untold, r.headUntold = r.count(), true
			r.miss(r.broken && r.entered)
		}
		return false
	}
	if m.Repeat {
		r.miss(r.occupied)
	} else {
		r.noticed = false
	}
	r.append(m)
	r.trim()
	r.putLatest(m)
	return !m.Repeat
}

// miss notes that some members may lack a message that is not delivered.
func (r *Ring) miss(some bool) { r.missed = r.missed || some && !r.noticed }

// has reports whether a repeat is one of a message that the ring has.
func (r *Ring) has(m *Message) bool {
	return slices.ContainsFunc(r.messages[r.first:], func(own *Message) bool {
		return own.Position.Incarnation == m.Position.Incarnation && own.Position.Number >= m.Position.Number
	})
}
