package cluster

import (
	"bytes"
	"context"
	"hash/maphash"
	"slices"
	"time"
)

const (
	// Histories that have expired are looked for a few at a time, next to other
	// work in the stripe: no call takes long, and no goroutine is needed.
	sweepHistories = 2
	sweepMessages  = 256
	// sweepElsewhere is the number of kept messages and reads in a stripe after
	// which another stripe has its turn, and sweepUnkept that of messages
	// without Keep after which the stripe itself has.
	sweepElsewhere = 16
	sweepUnkept    = 64

	// forgottenBuckets is the number of classes of channels in a stripe that
	// share one memory of removed messages.
	forgottenBuckets = 64
)

// memoryClock tells the time of messages by the monotonic clock.
type memoryClock struct {
	epoch time.Time
	seed  maphash.Seed // of incarnations
}

func newMemoryClock() memoryClock {
	return memoryClock{epoch: time.Now(), seed: maphash.MakeSeed()}
}

func (c *memoryClock) now() time.Duration { return time.Since(c.epoch) }

// incarnation is that of the positions of a channel in this process, so that
// those of another one are not found. The numbers of start positions are those
// of the stripe's last kept message.
func (c *memoryClock) incarnation(channel string) uint64 {
	return maphash.String(c.seed, channel) | 1 // no position is zero
}

// memoryHistories are the histories of the channels of a stripe. They are
// guarded by the lock of the stripe. A stripe that never kept a message has
// none.
type memoryHistories struct {
	channels shrinkingMap[*memoryHistory]
	all      []*memoryHistory // the same, for the sweep
	cursor   int              // of the sweep, in all
	turns    int              // kept messages, reads, and a share of the others

	budget         *memoryBudget
	oldest, newest *memoryHistory // in the order of their last messages

	once   memoryOnce
	number uint64 // of the last kept message
	// forgotten has the highest number that was removed from a channel which
	// has no history any more.
	forgotten [forgottenBuckets]uint64

	delivered Envelope // only during Deliver; saves its allocation
}

// publishKept keeps a message and then delivers it, in this order, so that each
// delivered message is in the history. It is called with the stripe's lock
// held, and returns the message's number.
func (m *Memory) publishKept(stripe *memoryStripe, channel string, env *Envelope) (number uint64, nodes int) {
	if stripe.histories == nil {
		stripe.histories = &memoryHistories{budget: &m.budget}
	}
	s := stripe.histories
	now := m.clock.now()
	incarnation := m.clock.incarnation(channel)
	number = s.keep(channel, incarnation, env, now)
	m.sweep(stripe, now)
	s.evict()
	if _, subscribed := stripe.channels.get(channel); !subscribed {
		return number, 0
	}
	s.delivered = *env
	s.delivered.Keep, s.delivered.Position = nil, Position{incarnation, number}
	stripe.handler.Deliver(channel, &s.delivered)
	s.delivered = Envelope{}
	return number, 1
}

// keep appends a message and returns its number.
func (s *memoryHistories) keep(channel string, incarnation uint64, env *Envelope, now time.Duration) (number uint64) {
	h, found := s.channels.get(channel)
	if !found {
		h = &memoryHistory{channel: channel, incarnation: incarnation, bucket: incarnation >> 1 % forgottenBuckets, index: len(s.all)}
		h.removed = s.forgotten[h.bucket]
		s.channels.put(channel, h)
		s.all = append(s.all, h)
	}
	s.number++
	h.append(s.number, env, now)
	h.retention = *env.Keep
	h.learn(now)
	h.drop(h.excess(&h.retention, now, h.count))
	s.touch(h)
	s.settle(h)
	return s.number
}

// settle ends a change of a history, and forgets one that has become empty.
func (s *memoryHistories) settle(h *memoryHistory) {
	s.recount(h)
	if h.count > 0 || h.latest != nil {
		return
	}
	s.unlink(h)
	s.channels.remove(h.channel)
	s.forgotten[h.bucket] = max(s.forgotten[h.bucket], h.removed)
	last := len(s.all) - 1
	s.all[h.index] = s.all[last]
	s.all[h.index].index = h.index
	s.all[last] = nil
	s.all = s.all[:last]
	if cap(s.all) > minShrinkPeak && cap(s.all) > shrinkFraction*len(s.all) {
		s.all = slices.Clone(s.all)
	}
}

// sweep looks at the next histories, and removes messages that have expired.
func (s *memoryHistories) sweep(now time.Duration) {
	if len(s.once.ids) > 0 && now >= s.once.tidyAt {
		s.once.tidy(now, s.budget)
	}
	for range min(sweepHistories, len(s.all)) {
		if s.cursor++; s.cursor >= len(s.all) {
			s.cursor = 0
		}
		if len(s.all) == 0 {
			return
		}
		h := s.all[s.cursor]
		h.drop(h.excess(&h.retention, now, sweepMessages))
		h.trimLatest(now)
		s.settle(h)
	}
}

// sweep looks for expired messages in the stripe, and from time to time in
// another one, where perhaps nothing happens any more. It is called with the
// stripe's lock held, and never waits for that of another one.
func (m *Memory) sweep(stripe *memoryStripe, now time.Duration) {
	s := stripe.histories
	s.sweep(now)
	s.turns++
	if s.turns%sweepElsewhere != 0 {
		return
	}
	other := &m.stripes[s.turns/sweepElsewhere%len(m.stripes)]
	if other == stripe || !other.mu.TryLock() {
		return
	}
	defer other.mu.Unlock()
	if other.histories != nil {
		other.histories.sweep(now)
	}
}

