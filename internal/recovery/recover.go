package recovery

import (
	"math"
	"slices"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/recovery/ring"
)

// Wish is what a client that enters a room wants to have of its history.
type Wish struct {
	// After is the position of the last message that the client has; zero: it
	// has none.
	After cluster.Position
	// Newest is how many of the newest messages it wants if it has no position,
	// or if not all messages after the position are there.
	Newest int
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
	Messages []*ring.Message
}

// Recover looks up what a client wants, and calls post once, now or later, on
// any goroutine: what post puts into the inbox of a loop comes after all
// messages of the room until Head, and before all later ones. If the broker
// does not answer in time, nothing is known about the room. post does not
// block. The room is open, or has no history.
func (r *Rooms) Recover(channel string, wish Wish, post func(Recovery)) {
	s := r.stripe(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.rooms[channel]
	if in == nil {
		post(Recovery{})
		return
	}
	answered := false
	once := func(result Recovery) {
		if !answered {
			answered = true
			post(result)
		}
	}
	r.recover(in, wish, once, attempt{})
	if !answered {
		time.AfterFunc(r.config.Timeout, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			once(Recovery{})
		})
	}
}

// attempt is what a recovery knows from a read of the broker.
type attempt struct {
	read bool // the messages before those of the ring have been read
	all  bool // the position is that of a history that was empty: all follows it
}

// recover is called with the stripe's lock held.
func (r *Rooms) recover(in *room, wish Wish, post func(Recovery), a attempt) {
	if in.ring.IsHolding() {
		in.behind = append(in.behind, func() { r.recover(in, wish, post, a) })
		return
	}
	now := time.Now().UnixMilli()
	messages, found := in.ring.Since(wish.After, now)
	if a.all && !found {
		messages, found = in.ring.Newest(math.MaxInt, now)
	}
	newest, enough := in.ring.Newest(wish.Newest, now)
	if !found && !a.read && r.hasOlder(in, wish, enough) {
		r.readOlder(in, wish, post)
		return
	}
	if found && size(messages) > wish.MaxBytes {
		found = false
	}
	if !found {
		for messages = newest; size(messages) > wish.MaxBytes; {
			messages = messages[1:]
		}
	}
	switch {
	case found:
		r.stats.recovered.Add(1)
	case !wish.After.IsZero():
		r.stats.notRecovered.Add(1)
	}
	post(Recovery{Recovered: found, Head: in.ring.Head(), Messages: slices.Clone(messages)})
}

// hasOlder reports whether the broker may know more about a wish than the ring.
func (r *Rooms) hasOlder(in *room, wish Wish, enough bool) bool {
	if wish.After.IsStart() {
		return true
	}
	return !in.ring.IsComplete() && (!wish.After.IsZero() || !enough)
}

func size(messages []*ring.Message) (bytes int) {
	for _, m := range messages {
		bytes += m.Size
	}
	return bytes
}

// readOlder reads the messages before those of the ring, once for all clients
// that want them at the same time. The broker alone understands a start
// position.
func (r *Rooms) readOlder(in *room, wish Wish, post func(Recovery)) {
	after := cluster.Position{}
	if wish.After.IsStart() {
		after = wish.After
	}
	if in.older == nil {
		in.older = make(map[cluster.Position][]func(attempt))
	}
	waiting, reading := in.older[after]
	in.older[after] = append(waiting, func(a attempt) { r.recover(in, wish, post, a) })
	if !reading {
		r.readers.add(func() { r.older(in, after) })
	}
}

// older carries out a read for the clients that wait for it.
func (r *Rooms) older(in *room, after cluster.Position) {
	query := cluster.HistoryQuery{Retention: in.retention, After: after, Limit: in.retention.Messages}
	page, err := r.read(in.channel, query)
	s := r.stripe(in.channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := in.ring.Bytes()
	a := attempt{read: true}
	if err == nil {
		in.ring.Prepend(page)
		a.all = after.IsStart() && page.Found && !page.More
	}
	waiting := in.older[after]
	delete(in.older, after)
	for _, next := range waiting {
		next(a)
	}
	r.account(s, in, before)
}

// continueBehind continues the recoveries that have waited for the end of
// holding. It is called with the stripe's lock held.
func (r *Rooms) continueBehind(in *room) {
	waiting := in.behind
	in.behind = nil
	for _, next := range waiting {
		next()
	}
}
