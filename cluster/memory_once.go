package cluster

import "time"

// minOncePurge is the number of IDs in a stripe below which the expired ones
// stay.
const minOncePurge = 64

// onceTidy is how long expired IDs may stay, while other messages are kept.
const onceTidy = 5 * time.Second

// memoryOnce has the IDs of the messages in a stripe that were published once.
// It is guarded by the lock of the stripe.
type memoryOnce struct {
	ids    map[onceKey]onceEntry
	purge  int           // the size at which the expired IDs are removed
	tidyAt time.Duration // when they are removed otherwise
}

type onceKey struct{ channel, id string }

// onceEntry is the message that has an ID.
type onceEntry struct {
	number      uint64
	fingerprint uint64
	expires     time.Duration // of memoryClock
}

// find returns the entry of an ID whose window has not passed.
func (o *memoryOnce) find(key onceKey, now time.Duration) (e onceEntry, found bool) {
	e, found = o.ids[key]
	return e, found && now < e.expires
}

// add remembers an ID. The work to remove expired ones is shared by those that
// were added since.
func (o *memoryOnce) add(key onceKey, e onceEntry, now time.Duration, budget *memoryBudget) {
	if len(o.ids) >= max(o.purge, minOncePurge) {
		o.tidy(now, budget)
	}
	if _, expired := o.ids[key]; !expired { // else it is counted already
		budget.addIDs(len(key.id) + onceOverhead)
	}
	if o.ids == nil {
		o.ids = make(map[onceKey]onceEntry)
	}
	o.ids[key] = e
}

// tidy removes the expired IDs.
func (o *memoryOnce) tidy(now time.Duration, budget *memoryBudget) {
	live := make(map[onceKey]onceEntry)
	for key, e := range o.ids {
		if now < e.expires {
			live[key] = e
		} else {
			budget.addIDs(-len(key.id) - onceOverhead)
		}
	}
	o.ids, o.purge, o.tidyAt = live, 2*len(live), now+onceTidy
}

// PublishOnce implements [OncePublisher]; it calls done before it returns.
func (m *Memory) PublishOnce(channel string, env *Envelope, once Once, done func(p Position, err error)) {
	done(m.publishOnce(channel, env, once))
}

func (m *Memory) publishOnce(channel string, env *Envelope, once Once) (Position, error) {
	if err := once.Validate(channel, env); err != nil {
		return Position{}, err
	}
	stripe := m.stripe(channel)
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	if err := stripe.usable(); err != nil {
		return Position{}, err
	}
	key, fingerprint, now := onceKey{channel, once.ID}, Fingerprint(env), m.clock.now()
	if h := stripe.histories; h != nil {
		if e, found := h.once.find(key, now); found {
			if e.fingerprint != fingerprint {
				return Position{}, ErrIDReused
			}
			return Position{m.clock.incarnation(channel), e.number}, nil
		}
	}
	if !m.budget.hasRoomForID() {
		if m.tidyIDs(stripe, now); !m.budget.hasRoomForID() {
			return Position{}, ErrQueueFull
		}
	}
	number, _ := m.publishKept(stripe, channel, env)
	stripe.histories.once.add(key, onceEntry{number, fingerprint, now + once.Window}, now, &m.budget)
	return Position{m.clock.incarnation(channel), number}, nil
}

// tidyIDs removes the expired IDs of all stripes, as those without messages do
// not do that on their own. It is called with the stripe's lock held, and never
// waits for that of another one.
func (m *Memory) tidyIDs(stripe *memoryStripe, now time.Duration) {
	for i := range m.stripes {
		other := &m.stripes[i]
		if other != stripe && !other.mu.TryLock() {
			continue
		}
		if h := other.histories; h != nil && len(h.once.ids) > 0 && now >= h.once.tidyAt {
			h.once.tidy(now, &m.budget)
		}
		if other != stripe {
			other.mu.Unlock()
		}
	}
}