// sweepUnkept is called for each message without Keep in a stripe that has kept
// messages. It looks at the clock rarely.
func (m *Memory) sweepUnkept(s *memoryHistories) {
	if len(s.all) == 0 {
		return
	}
	if s.turns++; s.turns%sweepUnkept == 0 {
		s.sweep(m.clock.now())
	}
}

// History implements [Historian]; it does not block.
func (m *Memory) History(ctx context.Context, channel string, query HistoryQuery) (HistoryPage, error) {
	page := HistoryPage{}
	err := m.onHistory(ctx, channel, func(s *memoryHistories, now time.Duration) {
		page = m.read(s, channel, &query, now)
	})
	// A kept message never changes, so the copies need no lock.
	for _, entries := range [...][]HistoryEntry{page.Entries, page.Latest} {
		for i := range entries {
			env := &entries[i].Envelope
			env.Payload, env.Except = bytes.Clone(env.Payload), slices.Clone(env.Except)
		}
	}
	return page, err
}

// RemoveFromHistory implements [Historian]; it does not block.
func (m *Memory) RemoveFromHistory(ctx context.Context, channel string, position Position) (removed bool, err error) {
	err = m.onHistory(ctx, channel, func(s *memoryHistories, _ time.Duration) {
		h, found := s.channels.get(channel)
		if !found || position.Incarnation != m.clock.incarnation(channel) {
			return
		}
		var i int
		if i, removed = h.find(position.Number); removed {
			h.remove(i)
		}
		removed = h.removeLatest(position.Number) || removed
		s.settle(h)
	})
	return removed, err
}

// ClearHistory implements [Historian]; it does not block.
func (m *Memory) ClearHistory(ctx context.Context, channel string) error {
	return m.onHistory(ctx, channel, func(s *memoryHistories, _ time.Duration) {
		if h, found := s.channels.get(channel); found {
			h.drop(h.count)
			h.latest = nil
			s.settle(h)
		}
	})
}

// onHistory calls work with the histories of the channel's stripe and without
// the channel's expired messages, with the stripe's lock held.
func (m *Memory) onHistory(ctx context.Context, channel string, work func(s *memoryHistories, now time.Duration)) error {
	stripe := m.stripe(channel)
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	if err := stripe.usable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if stripe.histories == nil {
		work(&memoryHistories{budget: &m.budget}, 0)
		return nil
	}
	now := m.clock.now()
	if h, found := stripe.histories.channels.get(channel); found {
		h.drop(h.excess(&h.retention, now, h.count))
		h.trimLatest(now)
		stripe.histories.settle(h)
	}
	work(stripe.histories, now)
	m.sweep(stripe, now)
	return nil
}

// read returns a page that shares its slices with the history.
func (m *Memory) read(s *memoryHistories, channel string, query *HistoryQuery, now time.Duration) HistoryPage {
	incarnation := m.clock.incarnation(channel)
	h, found := s.channels.get(channel)
	if !found {
		h = &memoryHistory{removed: s.forgotten[incarnation>>1%forgottenBuckets]}
	}
	page := HistoryPage{Found: true, Head: StartPosition(incarnation, s.number)}
	oldest, end := h.excess(&query.Retention, now, h.count), h.count
	first := oldest
	missing := h.removed // the highest number that the page cannot have
	if oldest > 0 {
		missing = max(missing, h.at(oldest-1).number)
	}
	if oldest < end {
		page.Head = Position{incarnation, h.at(end - 1).number}
	}
	if after := query.After; !after.IsZero() {
		number := after.Number &^ startBit
		i, found := h.find(number)
		switch {
		case after.Incarnation == incarnation && !after.IsStart() && found && i >= oldest:
			first = i + 1
		case after.Incarnation == incarnation && after.IsStart() && missing <= number && number <= s.number:
			first = i // the first one with a higher number
			if found {
				first++
			}
		default:
			page.Found = false
		}
	}
	if before := query.Before; !before.IsZero() {
		i, found := h.find(before.Number)
		if found && i >= oldest && before.Incarnation == incarnation {
			end = i
		} else {
			page.Found = false
		}
	}
	m.fill(&page, h, query, first, max(first, end))
	if query.Latest {
		page.Latest = m.latest(h, &query.Retention, now)
	}
	return page
}

// fill adds the messages from first up to end, exclusive.
func (m *Memory) fill(page *HistoryPage, h *memoryHistory, query *HistoryQuery, first, end int) {
	if limit := max(query.Limit, 0); end-first > limit {
		page.More = true
		if query.Oldest {
			end = first + limit
		} else {
			first = end - limit
		}
	}
	page.Entries = make([]HistoryEntry, 0, end-first)
	for i := first; i < end; i++ {
		page.Entries = append(page.Entries, m.entry(h, h.at(i)))
	}
}

func (m *Memory) entry(h *memoryHistory, k *keptMessage) HistoryEntry {
	e := HistoryEntry{
		Envelope: Envelope{
			Kind: k.kind, Binary: k.binary, Origin: k.origin, User: k.user, Except: k.except, Payload: k.payload,
			Position: Position{h.incarnation, k.number},
		},
		Time: m.clock.epoch.Add(k.at),
	}
	if k.key != nil {
		e.Envelope.Key = *k.key
	}
	return e
}
